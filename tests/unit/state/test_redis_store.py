"""The shared store against a real server: who holds what, and what others learn."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest
from redis import Redis

from engine.state import Claim, Closure, Grant, Refusal
from engine.state import redis_company as company

from ...redis_server import RedisServer, needs_redis
from .shared_stores import PLACES, TEN, opened, run, take, taken, until

pytestmark = needs_redis


def test_two_processes_share_a_window_and_places(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as a, opened(redis, prefix, "b") as b:
            for store, left in [(a, 9), (b, 8), (a, 7)]:
                assert (await taken(store, TEN)).left == (left,)
            grants = [await taken(store, PLACES) for store in (a, b, b)]
            assert [grant.left for grant in grants] == [(2,), (1,), (0,)]
            assert await take(a, PLACES) == Refusal("p", 1.0)
            b.release(grants[1])
            b.release(grants[1])
            await taken(b, PLACES)
            assert (await taken(a, TEN)).left == (6,)

    run(test)


def test_all_claims_or_none(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as store:
            both = (Claim("w", 10, 60.0), Claim("t", 100, 60.0, 40), Claim("p", 3, None))
            assert (await taken(store, both)).left == (9, 60, 2)
            second = await taken(store, both)
            assert second.left == (8, 20, 1)
            refused = await take(store, both)
            assert isinstance(refused, Refusal)
            assert refused.key == "t"
            assert 55 < refused.retry_after <= 60.06
            store.settle(second, {"t": 5})
            store.settle(second, {"t": 0})
            assert (await taken(store, both)).left == (7, 15, 0)
            assert await take(store, (Claim("w", 10, 60.0, 11),)) == Refusal("w", float("inf"), 7)

    run(test)


def test_what_was_used_beyond_the_claim_counts(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as store:
            claim = (Claim("t", 100, 60.0, 10),)
            store.settle(await taken(store, claim), {"t": 120})
            assert isinstance(await take(store, claim), Refusal)

    run(test)


def test_whoever_gives_up_waiting_takes_nothing(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as store:
            claims = (Claim("w", 10, 60.0), Claim("p", 1, None))
            task = asyncio.ensure_future(store.take(claims, time.monotonic()))  # type: ignore[arg-type]
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await taken(store, (Claim("other", 1, 1.0),))  # the first was answered before
            assert (await taken(store, claims)).left == (9, 0)

    run(test)


def test_places_of_a_process_that_died_are_free_after_its_lease(
    redis: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "LEASE", 0.6)

    async def test() -> None:
        async with opened(redis, prefix) as a:
            dead = opened(redis, prefix, "dead")
            b = await dead.__aenter__()
            for _ in range(3):
                await taken(b, PLACES)
            assert isinstance(await take(a, PLACES), Refusal)
            assert b._beats is not None
            b._beats.cancel()  # it says no more
            began = time.monotonic()
            while isinstance(await take(a, PLACES), Refusal):  # noqa: ASYNC110 (nobody tells when a lease ends)
                await asyncio.sleep(0.02)
            assert 0.2 < time.monotonic() - began < 5
            assert isinstance(await take(a, PLACES), Grant)
            await until(lambda: len(a.peers) == 1)
            await dead.__aexit__(None, None, None)

    run(test)


def test_a_process_that_was_given_up_tells_again_what_it_has_in_flight(
    redis: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as a:
            held = [await taken(a, PLACES) for _ in range(2)]
            Redis(port=redis.port).delete(*_keys(redis, prefix))
            await until(lambda: a.link.connects == 2)
            assert (await taken(a, PLACES)).left == (0,)
            for grant in held:
                a.release(grant)
            assert (await taken(a, PLACES)).left == (1,)

    run(test)


def test_who_ends_in_order_frees_its_places_at_once(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as a:
            async with opened(redis, prefix, "b") as b:
                for _ in range(3):
                    await taken(b, PLACES)
                await until(lambda: len(a.peers) == 2)
                assert {peer.fingerprint for peer in a.peers} == {"graph-a", "graph-b"}
                assert a.status()["agree"] == 1
            assert (await taken(a, PLACES)).left == (2,)

    run(test)


def test_closures_are_learnt_within_half_a_second_whatever_the_clocks_say(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        heard: list[tuple[str, Closure | None]] = []
        # The one who listens is an hour behind.
        behind: dict[str, Any] = {"clock": lambda: time.time() - 3600, "tell": lambda *news: heard.append(news)}
        async with opened(redis, prefix) as a, opened(redis, prefix, "b", **behind) as b:
            a.publish("x/m", Closure(time.time() + 30, "breaker", "5 of 6 failed"))
            assert await until(lambda: b.closures()) < 0.5 + 1  # the machine may be busy
            closure = b.closures()["x/m"]
            assert (closure.reason, closure.detail) == ("breaker", "5 of 6 failed")
            assert closure.until == pytest.approx(time.time() - 3600 + 30, abs=2)
            a.publish("x/m", Closure(time.time() + 10, "held"))  # ends sooner, and changes nothing
            a.publish("x/m", Closure(time.time() + 90, "held"))
            await until(lambda: b.closures()["x/m"].reason == "held")
            assert a.closures() == {}
            b.publish("x/m", None)
            assert b.closures() == {}
            a.publish("y/m", Closure(time.time() + 30, "credential"))
            await until(lambda: len(heard) == 3)
            assert [id_ for id_, _ in heard] == ["x/m", "x/m", "y/m"]
            a.publish("y/m", None)
            await until(lambda: heard[-1] == ("y/m", None))
            assert b.closures() == {}
            a.publish("z/m", Closure(time.time() - 1, "held"))
        async with opened(redis, prefix, "late") as late:  # what is over or has returned is no news to it
            assert late.closures() == {}

    run(test)


def test_nothing_stays_behind_and_a_large_limit_costs_no_more(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as store:
            claims = (Claim("big", 10_000_000, 0.5), Claim("p", 10_000_000, None))
            end = time.monotonic() + 1.2
            asked = 0
            while time.monotonic() < end:
                await asyncio.gather(*(store.take(claims, time.monotonic()) for _ in range(50)))  # type: ignore[arg-type]
                asked += 50
            assert asked > 1000
            store.publish("x/m", Closure(time.time() + 30, "breaker"))
            await taken(store, claims)
            with Redis(port=redis.port, decode_responses=True) as server:
                keys = _keys(redis, prefix)
                assert len(keys) == 8
                assert all(0 < server.pttl(key) <= 86_400_000 for key in keys)
                (order,) = [key for key in keys if key.endswith(":order") and ":w:" in key]
                assert 100 < server.llen(order) <= 1001

    run(test)


def _keys(redis: RedisServer, prefix: str) -> list[str]:
    with Redis(port=redis.port, decode_responses=True) as server:
        return list(server.scan_iter(f"{{{prefix}}}:*", count=1000))
