"""Time limits: one timer for all of them, and a cancellation that knows whose it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from engine.executor.watch import NEVER, SWEEP, Watched, Watches


class Clock:
    """An event loop's clock and timers, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> None:
        self.timers.append((self.now + delay, call))

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((t for t in self.timers if t[0] <= end), key=lambda t: t[0])[:1]:
            self.timers.remove(due[0])
            self.now = due[0][0]
            due[0][1]()
        self.now = end


def watches_of(clock: Clock) -> Watches:
    loop: Any = clock
    return Watches(loop)


async def forever() -> None:
    await asyncio.Event().wait()


def test_work_that_is_late_is_cancelled_and_knows_why() -> None:
    async def run() -> str:
        clock = Clock()
        work = Watched(watches_of(clock))
        work.arm(clock.now + 5)
        asyncio.get_running_loop().call_soon(clock.advance, 5 + SWEEP)
        try:
            await forever()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            return f"{work.expired()} {task is not None and task.cancelling()} {work.expired()}"
        return "never"

    assert asyncio.run(run()) == "True 0 False", "the cancellation is taken back, and asked for once"


def test_a_limit_that_moves_on_does_not_pass() -> None:
    async def run() -> bool:
        clock = Clock()
        work = Watched(watches_of(clock))
        for _ in range(10):
            work.arm(clock.now + 5)
            clock.advance(4.9)
        work.disarm()
        clock.advance(1000)
        work.disarm()
        await asyncio.sleep(0)
        return work.expired()

    assert asyncio.run(run()) is False


def test_a_cancellation_by_somebody_else_is_theirs_also_when_the_limit_passed_as_well() -> None:
    async def run(also_late: bool) -> bool:
        clock = Clock()
        work = Watched(watches_of(clock))
        work.arm(clock.now + 5)
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        if also_late:
            asyncio.get_running_loop().call_soon(clock.advance, 6)
        try:
            await forever()
        except asyncio.CancelledError:
            expired = work.expired()
            while task.cancelling():
                task.uncancel()
            return expired
        return True

    assert asyncio.run(run(also_late=False)) is False
    assert asyncio.run(run(also_late=True)) is False


def test_one_timer_serves_all_and_stops_when_nothing_is_under_way() -> None:
    async def run() -> None:
        clock = Clock()
        watches = watches_of(clock)
        work = [Watched(watches) for _ in range(50)]
        for each in work:
            each.arm(NEVER)
        assert len(clock.timers) == 1
        clock.advance(3 * SWEEP)
        assert len(clock.timers) == 1
        for each in work:
            each.disarm()
            each.disarm()
        clock.advance(2 * SWEEP)
        assert clock.timers == []
        work[0].arm(NEVER)
        assert len(clock.timers) == 1

    asyncio.run(run())


def test_late_work_is_cancelled_once() -> None:
    async def run() -> int:
        clock = Clock()
        work = Watched(watches_of(clock))
        task = asyncio.current_task()
        assert task is not None
        work.arm(clock.now + 1)
        asyncio.get_running_loop().call_soon(clock.advance, 100)
        try:
            await forever()
        except asyncio.CancelledError:
            found = task.cancelling()
            task.uncancel()
            return found
        return 0

    assert asyncio.run(run()) == 1
