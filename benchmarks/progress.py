"""Says what is being measured, what came of it, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple


class Step(NamedTuple):
    """One thing to measure; steps of the same ``name`` take about the same time, at first ``guess`` seconds."""

    name: str
    guess: float


class Progress:
    """Follows a list of steps. One line a step, printed when it has ended."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._left = list(steps)
        self._count = len(self._left)
        self._took: dict[str, float] = {}
        self._begun = time.monotonic()
        print(f"{self._count} steps, some {_clock(self._remaining())} min in all", flush=True)

    def done(self, name: str, seconds: float, result: str) -> None:
        """The step of this name has ended: prints its result, and the time that is left."""
        self._took[name] = seconds
        self._left.remove(next(step for step in self._left if step.name == name))
        number, passed = self._count - len(self._left), _clock(time.monotonic() - self._begun)
        left = f"{_clock(self._remaining())} to go" if self._left else "the last"
        print(f"{number:>4}/{self._count}  {passed}, {left:<11}  {name}: {result}", flush=True)

    def drop(self, name: str) -> None:
        """No further step of this name will come."""
        gone = sum(step.name == name for step in self._left)
        self._left = [step for step in self._left if step.name != name]
        self._count -= gone

    def _remaining(self) -> float:
        return sum(self._took.get(step.name, step.guess) for step in self._left)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
