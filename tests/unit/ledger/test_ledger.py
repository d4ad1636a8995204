"""The ledger as a whole: history comes back, and no state of its database is anybody's failure."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.ledger import Check, Ledger, LedgerError, default_url, shown
from engine.ledger.address import for_driver
from engine.places import state_folder


def row(at: float) -> Check:
    return Check(at=at, provider="acme", kind="passive", outcome="timeout", target="acme/large")


def test_what_is_put_can_be_read_at_once(database: str) -> None:
    async def go() -> None:
        ledger = await asyncio.to_thread(lambda: Ledger.open(database, keep=1e12))
        for at in range(3):
            assert ledger.put(row(float(at)))
        found = await ledger.checks("acme", 2)
        assert [(check["at"], check["outcome"], check["target"]) for check in found] == [
            (2.0, "timeout", "acme/large"),
            (1.0, "timeout", "acme/large"),
        ]
        await ledger.close()
        assert ledger.counts().written == 3

    asyncio.run(go())


def test_a_locked_database_delays_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.ledger.store._BUSY", 0.02)
    file = tmp_path / "l.sqlite"
    ledger = Ledger.open(f"sqlite:///{file}", keep=1e12)
    asyncio.run(ledger.checks("acme", 1))  # it is made by now
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger.put(row(1.0))
    deadline = time.monotonic() + 5
    while not ledger.counts().failures and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "locked" in ledger.counts().trouble
    other.execute("ROLLBACK")
    other.close()
    asyncio.run(ledger.close())
    assert ledger.counts().written == 1


def test_a_full_disk_delays_and_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "l.sqlite"
    ledger = Ledger.open(f"sqlite:///{file}", keep=1e12)
    ledger._writer._prune_at = float("inf")
    ledger._writer.flush()
    # The limit is the connection's, and the pool has one connection while nobody reads.
    with ledger._store._writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    big = Check(at=1.0, provider="acme", kind="active", outcome="served", detail="x" * 1_000_000)
    ledger.put(big)
    deadline = time.monotonic() + 5
    while not ledger.counts().failures and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "full" in ledger.counts().trouble
    with ledger._store._writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    asyncio.run(ledger.close())
    assert ledger.counts().written == 1


def test_a_folder_that_cannot_be_made_is_said_and_survived(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.ERROR, "interlock.ledger"):
        ledger = Ledger.open(f"sqlite:///{tmp_path / 'file' / 'l.sqlite'}", keep=1.0)
        ledger.put(row(1.0))
        with pytest.raises(LedgerError, match="cannot be read now"):
            asyncio.run(ledger.checks("acme", 1))
        asyncio.run(ledger.close(0.1))
    assert "the ledger cannot be written; requests go on" in caplog.text
    assert ledger.counts().dropped == 1


def test_a_server_that_is_away_is_said_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("psycopg")
    ledger = Ledger.open("postgresql://me:sesame@127.0.0.1:9/db", keep=1.0)
    ledger.put(row(1.0))
    asyncio.run(ledger.close(0.3))
    assert "requests go on" in caplog.text
    assert "sesame" not in caplog.text
    assert ledger.where == "postgresql://127.0.0.1:9/db"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://db/x", "ledger.sqlite", "sqlite:///"])
def test_what_no_ledger_can_be_kept_in(url: str) -> None:
    with pytest.raises(LedgerError, match="sqlite:///FILE or postgresql"):
        Ledger.open(url, keep=1.0)


def test_addresses() -> None:
    assert for_driver("postgresql://db/x") == for_driver("postgres://db/x") == "postgresql+psycopg://db/x"
    assert shown("postgresql://me:secret@db:5432/x?password=1") == "postgresql://db:5432/x"
    assert shown("sqlite:////var/l.sqlite") == "/var/l.sqlite"


def test_every_configuration_has_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    one, two = default_url(tmp_path / "a" / "config"), default_url(tmp_path / "b" / "config")
    assert one != two
    assert one == default_url(tmp_path / "a" / "x" / ".." / "config")
    assert one.startswith(f"sqlite:///{tmp_path}/state/interlock/ledger/config-")


def test_the_folder_for_state_is_the_platforms() -> None:
    home = Path.home()
    assert state_folder({}, "linux") == home / ".local/state/interlock"
    assert state_folder({"XDG_STATE_HOME": "/s"}, "linux") == Path("/s/interlock")
    assert state_folder({}, "darwin") == home / "Library/Application Support/interlock"
    assert state_folder({"LOCALAPPDATA": "/l"}, "win32") == Path("/l/interlock")


def test_who_has_no_ledger_pays_for_none() -> None:
    parts = "engine.ledger, engine.runtime, engine.server.front, engine.cli"
    code = f"import sys, {parts}; print([name for name in sys.modules if name in ('sqlalchemy', 'alembic')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
