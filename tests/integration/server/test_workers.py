"""Several processes on one port: they share the work, follow the same files, are replaced when they die, and end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ...redis_server import PATIENCE, RedisServer, needs_redis
from .conftest import WriteConfig
from .harness import HELLO, Server, is_refused, settings, wait_for
from .upstream import Models

pytestmark = needs_redis


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Workers(Server):
    """A server with several workers; entered once all of them serve."""

    def __init__(self, config: Path, number: int = 2, *options: str) -> None:
        super().__init__(config, "--workers", str(number), *options)
        self.config = config
        self._number = number

    def __enter__(self) -> Workers:
        super().__enter__()
        wait_for(lambda: "workers serve: pids" in self.stderr)
        wait_for(lambda: len(self.processes()) == self._number)
        return self

    def fresh(self, path: str) -> httpx.Response:
        """An answer over a connection of its own, by whichever worker takes it."""
        return httpx.get(self.url + path, timeout=PATIENCE, trust_env=False)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.fresh("/api/v1/status").json()["shared"]
        return found

    def processes(self) -> dict[int, str]:
        """Fingerprints by process, as one of the workers knows them."""
        return {process["pid"]: process["fingerprint"] for process in self.state()["processes"]}


Configured = Callable[[str], Path]


@pytest.fixture(scope="module")
def configured(write_config: WriteConfig, redis: RedisServer) -> Configured:
    """A configuration whose processes share under this prefix."""

    def write(prefix: str) -> Path:
        return write_config(settings(state={"store": "redis", "url": redis.url, "prefix": prefix, "timeout": "5s"}))

    return write


@pytest.fixture(scope="module")
def steady(configured: Configured) -> Iterator[Workers]:
    """Three workers that tests leave as they found them."""
    with Workers(configured("steady"), 3) as server:
        yield server


def lines(server: Server, words: str) -> list[str]:
    return [line for line in server.stderr.splitlines() if words in line]


def test_the_work_is_shared_and_every_worker_knows_all(steady: Workers) -> None:
    before = len(steady.access_lines())
    for _ in range(60):
        assert steady.fresh("/v1/models").status_code == 200
    assert steady.chat().status_code == 200
    pids = set(steady.processes())
    assert len(pids) == 3
    assert steady.process.pid not in pids
    assert steady.state()["agree"] == 3
    wait_for(lambda: len(steady.access_lines()) >= before + 63)


def settled(server: Workers, workers: int) -> str | None:
    """What all of them run, once whoever answers says so: each hears of the others a moment later."""
    seen = set()
    for _ in range(4 * workers):
        state = server.state()
        seen.add((state["agree"], *sorted(set(server.processes().values()))))
    (first, *others) = seen
    return str(first[1]) if not others and len(first) == 2 and first[0] == workers else None


def test_an_edit_reaches_every_worker(steady: Workers, configured: Configured) -> None:
    (before,) = set(steady.processes().values())
    file = steady.config / "policies" / "all.yaml"
    good = file.read_text()
    file.write_text(good.replace("max_attempts: 2", "max_attempts: 3"))
    wait_for(lambda: settled(steady, 3) not in (None, before))
    running = settled(steady, 3)
    # A broken edit is refused by all of them, and so is one that needs a process alone.
    rejected = 0
    for broken in (good.replace("near/words", "near/wrods"), good.replace('"store": "redis"', '"store": "memory"')):
        file.write_text(broken)
        rejected += 3
        wait_for(lambda: len(lines(steady, "edit rejected")) == rejected)  # noqa: B023 (called at once)
        assert set(steady.processes().values()) == {running}
    assert "--workers 3 needs state that processes share" in str(steady.fresh("/api/v1/status").json()["diagnostics"])
    file.write_text(good)
    wait_for(lambda: set(steady.processes().values()) == {before})


def test_a_worker_that_dies_is_replaced_and_nobody_is_refused(configured: Configured) -> None:
    with Workers(configured("dying")) as server:
        gone = {max(server.processes())}  # and the one that lives on
        for n in range(3):
            (pid,) = set(server.processes()) - gone
            gone.add(pid)
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda n=n: len(lines(server, "SIGKILL")) == n + 1)
            assert [server.fresh("/healthz").status_code for _ in range(20)] == [200] * 20
            wait_for(lambda: len(set(server.processes()) - gone) == 1)
        said = [line.partition("worker ")[2].partition(" ") for line in lines(server, "SIGKILL")]
        assert {number for number, _, _ in said} <= {"1", "2"}
        delays = [rest.rpartition("another starts ")[2] for _, _, rest in said]
        assert delays[0] == "now"
        # On a machine so slow that a worker lives for long before it is killed here, no row comes about.
        assert set(delays) <= {"now", "in 0.5 s", "in 1 s"}
        assert server.stop() == 0
        assert "Traceback" not in server.stderr


def test_hangup_reaches_every_worker(configured: Configured) -> None:
    config = configured("hangup")
    with Workers(config, 2, "--no-watch") as server:
        (before,) = set(server.processes().values())
        file = config / "policies" / "all.yaml"
        file.write_text(file.read_text().replace("max_attempts: 2", "max_attempts: 3"))
        time.sleep(0.7)
        assert set(server.processes().values()) == {before}
        server.signal(signal.SIGHUP)
        wait_for(lambda: settled(server, 2) not in (None, before))


def test_requests_under_way_finish_in_every_worker(configured: Configured, upstream: Models) -> None:
    answers: list[int] = []

    def ask() -> None:
        body = {"model": "slow", "messages": HELLO}
        url = f"{server.url}/v1/chat/completions"
        answers.append(httpx.post(url, json=body, timeout=PATIENCE, trust_env=False).status_code)

    with Workers(configured("draining")) as server:
        clients = [threading.Thread(target=ask) for _ in range(8)]
        for client in clients:
            client.start()
        wait_for(lambda: len(upstream.seen) == 8)
        server.signal(signal.SIGTERM)
        wait_for(lambda: is_refused(server.port))
        assert server.process.poll() is None
        assert answers == []
        upstream.gate.set()
        assert server.wait() == 0
        for client in clients:
            client.join(PATIENCE)
        assert answers == [200] * 8
        assert [line.get("outcome") for line in server.access_lines()].count("served") == 8
        assert "Traceback" not in server.stderr


def test_workers_do_not_outlive_their_supervisor(configured: Configured) -> None:
    with Workers(configured("orphans")) as server:
        pids = set(server.processes())
        server.process.kill()
        wait_for(lambda: is_refused(server.port))
        wait_for(lambda: not any(alive(pid) for pid in pids))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return False
    return state != "Z"
