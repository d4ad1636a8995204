"""What an engine tells about itself to machines that watch."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Set
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engine.state import State
from engine.telemetry.facts import Facts, freeze, thaw
from engine.telemetry.lag import Lag
from engine.telemetry.meter import Meter
from engine.telemetry.workers import EVERY, Shared

from .live import Live
from .reloader import Reloader

_log = logging.getLogger("interlock.telemetry")


class Telemetry:
    """Counts, and shows what was counted together with the state of the moment. Belongs to the engine's event loop."""

    def __init__(self, state: State, live: Live, reloader: Reloader) -> None:
        self.meter = Meter(self._known)
        self._reloader = reloader
        self._state = state
        self._live = live
        self._lag = Lag()
        self._shared: Shared | None = None
        self._worker = ""
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None

    def share(self, folder: Path, worker: str) -> None:
        """This process is one of several behind one address, called ``worker``: each shows what all of them know.

        ``folder`` is theirs alone, and empty when the first of them starts. To be called before :meth:`start`.
        """
        self._shared = Shared(folder, worker)
        self._worker = worker

    def start(self) -> None:
        """Watch the running event loop, and write for the other processes."""
        self._lag.start()
        if self._shared is not None:
            self._write()

    def stop(self) -> None:
        """Watch no longer. May be repeated."""
        self._lag.stop()
        if self._timer is not None:
            self._timer.cancel()

    async def expose(self, accept: str | None = None) -> tuple[str, bytes]:
        """Content type and body for a scrape with this ``Accept`` header; what takes long is done in a thread."""
        return await asyncio.to_thread(_exposed, freeze(self.facts()), self._shared, accept)

    def facts(self) -> Facts:
        """What is known at this moment; parts of it go on changing."""
        live, meter, reloads = self._live.current, self.meter, self._reloader
        state, counts = self._state, reloads.counts
        return Facts(
            _version(),
            os.getpid(),
            meter.requests(),
            meter.attempts(),
            meter.moves(),
            meter.refused,
            meter.overflown,
            meter.series(),
            self._live.under_way,
            dict(state.snapshot()),
            {name: state.health(name).row for name in live.graph.providers},
            self._lag.delays,
            {"applied": counts.applied, "rejected": counts.rejected, "unchanged": counts.unchanged},
            live.graph.fingerprint,
            live.git_commit or "",
            live.loaded_at.timestamp(),
            reloads.candidate is not None,
            reloads.on_last_good,
            {},
            gc.get_stats(),
            self._worker,
        )

    def _known(self) -> tuple[str, Set[str], Set[str]]:
        graph = self._live.current.graph
        return graph.fingerprint, graph.routes.keys(), graph.targets.keys()

    def _write(self) -> None:
        """Write for the others, in a thread, and again later."""
        loop = asyncio.get_running_loop()
        if self._shared is not None and self._live.open and (self._writing is None or self._writing.done()):
            self._writing = loop.run_in_executor(None, _keep, self._shared, freeze(self.facts()))
        self._timer = loop.call_later(EVERY, self._write)


def _exposed(frozen: bytes, shared: Shared | None, accept: str | None) -> tuple[str, bytes]:
    from engine.telemetry.exposition import expose  # loaded by the first scrape, in its thread

    if shared is None:
        return expose([thaw(frozen)], accept)
    shared.write(frozen)
    return expose(shared.read(), accept)


def _keep(shared: Shared, frozen: bytes) -> None:
    try:
        shared.write(frozen)
    except OSError as problem:
        _log.warning("the metrics of this process cannot be kept for the others: %s", problem)


@cache
def _version() -> str:
    try:
        return version("interlock")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"
