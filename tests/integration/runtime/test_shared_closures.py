"""What one process finds out about a target the others need not find out again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine import Engine

from ...redis_server import RedisServer, needs_redis
from ..gateway import chat, configuration, environ
from ..upstream import Answer, Upstream, error, served

pytestmark = needs_redis

OK = served(False)
Scenario = Callable[[Engine, Engine, Upstream], Awaitable[None]]


async def ask(engine: Engine) -> httpx.Response:
    async with httpx.AsyncClient(transport=engine.transport(), base_url="http://gateway") as client:
        return await client.post("/v1/chat/completions", json=chat())


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 (what another process says arrives when it does)
            await asyncio.sleep(0.01)


def shut(engine: Engine, kind: str) -> list[dict[str, Any]]:
    """What the engine passes over for this reason."""
    rows: list[dict[str, Any]] = engine.status()["state"][kind]
    return [row for row in rows if row["state"] != "closed"]


def play(folder: Path, scenario: Scenario, first: Answer, breaker: dict[str, Any]) -> None:
    """Two engines that share a store, with account ``one`` answering so and ``two`` serving."""

    async def main(redis: RedisServer) -> None:
        state = {"store": "redis", "url": redis.url, "timeout": "5s"}
        async with Upstream(one=first, two=OK) as upstream:
            settings = {"version": 1, "kind": "settings", "name": "server", "state": state}
            policy = {"retry": {"per_target": 1}, "breaker": breaker}
            step = {"fallback": ["one/m", "two/m"]}
            configuration(folder, upstream.port, step, policy=policy, more=[settings])
            async with Engine.open(folder, environ=environ()) as a, Engine.open(folder, environ=environ()) as b:
                await scenario(a, b, upstream)

    with RedisServer(folder) as redis:
        asyncio.run(main(redis))


def called(upstream: Upstream, account: str) -> int:
    return sum(seen.account == account for seen in upstream.seen)


def test_a_circuit_is_shared_and_so_is_its_closing(tmp_path: Path) -> None:
    async def scenario(a: Engine, b: Engine, upstream: Upstream) -> None:
        for _ in range(5):
            assert (await ask(a)).headers["x-interlock-target"] == "two/m"
        assert called(upstream, "one") == 3
        await until(lambda: shut(b, "circuits"))
        (row,) = shut(b, "circuits")
        assert (row["target"], row["state"]) == ("one/m", "open")
        assert "3 failures in a row" in row["reason"]
        for _ in range(3):
            answer = await ask(b)
            assert (answer.headers["x-interlock-target"], answer.headers["x-interlock-attempts"]) == ("two/m", "1")
        assert called(upstream, "one") == 3
        upstream.scripts["one"] = OK
        await until(lambda: shut(a, "circuits")[0]["state"] == "half_open")
        assert (await ask(a)).headers["x-interlock-target"] == "one/m"
        await until(lambda: not shut(b, "circuits"))
        assert (await ask(b)).headers["x-interlock-target"] == "one/m"

    breaker = {"consecutive": 3, "open_for": "2s", "slow_start": "0s"}
    play(tmp_path, scenario, error(500), breaker)


def test_a_probe_that_fails_elsewhere_keeps_it_open(tmp_path: Path) -> None:
    """The process that has made no attempt of its own goes on by what it has learnt, and by its own rules."""

    async def scenario(a: Engine, b: Engine, upstream: Upstream) -> None:
        for _ in range(3):
            await ask(a)
        await until(lambda: shut(b, "circuits"))
        before = shut(b, "circuits")[0]["until"]
        await until(lambda: shut(b, "circuits")[0]["state"] == "half_open")
        assert (await ask(b)).headers["x-interlock-attempts"] == "2"
        (row,) = shut(b, "circuits")
        assert row["state"] == "open"
        assert row["until"] - before > 1.0
        await until(lambda: shut(a, "circuits")[0]["until"] > before + 1.0)

    play(tmp_path, scenario, error(500), {"consecutive": 3, "open_for": "1s"})


@pytest.mark.parametrize(
    ("answer", "kind", "named"),
    [
        (error(429, retry_after="30"), "holds", {"target": "one/m"}),
        (error(401), "credentials", {"provider": "one"}),
    ],
)
def test_holds_and_refused_credentials_are_shared(
    tmp_path: Path, answer: Answer, kind: str, named: dict[str, str]
) -> None:
    async def scenario(a: Engine, b: Engine, upstream: Upstream) -> None:
        assert (await ask(a)).headers["x-interlock-target"] == "two/m"
        await until(lambda: shut(b, kind))
        (row,), (own,) = shut(b, kind), shut(a, kind)
        assert named.items() <= row.items()
        assert row["until"] == pytest.approx(own["until"], abs=1)
        assert (await ask(b)).headers["x-interlock-attempts"] == "1"
        assert called(upstream, "one") == 1

    play(tmp_path, scenario, answer, {})


def test_without_the_store_everybody_finds_out_alone(tmp_path: Path) -> None:
    async def scenario(a: Engine, b: Engine, upstream: Upstream) -> None:
        assert a.shared.store is not None
        assert b.shared.store is not None
        await a.shared.store.aclose()
        for _ in range(4):
            assert (await ask(a)).status_code == 200
        assert shut(a, "circuits")
        await asyncio.sleep(0.6)
        assert not shut(b, "circuits")
        assert (await ask(b)).headers["x-interlock-attempts"] == "2"

    play(tmp_path, scenario, error(500), {"consecutive": 3})
