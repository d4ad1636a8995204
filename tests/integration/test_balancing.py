"""Balances over the wire: a slow upstream costs little, what replies say of limits is kept to, turns stay together."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from .gateway import Gateway, chat, play
from .upstream import (
    DONE,
    LAST,
    START,
    STOP,
    Answer,
    Seen,
    Upstream,
    chunk,
    completion,
    error,
    head,
    piece,
    served,
    whole,
)

MEMBERS = ["one/m", "two/m", "three/m"]
QUICK, SLOW = 0.1, 1.0


def balance(by: str, *members: str, **more: object) -> dict[str, Any]:
    return {"balance": {"by": by, "steps": list(members or MEMBERS), **more}}


def after(seconds: float, streamed: bool) -> Answer:
    """A faultless answer whose output comes after a pause."""
    return (seconds, *served(streamed))


async def load(gateway: Gateway, count: int, streamed: bool, at_once: int = 12, name: str = "r") -> list[float]:
    """So many requests, a few at a time: how long each took to its first output, in order of size.

    Their ids, and with them every draw, are the same each time.
    """
    times: list[float] = []
    numbers = iter(range(count))

    async def client() -> None:
        for number in numbers:
            began = time.monotonic()
            got = await gateway.ask(chat(streamed), x_request_id=f"{name}-{number}")
            assert got.status == 200
            times.append(got.pieces[0][0] - began)

    await asyncio.gather(*(client() for _ in range(at_once)))
    return sorted(times)


@pytest.mark.parametrize("streamed", [False, True])
def test_one_of_three_ten_times_slower_gets_next_to_nothing(tmp_path: Path, streamed: bool) -> None:
    """What that does to the slowest hundredth is measured where no other program disturbs: in the simulation."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await load(gateway, 60, streamed, name="warm")
        warm = {name: upstream.calls(name) for name in ("one", "two", "three")}
        times = await load(gateway, 300, streamed)
        parts = {name: (upstream.calls(name) - before) / 300 for name, before in warm.items()}
        assert parts["three"] < 0.03  # by what is under way alone it would be 0.048, by weight 0.333
        assert 0.3 < parts["one"] < 0.7
        assert times[int(0.95 * len(times))] < SLOW
        rows = gateway.engine.explain(chat(streamed)).to_dict()["balances"][0]["members"]
        assert all(row["because"].startswith("estimated ") for row in rows)

    quick = after(QUICK, streamed)
    scripts = {"one": quick, "two": quick, "three": after(SLOW, streamed)}
    play(tmp_path, scenario, scripts=scripts, step=balance("latency"))


def test_an_upstream_that_fails_at_once_attracts_nothing(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await load(gateway, 200, False)
        assert upstream.calls("one") < 30

    scripts = {"one": error(500), "two": after(0.02, False), "three": after(0.02, False)}
    rules = {"retry": {"per_target": 1}, "breaker": {"consecutive": 1_000_000, "min_requests": 1_000_000}}
    play(tmp_path, scenario, scripts=scripts, step=balance("latency"), policy=rules)


class Limited:
    """An account that takes so many requests a minute, says so in every reply, and refuses what comes beyond."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self.refused = 0

    def __call__(self, seen: Seen) -> Answer:
        self.taken += 1
        left = max(self.limit - self.taken, 0)
        told = {
            "x_ratelimit_limit_requests": str(self.limit),
            "x_ratelimit_remaining_requests": str(left),
            "x_ratelimit_reset_requests": "1m0s",
        }
        if self.taken > self.limit:
            self.refused += 1
            return error(429, **told)
        if seen.body.get("stream"):
            events = (piece(part) for part in (START, chunk("Hello"), STOP, DONE))
            return (head(200, "text/event-stream", transfer_encoding="chunked", **told), *events, LAST)
        return whole(200, completion("Hello"), **told)


@pytest.mark.parametrize("streamed", [False, True])
def test_what_replies_say_of_limits_is_kept_to(tmp_path: Path, streamed: bool) -> None:
    one, two = Limited(30), Limited(300)

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await load(gateway, 200, streamed, at_once=4)
        assert one.refused == two.refused == 0
        assert two.taken > 150
        assert one.taken > 10
        left = gateway.engine.state.headroom.export(time.time())
        assert left["two/m"][0]["remaining"] <= 300 - two.taken + 4
        assert 55 < left["two/m"][0]["resets_in"] < 61

    play(tmp_path, scenario, scripts={"one": one, "two": two}, step=balance("usage", *MEMBERS[:2]))


def test_limits_are_read_for_targets_in_balances_by_usage_only(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await load(gateway, 10, False)
        assert gateway.engine.graph.metered == frozenset({"three/m"})
        assert gateway.engine.state.headroom.export(time.time()) == {}

    spare = {"version": 1, "kind": "route", "name": "spare", "step": balance("usage", "three/m")}
    play(
        tmp_path,
        scenario,
        scripts={"one": Limited(99), "two": Limited(99)},
        step=balance("weighted", *MEMBERS[:2]),
        more=[spare],
    )


def test_the_turns_of_a_conversation_go_to_one_upstream(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        used = set()
        for talk in range(12):
            turns: list[dict[str, str]] = [{"role": "system", "content": "Be brief."}]
            seen = set()
            for turn in range(4):
                turns.append({"role": "user", "content": f"Question {turn} of {talk}?"})
                got = await gateway.ask(chat(messages=turns))
                turns.append({"role": "assistant", "content": "Yes."})
                seen.add(got.headers["x-interlock-target"])
            assert len(seen) == 1
            used |= seen
        assert len(used) == 3

    ok = served(False)
    play(tmp_path, scenario, scripts={"one": ok, "two": ok, "three": ok}, step=balance("hash", key="prompt"))


def test_the_cheapest_is_tried_first(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask(chat())).headers["x-interlock-target"] == "two/m"
        assert upstream.calls("three") == 0

    prices = {"one": {"price": {"input": 3, "output": 9}}, "two": {"price": {"input": 1, "output": 2}}}
    ok = served(False)
    play(tmp_path, scenario, scripts={"one": ok, "two": ok, "three": ok}, step=balance("cheapest"), models=prices)
