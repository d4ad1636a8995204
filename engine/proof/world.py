"""A simulated moment: live state on a clock that is an argument, and faults and missing secrets that are declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from engine.exchange import OutcomeClass
from engine.graph import TargetStep, matches
from engine.state import Closure, State

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
    ``in_flight`` are requests under way besides those of the state.
    """

    def __init__(
        self,
        state: State,
        *,
        broken: Iterable[str] = (),
        no_credential: Iterable[str] = (),
        in_flight: Mapping[str, int] | None = None,
    ) -> None:
        self.state = state
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
        """Why this use of a target is passed over."""
        if any(matches(pattern, step.target.id) for pattern in self._broken):
            return Closure(FOREVER, "breaker", "the test says that it is open")
        return self.state.closed(step, now)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Everything else that the planner asks is a fact of the live state."""
        found: Callable[..., Any] = getattr(self.state, name)
        return found
