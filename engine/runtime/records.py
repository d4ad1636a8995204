"""The engine's ledger: whether there is one and where, and what is put into it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.errors import PrepareError
from engine.executor.credentials.secret import Source
from engine.graph import SecretRef, Settings

if TYPE_CHECKING:
    from engine.ledger import Ledger, Row

    from .snapshot import Snapshot

_log = logging.getLogger("interlock.ledger")


class Records:
    """Puts rows into the ledger, if there is one. ``default`` is its address where the settings name none."""

    def __init__(self, default: str | None, environ: Mapping[str, str] | None) -> None:
        self._default = default
        self._environ = environ
        self._revision = ""
        self.ledger: Ledger | None = None

    async def open(self, settings: Settings) -> None:
        """Begin to write, if the settings or whoever opened the engine say where.

        A database that is away is waited for in the background. Raises :class:`PrepareError` where that cannot help.
        """
        url = await self._address(settings)
        if url is None:
            return
        from engine.ledger import Ledger, LedgerError

        try:
            # In a thread: SQLAlchemy takes a third of a second to import.
            self.ledger = await asyncio.to_thread(lambda: Ledger.open(url, keep=settings.ledger_keep))
        except LedgerError as problem:
            raise PrepareError(f"settings: ledger.url: {problem}") from None
        _log.info("the ledger is %s", self.ledger.where)

    def put(self, row: Row) -> None:
        """Take a row, if there is a ledger. Never blocks."""
        if self.ledger is not None:
            self.ledger.put(row)

    def revision(self, snapshot: Snapshot) -> None:
        """This configuration is live, whether it is another than before or not."""
        if self.ledger is None or snapshot.graph.fingerprint == self._revision:
            return
        from engine.ledger import Revision

        self._revision = snapshot.graph.fingerprint
        self.put(Revision(at=time.time(), fingerprint=self._revision, git_commit=snapshot.git_commit))

    async def close(self) -> None:
        """Write what waits, for some seconds at most. What is put from here on is dropped."""
        if self.ledger is not None:
            await self.ledger.close()

    async def _address(self, settings: Settings) -> str | None:
        said = settings.ledger_url
        if not settings.ledger_enabled:
            return None
        if not isinstance(said, SecretRef):
            return said or self._default
        source = Source(said, os.environ if self._environ is None else self._environ, text=True)
        now = time.monotonic()
        if source.due(now):
            await source.refresh(now)
        value = source.value(now)
        if value is None:
            what = said.name if said.kind != "command" else " ".join(said.command)
            raise PrepareError(f"settings: ledger.url: the {said.kind} {what} holds no address of a database")
        return value.reveal().strip()
