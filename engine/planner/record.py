"""What is kept of one request's decisions: enough to take every one of them again. One JSON line a record."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec
from msgspec import Struct

from engine.exchange import Attempt, OutcomeClass, Usage
from engine.graph import Limit, TargetStep
from engine.state import Claim, Closure, Refusal
from engine.state.buckets import bucket

from .model import Candidate, Facts, Go, Next, Plan, Request, Skip, Stop, Wait

#: The version of the record; one of another version is not read.
VERSION = 1
#: Why a record cannot say everything: see :attr:`Record.taken`.
RACE, PLACES = "race", "places"


class Asked(Struct, frozen=True, omit_defaults=True):
    """The attributes that every plan reads. ``conversation`` is whether the request goes on with one."""

    model: str | None = None
    surface: str = "chat"
    stream: bool = False
    input_tokens: int = 0
    max_tokens: int | None = None
    tools: bool = False
    vision: bool = False
    json_schema: bool = False
    needs: tuple[str, ...] = ("chat",)
    wire: tuple[str, ...] = ("chat",)
    key_routes: tuple[str, ...] = ()
    no_fallback: bool = False
    kind: str = "chat"
    front: str = "openai-chat"
    conversation: bool = False


class Shut(Struct, frozen=True, omit_defaults=True):
    """A target that was to be passed over; ``until`` and ``tried`` are Unix seconds."""

    target: str
    circuit: str
    until: float
    reason: Literal["breaker", "held", "credential", "limit"]
    detail: str = ""
    tried: float = 0.0
    free: bool = False

    @property
    def closure(self) -> Closure:
        """The answer that the planner got."""
        return Closure(self.until, self.reason, self.detail, self.tried, self.free)


def shut(step: TargetStep, closure: Closure) -> Shut:
    """The note of a closure."""
    return Shut(
        step.target.id, step.circuit, closure.until, closure.reason, closure.detail, closure.tried, closure.free
    )


class Refused(Struct, frozen=True, omit_defaults=True):
    """A client limit without room: ``retry_after`` is seconds, ``None`` is never."""

    key: str
    retry_after: float | None
    left: int = 0

    @property
    def refusal(self) -> Refusal:
        """The answer that the planner got."""
        return Refusal(self.key, math.inf if self.retry_after is None else self.retry_after, self.left)


def refused(refusal: Refusal | None) -> Refused | None:
    """The note of a refusal."""
    if refusal is None:
        return None
    return Refused(refusal.key, None if refusal.retry_after == math.inf else refusal.retry_after, refusal.left)


class Seen(Struct, omit_defaults=True):
    """The state facts that a plan consulted, as far as they were not the usual ones: nobody busy or closed, every
    credential there, nothing known of latency, all of a limit left, the whole share."""

    closed: list[Shut] = []
    in_flight: dict[str, int] = {}
    no_credential: list[str] = []
    holder: str | None = None
    buckets: list[tuple[str, str]] = []
    """(limit, the bucket in which the request's value of its ``each`` counts)."""
    refuses: Refused | None = None
    latency: dict[str, float] = {}
    headroom: dict[str, float] = {}
    share: dict[str, float] = {}


class Row(Struct, frozen=True, omit_defaults=True):
    """A candidate in short: ``target`` is its id, or ``reject``; ``closed`` the reason it was to be passed over for."""

    target: str
    path: str = ""
    closed: str | None = None
    beside: int | None = None
    """The candidate that a hedge starts beside it."""
    mirrors: tuple[str, ...] = ()


class Planned(Struct, frozen=True, omit_defaults=True):
    """A plan in short."""

    route: str | None = None
    start: int = 0
    candidates: tuple[Row, ...] = ()
    skips: tuple[Skip, ...] = ()
    variants: tuple[tuple[str, str], ...] = ()
    stop: OutcomeClass | None = None
    status: int | None = None
    code: str = ""
    message: str = ""
    limits: tuple[tuple[str, int], ...] = ()
    """(key of a claim, what it takes)."""
    retry_after: float | None = None


def _row(candidate: Candidate) -> Row:
    step, closure, hedge = candidate.step, candidate.closure, candidate.hedge
    return Row(
        step.target.id if isinstance(step, TargetStep) else "reject",
        step.path,
        None if closure is None else closure.reason,
        None if hedge is None else hedge.to,
        tuple([to.target.id for to in candidate.mirrors]),
    )


def planned(plan: Plan) -> Planned:
    """The plan in short."""
    retry_after = plan.retry_after
    return Planned(
        None if plan.route is None else plan.route.name,
        plan.start,
        tuple([_row(candidate) for candidate in plan.candidates]),
        plan.skips,
        plan.variants,
        plan.stop,
        plan.status,
        plan.code,
        plan.message,
        tuple([(claim.key, claim.cost) for claim in plan.limits]),
        None if retry_after == math.inf else retry_after,
    )


class Answer(Struct, frozen=True, omit_defaults=True):
    """What the planner answered; exactly one of ``go`` (a position), ``wait`` (seconds), ``stop`` (a class), or none of
    them: nothing is to be done."""

    go: int | None = None
    skips: tuple[Skip, ...] = ()
    passed: tuple[int, ...] = ()
    again: bool = False
    wait: float | None = None
    stop: OutcomeClass | None = None


def answer(following: Next | None) -> Answer:
    """The note of an answer."""
    if isinstance(following, Go):
        return Answer(following.position, following.skips, following.passed, following.again)
    if isinstance(following, Wait):
        return Answer(wait=following.delay)
    return Answer(stop=following.outcome_class if isinstance(following, Stop) else None)


class Step(Struct, omit_defaults=True):
    """One thing that happened on the way: an attempt was begun (``try``), or the planner was asked something.

    ``walk`` numbers the walks of a request: 0 is its own, others were started beside it. What follows are the facts the
    planner was given, as :class:`Facts` says, and at which Unix time.
    """

    do: Literal["try", "advance", "pass_over", "beside", "instead"]
    at: int
    walk: int = 0
    outcome: OutcomeClass | None = None
    moment: float = 0.0
    remaining: float = 0.0
    attempts: int = 0
    tries: int = 0
    retry_allowed: bool = True
    hedge_allowed: bool = True
    retry_after: float | None = None
    larger_than: int = 0
    under_way: tuple[int, ...] = ()
    other_account: bool = False
    passed: tuple[int, ...] = ()
    position: int = 0
    farthest: int = 0
    left: tuple[tuple[int, int, OutcomeClass], ...] = ()
    closed: list[Shut] = []
    answer: Answer | None = None

    def facts(self) -> Facts:
        """The facts, without those that are asked for."""
        return Facts(
            self.remaining,
            self.attempts,
            self.tries,
            self.retry_allowed,
            self.hedge_allowed,
            self.retry_after,
            self.larger_than,
            self.under_way,
            self.other_account,
            passed=self.passed,
            position=self.position,
            farthest=self.farthest,
            left=self.left,
        )


class Record(Struct, omit_defaults=True):
    """One request: what was known, what was decided, what came of it. No content, no secret.

    ``read`` holds what conditions, splits, balances and limits read of it besides ``request``; ``withheld`` names what
    they read and may not be written down, which makes the decision one that cannot be taken again. ``taken`` says what
    besides the planner had a part in it: ``race`` (attempts were made beside each other), ``places`` (who had room
    under the limits of a provider); what they came to is in ``steps``. ``entered`` is the client limit that refused the
    request after it was planned.
    """

    v: int
    id: str = msgspec.field(name="request_id")
    at: float
    graph: str
    outcome: OutcomeClass
    status: int
    commit: str | None = None
    request: Asked = Asked()
    read: dict[str, Any] = {}
    withheld: list[str] = []
    seen: Seen | None = None
    plan: Planned | None = None
    entered: Refused | None = None
    steps: list[Step] = []
    taken: list[str] = []
    attempts: tuple[Attempt, ...] = ()
    duration: float = 0.0
    first_token: float | None = None
    code: str = ""
    usage: Usage | None = None


_USUAL = Seen()


def sound(record: Record) -> bool:
    """Whether the steps speak of candidates only that the plan has."""
    if not record.steps:
        return True
    count = 0 if record.plan is None else len(record.plan.candidates)
    for step in record.steps:
        go = 0 if step.answer is None or step.answer.go is None else step.answer.go
        if not (0 <= step.at < count and 0 <= go < count) or (step.do == "advance" and step.outcome is None):
            return False
        for position in (*step.passed, *step.under_way, *(row[0] for row in step.left)):
            if not 0 <= position < count:
                return False
    return True


class Remembered:
    """The planner's view as a record holds it; what it does not hold is as usual."""

    __slots__ = ("_closed", "_seen")

    def __init__(self, seen: Seen | None) -> None:
        self._seen = seen = _USUAL if seen is None else seen
        self._closed = closures(seen.closed)

    def in_flight(self, target: str) -> int:
        """Requests that were under way at this target."""
        return self._seen.in_flight.get(target, 0)

    def credential(self, provider: str) -> bool:
        """Whether the provider's credential was there."""
        return provider not in self._seen.no_credential

    def holder(self, conversation: str) -> str | None:
        """Who kept the conversation that the request went on with."""
        return self._seen.holder

    def bucket(self, limit: Limit, value: str | None) -> str:
        """The bucket that the value counted in."""
        return next((found for name, found in self._seen.buckets if name == limit.name), bucket(value))

    def refuses(self, claims: tuple[Claim, ...]) -> Refusal | None:
        """The client limit that had no room, as long as the claims are among those of then."""
        noted = self._seen.refuses
        return noted.refusal if noted is not None and any(claim.key == noted.key for claim in claims) else None

    def closed(self, step: TargetStep, now: float) -> Closure | None:
        """Why this use of a target was to be passed over."""
        known = self._closed
        return known.get(step.circuit) or known.get(step.target.id) if known else None

    def latency(self, target: str, stream: bool, now: float) -> float:
        """Seconds that were expected."""
        return self._seen.latency.get(target, 0.0)

    def headroom(self, target: str, now: float) -> float:
        """What was left of the provider's limits."""
        return self._seen.headroom.get(target, 1.0)

    def share(self, target: str, now: float) -> float:
        """What a balance gave the target of its share."""
        return self._seen.share.get(target, 1.0)


def closures(rows: list[Shut]) -> dict[str, Closure] | None:
    """The closures by circuit, and by target for uses that nobody asked about."""
    if not rows:
        return None
    found = {row.target: row.closure for row in reversed(rows)}
    found.update((row.circuit, row.closure) for row in rows)
    return found


class UnreadError(LookupError):
    """A record does not hold this attribute: nothing read it then."""


#: What an attribute is shown as that nothing read then.
UNREAD = "(not recorded)"


class Recalled(Request):
    """The request as a record holds it. Reading what nothing read then raises :class:`UnreadError`; to ``show`` it, it
    is :data:`UNREAD`.
    """

    read: dict[str, Any] = msgspec.field(default_factory=dict)
    show: bool = False

    def get(self, attribute: str) -> Any:
        """The attribute's value, as far as it is known."""
        if attribute in self.read:
            return self.read[attribute]
        if attribute in ELSEWHERE or attribute.startswith(("metadata.", "header.")):
            if self.show:
                return UNREAD
            raise UnreadError(attribute)
        return getattr(self, attribute, None)


#: Attributes that are recorded only where something reads them, besides metadata and headers.
ELSEWHERE = frozenset({"user", "key", "team", "prompt", "conversation"})


def recalled(record: Record) -> Recalled:
    """The request of a record."""
    asked = record.request
    return Recalled(
        model=asked.model,
        surface=asked.surface,
        stream=asked.stream,
        input_tokens=asked.input_tokens,
        max_tokens=asked.max_tokens,
        tools=asked.tools,
        vision=asked.vision,
        json_schema=asked.json_schema,
        request_id=record.id,
        needs=frozenset(asked.needs),
        wire=frozenset(asked.wire),
        key_routes=asked.key_routes,
        no_fallback=asked.no_fallback,
        kind=asked.kind,
        front=asked.front,
        conversation="-" if asked.conversation else None,
        read=record.read,
    )
