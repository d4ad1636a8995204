"""The queue before the ledger: it never blocks, is bounded, loses nothing that it took, and says what it dropped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ledger import Check, Row
from engine.ledger.writer import RefusedError, Writer

DAY = 86400.0


def row(number: int) -> Check:
    return Check(at=float(number), provider="acme", kind="active", outcome="served")


class Kept:
    """A database that keeps what it is given, fails when told, and refuses some rows."""

    def __init__(self, failures: Sequence[bool] = (), refused: Callable[[Row], bool] = lambda _: False) -> None:
        self.rows: list[Row] = []
        self.batches: list[int] = []
        self.failures = list(failures)
        self.refused = refused
        self.gate = threading.Event()
        self.gate.set()
        self.pruned: list[float] = []
        self.closed = 0

    def prepare(self) -> None:
        pass

    def write(self, rows: Sequence[Row]) -> None:
        self.gate.wait(10)
        if self.failures and self.failures.pop(0):
            raise OSError("No space left on device")
        if any(map(self.refused, rows)):
            raise RefusedError("not such a row")
        self.rows += rows
        self.batches.append(len(rows))

    def prune(self, before: float) -> int:
        self.pruned.append(before)
        return 0

    def close(self) -> None:
        self.closed += 1


def writer(sink: Kept, **options: float) -> Writer:
    quick = {"linger": 0.0, "first_retry": 0.001, **options}
    return Writer(sink, keep=30 * DAY, **quick)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 99), max_size=60),
    failures=st.lists(st.booleans(), max_size=6),
    batch=st.integers(1, 20),
    room=st.integers(1, 80),
    refused=st.integers(2, 9),
)
def test_nothing_taken_is_lost_and_everything_is_counted(
    numbers: list[int], failures: list[bool], batch: int, room: int, refused: int
) -> None:
    def is_refused(it: Row) -> bool:
        return it.at % refused == 1

    sink = Kept(failures, is_refused)
    it = writer(sink, batch=batch, room=room)
    it.start()
    taken = [made for number in numbers if it.put(made := row(number))]
    it.close(10)
    counts = it.counts()
    assert sink.rows == [made for made in taken if not is_refused(made)]
    assert counts.refused == sum(map(is_refused, taken))
    assert counts.dropped == len(numbers) - len(taken)
    assert counts.written + counts.dropped + counts.refused == len(numbers)
    assert counts.waiting == 0
    assert max(sink.batches, default=0) <= batch
    assert sink.closed == 1


@given(room=st.integers(1, 50), offered=st.integers(0, 120))
def test_no_more_than_there_is_room_for_waits(room: int, offered: int) -> None:
    it = writer(Kept(), room=room)  # nobody writes yet
    taken = sum(it.put(row(number)) for number in range(offered))
    assert taken == min(room, offered)
    assert it.counts().waiting == taken
    assert it.counts().dropped == offered - taken
    it.close()
    assert it.counts().dropped == offered


def test_rows_go_together_in_one_transaction() -> None:
    sink = Kept()
    it = writer(sink, linger=0.1)
    it.start()
    for number in range(100):
        it.put(row(number))
    assert it.flush(5)
    assert len(sink.batches) <= 2
    it.close()


def test_a_slow_database_holds_nobody_up() -> None:
    sink = Kept()
    sink.gate.clear()
    it = writer(sink, room=1000)
    it.start()
    began = time.perf_counter()
    for number in range(5000):
        it.put(row(number))
    assert time.perf_counter() - began < 0.5
    assert it.counts().dropped == 4000
    assert not it.flush(0.05)
    sink.gate.set()
    assert it.flush(5)
    assert it.counts().written == 1000
    it.close()


def test_trouble_is_said_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    sink = Kept([True] * 5)
    it = writer(sink)
    it.start()
    with caplog.at_level(logging.WARNING, "interlock.ledger"):
        it.put(row(1))
        deadline = time.monotonic() + 5
        while it.counts().failures < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert "No space left" in it.counts().trouble
        assert it.flush(5)
        it.close()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "requests go on, 1 rows wait: No space left on device" in said[0]
    assert "written again" in said[1]
    assert it.counts().failures == 5
    assert it.counts().trouble == ""


def test_what_cannot_be_written_at_the_end_is_dropped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    it = writer(Kept([True] * 100_000), first_retry=0.01)
    it.start()
    it.put(row(1))
    began = time.monotonic()
    it.close(0.2)
    assert time.monotonic() - began < 2
    assert it.counts().dropped == 1
    assert "1 rows of the ledger were not written" in caplog.text
    assert not it.put(row(2))


def test_what_is_too_old_is_removed_soon_after_the_start() -> None:
    sink = Kept()
    it = writer(sink)
    it.start()
    it.put(row(1))
    it.flush()
    deadline = time.monotonic() + 5
    while not sink.pruned and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sink.pruned[0] == pytest.approx(time.time() - 30 * DAY, abs=60)
    it.close()


def test_puts_of_many_threads_are_all_there() -> None:
    sink = Kept()
    it = writer(sink, room=100_000)
    it.start()
    threads = [threading.Thread(target=lambda: [it.put(row(n)) for n in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    it.close(10)
    assert len({made.id for made in sink.rows}) == len(sink.rows) == 4000
