"""What goes into the planner and what comes out: plain values, no clock, no randomness, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

from msgspec import Struct

from engine.exchange import RULES, Effect, OutcomeClass
from engine.graph import Limit, Reject, Route, Step, Target, TargetStep
from engine.state import Claim, Closure, Refusal

from .because import order_dict

_NOTHING: Mapping[str, str] = MappingProxyType({})
_CHAT = frozenset({"chat"})
#: What an attempt may end in and its target still serve the next one at once, at little cost.
PASSING = frozenset(c for c, r in RULES.items() if r.breaker is Effect.FAILURE and c is not OutcomeClass.TIMEOUT)
#: What an attempt may end in and its target still be gone back to, once all others have failed too.
RETURNING = frozenset(c for c, r in RULES.items() if r.breaker in (Effect.FAILURE, Effect.HOLD))

Closed = Callable[[TargetStep, float], Closure | None]
"""Whether this use of a target is to be passed over at this moment (Unix seconds), and why."""


class Request(Struct):
    """The attributes of a request that routing may depend on, and the seed of its choices.

    ``None`` is absent. ``needs`` names the capabilities that a target must have to serve it at all
    (``chat``, ``stream``, ``tools``, ``vision``, ``json_schema``, ``embeddings``, ...). ``request_id`` is the seed.
    ``key_routes`` are names or globs of the routes the caller's key may use; empty is all.
    """

    model: str | None = None
    surface: str = "chat"
    stream: bool = False
    user: str | None = None
    key: str | None = None
    metadata: Mapping[str, Any] = _NOTHING
    headers: Mapping[str, str] = _NOTHING
    team: str | None = None
    input_tokens: int = 0
    max_tokens: int | None = None
    tools: bool = False
    vision: bool = False
    json_schema: bool = False
    request_id: str = ""
    needs: frozenset[str] = _CHAT
    wire: frozenset[str] = _CHAT
    """What the way to a target must be able to carry: the kind of answer, ``image_url``, ``conversation``."""
    key_routes: tuple[str, ...] = ()
    no_fallback: bool = False
    kind: str = "chat"
    front: str = "openai-chat"
    conversation: str | None = None
    """The id of a conversation that an upstream keeps and this request goes on with."""
    prompt: str | None = None
    """A digest of how the request begins, once something has asked for it."""
    prompt_of: Callable[[], str | None] | None = None
    """What makes that digest; the same answer every time."""

    def get(self, attribute: str) -> Any:
        """The attribute's value, ``None`` where absent. ``metadata.x`` and ``header.x`` reach into the mappings.

        Headers are found whatever case a split's or a balance's key spells them in.
        """
        if attribute.startswith("metadata."):
            return self.metadata.get(attribute[9:])
        if attribute.startswith("header."):
            return self.headers.get(attribute[7:].lower())
        if attribute == "prompt" and self.prompt is None and self.prompt_of is not None:
            self.prompt = self.prompt_of()
        return getattr(self, attribute, None)


class View(Protocol):
    """The live facts that a plan may consult. An implementation answers from memory; it never waits."""

    def in_flight(self, target: str) -> int:
        """Requests under way at this target, by its id."""

    def credential(self, provider: str) -> bool:
        """Whether the provider's credential is there (an unset secret makes its targets be skipped)."""

    def holder(self, conversation: str) -> str | None:
        """The id of the target that keeps this conversation, where that is known."""

    def bucket(self, limit: Limit, value: str | None) -> str:
        """The bucket of the limit in which requests of this value of its ``each`` count."""

    def refuses(self, claims: tuple[Claim, ...]) -> Refusal | None:
        """Whether these client limits have no room for the claims at this moment, and until when."""

    def closed(self, step: TargetStep, now: float) -> Closure | None:
        """Why this use of a target is to be passed over while another can serve, ``None`` if it is not."""

    def latency(self, target: str, stream: bool, now: float) -> float:
        """Seconds to expect: to first output of a stream, else to the whole answer; 0.0 where nothing is known."""

    def headroom(self, target: str, now: float) -> float:
        """The share (0..1) that is left of the provider's limits; 1.0 where nothing is known."""

    def share(self, target: str, now: float) -> float:
        """What a balance gives this target of its share, above 0 and up to 1: less while it is new to traffic."""


class Skip(Struct, frozen=True):
    """A target of the route that is not attempted, and why: ``reason`` is one of :data:`SKIP_REASONS`."""

    target: str
    reason: str
    detail: str = ""
    path: str = ""


#: The closed list of skip reasons.
SKIP_REASONS = (
    "capability",  # it cannot do what the request needs
    "conversation",  # another target keeps the conversation that the request goes on with
    "context",  # the request does not fit into its context window
    "credential",  # its provider's secret is not set, or the provider refuses it
    "breaker",  # it failed too often of late
    "held",  # it asked to be left alone for a while
    "limit",  # what may be sent to it, or asked by this caller, is used up for now
    "no_fallback",  # the client forbade failover
    "not_assigned",  # it stands in another variant of a split
    "not_selected",  # it stands in another case of a switch
    "not_mirrored",  # it gets copies of requests, and none of this one
    "rejected",  # it stands behind a reject step
)


class Exit(Struct, frozen=True):
    """After these outcome classes of an attempt, go on to candidate ``to``."""

    on: frozenset[OutcomeClass]
    to: int


class Beside(Struct, frozen=True):
    """When a candidate has given nothing for ``delay`` seconds, start the first of those from ``to`` to before ``end``
    that may serve beside it. ``extra`` is the share of the requests of hedge ``name`` that may be sent once more so.
    """

    to: int
    end: int
    delay: float
    extra: float
    name: str


class Candidate(Struct, frozen=True):
    """One entry of a plan: a target to attempt, or a ``reject`` step that ends the request when it is reached.

    ``exits`` is its row of the jump table, innermost ``fallback`` first; a class in no exit stops. ``hedge`` says what
    else is started when it is slow. If it serves, a copy of the request is sent to each target in ``mirrors``.
    """

    step: TargetStep | Reject
    exits: tuple[Exit, ...] = ()
    hedge: Beside | None = None
    mirrors: tuple[TargetStep, ...] = ()
    closure: Closure | None = None
    """Why it was to be passed over when the plan was made."""


class Member(Struct):
    """A member of a balance and the facts that its place was decided by.

    ``name`` depends on its targets only; ``target`` is the one that this request would try of it first, whose facts
    count (``None`` where it would try none); ``weight`` is multiplied with what that target gets of its share.
    ``rank`` is the seeded draw by weight, ``busy`` the attempts under way, ``value`` what else the order goes by:
    seconds to expect, the share that is left of limits, USD, or how many may be under way (``None``: unknown).
    """

    name: str
    weight: float
    step: Step
    target: Target | None = None
    rank: float = 0.0
    busy: int = 0
    value: float | Decimal | None = None


class Order(Struct, frozen=True):
    """In which order the members of one balance are tried, and why; ``by`` is the balance's, ``how`` says more of it.

    Of ``hash``, ``how`` is what was hashed; of ``latency`` it is ``faster`` of two drawn, or ``explored``.
    """

    path: str
    by: str
    how: str
    members: tuple[Member, ...]


class Plan(Struct, frozen=True):
    """What will be done for one request: candidates in order, where to go after each outcome class, who was skipped.

    Either ``candidates`` is not empty, or ``stop`` says how the request ends without any attempt (``status``, ``code``
    and ``message`` are then for the client, where they differ from the class's own, ``retry_after`` is in seconds).
    ``start`` is the candidate to begin with; others that are closed are passed over as long as they are and another
    can serve. ``variants`` are the (split, variant) pairs assigned, ``orders`` the balances that were walked, with the
    facts they were ordered by.
    """

    route: Route | None
    candidates: tuple[Candidate, ...] = ()
    skips: tuple[Skip, ...] = ()
    variants: tuple[tuple[str, str], ...] = ()
    orders: tuple[Order, ...] = ()
    stop: OutcomeClass | None = None
    status: int | None = None
    code: str = ""
    message: str = ""
    request_id: str = ""
    fingerprint: str = ""
    limits: tuple[Claim, ...] = ()
    """What the request claims of client limits, to be taken before its first attempt."""
    refusal: Refusal | None = None
    """Which of these claims has no room, where that is why the request ends."""
    start: int = 0
    retry_after: float | None = None

    @property
    def passed(self) -> tuple[int, ...]:
        """The candidates before ``start`` that are closed."""
        if not self.start:  # nearly always
            return ()
        return tuple(i for i in range(self.start) if self.candidates[i].closure is not None)

    @property
    def attempts(self) -> tuple[str, ...]:
        """The ids of the targets in the order they are tried if each fails over, closed ones left out."""
        start = self.start
        return tuple(
            candidate.step.target.id
            for position, candidate in enumerate(self.candidates)
            if isinstance(candidate.step, TargetStep)
            and (position == start or (position > start and candidate.closure is None))
        )

    @property
    def mirrors(self) -> tuple[str, ...]:
        """The ids of the targets that a copy of the request is sent to, if what their mirrors stand before serves."""
        return tuple(dict.fromkeys(to.target.id for c in self.candidates for to in c.mirrors))

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain JSON values; ``after`` is a candidate's jump table (class -> where to go; absent: stop)."""
        names = [_name(c) for c in self.candidates]
        rows = []
        for name, candidate in zip(names, self.candidates, strict=True):
            after: dict[str, str] = {}
            for way in candidate.exits:
                for cls in sorted(way.on):
                    after.setdefault(cls.value, names[way.to])
            row: dict[str, Any] = {"target": name, "path": candidate.step.path, "after": after}
            if (hedge := candidate.hedge) is not None:
                row["hedge"] = {"target": names[hedge.to], "delay": hedge.delay, "extra": hedge.extra}
            if candidate.mirrors:
                row["mirrors"] = [to.target.id for to in candidate.mirrors]
            if candidate.closure is not None:
                row["closed"] = candidate.closure.reason
            rows.append(row)
        return {
            "route": self.route.name if self.route else None,
            "graph": self.fingerprint,
            "attempts": list(self.attempts),
            "candidates": rows,
            "skips": [{"target": s.target, "reason": s.reason, "detail": s.detail, "path": s.path} for s in self.skips],
            "variants": dict(self.variants),
            "balances": [order_dict(order) for order in self.orders],
            "stop": self.stop.value if self.stop else None,
            "status": self.status,
            "code": self.code or None,
            "message": self.message or None,
            **({"limits": [_claim(claim) for claim in self.limits]} if self.limits else {}),
            "retry_after": self.retry_after if self.refusal is None else _finite(self.refusal.retry_after),
        }


def _finite(seconds: float) -> float | None:
    return None if seconds == float("inf") else seconds


def _claim(claim: Claim) -> dict[str, Any]:
    window = {} if claim.per is None else {"per": claim.per}
    return {"key": claim.key, claim.unit: claim.limit, **window, "takes": claim.cost}


def _name(candidate: Candidate) -> str:
    return candidate.step.target.id if isinstance(candidate.step, TargetStep) else "reject"


def nobody_closed(step: TargetStep, now: float) -> Closure | None:
    """Every target may be tried."""
    return None


class Facts(Struct):
    """What ``advance`` must know of the request's progress; the caller keeps it up to date.

    ``remaining`` is seconds to the request's deadline, ``attempts`` how many were made in all, ``tries`` how many of
    the current target in a row, ``retry_allowed`` whether the route's retry budget has room, ``hedge_allowed`` whether
    the hedge's own has, ``retry_after`` what the upstream asked for in seconds, ``larger_than`` the largest context
    window that was exceeded so far (0: none), ``under_way`` the candidates that are attempted beside the one that
    ended, ``other_account`` whether another account of its provider may be asked. ``closed`` tells of the moment who is
    to be passed over; nobody, unless it is given.
    """

    remaining: float
    attempts: int = 0
    tries: int = 0
    retry_allowed: bool = True
    hedge_allowed: bool = True
    retry_after: float | None = None
    larger_than: int = 0
    under_way: tuple[int, ...] = ()
    other_account: bool = False
    closed: Closed = nobody_closed
    passed: tuple[int, ...] = ()
    """The candidates that were passed over because they were closed, and not tried since."""
    position: int = 0
    """The candidate that is tried now."""
    farthest: int = 0
    """The last candidate, in the plan's order, that was tried."""
    left: tuple[tuple[int, int, OutcomeClass], ...] = ()
    """(position, tries, last outcome) of those that failed and may be gone back to, the one tried longest ago first."""

    def follow(self, go: "Go", outcome: OutcomeClass | None = None) -> int:
        """Take note of where the request goes on after the last attempt ended so; returns the position."""
        position = go.position
        if position != self.position:
            others = tuple(row for row in self.left if row[0] != position)
            self.tries, before = next((tries for p, tries, _ in self.left if p == position), 0), self.tries
            self.left = others
            if outcome is not None and outcome in RETURNING:
                self.left = (*others, (self.position, before, outcome))
            self.position = position
        self.farthest = max(self.farthest, position)
        if go.passed or position in self.passed:
            self.passed = tuple(p for p in dict.fromkeys((*self.passed, *go.passed)) if p != position)
        return position


class Wait(Struct, frozen=True):
    """Try the same candidate again after ``delay`` seconds."""

    delay: float


class Go(Struct, frozen=True):
    """Go on to candidate ``position``; ``skips`` are the ones passed over on the way, ``passed`` the closed of them."""

    position: int
    skips: tuple[Skip, ...] = ()
    passed: tuple[int, ...] = ()
    again: bool = False
    """Whether it repeats the target that was tried last: a retry, which the retry budget counts."""


class Stop(Struct, frozen=True):
    """The request ends with this class."""

    outcome_class: OutcomeClass


Next = Wait | Go | Stop
