"""Requests that wait for a person to answer them: kept in a file, so that a restart loses none of what was asked."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from msgspec import Struct, json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS relay (
    id TEXT PRIMARY KEY, provider TEXT NOT NULL, body TEXT NOT NULL, asked_at REAL NOT NULL,
    state TEXT NOT NULL, ended_at REAL, answered_by TEXT, answer TEXT
)
"""
#: What became of a request: it waits, it was answered, its asker gave up, or the gateway ended while it waited.
WAITING, ANSWERED, GIVEN_UP, LOST = "waiting", "answered", "given_up", "lost"


class Waiting(Struct):
    """One request that waits: ``messages`` are the conversation, ``asked_at`` Unix seconds."""

    id: str
    provider: str
    asked_at: float
    model: str
    messages: list[Any]


class AnswerError(ValueError):
    """Nobody waits for this answer (any more)."""


class Inbox:
    """The requests of one file. :meth:`of` gives the one inbox that this process has for a file."""

    _open: dict[Path, Inbox] = {}  # noqa: RUF012 (one for the process, on purpose)

    @classmethod
    def of(cls, path: Path) -> Inbox:
        """The inbox kept in this file; those that waited when the last process ended are marked as lost."""
        path = path.absolute()
        found = cls._open.get(path)
        if found is None:
            found = cls._open[path] = cls(path)
        return found

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute(_SCHEMA)
        self._file.execute("UPDATE relay SET state = ?, ended_at = ? WHERE state = ?", (LOST, time.time(), WAITING))
        self._waiters: dict[str, asyncio.Future[str]] = {}

    def close(self) -> None:
        """Close the file; for those who made an inbox of their own."""
        self._file.close()

    def _do(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._file.execute(sql, values).fetchall()

    async def ask(self, id_: str, provider: str, body: bytes) -> str:
        """Put a request in and wait for a person's answer. Cancelling takes it out again."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[str] = loop.create_future()
        self._waiters[id_] = waiter
        insert = "INSERT OR REPLACE INTO relay (id, provider, body, asked_at, state) VALUES (?, ?, ?, ?, ?)"
        await asyncio.to_thread(self._do, insert, id_, provider, body.decode(), time.time(), WAITING)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._do("UPDATE relay SET state = ?, ended_at = ? WHERE id = ?", GIVEN_UP, time.time(), id_)
            raise
        finally:
            del self._waiters[id_]

    def waiting(self) -> list[Waiting]:
        """The requests that wait, the oldest first."""
        rows = self._do("SELECT id, provider, asked_at, body FROM relay WHERE state = ? ORDER BY asked_at", WAITING)
        out = []
        for id_, provider, asked_at, body in rows:
            tree = json.decode(body)
            out.append(Waiting(id_, provider, asked_at, str(tree.get("model", "")), tree.get("messages") or []))
        return out

    def answer(self, id_: str, text: str, by: str | None) -> None:
        """Give a waiting request its answer. Raises :class:`AnswerError` where it no longer waits."""
        waiter = self._waiters.get(id_)
        if waiter is None or waiter.done():
            raise AnswerError("nobody waits for this answer any more")
        update = "UPDATE relay SET state = ?, ended_at = ?, answered_by = ?, answer = ? WHERE id = ?"
        self._do(update, ANSWERED, time.time(), by, text, id_)
        waiter.get_loop().call_soon_threadsafe(_settle, waiter, text)

    def history(self, limit: int = 50) -> list[dict[str, Any]]:
        """The latest requests that no longer wait, newest first, with what became of them."""
        rows = self._do(
            "SELECT id, provider, asked_at, ended_at, state, answered_by FROM relay WHERE state != ? "
            "ORDER BY asked_at DESC LIMIT ?",
            WAITING,
            limit,
        )
        names = ("id", "provider", "asked_at", "ended_at", "state", "answered_by")
        return [dict(zip(names, row, strict=True)) for row in rows]


def _settle(waiter: asyncio.Future[str], text: str) -> None:
    if not waiter.done():
        waiter.set_result(text)
