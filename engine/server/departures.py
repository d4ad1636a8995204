"""Noticing clients that leave before their answer is complete, without a task for every request.

A client can only be seen to leave by waiting on ``receive``. Most requests that matter last long enough for that to be
worth a task, and those that are answered within one sweep never need it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[Any]]

#: Seconds between sweeps; a departure is noticed at once after a request's first or second sweep.
SWEEP = 0.02


class Stay:
    """One request under way: ``gone`` turns true when its client has left, just before its task is cancelled."""

    __slots__ = ("gone", "receive", "swept", "task", "watcher")

    def __init__(self, task: asyncio.Task[Any], receive: Receive) -> None:
        self.task = task
        self.receive = receive
        self.swept = False
        self.gone = False
        self.watcher: asyncio.Task[None] | None = None

    async def watch(self) -> None:
        """Wait for the client to leave, then cancel the request's task."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.task.cancel()

    def took_cancellation(self) -> bool:
        """Whether the cancellation just caught was the client's departure alone; it is then taken back."""
        return self.gone and self.task.uncancel() == 0


class Departures:
    """The requests of one app, on one event loop."""

    def __init__(self) -> None:
        self._stays: set[Stay] = set()
        self._sweeping = False

    def enter(self, receive: Receive) -> Stay:
        """The calling task serves a request; ``receive`` is free from here on. :meth:`leave` must follow."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request must be served by a task")
        stay = Stay(task, receive)
        self._stays.add(stay)
        if not self._sweeping:
            self._sweeping = True
            task.get_loop().call_later(SWEEP, self._sweep)
        return stay

    def leave(self, stay: Stay) -> None:
        """The request has ended."""
        self._stays.discard(stay)
        if stay.watcher is not None:
            stay.watcher.cancel()

    def _sweep(self) -> None:
        self._sweeping = bool(self._stays)
        for stay in self._stays:
            if stay.watcher is None and stay.swept:
                stay.watcher = stay.task.get_loop().create_task(stay.watch())
            stay.swept = True
        if self._sweeping:
            asyncio.get_running_loop().call_later(SWEEP, self._sweep)
