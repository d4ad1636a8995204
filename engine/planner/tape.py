"""Whom the executor asks: the planner itself, or the planner with a tape that notes what it was told and answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import field, structs

from engine.exchange import Outcome, OutcomeClass
from engine.graph import Graph, Limit, TargetStep
from engine.graph.words import is_secret_name
from engine.state import Claim, Closure, Refusal

from .advance import advance, beside, instead, pass_over
from .model import Facts, Go, Next, Plan, Request, View
from .plan import plan
from .record import (
    ELSEWHERE,
    PLACES,
    RACE,
    VERSION,
    Asked,
    Planned,
    Record,
    Refused,
    Seen,
    Step,
    answer,
    planned,
    refused,
    shut,
)

#: Characters of a model's name or of an attribute's value that are written down; what is longer is withheld.
LONGEST = 200
#: Numbers beyond this are not exact everywhere.
_EXACT = 2**53


class Planner:
    """The planner, and nobody who takes notes."""

    __slots__ = ()

    def plan(self, graph: Graph, request: Request, view: View, now: float) -> Plan:
        """As :func:`plan`."""
        return plan(graph, request, view, now)

    def advance(self, plan: Plan, position: int, outcome: OutcomeClass, facts: Facts, now: float) -> Next:
        """As :func:`advance`."""
        return advance(plan, position, outcome, facts, now)

    def beside(self, plan: Plan, position: int, facts: Facts, now: float) -> Go | None:
        """As :func:`beside`."""
        return beside(plan, position, facts, now)

    def instead(self, plan: Plan, position: int, facts: Facts, now: float) -> Go | None:
        """As :func:`instead`."""
        return instead(plan, position, facts, now)

    def pass_over(self, plan: Plan, position: int, facts: Facts, now: float) -> Next:
        """As :func:`pass_over`."""
        return pass_over(plan, position, facts, now)

    def tried(self, position: int, facts: Facts) -> None:
        """An attempt of this candidate begins."""

    def placed(self) -> None:
        """The limits of a provider have a say in who is attempted."""

    def entered(self, refusal: Refusal | None) -> None:
        """What the limits of clients said when their room was taken."""

    def ended(self, outcome: Outcome) -> None:
        """The request has ended."""


DIRECT = Planner()


class Tape(Planner):
    """Notes one request. ``give`` gets the record when the request has ended."""

    __slots__ = (
        "_asked",
        "_give",
        "_now",
        "_read",
        "_refused",
        "_request",
        "_seen",
        "_short",
        "_steps",
        "_taken",
        "_walks",
    )

    def __init__(self, give: Callable[[Record], None]) -> None:
        self._give = give
        self._seen = Seen()
        self._request: _Noted | None = None
        self._short: Planned | None = None
        self._refused: Refused | None = None
        self._steps: list[Step] = []
        self._walks: list[Facts] = []
        self._taken: list[str] = []

    def plan(self, graph: Graph, request: Request, view: View, now: float) -> Plan:
        self._request = noted = _Noted(**{name: getattr(request, name) for name in _FIELDS}, seen={})
        self._seen = seen = Seen([], {}, [], None, [], None, {}, {}, {})
        made = plan(graph, noted, _Watched(view, seen), now)
        self._short = planned(made)
        return made

    def advance(self, plan: Plan, position: int, outcome: OutcomeClass, facts: Facts, now: float) -> Next:
        step, closed = self._asking("advance", position, facts, now, outcome)
        following = advance(plan, position, outcome, facts, now)
        self._answered(step, facts, closed, following)
        return following

    def beside(self, plan: Plan, position: int, facts: Facts, now: float) -> Go | None:
        step, closed = self._asking("beside", position, facts, now)
        go = beside(plan, position, facts, now)
        self._answered(step, facts, closed, go)
        if go is not None and RACE not in self._taken:
            self._taken.append(RACE)
        return go

    def instead(self, plan: Plan, position: int, facts: Facts, now: float) -> Go | None:
        step, closed = self._asking("instead", position, facts, now)
        go = instead(plan, position, facts, now)
        self._answered(step, facts, closed, go)
        return go

    def pass_over(self, plan: Plan, position: int, facts: Facts, now: float) -> Next:
        step, closed = self._asking("pass_over", position, facts, now)
        following = pass_over(plan, position, facts, now)
        self._answered(step, facts, closed, following)
        return following

    def tried(self, position: int, facts: Facts) -> None:
        self._steps.append(Step("try", position, self._walk(facts)))

    def placed(self) -> None:
        if PLACES not in self._taken:
            self._taken.append(PLACES)

    def entered(self, refusal: Refusal | None) -> None:
        self._refused = refused(refusal)

    def ended(self, outcome: Outcome) -> None:
        asked, read, withheld = Asked(), {}, []
        if (request := self._request) is not None:
            asked, read, withheld = _asked(request), *_public(request)
        if withheld and self._short is not None:
            # Buckets may be called what must not be said.
            self._seen.buckets, self._seen.refuses, self._refused = [], None, None
            self._short = structs.replace(self._short, limits=())
        self._give(
            Record(
                VERSION,
                outcome.request_id,
                outcome.started_at,
                outcome.fingerprint,
                outcome.outcome_class,
                outcome.status,
                None,
                asked,
                read,
                withheld,
                None if self._seen == Seen() else self._seen,
                self._short,
                self._refused,
                self._steps,
                self._taken,
                outcome.attempts,
                outcome.duration,
                outcome.first_token,
                outcome.code,
                outcome.usage,
            )
        )

    def _walk(self, facts: Facts) -> int:
        """The number of the walk that these facts are of."""
        for number, known in enumerate(self._walks):
            if known is facts:
                return number
        self._walks.append(facts)
        return len(self._walks) - 1

    def _asking(
        self, do: Any, position: int, facts: Facts, now: float, outcome: OutcomeClass | None = None
    ) -> tuple[Step, Any]:
        """The note of what the planner is about to be asked; from here on it is noted who is closed."""
        step = Step(
            do,
            position,
            self._walk(facts),
            outcome,
            now,
            facts.remaining,
            facts.attempts,
            facts.tries,
            facts.retry_allowed,
            facts.hedge_allowed,
            facts.retry_after,
            facts.larger_than,
            facts.under_way,
            facts.other_account,
            facts.passed,
            facts.position,
            facts.farthest,
            facts.left,
            [],
        )
        closed = facts.closed
        facts.closed = _Closed(closed, step.closed)
        self._steps.append(step)
        return step, closed

    def _answered(self, step: Step, facts: Facts, closed: Any, following: Next | None) -> None:
        facts.closed = closed
        step.answer = answer(following)


class _Noted(Request):
    """A request that notes which of its attributes are read."""

    seen: dict[str, Any] = field(default_factory=dict)

    def get(self, attribute: str) -> Any:
        """The attribute's value."""
        value = Request.get(self, attribute)
        if attribute in ELSEWHERE or attribute.startswith(("metadata.", "header.")):
            self.seen[attribute] = value
        return value


_FIELDS = tuple(one.name for one in structs.fields(Request))


def _asked(request: Request) -> Asked:
    model = request.model
    return Asked(
        model if model is None else model[:LONGEST],
        request.surface,
        request.stream,
        request.input_tokens,
        request.max_tokens,
        request.tools,
        request.vision,
        request.json_schema,
        tuple(sorted(request.needs)),
        tuple(sorted(request.wire)),
        request.key_routes,
        request.no_fallback,
        request.kind,
        request.front,
        request.conversation is not None,
    )


def _public(request: _Noted) -> tuple[dict[str, Any], list[str]]:
    """What was read and may be written down, and the names of what may not."""
    read, withheld = {}, []
    for name, value in request.seen.items():
        if value is None or (_plain(value) and not is_secret_name(name)):
            read[name] = value
        else:
            withheld.append(name)
    if request.model is not None and len(request.model) > LONGEST:
        withheld.append("model")
    return read, withheld


def _plain(value: Any) -> bool:
    """Whether JSON gives the value back as it is, and nobody's content is in it."""
    if isinstance(value, str):
        return len(value) <= LONGEST
    return isinstance(value, int | float) and -_EXACT < value < _EXACT


class _Closed:
    """Notes who is closed. Whoever is asked about again has the same answer, as in one moment it should."""

    __slots__ = ("_inner", "_known", "_notes")

    def __init__(self, inner: Any, notes: list[Any]) -> None:
        self._inner = inner
        self._notes = notes
        self._known: dict[str, Closure | None] = {}

    def __call__(self, step: TargetStep, now: float) -> Closure | None:
        circuit = step.circuit or step.target.id
        if circuit in self._known:
            return self._known[circuit]
        closure: Closure | None = self._inner(step, now)
        self._known[circuit] = closure
        if closure is not None:
            self._notes.append(shut(step, closure))
        return closure


class _Watched:
    """A view that notes what it answers, where that is not the usual."""

    __slots__ = ("_seen", "_view", "closed")

    def __init__(self, view: View, seen: Seen) -> None:
        self._view = view
        self._seen = seen
        self.closed = _Closed(view.closed, seen.closed)

    def in_flight(self, target: str) -> int:
        """Requests under way at this target."""
        found = self._view.in_flight(target)
        if found:
            self._seen.in_flight[target] = found
        return found

    def credential(self, provider: str) -> bool:
        """Whether the provider's credential is there."""
        found = self._view.credential(provider)
        if not found and provider not in self._seen.no_credential:
            self._seen.no_credential.append(provider)
        return found

    def holder(self, conversation: str) -> str | None:
        """Who keeps this conversation."""
        found = self._seen.holder = self._view.holder(conversation)
        return found

    def bucket(self, limit: Limit, value: str | None) -> str:
        """The bucket of this value."""
        found = self._view.bucket(limit, value)
        self._seen.buckets.append((limit.name, found))
        return found

    def refuses(self, claims: tuple[Claim, ...]) -> Refusal | None:
        """Whether client limits have no room."""
        found = self._view.refuses(claims)
        self._seen.refuses = refused(found)
        return found

    def latency(self, target: str, stream: bool, now: float) -> float:
        """Seconds to expect."""
        found = self._view.latency(target, stream, now)
        if found:
            self._seen.latency[target] = found
        return found

    def headroom(self, target: str, now: float) -> float:
        """What is left of the provider's limits."""
        found = self._view.headroom(target, now)
        if found != 1.0:
            self._seen.headroom[target] = found
        return found

    def share(self, target: str, now: float) -> float:
        """What a balance gives this target of its share."""
        found = self._view.share(target, now)
        if found != 1.0:
            self._seen.share[target] = found
        return found
