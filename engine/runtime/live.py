"""The snapshot that serves, and what becomes of those that did."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from engine.graph import Graph

from .snapshot import Pin, Snapshot

if TYPE_CHECKING:
    from engine.executor.clients import Clients

_log = logging.getLogger("interlock.reload")

Prepare = Callable[[Graph, "Clients | None"], "Clients"]
"""Everything that can fail on the way to serving a graph; shares clients with those given. Raises ``PrepareError``."""


class Live:
    """Holds the current snapshot, puts another in its place, and releases the clients of the ones no request holds.

    Belongs to one event loop.
    """

    def __init__(
        self, prepare: Prepare, retain: Callable[[Snapshot], None], let_go: Callable[[Snapshot], None]
    ) -> None:
        self._prepare = prepare
        self._retain = retain
        self._forget = let_go
        self._current: Snapshot | None = None
        self._held: set[Snapshot] = set()
        self._releases: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def current(self) -> Snapshot:
        """The snapshot that new requests are served by. ``RuntimeError`` if there is none, or none any more."""
        if self._current is None:
            raise RuntimeError("the engine is not open; use it inside `async with Engine.open(...)`")
        return self._current

    @property
    def open(self) -> bool:
        """Whether there is a current snapshot."""
        return self._current is not None

    @property
    def under_way(self) -> int:
        """Requests that hold a snapshot, the current one or one before it."""
        return sum(snapshot.pins for snapshot in self._held)

    @property
    def pins(self) -> int:
        """How many requests are under way, on whatever snapshot."""
        current = self._current
        if current is not None and len(self._held) == 1:  # nearly always
            return current.pins
        return sum(snapshot.pins for snapshot in self._held)

    def pin(self) -> Pin:
        """A hold on the current snapshot."""
        return self.current.pin()

    def prepare(self, graph: Graph) -> Clients:
        """Clients for ``graph``, those of unchanged providers shared with the current snapshot's."""
        return self._prepare(graph, self._current.clients if self._current else None)

    def swap(
        self, graph: Graph, clients: Clients, *, digest: str, git_commit: str | None, loaded_at: datetime | None = None
    ) -> None:
        """Serve new requests by ``graph`` from here on; those under way finish on what they pinned. Cannot fail."""
        snapshot = Snapshot(
            graph,
            clients,
            loaded_at=loaded_at or datetime.now(UTC),
            digest=digest,
            git_commit=git_commit,
            drained=self._release,
        )
        self._held.add(snapshot)
        old, self._current = self._current, snapshot
        self._retain(snapshot)
        if old is not None:
            old.retire()
        self._announce()

    async def wait_for(self, fingerprint: str, timeout: float | None) -> bool:  # noqa: ASYNC109 (reads as a question)
        """Whether the graph of this fingerprint (or prefix) is, or within ``timeout`` seconds becomes, current."""
        try:
            async with asyncio.timeout(timeout):
                while self._current is None or not self._current.graph.fingerprint.startswith(fingerprint):
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def close(self, patience: float) -> None:
        """Serve nothing more. Waits ``patience`` seconds for requests under way, then lets their clients go too."""
        current, self._current = self._current, None
        if current is not None:
            current.retire()
        try:
            async with asyncio.timeout(patience):
                while self._held:
                    await self._changed.wait()
        except TimeoutError:
            _log.warning("closing with %d requests still under way after %g s", self.under_way, patience)
        for snapshot in tuple(self._held):
            snapshot.abandon()
        if self._releases:
            await asyncio.wait(self._releases)

    def _release(self, snapshot: Snapshot) -> None:
        self._held.discard(snapshot)
        self._forget(snapshot)
        self._announce()
        task = asyncio.get_running_loop().create_task(self._let_go(snapshot), name="interlock-release")
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def _let_go(self, snapshot: Snapshot) -> None:
        try:
            await snapshot.clients.release()
        except Exception:  # boundary: a client that does not close well must not hurt requests
            _log.exception("could not close the clients of graph %s", snapshot.graph.fingerprint)

    def _announce(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
