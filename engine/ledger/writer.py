"""Rows on their way to the database: a bounded queue, and the one thread that empties it in batches."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

from msgspec import Struct

from .rows import Row

_log = logging.getLogger("interlock.ledger")

#: Rows that may wait; more are dropped, and counted.
ROOM = 10_000
#: Most rows of one transaction.
BATCH = 500
#: Seconds between the first row that waits and its transaction: what comes meanwhile goes with it.
LINGER = 0.25
#: Seconds until a failed write is tried again: the first time, and at most, after doubling.
FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0
#: Seconds between removals of what is too old.
PRUNE_EVERY = 3600.0
#: Seconds between log lines about one and the same trouble.
_SAID_EVERY = 300.0


class RefusedError(Exception):
    """The database is there and will not have these rows, however often it is asked."""


class Sink(Protocol):
    """Where rows end. Every method may block and raise what it likes: it is tried again, but for ``RefusedError``."""

    def prepare(self) -> None: ...
    def write(self, rows: Sequence[Row]) -> None: ...
    def prune(self, before: float) -> int: ...
    def close(self) -> None: ...


class Counts(Struct):
    """Rows since the start. ``written + dropped + refused + waiting`` is what was handed in.

    ``dropped``: there was no room, or no time at the end. ``refused``: the database will not have them. ``failures``
    are writes that failed, ``trouble`` says why the last one did while it lasts.
    """

    written: int = 0
    dropped: int = 0
    refused: int = 0
    waiting: int = 0
    failures: int = 0
    trouble: str = ""


class Writer:
    """Takes rows without ever waiting, writes them in order of arrival, forgets none that it took but at its end.

    ``keep`` is seconds; ``room``, ``batch``, ``linger`` and ``first_retry`` are as the constants of this module.
    :meth:`put` may be called from any thread.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        keep: float,
        room: int = ROOM,
        batch: int = BATCH,
        linger: float = LINGER,
        first_retry: float = FIRST_RETRY,
    ) -> None:
        self._sink = sink
        self._keep = keep
        self._room, self._batch, self._linger, self._first_retry = room, batch, linger, first_retry
        self._rows: deque[Row] = deque()
        self._counts = Counts()
        self._lock = threading.Lock()
        self._there = threading.Event()  # something to do: rows, or the end
        self._hurry = threading.Event()  # whoever flushes or closes does not want to linger
        self._settled = threading.Condition(self._lock)
        self._closing = False
        self._prepared = False
        self._retry = 0.0
        self._said_at = 0.0
        self._prune_at = 0.0
        self._thread = threading.Thread(target=self._run, name="interlock-ledger", daemon=True)

    def start(self) -> None:
        """Begin to write. Rows may be put before."""
        self._thread.start()

    def put(self, row: Row) -> bool:
        """Take a row; ``False`` where it is dropped for want of room. Never blocks for the database's sake."""
        with self._lock:
            waiting = len(self._rows)
            if waiting >= self._room or self._closing:
                self._counts.dropped += 1
                return False
            self._rows.append(row)
        if not waiting:
            self._there.set()
        return True

    def counts(self) -> Counts:
        """What became of the rows so far."""
        with self._lock:
            said = self._counts
            return Counts(said.written, said.dropped, said.refused, len(self._rows), said.failures, said.trouble)

    def flush(self, timeout: float = 5.0) -> bool:
        """Whether the database is there, and all that was put before written, within ``timeout`` seconds."""
        self._hurry.set()
        self._there.set()
        counts = self._counts
        with self._settled:
            upto = counts.written + counts.refused + len(self._rows)
            return self._settled.wait_for(lambda: self._prepared and counts.written + counts.refused >= upto, timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits, for ``timeout`` seconds at most; what is left then is dropped, counted and logged."""
        with self._lock:
            self._closing = True
            waiting = bool(self._rows)
        alive = self._thread.is_alive()
        if alive and waiting:
            self.flush(timeout)
        with self._lock:
            left = len(self._rows)
            self._rows.clear()
            self._counts.dropped += left
        self._there.set()
        self._hurry.set()
        if left:
            _log.error("%d rows of the ledger were not written: %s", left, self._counts.trouble or "there was no time")
        if alive:
            self._thread.join(timeout)

    # -- in the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._attempt(self._prepare)  # the database is made, or missed, before the first row
        while not self._over():
            if self._there.wait(PRUNE_EVERY if self._prepared else self._retry):
                self._hurry.wait(self._retry or self._linger)
            self._work()
        self._sink.close()

    def _over(self) -> bool:
        with self._lock:
            return self._closing and not self._rows

    def _work(self) -> None:
        """Write until nothing waits, or until that fails."""
        self._there.clear()
        self._hurry.clear()
        while rows := self._first():
            if not self._attempt(lambda: self._write(rows)):
                self._there.set()  # they still wait
                return
        if not self._prepared:
            self._attempt(self._prepare)
        elif time.time() >= self._prune_at and not self._closing:
            self._prune_at = time.time() + PRUNE_EVERY
            self._attempt(lambda: self._sink.prune(time.time() - self._keep))

    def _first(self) -> list[Row]:
        with self._lock:
            return list(islice(self._rows, self._batch))

    def _prepare(self) -> None:
        if not self._prepared:
            self._sink.prepare()
            with self._settled:
                self._prepared = True
                self._settled.notify_all()

    def _write(self, rows: list[Row]) -> None:
        self._prepare()
        try:
            self._sink.write(rows)
        except RefusedError:
            self._write_each(rows)
        else:
            self._done(len(rows), 0)

    def _write_each(self, rows: list[Row]) -> None:
        """Write the rows one by one, without those that cannot be."""
        for row in rows:
            refused = 0
            try:
                self._sink.write([row])
            except RefusedError as problem:
                refused = 1
                _log.warning("a row for %s is left out of the ledger: %s", row.table, _said(problem))
            self._done(1 - refused, refused)

    def _done(self, written: int, refused: int) -> None:
        """These are no longer waiting; whoever cleared the queue meanwhile has counted them as dropped."""
        with self._settled:
            gone = min(written + refused, len(self._rows))
            for _ in range(gone):
                self._rows.popleft()
            self._counts.dropped -= written + refused - gone
            self._counts.written += written
            self._counts.refused += refused
            self._settled.notify_all()

    def _attempt(self, action: Callable[[], object]) -> bool:
        """Whether it went well. If not, the log says so, now and then, and the next try waits longer."""
        try:
            action()
        except Exception as problem:  # boundary: what databases and their drivers raise must not end the record
            level, waiting = self._failed(why := _said(problem))
            _log.log(level, "the ledger cannot be written; requests go on, %d rows wait: %s", waiting, why)
            return False
        if self._counts.trouble:
            _log.warning("the ledger is written again; %d rows were dropped since the start", self._counts.dropped)
            self._counts.trouble = ""
        self._retry = 0.0
        return True

    def _failed(self, why: str) -> tuple[int, int]:
        """Wait longer until the next try. How loudly this is to be said, and how many rows wait."""
        self._retry = min(2 * self._retry or self._first_retry, LONGEST_RETRY)
        now = time.monotonic()
        said = bool(self._counts.trouble) and now < self._said_at + _SAID_EVERY
        if not said:
            self._said_at = now
        with self._lock:
            self._counts.failures += 1
            self._counts.trouble = why
            return logging.DEBUG if said else logging.ERROR, len(self._rows)


def _said(problem: BaseException) -> str:
    """One line of an exception, without the statement that it came from."""
    original = getattr(problem, "orig", None) or problem
    return (str(original).strip().splitlines() or [type(original).__name__])[0][:300]
