"""A file of decision records: one JSON line a request, written by a thread, set aside when it has grown."""

from __future__ import annotations

import logging
import os
import queue
import threading
from pathlib import Path

import msgspec

from engine.exchange import Outcome
from engine.planner import Record

#: Records that may wait for the disk; what comes on top is dropped, and counted.
LIMIT = 10_000
#: Records that are written in one piece.
_BATCH = 1_000
#: Seconds for which the first of them waits for others.
_GATHER = 0.05
#: Seconds that a closing log is given to write what waits.
PATIENCE = 5.0

_log = logging.getLogger("interlock.decisions")


class DecisionLog:
    """Writes every record it is given to ``file``; an observer for ``Engine.open(observers=[...])``.

    A file that has reached ``max_size`` bytes becomes ``file.1``, and that one ``file.2``, up to ``keep`` of them. It
    never blocks: records that the disk is too slow for are dropped, and a line ``{"dropped": N}`` says how many.
    Call :meth:`close` at the end: it writes what waits.
    """

    def __init__(self, file: str | os.PathLike[str], *, max_size: int = 100 * 1024 * 1024, keep: int = 5) -> None:
        self.file = Path(file)
        self._max_size = max_size
        self._keep = keep
        self._full = 0  # counted by the loop
        self._lost = 0  # counted by the thread
        self._told = 0
        self._complained = False
        self._out: int | None = None
        self._size = 0
        self._encode = msgspec.json.Encoder().encode
        self._queue: queue.Queue[Record | None] = queue.Queue(LIMIT)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="interlock-decisions", daemon=True)
        self._thread.start()

    def __call__(self, outcome: Outcome) -> None:
        """Outcomes by themselves are none of its business."""

    def decided(self, record: Record) -> None:
        """Take a record. Never blocks."""
        try:
            if self._stopped.is_set():
                raise queue.Full
            self._queue.put_nowait(record)
        except queue.Full:
            self._full += 1

    @property
    def dropped(self) -> int:
        """Records that were not written, for want of time or for what the disk said."""
        return self._full + self._lost

    def stop(self) -> None:
        """Take no more records; what waits is written by and by."""
        if not self._stopped.is_set():
            self._stopped.set()
            threading.Thread(target=self._queue.put, args=(None,), daemon=True).start()

    def close(self) -> None:
        """Write what waits, for some seconds at most."""
        self.stop()
        self._thread.join(PATIENCE)

    def _work(self) -> None:
        going = True
        while going:
            batch = [self._queue.get()]
            if self._queue.qsize() < _BATCH:
                self._stopped.wait(_GATHER)
            while len(batch) < _BATCH and batch[-1] is not None:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            going = batch[-1] is not None
            self._write([record for record in batch if record is not None])
        if self._out is not None:
            os.close(self._out)

    def _write(self, records: list[Record]) -> None:
        lines: list[bytes] = []
        for record in records:
            try:
                lines.append(self._encode(record) + b"\n")
            except (UnicodeEncodeError, TypeError, ValueError):  # a client's text that JSON has no form for
                self._lost += 1
        dropped = self.dropped
        if dropped > self._told:
            lines.append(b'{"dropped":%d}\n' % (dropped - self._told))
        try:
            if lines:
                self._append(b"".join(lines))
            self._told, self._complained = dropped, False
        except OSError as problem:
            self._lost += len(records)
            if not self._complained:
                _log.warning("decisions are not recorded: %s: %s", self.file, problem.strerror)
                self._complained = True

    def _append(self, text: bytes) -> None:
        if self._out is not None and self._size >= self._max_size:
            os.close(self._out)
            self._out = None
            self._set_aside()
        if self._out is None:
            self._out = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._size = os.fstat(self._out).st_size
        while text:
            written = os.write(self._out, text)
            self._size += written
            text = text[written:]

    def _set_aside(self) -> None:
        """The files move up by one; the last of them makes way."""
        if not self._keep:
            self.file.unlink(missing_ok=True)
            return
        for number in range(self._keep - 1, -1, -1):
            older = self._older(number)
            if older.exists():
                older.replace(self._older(number + 1))

    def _older(self, number: int) -> Path:
        return self.file.with_name(f"{self.file.name}.{number}") if number else self.file
