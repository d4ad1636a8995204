"""Reloading: from an edit of the files to another snapshot, or to a refusal that leaves the running one alone.

    watch -> debounce -> digest -> compile -> any change of meaning? -> prepare -> swap -> retire

Each step is a function here. Up to *swap* everything may fail and nothing has happened; from *swap* on nothing can.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from engine.diagnostics import Diagnostic
from engine.errors import ConfigError, PrepareError
from engine.graph import Graph

from . import findings
from .last_good import LastGood
from .live import Live
from .reading import Reading, read
from .source import Source
from .threads import run_in

_log = logging.getLogger("interlock.reload")

_T = TypeVar("_T")

_DEBOUNCES = 5
"""While files keep changing, an edit is taken after this many debounce times at the latest."""
FIRST_RETRY, _LONGEST_RETRY = 1.0, 60.0
"""Seconds between tries to make ready what compiled: the first, and the longest after doubling."""
_AFTER_A_FAULT = 1.0
_DIGEST_SHOWN = 16


@dataclass(frozen=True, slots=True)
class Candidate:
    """The edit that is not live: refused, or compiled and waiting for what it needs.

    ``fingerprint`` is the graph's where it compiled, else the start of its content digest. ``retry_in`` is how many
    seconds after the last try another is made; ``None`` where trying the same files again cannot help.
    """

    digest: str
    fingerprint: str
    seen_at: datetime
    diagnostics: tuple[Diagnostic, ...]
    retry_in: float | None = None


@dataclass(slots=True)
class Counts:
    """How edits ended; ``attempts`` is the sum of the others."""

    attempts: int = 0
    applied: int = 0
    rejected: int = 0
    unchanged: int = 0
    """Edits that changed no meaning, and reverts to what is running."""


class Reloader:
    """Keeps what is live in step with a source. One per engine, on the engine's event loop."""

    def __init__(self, source: Source, live: Live, last_good: LastGood | None = None) -> None:
        self._source = source
        self._live = live
        self._last_good = last_good
        self._threads = ThreadPoolExecutor(1, "interlock-reload")
        self._one_at_a_time = asyncio.Lock()
        self._dirty = asyncio.Event()
        self._changed_at = 0.0
        self.counts = Counts()
        self.candidate: Candidate | None = None
        self.on_last_good = False
        """Whether what runs was restored because the configuration was broken when the engine started."""
        self.objection: Callable[[Graph], str] = _no_objection
        """Why a graph that compiles may not be served here; empty if it may."""

    async def read_first(self) -> Reading:
        """Read the configuration for the first time; the caller decides what to do about errors."""
        return await self.in_thread(read, self._source)

    def go_live(self, reading: Reading) -> None:
        """The first swap. Raises :class:`ConfigError` if nothing compiled, :class:`PrepareError` if it is not ready."""
        if reading.graph is None:
            raise ConfigError(reading.diagnostics)
        self._swap(reading, reading.graph)
        _log.info("live: %s", reading.graph.fingerprint)

    async def remember(self, reading: Reading) -> None:
        """Keep the files of this reading as the last good ones, if that is asked for."""
        if self._last_good is not None and reading.graph is not None:
            await self.in_thread(self._last_good.store, reading.digest, reading.graph.fingerprint, reading.commit)

    async def run(self) -> None:
        """Reload whenever told of a change, until cancelled."""
        while True:
            try:
                if await self._wait_for_an_edit():
                    await self._settle()
                await self.reload()
            except Exception:  # boundary: the watch goes on whatever happens
                _log.exception("a reload failed; what runs goes on")
                await asyncio.sleep(_AFTER_A_FAULT)

    def changed(self) -> None:
        """The files may have changed: look soon. Costs nothing."""
        self._changed_at = time.monotonic()
        self._dirty.set()

    async def reload(self, *, force: bool = False) -> tuple[Diagnostic, ...]:
        """One pass over the files as they are now. Returns the diagnostics of what it read, if that is not live.

        With ``force`` an edit that was refused before is tried afresh.
        """
        async with self._one_at_a_time:
            self._dirty.clear()
            known = self._known_digests(force)
            reading = await self.in_thread(read, self._source, known, self._live.current.graph)
            await self._judge(reading)
            return self.candidate.diagnostics if self.candidate else ()

    async def in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Run something slow in the reloader's own thread, one thing at a time."""
        return await run_in(self._threads, function, *arguments)

    def close(self) -> None:
        """Start nothing more in the thread; does not wait for what it is doing."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _wait_for_an_edit(self) -> bool:
        """Whether there is one; ``False`` if it is only time to try the candidate again."""
        retry_in = self.candidate.retry_in if self.candidate else None
        try:
            async with asyncio.timeout(retry_in):
                await self._dirty.wait()
        except TimeoutError:
            return False
        return True

    async def _settle(self) -> None:
        """Wait until the files hold still for a debounce time, within reason."""
        debounce = self._live.current.graph.settings.reload_debounce
        latest = time.monotonic() + _DEBOUNCES * debounce
        while (left := min(self._changed_at + debounce, latest) - time.monotonic()) > 0:  # noqa: ASYNC110 (quiet is no event)
            await asyncio.sleep(left)

    def _known_digests(self, force: bool) -> frozenset[str]:
        known = {self._live.current.digest}
        if self.candidate and self.candidate.retry_in is None and not force:
            known.add(self.candidate.digest)
        return frozenset(known)

    async def _judge(self, reading: Reading) -> None:
        running = self._live.current
        if reading.digest == running.digest:
            self._revert(reading)
        elif reading.known:
            return
        elif reading.graph is None:
            self._reject(reading, reading.diagnostics)
        elif objection := self.objection(reading.graph):
            self._reject(reading, (findings.objected(objection),))
        elif reading.graph.fingerprint == running.graph.fingerprint:
            self._adopt(reading, reading.graph)
            await self.remember(reading)
        elif self._apply(reading, reading.graph):
            await self.remember(reading)

    def _revert(self, reading: Reading) -> None:
        """The files are those that are running, byte for byte."""
        self._live.current.git_commit = reading.commit
        self.on_last_good = False
        if self.candidate is not None:
            self.candidate = None
            self._count("unchanged")
            _log.info("the edit was taken back; %s goes on", self._live.current.graph.fingerprint)

    def _adopt(self, reading: Reading, graph: Graph) -> None:
        """Another text of the same meaning: only positions, commit and digest are new."""
        running = self._live.current
        try:
            clients = self._live.prepare(graph)
        except PrepareError:
            # The same meaning is served already, by clients that are ready. Only positions stay as they were.
            running.digest, running.git_commit = reading.digest, reading.commit
        else:
            self._live.swap(
                graph, clients, digest=reading.digest, git_commit=reading.commit, loaded_at=running.loaded_at
            )
        self.candidate = None
        self.on_last_good = False
        self._count("unchanged")
        _log.info("an edit changed no meaning; %s goes on", graph.fingerprint)

    def _apply(self, reading: Reading, graph: Graph) -> bool:
        before = self._live.current.graph.fingerprint
        try:
            self._swap(reading, graph)
        except PrepareError as error:
            self._hold(reading, graph, error)
            return False
        self._count("applied")
        changes = findings.shortened(reading.changes)
        _log.info("live: %s (was %s): %s", graph.fingerprint, before, changes)
        return True

    def _swap(self, reading: Reading, graph: Graph) -> None:
        clients = self._live.prepare(graph)
        self._live.swap(graph, clients, digest=reading.digest, git_commit=reading.commit)
        self.candidate = None
        self.on_last_good = False

    def _reject(self, reading: Reading, diagnostics: tuple[Diagnostic, ...]) -> None:
        candidate = self.candidate
        if candidate is not None and (candidate.digest, candidate.diagnostics) == (reading.digest, diagnostics):
            return  # the very same files and findings, by force: all has been said
        self.hold_back(reading, diagnostics)
        self._count("rejected")
        fingerprint = self._live.current.graph.fingerprint
        count, listing = findings.count(diagnostics), findings.listing(diagnostics)
        _log.error("edit rejected, %s goes on: %s: %s", fingerprint, count, listing)

    def hold_back(self, reading: Reading, diagnostics: tuple[Diagnostic, ...], retry_in: float | None = None) -> None:
        """Show this reading as the candidate that is not live, with the reasons why."""
        fingerprint = reading.graph.fingerprint if reading.graph else reading.digest[:_DIGEST_SHOWN]
        self.candidate = Candidate(reading.digest, fingerprint, datetime.now(UTC), diagnostics, retry_in)

    def _hold(self, reading: Reading, graph: Graph, error: PrepareError) -> None:
        """It compiles and cannot serve yet: keep trying while the edit stays, less and less often."""
        candidate = self.candidate
        if candidate is not None and candidate.digest == reading.digest and candidate.retry_in is not None:
            retry_in = min(2 * candidate.retry_in, _LONGEST_RETRY)
            self.candidate = replace(candidate, diagnostics=(findings.not_ready(error),), retry_in=retry_in)
        else:
            retry_in = FIRST_RETRY
            self.hold_back(reading, (findings.not_ready(error),), retry_in)
            self._count("rejected")
        running = self._live.current.graph.fingerprint
        _log.error(
            "edit %s not ready, %s goes on; next try in %g s: %s",
            graph.fingerprint,
            running,
            retry_in,
            error,
        )

    def _count(self, how: str) -> None:
        self.counts.attempts += 1
        setattr(self.counts, how, getattr(self.counts, how) + 1)


def _no_objection(graph: Graph) -> str:
    return ""
