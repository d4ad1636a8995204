"""Two server processes on one Redis: a limit that both hold, and what becomes of requests when Redis is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ...redis_server import RedisServer, needs_redis
from .conftest import WriteConfig
from .harness import Server, chat_body, request, settings, wait_for
from .upstream import Models

pytestmark = needs_redis

CLIENTS = 200


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


def shared(redis: RedisServer, limits: list[dict[str, Any]], **state: Any) -> str:
    """Settings with this Redis, and a limit for everybody together."""
    limit = json.dumps({"version": 1, "kind": "limit", "name": "all", "limits": limits})
    return settings(state={"store": "redis", "url": redis.url, **state}) + f"---\n{limit}\n"


class Load:
    """Clients that ask again as soon as they have an answer, each on a connection of its own to one of the servers."""

    def __init__(self, *servers: Server) -> None:
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self._ports = [server.port for server in servers]

    def run(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Ask for so long, and let ``meanwhile`` happen on another thread."""
        other = threading.Thread(target=meanwhile)
        other.start()
        asyncio.run(self._all(seconds))
        other.join()

    async def _all(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        await asyncio.gather(*(self._one(self._ports[n % len(self._ports)], end) for n in range(CLIENTS)))

    async def _one(self, port: int, end: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer):
            while (began := time.monotonic()) < end:
                writer.write(request(chat_body()))
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
                await reader.readexactly(length)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.statuses[int(head.split()[1])] += 1
                if head.split()[1] == b"429":
                    await asyncio.sleep(0.05)


def busiest(times: list[float], per: float) -> int:
    """The most arrivals within ``per`` seconds."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - per:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_a_shared_limit_is_held_within_one_percent(
    write_config: WriteConfig, redis: RedisServer, upstream: Models
) -> None:
    limit, per, windows = 300, 1.5, 4
    config = write_config(shared(redis, [{"requests": limit, "per": f"{per}s"}], timeout="2s"))
    with Server(config) as one, Server(config) as two:
        load = Load(one, two)
        load.run(per * (windows - 0.5))
        served = [sum(line.get("outcome") == "served" for line in server.access_lines()) for server in (one, two)]
        assert "away" not in one.stderr + two.stderr
    assert set(load.statuses) == {200, 429}
    assert 0.99 * limit * windows <= load.statuses[200] <= limit * windows
    assert len(upstream.seen) == load.statuses[200]
    # Both had their part in it, and in no window did more arrive. (They are sent within some milliseconds of counting.)
    assert min(served) > 0
    assert busiest(sorted(seen.arrived for seen in upstream.seen), per - 0.1) <= limit


def test_killing_redis_loses_no_request_and_is_said(write_config: WriteConfig, redis: RedisServer) -> None:
    config = write_config(shared(redis, [{"requests": 1_000_000, "per": "1m"}, {"concurrency": 1000}]))

    def kill_and_start() -> None:
        time.sleep(0.8)
        redis.kill()
        wait_for(lambda: all(server.get("/api/v1/status").json()["shared"]["state"] == "away" for server in servers))
        time.sleep(0.5)
        redis.start()

    with Server(config) as one, Server(config) as two:
        servers = (one, two)
        load = Load(one, two)
        load.run(3.0, kill_and_start)
        wait_for(lambda: all("the state store is back after" in server.stderr for server in servers))
        assert set(load.statuses) == {200}
        assert load.statuses[200] > CLIENTS
        for server in servers:
            assert "each process counts its equal share of every limit" in server.stderr
            assert server.get("/api/v1/status").json()["shared"]["state"] == "connected"
            assert "Traceback" not in server.stderr


def test_places_of_a_server_that_was_killed_are_free_again(
    write_config: WriteConfig, redis: RedisServer, upstream: Models
) -> None:
    config = write_config(shared(redis, [{"concurrency": 2}], timeout="2s"))
    with Server(config) as one, Server(config) as two, one.connect() as first, one.connect() as second:
        assert two.chat().status_code == 200
        time.sleep(0.3)  # the other server may hear of a place a moment after the answer that freed it
        for peer in (first, second):
            peer.send(request(chat_body(model="slow")))
        wait_for(lambda: len(upstream.seen) == 3)
        refused = two.chat()
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "over_limit"
        one.process.kill()
        wait_for(lambda: two.chat().status_code == 200)


def test_a_password_comes_from_a_secret_and_is_not_shown(
    write_config: WriteConfig, redis: RedisServer, tmp_path: Path
) -> None:
    from redis import Redis

    with Redis(port=redis.port) as admin:
        admin.config_set("requirepass", "correct-horse")
    place = tmp_path / "redis-url"
    place.write_text(f"redis://:correct-horse@127.0.0.1:{redis.port}/0\n")
    state = {"store": "redis", "url": {"file": str(place)}}
    with Server(write_config(settings(state=state))) as server:
        status = server.get("/api/v1/status").json()
        assert status["shared"]["state"] == "connected"
        assert len(status["shared"]["processes"]) == 1
        shown = server.get("/api/v1/graph").text + server.get("/api/v1/status").text + server.stderr
        assert "horse" not in shown
        assert str(place) in shown
