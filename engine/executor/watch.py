"""Time limits of all attempts under way, with one timer for all of them and no task.

An attempt's limit is moved many times (for every piece of a stream) and hardly ever passes. So a limit is only a
number, and every :data:`SWEEP` seconds one pass over the attempts under way looks for those that are late.
"""

from __future__ import annotations

import asyncio

#: Seconds between two passes, and so how late a limit may be noticed.
SWEEP = 0.01
NEVER = float("inf")


class Watched:
    """Work by one task within a limit: when the limit passes, the task is cancelled.

    The worker that catches ``CancelledError`` asks :meth:`expired` whether it was this.
    """

    __slots__ = ("_fired", "_task", "_watches", "limit")

    def __init__(self, watches: Watches) -> None:
        self._watches = watches
        self._task: asyncio.Task[object] | None = None
        self._fired = False
        self.limit = NEVER

    def arm(self, limit: float) -> None:
        """From here on the calling task may work until ``limit`` (the loop's clock)."""
        self._task = asyncio.current_task()
        self._fired = False
        self.limit = limit
        self._watches.add(self)

    def disarm(self) -> None:
        """No limit applies, and nothing can :meth:`fire`, until the next ``arm``."""
        self._task = None
        self._watches.remove(self)

    def fire(self) -> None:
        """The limit has passed, or nobody needs the work any longer: cancel the worker, once."""
        task = self._task
        if task is not None:
            self.disarm()
            self._fired = True
            task.cancel()

    def expired(self) -> bool:
        """Whether the cancellation just caught came from :meth:`fire` alone; it is then taken back.

        False when somebody else cancelled the task, also if both did: the worker must then pass it on.
        """
        if not self._fired:
            return False
        self._fired = False
        task = asyncio.current_task()
        return task is None or task.uncancel() == 0


class Watches:
    """The limits of one event loop."""

    __slots__ = ("_armed", "_loop", "_sweeping", "clock")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.clock = loop.time
        self._armed: set[Watched] = set()
        self._sweeping = False

    def add(self, work: Watched) -> None:
        """Look at this work's limit from here on. May be repeated."""
        self._armed.add(work)
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(SWEEP, self._sweep)

    def remove(self, work: Watched) -> None:
        """Look at it no longer. May be repeated."""
        self._armed.discard(work)

    def _sweep(self) -> None:
        now = self.clock()
        for late in [work for work in self._armed if work.limit <= now]:
            late.fire()
        self._sweeping = bool(self._armed)
        if self._sweeping:
            self._loop.call_later(SWEEP, self._sweep)
