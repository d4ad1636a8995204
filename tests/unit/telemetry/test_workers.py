"""Several processes behind one address: one scrape tells of all, and no counter ever goes back."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from engine.telemetry.exposition import expose
from engine.telemetry.facts import Facts, freeze
from engine.telemetry.meter import Histogram
from engine.telemetry.workers import Shared


def facts(worker: str, refused: int = 1, pid: int | None = None) -> Facts:
    return Facts(
        "1", os.getpid() if pid is None else pid, [], [], [], {"invalid_request": refused}, 0, 0, 0, {}, {},
        Histogram([0] * 10), {}, "f", "", 0.0, False, False, worker=worker,
    )  # fmt: skip


def test_a_scrape_of_one_shows_all(tmp_path: Path) -> None:
    one, two = Shared(tmp_path, "0"), Shared(tmp_path, "1")
    one.write(freeze(facts("0", 3)), 1)
    two.write(freeze(facts("1", 4)), 1)
    _, body = expose(two.read(), None)
    refused = {
        sample.labels["worker"]: sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name == "interlock_refused_total"
    }
    assert refused == {"0": 3.0, "1": 4.0}
    assert b'process_resident_memory_bytes{worker="1"}' in body


def test_one_process_alone_has_no_such_label() -> None:
    _, body = expose([facts("")], None)
    assert b"worker" not in body


def test_dead_processes_and_torn_files_are_left_out(tmp_path: Path) -> None:
    shared = Shared(tmp_path, "0")
    shared.write(freeze(facts("0")), 1)
    Shared(tmp_path, "1").write(freeze(facts("1", pid=0x7FFFFFF0)), 1)
    (tmp_path / "2.facts").write_bytes(freeze(facts("2"))[:-5])
    assert [found.worker for found in shared.read()] == ["0"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    shared = Shared(tmp_path, "0")
    for count in range(1, 4):
        shared.write(freeze(facts("0", count)), count)
        assert [found.refused["invalid_request"] for found in shared.read()] == [count]
    assert [file.name for file in tmp_path.iterdir()] == ["0.facts"]


def test_a_thread_that_comes_late_does_not_put_older_facts_back(tmp_path: Path) -> None:
    shared = Shared(tmp_path, "0")
    shared.write(freeze(facts("0", 2)), 2)
    shared.write(freeze(facts("0", 1)), 1)
    assert [found.refused["invalid_request"] for found in shared.read()] == [2]
