"""How busy an event loop is: how late it calls a timer."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from time import perf_counter

from .definitions import LAG
from .meter import Histogram

#: Seconds between two looks.
EVERY = 0.1


class Lag:
    """Looks every :data:`EVERY` seconds, from :meth:`start` to :meth:`stop`."""

    def __init__(self) -> None:
        self.delays = Histogram([0] * (len(LAG) + 1))
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Look from here on, at the running event loop."""
        self._due = perf_counter() + EVERY
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)

    def stop(self) -> None:
        """Look no more. May be repeated."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        late = max(0.0, perf_counter() - self._due)
        self.delays.sum += late
        self.delays.counts[bisect_left(LAG, late)] += 1
        self.start()
