"""What an orchestrator asks: alive, ready? At the start, while it drains, after a broken edit, in an outage."""

from __future__ import annotations

import signal
import socket
import sqlite3
import time
from pathlib import Path

import httpx
import pytest

from engine.graph import Readiness
from engine.runtime.readiness import Outage

from .conftest import WriteConfig
from .harness import Server, settings, wait_for
from .upstream import Models

BROKEN = "version: 1\nkind: route\nname: broken\nstep: nobody/nothing\n"


def readyz(server: Server) -> tuple[int, str]:
    reply = server.get("/readyz")
    assert reply.json()["ready"] is (reply.status_code == 200)
    return reply.status_code, reply.json()["detail"]


def is_refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_nothing_listens_before_it_can_serve(write_config: WriteConfig) -> None:
    """The start-up: it is ready with its first answer."""
    with Server(write_config()) as server:
        assert readyz(server)[0] == 200
        assert server.chat().status_code == 200


def test_a_draining_server_says_so_before_it_refuses(write_config: WriteConfig) -> None:
    with Server(write_config(settings(readiness={"notice": "1500ms"}))) as server:
        assert readyz(server)[0] == 200
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        wait_for(lambda: readyz(server)[0] == 503)
        assert time.monotonic() - began < 1.0
        # Who has not heard of it is served still, on new connections too.
        with httpx.Client(trust_env=False) as fresh:
            assert fresh.get(f"{server.url}/readyz").json()["detail"].startswith("shutting down")
            assert fresh.get(f"{server.url}/healthz").status_code == 200
        assert server.chat().status_code == 200
        wait_for(lambda: is_refused(server.port))
        assert time.monotonic() - began >= 1.4
        assert server.wait() == 0
        assert "Traceback" not in server.stderr


@pytest.mark.parametrize("numbers", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGINT]])
def test_who_insists_does_not_wait(write_config: WriteConfig, numbers: list[signal.Signals]) -> None:
    with Server(write_config(settings(readiness={"notice": "60s"}))) as server:
        server.assert_healthy()  # from its first answer on it is there to hear signals
        began = time.monotonic()
        server.signal(numbers[0])
        if len(numbers) > 1:
            wait_for(lambda: readyz(server)[0] == 503)
            server.signal(numbers[1])
        assert server.wait() == 0
        assert time.monotonic() - began < 10


def test_a_broken_edit_changes_nothing(write_config: WriteConfig) -> None:
    config = write_config()
    with Server(config) as server:
        file = config / "policies" / "broken.yaml"
        file.write_text(BROKEN)
        wait_for(lambda: server.get("/api/v1/status").json()["candidate"] is not None)
        status, detail = readyz(server)
        assert status == 200
        assert "1 error" in detail
        assert server.chat().status_code == 200
        file.unlink()
        wait_for(lambda: "error" not in readyz(server)[1])


def test_on_the_last_good_configuration_it_is_ready(write_config: WriteConfig, tmp_path: Path) -> None:
    config = write_config()
    with Server(config, "--last-good", str(tmp_path)) as server:
        assert readyz(server)[0] == 200
        assert server.stop() == 0
    (config / "policies" / "broken.yaml").write_text(BROKEN)
    with Server(config, "--last-good", str(tmp_path)) as server:
        status, detail = readyz(server)
        assert status == 200
        assert "the last good configuration" in detail
        assert server.chat().status_code == 200


@pytest.mark.parametrize(("outage", "status"), [("ready", 200), ("not_ready", 503)])
def test_an_outage_of_everybody_is_a_declared_choice(
    write_config: WriteConfig, upstream: Models, outage: str, status: int
) -> None:
    """A restart mends no provider, and a gateway that is not ready answers nobody: by default it stays."""
    config = write_config(settings(readiness={"outage": outage, "after": "200ms", "until": "200ms"}))
    provider = config / "providers.d" / "near.yaml"
    text = provider.read_text() + "health: {probe: models, every: 50ms}\n"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = text.replace(upstream.base_url, f"http://127.0.0.1:{nobody.getsockname()[1]}/v1")
        provider.write_text(dead)
        with Server(config) as server:
            wait_for(lambda: server.get("/api/v1/providers").json()["providers"] and _checked(server, "connection"))
            began = time.monotonic()
            while time.monotonic() < began + 1.0:
                last, detail = readyz(server)
                time.sleep(0.02)
            assert last == status
            assert ("fails its checks" in detail) is (status == 503)
            assert server.get("/healthz").status_code == 200
            provider.write_text(text)  # its address is mended
            wait_for(lambda: readyz(server)[0] == 200)


def _checked(server: Server, outcome: str) -> bool:
    rows = server.get("/api/v1/providers").json()["providers"]
    checks = next(row for row in rows if row["id"] == "near")["health"].get("checks", [])
    return any(check["outcome"] == outcome for check in checks)


def test_what_flaps_is_not_told() -> None:
    rules, outage = Readiness(outage="not_ready", after=30.0, until=10.0), Outage()
    told = [outage.judge(int(now / 7) % 2 == 0, rules, float(now)) for now in range(200)]
    assert not any(told)
    assert not outage.judge(False, rules, 200.0)
    assert not outage.judge(True, rules, 300.0)
    assert not outage.judge(True, rules, 329.0)
    assert outage.judge(True, rules, 330.0)
    assert outage.judge(False, rules, 331.0)
    assert outage.judge(True, rules, 340.0)
    assert outage.judge(False, rules, 341.0)
    assert outage.judge(False, rules, 350.9)
    assert not outage.judge(False, rules, 351.0)


def test_a_server_keeps_a_ledger_in_the_folder_for_state(write_config: WriteConfig, tmp_path: Path) -> None:
    config = write_config()
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    with Server(config, environ=environ) as server:
        running = server.get("/api/v1/status").json()["running"]["fingerprint"]
        assert server.stop() == 0
    (file,) = (tmp_path / "interlock" / "ledger").glob("*.sqlite")
    database = sqlite3.connect(file)
    assert database.execute("SELECT fingerprint FROM revisions").fetchall() == [(running,)]
    database.close()
    assert f"the ledger is {file}" in server.stderr
    off = write_config(settings(ledger={"enabled": False}))
    with Server(off, environ={"XDG_STATE_HOME": str(tmp_path / "off")}) as server:
        server.assert_healthy()
        assert server.stop() == 0
    assert not (tmp_path / "off").exists()


def test_a_state_folder_that_cannot_be_written_stops_no_server(write_config: WriteConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Server(write_config(), environ={"XDG_STATE_HOME": str(tmp_path / "file")}) as server:
        assert server.chat().status_code == 200
        wait_for(lambda: "the ledger cannot be written; requests go on" in server.stderr)
        assert readyz(server)[0] == 200
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("ledger", "environ", "said"),
    [
        ({"url": {"env": "NO_SUCH"}}, {}, "the env NO_SUCH holds no address of a database"),
        ({"url": {"env": "ADDRESS"}}, {"ADDRESS": "mysql://me:sesame@db/x"}, "kept in sqlite:///FILE or postgresql"),
    ],
)
def test_what_cannot_be_a_ledger_stops_the_start(
    write_config: WriteConfig, ledger: dict[str, object], environ: dict[str, str], said: str
) -> None:
    with (
        pytest.raises(AssertionError, match="did not start") as caught,
        Server(write_config(settings(ledger=ledger)), environ=environ),
    ):
        pass
    assert said in str(caught.value)
    assert "sesame" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
