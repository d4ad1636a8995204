"""What an engine tells about itself to machines that watch."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Mapping, Set
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import to_builtins

from engine.errors import PrepareError
from engine.exchange import Outcome, Tracing
from engine.executor.credentials import Source
from engine.graph import Otlp, Settings
from engine.state import State
from engine.telemetry.facts import Facts, freeze, thaw
from engine.telemetry.lag import Lag
from engine.telemetry.meter import Meter
from engine.telemetry.workers import EVERY, Shared

from .live import Live
from .records import Records
from .reloader import Reloader
from .shared import Shared as SharedStore
from .snapshot import Snapshot

if TYPE_CHECKING:
    from engine.telemetry.otlp import Sender

#: Seconds that a closing engine waits until what is known was sent to the collector.
LAST_WORDS = 3.0

_log = logging.getLogger("interlock.telemetry")


class Telemetry:
    """Counts, and shows what was counted together with the state of the moment. Belongs to the engine's event loop."""

    def __init__(self, state: State, live: Live, reloader: Reloader, store: SharedStore, records: Records) -> None:
        self.meter = Meter(self._known)
        self._records = records
        self._reloader = reloader
        self._store = store
        self._state = state
        self._live = live
        self._lag = Lag()
        self._shared: Shared | None = None
        self.worker = ""
        self._number = 0
        self._snapshot: Snapshot | None = None  # the last one, also when the engine closes
        self.tracing: Tracing | None = None
        """How requests are traced from here on."""
        self._otlp: Otlp | None = None
        self._sender: Sender | None = None
        self._measuring: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None

    def share(self, folder: Path, worker: str) -> None:
        """This process is one of several behind one address, called ``worker``: each shows what all of them know.

        ``folder`` is theirs alone, and empty when the first of them starts. To be called before :meth:`start`.
        """
        self._shared = Shared(folder, worker)
        self.worker = worker

    def start(self) -> None:
        """Watch the running event loop, and write for the other processes."""
        self._lag.start()
        if self._shared is not None:
            self._write()

    async def stop(self) -> None:
        """Watch no longer; what is known is sent to the collector, if that does not take long. May be repeated."""
        self._lag.stop()
        if self._timer is not None:
            self._timer.cancel()
        sender = self._sender
        if sender is not None:
            if self._otlp is not None and self._otlp.metrics and self._snapshot is not None:
                sender.measured(freeze(self.facts()))
            self._follow(None, os.environ)
            await asyncio.to_thread(sender.join, LAST_WORDS)

    def observe(self, outcome: Outcome) -> None:
        """Count a request, and have its spans sent where there is a collector."""
        self.meter(outcome)
        if self._sender is not None:
            self._sender(outcome)

    def follow(self, snapshot: Snapshot, environ: Mapping[str, str]) -> None:
        """Tell of this snapshot, and send what its settings want sent, to where they say, from here on."""
        self._snapshot = snapshot
        settings = snapshot.graph.settings
        if settings.otlp != self._otlp:
            self._follow(settings.otlp, environ)

    def _follow(self, otlp: Otlp | None, environ: Mapping[str, str]) -> None:
        if self._sender is not None:
            self._sender.stop()
        if self._measuring is not None:
            self._measuring.cancel()
        self._otlp, self._sender, self.tracing, self._measuring = otlp, None, None, None
        if otlp is None:
            return
        from engine.telemetry.otlp import Sender  # needs an extra, and a moment

        sources = [(name, Source(ref, environ)) for name, ref in otlp.headers]
        if missing := [name for name, source in sources if source.value(time.monotonic()) is None]:
            _log.warning("telemetry.otlp: no value is set for the headers %s; they are not sent", ", ".join(missing))

        def headers() -> dict[str, str]:
            found = [(name, source.value(time.monotonic())) for name, source in sources]
            return {name: secret.reveal() for name, secret in found if secret is not None}

        self._sender = Sender(otlp, _version(), headers)
        if otlp.traces:
            self.tracing = Tracing(otlp.sample, frozenset(otlp.pass_to))
        if otlp.metrics:
            self._measuring = asyncio.get_running_loop().call_later(otlp.interval, self._measure)

    def _measure(self) -> None:
        if self._sender is not None and self._otlp is not None:
            self._sender.measured(freeze(self.facts()))
            self._measuring = asyncio.get_running_loop().call_later(self._otlp.interval, self._measure)

    async def expose(self, accept: str | None = None) -> tuple[str, bytes]:
        """Content type and body for a scrape with this ``Accept`` header; what takes long is done in a thread."""
        return await asyncio.to_thread(_exposed, *self._frozen(), self._shared, accept)

    def facts(self) -> Facts:
        """What is known at this moment; parts of it go on changing."""
        live, meter, reloads = self._snapshot or self._live.current, self.meter, self._reloader
        state, counts, now = self._state, reloads.counts, time.time()
        exported, store = state.export(now), self._store.store
        if store is not None:
            exported["store"] = store.export()
        if (ledger := self._records.ledger) is not None:
            exported["ledger"] = to_builtins(ledger.counts())
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
            now,
            exported,
            gc.get_stats(),
            self.worker,
        )

    def _frozen(self) -> tuple[bytes, int]:
        """The facts of this moment, and a number that is higher than that of any before."""
        self._number += 1
        return freeze(self.facts()), self._number

    def _known(self) -> tuple[str, Set[str], Set[str]]:
        graph = (self._snapshot or self._live.current).graph
        return graph.fingerprint, graph.routes.keys(), graph.targets.keys()

    def _write(self) -> None:
        """Write for the others, in a thread, and again later."""
        loop = asyncio.get_running_loop()
        if self._shared is not None and (self._writing is None or self._writing.done()):
            self._writing = loop.run_in_executor(None, _keep, *self._frozen(), self._shared)
        self._timer = loop.call_later(EVERY, self._write)


def require(settings: Settings) -> None:
    """Raises :class:`PrepareError` where the settings ask for what is not installed."""
    if settings.otlp is not None:
        try:
            import opentelemetry.exporter.otlp.proto.http
            import opentelemetry.sdk.trace  # noqa: F401
        except ImportError:
            message = "settings: telemetry.otlp needs the extra otel: pip install 'interlock[otel]'"
            raise PrepareError(message) from None


def _exposed(frozen: bytes, number: int, shared: Shared | None, accept: str | None) -> tuple[str, bytes]:
    from engine.telemetry.exposition import expose  # loaded by the first scrape, in its thread

    if shared is None:
        return expose([thaw(frozen)], accept)
    shared.write(frozen, number)
    return expose(shared.read(), accept)


def _keep(frozen: bytes, number: int, shared: Shared) -> None:
    try:
        shared.write(frozen, number)
    except OSError as problem:
        _log.warning("the metrics of this process cannot be kept for the others: %s", problem)


@cache
def _version() -> str:
    try:
        return version("interlock")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"
