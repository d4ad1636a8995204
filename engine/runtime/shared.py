"""The store that this process shares with others, where the settings name one."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from engine.errors import PrepareError
from engine.executor.credentials import Source
from engine.graph import Graph, StateStore
from engine.state import Closure, State

if TYPE_CHECKING:
    from engine.state.redis import RedisStore

_log = logging.getLogger("interlock.state")


class Shared:
    """Puts the store that the first graph's settings name into ``state``, and keeps it until :meth:`aclose`."""

    def __init__(self, state: State, environ: Mapping[str, str]) -> None:
        self._state = state
        self._environ = environ
        self._settings = StateStore()
        self._graph: Graph | None = None
        self._warned: StateStore | None = None
        self.store: RedisStore | None = None
        """``None`` where state is in this process's memory."""

    async def open(self, graph: Graph) -> None:
        """Share what this graph's settings say; a store that is away is waited for in the background.

        Raises :class:`PrepareError` where a package is missing.
        """
        self._graph, self._settings = graph, graph.settings.state
        if self._settings.store == "redis":
            self.store = self._state.store = _make(self._settings, self._environ, self._fingerprint, self._tell)
            self._state.conversations.elsewhere = self.store
            await self.store.start()

    def follow(self, graph: Graph) -> None:
        """Another graph is live."""
        if self._graph is None:
            return
        self._graph, settings = graph, graph.settings.state
        if settings not in (self._settings, self._warned):
            self._warned = settings
            _log.warning("settings: the new `state` counts from the next start on; until then the old one does")
        if self.store is not None:
            # What was no concern of the graph before may be one of this.
            for id_, closure in self.store.closures().items():
                self._state.learn(id_, closure, time.time())
            self.store.beat()

    def status(self) -> dict[str, Any]:
        """The store as ``GET /api/v1/status`` shows it; where it is shared, how many processes run the same graph."""
        return {"store": "memory"} if self.store is None else self.store.status()

    async def aclose(self) -> None:
        """Let the store go. Safe to repeat."""
        if self.store is not None:
            await self.store.aclose()

    def _fingerprint(self) -> str:
        return "" if self._graph is None else self._graph.fingerprint

    def _tell(self, id_: str, closure: Closure | None) -> None:
        """What another process has learnt."""
        self._state.learn(id_, closure, time.time())


def _make(
    settings: StateStore,
    environ: Mapping[str, str],
    fingerprint: Callable[[], str],
    tell: Callable[[str, Closure | None], None],
) -> RedisStore:
    try:
        from engine.state.redis import RedisStore
        from engine.state.redis_company import Peer
    except ImportError:
        raise PrepareError(
            "settings: state.store: redis needs the extra redis: pip install 'interlock[redis]'"
        ) from None
    source = None if settings.secret is None else Source(settings.secret, environ)

    async def address() -> str | None:
        if source is None:
            return settings.url
        now = time.monotonic()
        if source.due(now):
            await source.refresh(now)
        secret = source.value(now)
        return None if secret is None else secret.reveal()

    id_, host = uuid4().hex, platform.node()
    return RedisStore(
        address,
        lambda: Peer(id_, host, os.getpid(), fingerprint()),
        time.time,
        prefix=settings.prefix,
        timeout=settings.timeout,
        ca_file=settings.ca_file,
        when_away=settings.when_away,
        tell=tell,
    )
