"""Several processes on one port: started, watched over, replaced when they die, and ended together.

The supervisor serves nothing. It reads the configuration once, to know the address and that the state is shared, holds
the listening sockets, and starts each worker as a process of its own (:mod:`engine.server.worker`), which follows the
files like a server alone. Where the kernel spreads connections over several sockets of one port (Linux) every worker
has one; the supervisor's copy keeps the connections that wait at it while a dead worker is being replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from engine.graph import Graph

_log = logging.getLogger("interlock.workers")

#: Seconds that a worker must have lived for its death to be the first of a row; the next one then starts at once.
STEADY = 10.0
#: Seconds before the second replacement in a row; each further one waits twice as long, up to :data:`LONGEST`.
FIRST, LONGEST = 0.5, 30.0
#: What a worker writes to its pipe when it serves.
READY = b"ready"
#: A worker finds the modules that the supervisor has found. The environment stays as it is: providers' programs get it.
_WORKER = "import sys; sys.path[:] = sys.argv[2:]; from engine.server.worker import main; sys.exit(main(sys.argv[1]))"


class Options(msgspec.Struct, frozen=True):
    """What ``interlock serve`` was asked for, as a worker needs it. Paths are texts, so that JSON can carry them."""

    config: str
    overlays: tuple[str, ...] = ()
    host: str | None = None
    port: int | None = None
    last_good: str | None = None
    watch: bool = True
    log_level: str = "info"


class Job(msgspec.Struct, frozen=True):
    """One worker's task: its ``number`` of ``workers``, and the descriptors of its socket and of its pipe.

    ``facts`` is the folder in which they keep what they know for a scrape of any of them.
    """

    options: Options
    number: int
    workers: int
    listener: int
    ready: int
    facts: str


def refuse_workers(graph: Graph, workers: int) -> tuple[str, ...]:
    """Why several processes cannot serve this graph, and what to do about it; nothing if they can."""
    if workers == 1:
        return ()
    if graph.settings.state.store == "memory":
        return (
            f"--workers {workers} needs state that processes share, and this configuration keeps its state in memory",
            "limits and requests in flight would be counted once a process",
            "write `state: {store: redis, url: ...}` into the settings document, or run one worker",
        )
    for provider in graph.providers.values():
        if provider.transport == "queue":
            return (
                f"--workers {workers} cannot serve provider {provider.name!r}: its requests wait for people in a file "
                "that belongs to one process",
                "run one worker, or serve this provider by a server of its own",
            )
    return ()


@dataclass(slots=True)
class _Slot:
    number: int
    listener: socket.socket | None
    process: asyncio.subprocess.Process | None = None
    was_ready: bool = False
    proved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its first process serves, or has ended without ever serving."""


class Supervisor:
    """Keeps ``workers`` processes at work. ``listen`` binds the port: once for each, or once for all of them.

    ``facts`` is a folder of their own, empty as yet.
    """

    def __init__(
        self, options: Options, workers: int, listen: Callable[[int, bool], socket.socket], port: int, facts: str
    ) -> None:
        self._options = options
        self._facts = facts
        self._listen = listen
        self._spread = sys.platform == "linux"
        first = listen(port, self._spread)
        self.name = first.getsockname()
        """The address that all of them listen on."""
        self._slots = [_Slot(1, first)]
        for number in range(2, workers + 1):
            self._slots.append(_Slot(number, listen(self.name[1], True) if self._spread else first))
        self._ending = False
        self._failed = False
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Until SIGTERM or SIGINT, which end every worker in order. 1 where none of them could ever serve, else 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
            loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        first, *others = self._slots
        # The first one shows whether this configuration can be served at all, and says so once if not.
        keepers = [asyncio.create_task(self._keep(first), name="interlock-worker-1")]
        await first.proved.wait()
        if first.was_ready and not self._ending:
            keepers += [asyncio.create_task(self._keep(s), name=f"interlock-worker-{s.number}") for s in others]
            await asyncio.gather(*(slot.proved.wait() for slot in others))
            _log.info("%d workers serve: pids %s", len(self._slots), ", ".join(map(str, self._pids())))
            await self._stop.wait()
        await asyncio.gather(*keepers)
        return 1 if self._failed else 0

    def _pids(self) -> list[int]:
        return [slot.process.pid for slot in self._slots if slot.process is not None]

    def _end(self) -> None:
        """End in order; asked a second time, at once."""
        if self._ending:
            self._pass_on(signal.SIGKILL)
            return
        self._ending = True
        self._stop.set()
        # A socket that stays open here would take connections that nobody accepts any more.
        for slot in self._slots:
            if slot.listener is not None:
                slot.listener.close()
            slot.proved.set()
        self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.process is not None and slot.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    slot.process.send_signal(number)

    async def _keep(self, slot: _Slot) -> None:
        """One worker after another in this place, until the end."""
        loop = asyncio.get_running_loop()
        row = 0
        while not self._ending:
            began = loop.time()
            process = slot.process = await self._start(slot)
            status = await process.wait()
            if self._ending:
                return
            if not slot.was_ready:
                self._failed = True
                slot.proved.set()
                if slot.number == 1:
                    return
            row = 0 if loop.time() - began >= STEADY else row + 1
            delay = pause(row)
            when = f"in {delay:g} s" if delay else "now"
            _log.error("worker %d (pid %d) %s; another starts %s", slot.number, process.pid, _ended(status), when)
            if delay:
                await self._pause(slot, delay)

    async def _pause(self, slot: _Slot, delay: float) -> None:
        """Nobody serves this place for a while, so that nothing may arrive at it."""
        if self._spread and slot.listener is not None:
            slot.listener.close()
            slot.listener = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._stop.wait()
        if slot.listener is None and not self._ending:
            slot.listener = self._listen(self.name[1], True)

    async def _start(self, slot: _Slot) -> asyncio.subprocess.Process:
        if slot.listener is None:
            raise RuntimeError("a place without a socket cannot be served")
        reading, writing = os.pipe()
        job = Job(self._options, slot.number, len(self._slots), slot.listener.fileno(), writing, self._facts)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a folder `engine` where the server was started is not this one
                "-c",
                _WORKER,
                msgspec.json.encode(job).decode(),
                *(entry or os.curdir for entry in sys.path),
                stdin=asyncio.subprocess.PIPE,  # whose end tells the worker that the supervisor is gone
                pass_fds=(slot.listener.fileno(), writing),
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        asyncio.get_running_loop().add_reader(reading, self._heard, slot, reading)
        if self._ending:
            process.send_signal(signal.SIGTERM)
        return process

    def _heard(self, slot: _Slot, reading: int) -> None:
        """The worker says that it serves, or has ended before it could."""
        if os.read(reading, len(READY)) == READY:
            slot.was_ready = True
            self._failed = False
            slot.proved.set()
        asyncio.get_running_loop().remove_reader(reading)
        os.close(reading)


def pause(row: int) -> float:
    """Seconds before another worker starts, after so many in a row that did not live for long."""
    return 0.0 if row <= 1 else min(FIRST * 2.0 ** min(row - 2, 16), LONGEST)


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
