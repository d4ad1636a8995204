"""Breakers, holds and last resorts on loopback: who is asked how often, and what clients are told meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from .gateway import Gateway, chat, play
from .upstream import Answer, Do, Upstream, error, served

OK = served(False)
BOTH = {"fallback": ["one/m", "two/m"]}
EVEN = {"balance": {"by": "weighted", "steps": ["one/m", "two/m"]}}
FAILURES: dict[str, Answer] = {
    "refused": (Do.RESET,),
    "hanging": (Do.STALL,),
    "500": error(500, "no"),
    "overloaded": error(503, "no"),
    "garbled": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{]",),
}


def limited(seconds: int | None = None) -> Answer:
    return error(429, "slow down", **({} if seconds is None else {"retry_after": str(seconds)}))


def states(gateway: Gateway) -> dict[str, str]:
    found = gateway.engine.status()["state"]
    return {row["target"]: row["state"] for row in found["circuits"]}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_dead_primary_is_left_alone_and_costs_nothing(tmp_path: Path, failure: str, streamed: bool) -> None:
    """Complaint 20: failover needs no second switch. After the breaker opened the dead target is not called at all."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(5):
            assert (await gateway.ask(chat(streamed))).status == 200
        assert states(gateway)["one/m"] == "open"
        upstream.seen.clear()
        took = []
        for _ in range(40):
            began = time.perf_counter()
            got = await gateway.ask(chat(streamed))
            took.append(time.perf_counter() - began)
            assert (got.status, got.headers["x-interlock-attempts"]) == (200, "1")
        assert (upstream.calls("one"), upstream.calls("two")) == (0, 40)
        assert sorted(took)[20] < 0.05
        skips = gateway.engine.explain(chat()).skips
        assert [(skip.target, skip.reason) for skip in skips] == [("one/m", "breaker")]
        assert "in a row" in skips[0].detail

    scripts = {"one": FAILURES[failure], "two": served(streamed)}
    policy = {"timeouts": {"attempt": "100ms", "first_token": "100ms"}}
    play(tmp_path, scenario, scripts=scripts, policy=policy, step=BOTH)


def test_a_first_failure_takes_nobody_away(tmp_path: Path) -> None:
    """Complaint 18: one of one is no share of failures."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).status == 200
        assert (await gateway.ask()).headers["x-interlock-target"] == "one/m"

    play(tmp_path, scenario, scripts={"one": [error(500, "no"), OK], "two": OK}, step=BOTH)


def test_callers_mistakes_take_nobody_away(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(30):
            assert (await gateway.ask()).status == 400
        assert (upstream.calls("one"), upstream.calls("two")) == (30, 0)

    play(tmp_path, scenario, scripts={"one": error(400, "bad"), "two": OK}, step=BOTH)


def test_a_target_that_asked_for_time_gets_it_and_nobody_waits(tmp_path: Path) -> None:
    """At most one call of it until its time is over, and one at a time after."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        began = time.monotonic()
        while time.monotonic() - began < 4.5:
            got = await asyncio.wait_for(gateway.ask(), 1.5)
            assert got.status == 200
        assert 2 <= upstream.calls("one") <= 3
        calls = [seen.arrived for seen in upstream.seen if seen.account == "one"]
        assert all(later - earlier >= 1.99 for earlier, later in itertools.pairwise(calls))

    play(tmp_path, scenario, scripts={"one": limited(2), "two": OK}, step=BOTH)


def test_two_stray_429s_do_not_close_a_route(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(20):
            assert (await gateway.ask()).status == 200
        assert {row["target"] for row in gateway.engine.status()["state"]["holds"]} == {"one/m", "two/m"}

    scripts = {"one": [limited(30), *[OK] * 30], "two": [OK, OK, limited(30), *[OK] * 30]}
    play(tmp_path, scenario, scripts=scripts, step=BOTH)


def test_when_all_are_held_clients_are_told_when_to_come_back(tmp_path: Path) -> None:
    """Complaint 19: 429 with Retry-After of the earliest recovery, in the shape of OpenAI's errors, at once."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(6):
            await gateway.ask(x_interlock_deadline="200ms")
        calls = len(upstream.seen)
        for _ in range(20):
            got = await asyncio.wait_for(gateway.ask(), 0.2)
            assert (got.status, got.error["code"], got.error["type"]) == (429, "rate_limited", "rate_limit_error")
            assert 10 <= int(got.headers["retry-after"]) <= 20
            assert "x-should-retry" not in got.headers
        assert len(upstream.seen) - calls <= 2

    play(tmp_path, scenario, scripts={"one": limited(40), "two": limited(20)}, step=BOTH)


@pytest.mark.parametrize("failure", ["refused", "hanging", "500"])
def test_a_total_outage_is_left_alone_and_its_end_noticed(tmp_path: Path, failure: str) -> None:
    """Load stays bounded whatever is offered, clients are told, and both targets are back with the first answers."""
    down = {"now": True}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        async def offer(seconds: float) -> list[Any]:
            asked = []
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                asked.append(asyncio.create_task(gateway.ask()))
                await asyncio.sleep(0.01)
            return list(await asyncio.gather(*asked))

        await offer(0.6)
        upstream.seen.clear()
        replies = await offer(1.5)
        assert len(upstream.seen) < 0.3 * len(replies)
        refused = [got for got in replies if got.status == 503 and got.headers["x-interlock-attempts"] == "0"]
        assert len(refused) > 0.6 * len(replies)
        assert all(int(got.headers["retry-after"]) >= 1 and got.error["code"] == "overloaded" for got in refused)
        down["now"] = False
        back = time.monotonic()
        while (await gateway.ask()).status != 200:
            assert time.monotonic() - back < 0.6
            await asyncio.sleep(0.01)
        upstream.seen.clear()
        assert {got.status for got in await offer(0.5)} == {200}
        assert upstream.calls("one")
        assert upstream.calls("two")
        assert set(states(gateway).values()) == {"closed"}

    def answer(seen: Any) -> Answer:
        return FAILURES[failure] if down["now"] else OK

    policy = {"timeouts": {"attempt": "150ms"}, "retry": {"per_target": 1}}
    play(tmp_path, scenario, scripts={"one": answer, "two": answer}, step=EVEN, policy=policy)


def test_reject_refuses_at_once_and_a_reject_step_speaks_for_itself(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(5):
            await gateway.ask()
        calls = len(upstream.seen)
        got = await gateway.ask()
        assert (got.status, got.error["code"], got.headers["x-interlock-attempts"]) == (503, "overloaded", "0")
        assert 1 <= int(got.headers["retry-after"]) <= 10
        got = await gateway.ask(chat(model="told"))
        assert (got.status, got.error["message"]) == (509, "later")
        assert len(upstream.seen) == calls

    told = {"fallback": ["one/m", {"reject": {"status": 509, "message": "later"}}]}
    policy = {"breaker": {"consecutive": 2, "when_all_open": "reject"}, "retry": {"per_target": 1}}
    play(
        tmp_path,
        scenario,
        scripts={"one": error(500, "no")},
        policy=policy,
        more=[{"version": 1, "kind": "route", "name": "told", "step": told}],
    )


def test_a_refused_credential_is_not_sent_again_while_another_provider_serves(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(20):
            assert (await gateway.ask()).status == 200
        assert upstream.calls("one") == 1
        assert [row["provider"] for row in gateway.engine.status()["state"]["credentials"]] == ["one"]

    play(tmp_path, scenario, scripts={"one": error(401, "no", "invalid_api_key"), "two": OK}, step=BOTH)


def test_a_deadline_of_the_clients_own_opens_nothing(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(8):
            assert (await gateway.ask(x_interlock_deadline="30ms")).status == 504
        assert states(gateway) == {"one/m": "closed"}

    play(tmp_path, scenario, scripts={"one": (Do.STALL,)})
