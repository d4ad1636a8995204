"""Who is passed over for a while, and what happens where that leaves nobody: one rule for plans and for failovers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from msgspec.structs import replace

from engine.graph import Reject, TargetStep
from engine.state import Closure
from engine.units import format_duration

from .model import Candidate, Closed, Skip

#: Seconds between two last resorts at a target, by why it is closed, for each target that the request could go to:
#: recovery is noticed soon, and neither load nor the number of targets makes an outage worse. What only lacks room
#: under a limit waits for it in the limit's queue.
SPACING: Mapping[str, float] = MappingProxyType({"breaker": 0.2, "held": 1.0, "credential": 1.0, "limit": 0.0})

Passed = list[tuple[int, TargetStep, Closure]]
"""(position, use, why) of candidates that are passed over."""


def passed_over(step: TargetStep, closure: Closure, now: float) -> Skip:
    """The skip that says why."""
    left = closure.until - now
    wait = f"left alone for another {format_duration(max(round(left, 1), 0.1))}" if left > 0 else "being probed"
    return Skip(step.target.id, closure.reason, f"{closure.detail}; {wait}" if closure.detail else wait, step.path)


def last_resort(passed: Passed, now: float) -> int | None:
    """The position of the candidate to try although it is closed; ``None`` if that must not be now.

    The one that recovers first, among those whose breaker does not say ``reject`` and whose last try was long enough
    ago.
    """
    best: tuple[float, int] | None = None
    for position, step, closure in passed:
        if closure.reason != "limit" and step.breaker.when_all_open == "reject":
            continue
        if closure.free or now - closure.tried >= SPACING[closure.reason] * len(passed):
            row = (closure.until, position)
            best = row if best is None or row < best else best
    return None if best is None else best[1]


def start_of(
    candidates: Sequence[Candidate], now: float, first: int = 0, closed: Closed | None = None
) -> tuple[int | None, Passed]:
    """The position from ``first`` on to begin at, ``None`` if there is none, and who is passed over before it.

    What is closed the candidates know from when the plan was made; ``closed`` asks again.

    A ``reject`` step is what the configuration says instead of serving, so that targets before it come first.
    """
    passed: Passed = []
    end: int | None = None
    for position in range(first, len(candidates)):
        candidate = candidates[position]
        step = candidate.step
        if isinstance(step, Reject):
            end = position
            break
        closure = candidate.closure if closed is None else closed(step, now)
        if closure is None:
            return position, passed
        passed.append((position, step, closure))
    chosen = last_resort(passed, now)
    return (end if chosen is None else chosen), passed


def admit(candidates: list[Candidate], members: Iterable[tuple[int, int]], count: int) -> None:
    """Keep in a balance of ``count`` members what its rules forbid to leave out: those that recover first.

    ``members`` are the ranges of its members' candidates.
    """
    out: list[tuple[float, int, int]] = []
    cap = 1.0
    for start, end in members:
        rows = candidates[start:end]
        cap = min([cap, *(row.step.breaker.max_ejected for row in rows if isinstance(row.step, TargetStep))])
        shut = [row.closure.until for row in rows if row.closure is not None and row.closure.reason == "breaker"]
        if len(shut) == len(rows):
            out.append((min(shut), start, end))
    for _, start, end in sorted(out)[: max(0, len(out) - int(cap * count + 1e-9))]:
        for position in range(start, end):
            candidates[position] = replace(candidates[position], closure=None)
