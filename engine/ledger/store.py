"""The database itself: opened, migrated, written to in batches, read. Everything here blocks."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import structs
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from . import tables
from .address import for_driver, sqlite_path
from .migrate import migrate
from .rows import Row
from .writer import RefusedError

#: What a database, its driver and the disk below it raise.
FAULTS = (SQLAlchemyError, OSError)
#: What they raise because of a row: trying again would not help. All else may pass: away, locked, full, read-only.
_REFUSALS = (DataError, IntegrityError, OverflowError, TypeError, ValueError)
#: Seconds that a statement waits for another process that writes.
_BUSY = 5.0
#: Seconds between two tries of what waits for no lock.
_AGAIN = 0.02
#: Rows removed in one transaction, so that others never wait long for it.
_PRUNED_AT_ONCE = 2000
_WRITE = {"write": True}


class Store:
    """One database. Making it connects nowhere; :meth:`prepare` does, and every other call needs it before.

    Safe to use from several threads.
    """

    def __init__(self, url: str) -> None:
        driver, path = for_driver(url), sqlite_path(url)
        if path is not None:
            self._engine = sa.create_engine(driver, connect_args={"timeout": _BUSY, "check_same_thread": False})
            sa.event.listen(self._engine, "connect", _on_connect)
            sa.event.listen(self._engine, "begin", _on_begin)
        else:
            self._engine = sa.create_engine(
                driver, pool_size=2, max_overflow=2, pool_pre_ping=True, connect_args={"connect_timeout": 5}
            )
        self._path = path
        self._insert = sqlite.insert if path is not None else postgresql.insert

    def prepare(self) -> None:
        """Make the folder and the file where there is none, and bring the tables up to date.

        Raises one of ``FAULTS``, or ``NewerError``.
        """
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._writing() as connection:
            migrate(connection)

    def write(self, rows: Sequence[Row]) -> None:
        """Write all of these rows or none. Rows that are there already stay as they are.

        Raises :class:`RefusedError` where the database will not have one of them, else one of ``FAULTS``.
        """
        by_table: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            by_table.setdefault(row.table, []).append({n: _plain(v) for n, v in structs.asdict(row).items()})
        try:
            with self._writing() as connection:
                for name, values in by_table.items():
                    statement = self._insert(tables.METADATA.tables[name]).on_conflict_do_nothing(index_elements=["id"])
                    connection.execute(statement, values)
        except _REFUSALS as problem:
            raise RefusedError(str(getattr(problem, "orig", None) or problem)) from problem

    def prune(self, before: float) -> int:
        """Remove what is older than ``before`` (Unix seconds), a little at a time. How many rows that were."""
        removed = 0
        for table in tables.PRUNED:
            old = sa.select(table.c.id).where(table.c.at < before).limit(_PRUNED_AT_ONCE)
            while True:
                with self._writing() as connection:
                    count = connection.execute(sa.delete(table).where(table.c.id.in_(old))).rowcount
                removed += count
                if count < _PRUNED_AT_ONCE:
                    break
        return removed

    def checks(self, provider: str, limit: int, before: float | None = None) -> list[Mapping[str, Any]]:
        """The latest checks of a provider, the newest first; those before ``before`` only, if it is given."""
        table = tables.PROVIDER_CHECKS
        wanted = sa.select(table).where(table.c.provider == provider)
        if before is not None:
            wanted = wanted.where(table.c.at < before)
        return self._read(wanted.order_by(table.c.at.desc(), table.c.id.desc()).limit(limit))

    def rows(self, name: str) -> list[Mapping[str, Any]]:
        """Every row of a table, the oldest first."""
        table = tables.METADATA.tables[name]
        return self._read(sa.select(table).order_by(table.c.at, table.c.id))

    def close(self) -> None:
        """Close every connection; they are opened again where the store is used again."""
        self._engine.dispose()

    def _read(self, statement: Any) -> list[Mapping[str, Any]]:
        with self._engine.begin() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    def _writing(self) -> Any:
        return self._engine.execution_options(**_WRITE).begin()


def _plain(value: Any) -> Any:
    """Texts as every database takes them: PostgreSQL knows no NUL, and lone surrogates are no text."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _on_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver begins no transactions of its own
    cursor = connection.cursor()
    # Readers and the one writer do not wait for each other; a power cut may cost the last second, never the file.
    for pragma in (f"busy_timeout={round(_BUSY * 1000)}", "journal_mode=WAL", "synchronous=NORMAL"):
        _pragma(cursor, pragma)
    cursor.close()


def _pragma(cursor: Any, pragma: str) -> None:
    """Say it once nobody is in the way: SQLite waits for no lock when it changes a file's journal."""
    until = time.monotonic() + _BUSY
    while True:
        try:
            cursor.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as problem:
            if "locked" not in str(problem) or time.monotonic() > until:
                raise
            time.sleep(_AGAIN)
        else:
            return


def _on_begin(connection: sa.Connection) -> None:
    # Who writes says so at once: SQLite lets no reader become a writer while another one writes.
    writes = connection.get_execution_options().get("write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
