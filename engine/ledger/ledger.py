"""The ledger as the rest of the engine sees it: rows go in at once, history comes out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from .address import shown
from .rows import Row
from .writer import Counts, Writer

if TYPE_CHECKING:
    from .store import Store

_log = logging.getLogger("interlock.ledger")


class LedgerError(Exception):
    """There can be no ledger at this address, or it cannot be read now; the message says why."""


class Ledger:
    """A database that is written to off the request's path. ``Ledger.open`` makes one, :meth:`close` ends it."""

    def __init__(self, store: Store, writer: Writer, where: str) -> None:
        self._store = store
        self._writer = writer
        self.where = where
        """Its address, as it may be shown."""

    @classmethod
    def open(cls, url: str, *, keep: float) -> Self:
        """Begin to write to the database at ``url``, keeping checks for ``keep`` seconds.

        Connects in the background, again and again while the database is away. Raises :class:`LedgerError` for an
        address or a missing package that no waiting will mend.
        """
        from .store import Store

        try:
            store = Store(url)
        except ValueError as problem:
            raise LedgerError(str(problem)) from None
        except ImportError:
            raise LedgerError("PostgreSQL needs the extra postgres: pip install 'interlock[postgres]'") from None
        ledger = cls(store, Writer(store, keep=keep), shown(url))
        ledger._writer.start()
        return ledger

    def put(self, row: Row) -> bool:
        """Take a row. Never blocks; ``False`` where there was no room for it."""
        return self._writer.put(row)

    def counts(self) -> Counts:
        """What became of the rows so far: what ``/metrics`` says of the ledger."""
        return self._writer.counts()

    async def checks(self, provider: str, limit: int, before: float | None = None) -> list[Mapping[str, Any]]:
        """The latest checks of a provider, the newest first, those just put included. Raises :class:`LedgerError`."""
        from .store import FAULTS

        try:
            await asyncio.to_thread(self._writer.flush, 1.0)
            return await asyncio.to_thread(self._store.checks, provider, limit, before)
        except FAULTS as problem:
            _log.warning("the ledger cannot be read: %s", problem)
            raise LedgerError("the ledger cannot be read now; its log says why") from None

    async def close(self, patience: float = 5.0) -> None:
        """Write what waits, for ``patience`` seconds at most, and close the database."""
        await asyncio.to_thread(self._writer.close, patience)
