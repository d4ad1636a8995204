"""The file of decision records: written behind the requests, set aside when it has grown, honest on what is missing."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.exchange import OutcomeClass
from engine.planner import Record
from engine.telemetry import decisions
from engine.telemetry.decisions import DecisionLog


def record(number: int, **more: Any) -> Record:
    return Record(1, f"r{number}", 0.0, "f", OutcomeClass.SERVED, 200, **more)


def ids(*files: Path) -> list[str]:
    return [json.loads(line)["request_id"] for file in files for line in file.read_text().splitlines()]


def test_all_that_waits_is_written_at_the_end(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "d.jsonl")
    for number in range(2_000):
        log.decided(record(number))
    log.close()
    assert ids(tmp_path / "d.jsonl") == [f"r{n}" for n in range(2_000)]
    assert (tmp_path / "d.jsonl").stat().st_mode & 0o077 == 0
    log.decided(record(1))
    log.close()
    assert log.dropped == 1


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    for number in (1, 2):
        log = DecisionLog(tmp_path / "d.jsonl")
        log.decided(record(number))
        log.close()
    assert ids(tmp_path / "d.jsonl") == ["r1", "r2"]


def test_files_are_set_aside_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "_BATCH", 1)
    log = DecisionLog(tmp_path / "d.jsonl", max_size=200, keep=2)
    for number in range(40):
        log.decided(record(number))
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["d.jsonl", "d.jsonl.1", "d.jsonl.2"]
    assert all(file.stat().st_size <= 400 for file in files)
    kept = ids(*reversed(files))
    assert kept == [f"r{n}" for n in range(40)][-len(kept) :]


def test_none_is_kept_where_none_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "_BATCH", 1)
    log = DecisionLog(tmp_path / "d.jsonl", max_size=1, keep=0)
    for number in range(3):
        log.decided(record(number))
    log.close()
    assert [file.name for file in tmp_path.iterdir()] == ["d.jsonl"]
    assert ids(tmp_path / "d.jsonl") == ["r2"]


def test_what_is_too_much_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "LIMIT", 5)
    gate = threading.Event()
    real = DecisionLog._write

    def slow(self: DecisionLog, records: list[Record]) -> None:
        gate.wait(5)
        real(self, records)

    monkeypatch.setattr(DecisionLog, "_write", slow)
    log = DecisionLog(tmp_path / "d.jsonl")
    for number in range(100):
        log.decided(record(number))
    gate.set()
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    told = sum(line.get("dropped", 0) for line in lines)
    assert told == log.dropped > 80
    assert told + sum("request_id" in line for line in lines) == 100


def test_a_disk_that_refuses_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        log = DecisionLog(tmp_path / "away" / "d.jsonl")
        log.decided(record(1))
        log.close()
    assert log.dropped == 1
    assert [r.message for r in caplog.records] == [
        f"decisions are not recorded: {tmp_path}/away/d.jsonl: No such file or directory"
    ]


def test_a_text_that_json_has_no_form_for_costs_one_record(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "d.jsonl")
    log.decided(record(1, read={"user": "\ud800"}))
    log.decided(record(2))
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert sum(line.get("dropped", 0) for line in lines) == log.dropped == 1
    assert [line["request_id"] for line in lines if "request_id" in line] == ["r2"]
