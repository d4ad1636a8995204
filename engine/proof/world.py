"""A simulated moment: live state on a clock that is an argument, and faults and missing secrets that are declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from engine.exchange import OutcomeClass
from engine.graph import Limit, TargetStep, matches
from engine.planner import without_room
from engine.state import Claim, Closure, Refusal, State
from engine.state.buckets import bucket

#: How long what a test calls open stays so: beyond the end of every test.
FOREVER = float(10**12)


class Fault(Struct):
    """How attempts at some targets end: ``target`` is a name or glob, ``left`` how many more it applies to."""

    target: str
    outcome: OutcomeClass
    retry_after: float | None = None
    after: float | None = None
    after_output: bool = False
    left: int | None = None


class Faults:
    """What goes wrong where. The first fault that fits an attempt counts, and counts down if it is for a few only."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = list(faults)

    def next(self, target: str) -> Fault | None:
        """The fault of the next attempt at ``target``, ``None`` where that is served."""
        for fault in self._faults:
            if fault.left != 0 and matches(fault.target, target):
                if fault.left is not None:
                    fault.left -= 1
                return fault
        return None


class World:
    """The planner's view of a simulated moment: the live ``state``, and what a test declares over it.

    ``broken`` are names or globs of targets whose breaker is open, ``no_credential`` of providers without a secret,
    ``in_flight`` are requests under way besides those of the state, ``latency`` seconds to expect of targets.
    """

    def __init__(
        self,
        state: State,
        *,
        broken: Iterable[str] = (),
        no_credential: Iterable[str] = (),
        in_flight: Mapping[str, int] | None = None,
        latency: Mapping[str, float] | None = None,
    ) -> None:
        self.state = state
        self.moment = 0.0
        self._latency = dict(latency or {})
        self._broken = tuple(broken)
        self._no_credential = tuple(no_credential)
        self._in_flight = dict(in_flight or {})

    def in_flight(self, target: str) -> int:
        """Requests under way at this target."""
        return self._in_flight.get(target, 0) + self.state.in_flight(target)

    def credential(self, provider: str) -> bool:
        """Whether the provider's secret is set; all are, but for those declared otherwise."""
        return not any(matches(pattern, provider) for pattern in self._no_credential)

    def holder(self, conversation: str) -> str | None:
        """The target that keeps this conversation."""
        return self.state.conversations.holder(conversation)

    def closed(self, step: TargetStep, now: float) -> Closure | None:
        """Why this use of a target is passed over: by declaration, by what attempts told, or for want of room."""
        if any(matches(pattern, step.target.id) for pattern in self._broken):
            return Closure(FOREVER, "breaker", "the test says that it is open")
        closure = self.state.closed(step, now)
        if closure is not None or not step.target.provider.limited:
            return closure
        return without_room(step.target.provider, self.state.store, self.state.desks, now, now)

    def latency(self, target: str, stream: bool, now: float) -> float:
        """Seconds to expect: what is declared, else what the state has seen."""
        declared = self._latency.get(target)
        return self.state.latency.expected(target, stream, now) if declared is None else declared

    def headroom(self, target: str, now: float) -> float:
        """The share that is left of the provider's limits."""
        return self.state.headroom.left(target, now)

    def share(self, target: str, now: float) -> float:
        """What a balance gives this target of its share."""
        return self.state.share(target, now)

    def bucket(self, limit: Limit, value: str | None) -> str:
        """Each value's own."""
        return bucket(value)

    def refuses(self, claims: tuple[Claim, ...]) -> Refusal | None:
        """Which of these claims has no room at the time that :attr:`moment` says."""
        return self.state.store.peek(claims, self.moment)
