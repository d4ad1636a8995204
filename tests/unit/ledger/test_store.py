"""The ledger's database: made from nothing, brought up to date, written to and read, in SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine.ledger import Check, ConfigChange, Revision
from engine.ledger.address import for_driver
from engine.ledger.migrate import HEAD, SCRIPTS, NewerError, current
from engine.ledger.store import Store
from engine.ledger.tables import METADATA
from engine.ledger.writer import RefusedError


def check(at: float, provider: str = "acme", outcome: str = "served", detail: str = "") -> Check:
    return Check(at=at, provider=provider, kind="active", outcome=outcome, latency=0.25, detail=detail)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    made = Store(database)
    made.prepare()
    yield made
    made.close()


def test_the_scripts_end_where_the_program_thinks() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrations_make_the_declared_tables_and_may_be_repeated(database: str) -> None:
    for _ in range(2):
        with closing(Store(database)) as store:
            store.prepare()
    engine = sa.create_engine(for_driver(database))
    with engine.connect() as connection:
        assert current(connection) == HEAD
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_several_processes_may_prepare_at_once(database: str) -> None:
    failed: list[BaseException] = []

    def go() -> None:
        with closing(Store(database)) as store:
            try:
                store.prepare()
                store.write([check(1.0)])
            except Exception as problem:
                failed.append(problem)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with closing(Store(database)) as store:
        assert len(store.checks("acme", 10)) == 4


def test_a_database_of_a_newer_version_is_left_alone(database: str, store: Store) -> None:
    engine = sa.create_engine(for_driver(database))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with closing(Store(database)) as other, pytest.raises(NewerError, match="newer version"):
        other.prepare()
    engine.dispose()


def test_rows_come_back_as_they_were_written(store: Store) -> None:
    change = ConfigChange(
        at=5.5, key="ops", provider="acme", files=("a.yaml", "b.yaml"), before="1", after="2", branch=None, patch="+ü"
    )
    live = Revision(at=6.25, fingerprint="abc", git_commit=None)
    store.write([check(1.5), change, live, check(2.5, outcome="timeout", detail="no answer")])
    first, second = store.rows("provider_checks")
    assert (first["at"], first["outcome"], first["latency"], first["target"]) == (1.5, "served", 0.25, None)
    assert (second["outcome"], second["detail"]) == ("timeout", "no answer")
    assert store.rows("config_changes") == [
        {"id": change.id, "at": 5.5, "key": "ops", "provider": "acme", "files": ["a.yaml", "b.yaml"]}
        | {"before": "1", "after": "2", "branch": None, "patch": "+ü"}
    ]
    assert store.rows("revisions") == [{"id": live.id, "at": 6.25, "fingerprint": "abc", "git_commit": None}]


def test_the_same_row_twice_is_there_once(store: Store) -> None:
    row = check(1.0)
    store.write([row, check(2.0)])
    store.write([row])
    assert len(store.rows("provider_checks")) == 2


def test_texts_that_no_database_takes_are_mended(store: Store) -> None:
    store.write([check(1.0, detail="a\x00b\ud800c")])
    assert store.rows("provider_checks")[0]["detail"] == "ab?c"


def test_a_row_that_cannot_be_is_told_from_a_database_that_is_away(store: Store) -> None:
    with pytest.raises(RefusedError):
        store.write([check(1.0), Check(at=None, provider="acme", kind="active", outcome="served")])  # type: ignore[arg-type]
    assert store.rows("provider_checks") == []


def test_history_is_the_newest_first_and_can_be_paged(store: Store) -> None:
    store.write([check(float(at)) for at in range(10)] + [check(3.5, provider="other")])
    assert [row["at"] for row in store.checks("acme", 3)] == [9, 8, 7]
    assert [row["at"] for row in store.checks("acme", 3, before=7)] == [6, 5, 4]


def test_what_is_too_old_is_removed_but_no_audit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.ledger.store._PRUNED_AT_ONCE", 3)
    store.write([check(float(at)) for at in range(10)] + [Revision(at=0.0, fingerprint="abc")])
    assert store.prune(before=8.0) == 8
    assert [row["at"] for row in store.rows("provider_checks")] == [8, 9]
    assert len(store.rows("revisions")) == 1


def test_sqlite_is_read_while_it_is_written(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'l.sqlite'}")) as store:
        store.prepare()
        store.write([check(1.0)])
        with store._writing() as connection:
            connection.execute(sa.delete(METADATA.tables["provider_checks"]))
            assert len(store.checks("acme", 5)) == 1
        assert store.checks("acme", 5) == []
        with store._engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
