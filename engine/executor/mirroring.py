"""Copies of requests, sent beside the traffic and compared with what clients got: bounded, and never waited for."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from engine.dialects.answers import NOTHING, Said, said
from engine.exchange import Answered, Attempt, Call, Mirrored, UncarriedError
from engine.graph import TargetStep
from engine.planner import Candidate, Facts, Plan

from .attempt import Try, plain_attempt
from .seats import Seat, Seats, attempt_at

if TYPE_CHECKING:
    from .run import Run

#: Copies under way at a time, those that may wait, and the bytes that they may hold together.
AT_ONCE, WAITING, MOST_BYTES = 16, 64, 64 * 1024 * 1024
#: Fields that ask for a stream, in any of the protocols that clients speak.
_STREAMING = frozenset({"stream", "stream_options"})

_log = logging.getLogger("interlock.mirrors")


class Copies(Struct):
    """What one served request leaves to be copied: to whom, and the answer it got (``None``: too long to be kept)."""

    run: Run
    targets: tuple[TargetStep, ...]
    attempt: Attempt
    body: bytes | None
    size: int


class Mirrors:
    """Sends copies, so many at a time. Belongs to one event loop; :meth:`close` cancels what is under way."""

    def __init__(self, observe: Callable[[Mirrored], None]) -> None:
        self._observe = observe
        self._waiting: deque[Copies] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = 0
        self._closed = False

    def send(self, run: Run, attempt: Attempt, targets: tuple[TargetStep, ...], body: bytes | None) -> bool:
        """Take over a request that was served; ``False`` if there is no room, which is counted. Never waits.

        What was taken over is let go by ``run.let_go`` when the copies are done.
        """
        size = sum(map(len, (run.call.body or {}).values())) + len(run.call.raw) + len(body or b"")
        full = len(self._tasks) >= AT_ONCE and len(self._waiting) >= WAITING
        if self._closed or full or self._held + size > MOST_BYTES:
            for step in targets:
                run.state.mirrors.drop(route_of(run), step.target.id, "busy")
            return False
        self._held += size
        self._waiting.append(Copies(run, targets, attempt, body, size))
        if len(self._tasks) < AT_ONCE:
            task = asyncio.get_running_loop().create_task(self._work(), name="interlock-mirror")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Send no more, and give up what is under way."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        while self._waiting:
            self._waiting.popleft().run.let_go()

    async def _work(self) -> None:
        """Send copies until none waits."""
        while self._waiting:
            copies = self._waiting.popleft()
            try:
                await self._copy(copies)
            except Exception:  # boundary: a copy that goes wrong here must not keep others from being sent
                _log.exception("the copy of request %s failed inside the gateway", copies.run.call.request_id)
            finally:
                self._held -= copies.size
                copies.run.let_go()

    async def _copy(self, copies: Copies) -> None:
        run, call = copies.run, copies.run.call
        served = NOTHING if copies.body is None else said(call.front, call.kind, copies.body, streamed=call.stream)
        for step in copies.targets:
            again = _again(run, unstreamed(call))
            again.deadline = again.started + step.timeouts.attempt
            tried = await _admitted(run, again, step)
            if isinstance(tried, str):
                run.state.mirrors.drop(route_of(run), step.target.id, tried)
                continue
            verdict = await plain_attempt(tried)
            body = b""
            if verdict is None:
                answer, verdict, body = tried.whole
                again.record(tried, verdict, answer.status, header=answer.header)
            told = said(call.front, call.kind, body, streamed=False) if body else NOTHING
            record = _compared(run, copies.attempt, served, again.last, told)
            run.state.mirrors.note(record)
            self._observe(record)


async def _admitted(run: Run, again: Run, step: TargetStep) -> Try | str:
    """An attempt at the mirror's target, or why there is none. A copy stands in no line."""
    closed = run.clients.view(run.state).closed
    if (closure := closed(step, run.now())) is not None:
        return closure.reason
    seat: Seat | None = None
    if step.target.provider.limited:
        alone = Plan(None, (Candidate(step),))
        admitted = await Seats(again, alone, 1, False).admit(0, Facts(0.0, closed=closed))
        if admitted is None:
            return "limit"
        seat = admitted[1]
    try:
        tried = again.attempt(step, False) if seat is None else attempt_at(again, step, False, seat)
    except UncarriedError:
        return "unsendable"
    return tried if isinstance(tried, Try) else "unsendable"


def _again(run: Run, call: Call) -> Run:
    """A run for a copy: on the same snapshot, heard of by nobody, with nothing to let go."""
    return type(run)(run.state, _nothing, run.clients, _nothing, call, run.watches)


def _nothing(*_: object) -> None:
    """Nobody is told, and nothing is let go."""


def route_of(run: Run) -> str:
    """The name of the route that a request took."""
    return run.plan.route.name if run.plan is not None and run.plan.route is not None else ""


def unstreamed(call: Call) -> Call:
    """The same request, to be answered in one piece."""
    body = call.body
    if body is not None:
        body = {name: value for name, value in body.items() if name not in _STREAMING}
    return structs.replace(call, stream=False, wants_usage=False, body=body, canonical=None)


def _compared(run: Run, attempt: Attempt, served: Said, copied: Attempt, told: Said) -> Mirrored:
    equal = similarity = None
    if served.text is not None and told.text is not None:
        equal = served.text == told.text
        similarity = 1.0 if equal else _alike(served.text, told.text)
    return Mirrored(
        run.call.request_id,
        route_of(run),
        run.plan.fingerprint if run.plan is not None else "",
        run.started_at,
        _answered(attempt, served),
        _answered(copied, told),
        equal,
        similarity,
        copied.detail,
    )


def _answered(attempt: Attempt, words: Said) -> Answered:
    return Answered(
        attempt.target, attempt.outcome_class, attempt.status, attempt.duration, attempt.usage, words.finish
    )


def _alike(one: str, two: str) -> float:
    """The words that both have, as a share of all words of both (0..1); linear in their number."""
    return round(SequenceMatcher(None, one.split(), two.split(), autojunk=False).quick_ratio(), 4)
