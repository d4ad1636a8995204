"""Limits on what callers may ask: by key, by metadata, for all; what they read; what is given back, however it ends."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .gateway import Gateway, Got, chat, play
from .upstream import START, Do, Upstream, chunk, error, served, stream, until

OK = served(False)


def limit(*limits: Mapping[str, Any], name: str = "fair", **changes: Any) -> dict[str, Any]:
    return {"version": 1, "kind": "limit", "name": name, "limits": list(limits), **changes}


def key(name: str, **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {"version": 1, "kind": "key", "name": name, "sha256": digest, "scopes": ["use"], **changes}


def used(gateway: Gateway, claim: str) -> int:
    """What counts against a limit at this moment."""
    return int(gateway.engine.state.store.used(claim, asyncio.get_running_loop().time()))  # type: ignore[attr-defined]


def held(gateway: Gateway) -> int:
    return used(gateway, "limit/fair/all/concurrency")


def test_each_key_has_its_own_count_and_reads_how_much_is_left(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for left in (1, 0):
            got = await gateway.ask(authorization="Bearer a")
            assert got.status == 200
            assert got.headers["x-ratelimit-limit-requests"] == "2"
            assert got.headers["x-ratelimit-remaining-requests"] == str(left)
            assert got.headers["x-ratelimit-reset-requests"].startswith(("1m", "59."))
        refused = await gateway.ask(authorization="Bearer a")
        assert refused.status == 429
        assert refused.error["code"] == "over_limit"
        assert refused.error["type"] == "insufficient_quota"
        assert 'Limit "fair" of 2 requests in 1m is used up' in refused.error["message"]
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert int(refused.headers["retry-after"]) in (59, 60)
        assert refused.headers["x-interlock-attempts"] == "0"
        assert "x-should-retry" not in refused.headers
        assert (await gateway.ask(authorization="Bearer b")).status == 200
        assert upstream.calls("one") == 3

    more = [key("a"), key("b"), limit({"requests": 2, "per": "1m"}, each="key")]
    play(tmp_path, scenario, scripts={"one": OK}, more=more)


def test_values_of_metadata_and_their_absence_count_apart_and_the_tightest_of_several_is_told(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for team, status in (("x", 200), ("y", 200), ("x", 429), (None, 200), (None, 429)):
            got = await gateway.ask(chat(**({"metadata": {"team": team}} if team else {})))
            assert got.status == status, team
            assert got.headers["x-ratelimit-limit-requests"] == "1"
        assert used(gateway, "limit/wide/all/requests/3600") == 3

    more = [
        limit({"requests": 1, "per": "1m"}, each="metadata.team"),
        limit({"requests": 100, "per": "1h"}, name="wide"),
    ]
    play(tmp_path, scenario, scripts={"one": OK}, more=more)


def test_a_wait_as_long_as_was_told_is_enough(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).status == 200
        refused = await gateway.ask()
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        text = refused.headers["x-ratelimit-reset-requests"]
        await asyncio.sleep(float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1]))
        assert (await gateway.ask()).status == 200

    play(tmp_path, scenario, scripts={"one": OK}, more=[limit({"requests": 1, "per": "1s"})])


@pytest.mark.parametrize("streamed", [False, True])
def test_tokens_are_reserved_at_worst_and_settled_to_what_was_used(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        claim = "limit/fair/all/tokens/60"
        first = await gateway.ask(chat(streamed, max_tokens=300))
        assert int(first.headers["x-ratelimit-remaining-tokens"]) < 100
        await until(lambda: gateway.outcomes)
        assert used(gateway, claim) == 10
        # An answer that is an error has used nothing; one that breaks off keeps its reserve, because nobody knows.
        upstream.scripts["one"] = error(400)
        assert (await gateway.ask(chat(streamed, max_tokens=300))).status == 400
        assert used(gateway, claim) == 10
        upstream.scripts["one"] = (Do.RESET,)
        assert (await gateway.ask(chat(streamed, max_tokens=100))).status == 502
        assert used(gateway, claim) > 110
        refused = await gateway.ask(chat(streamed, max_tokens=300))
        assert (refused.status, refused.error["code"]) == (429, "over_limit")
        assert "a smaller max_tokens takes less" in refused.error["message"]
        upstream.scripts["one"] = served(streamed)
        assert (await gateway.ask(chat(streamed, max_tokens=20))).status == 200
        huge = await gateway.ask(chat(streamed, messages=[{"role": "user", "content": "x" * 4000}]))
        assert (huge.status, huge.headers["x-should-retry"]) == (429, "false")
        assert "retry-after" not in huge.headers
        assert "input tokens" in huge.error["message"]

    more = [limit({"tokens": 400, "per": "1m"})]
    play(tmp_path, scenario, scripts={"one": served(streamed)}, more=more, policy={"retry": {"per_target": 1}})


SLOW = stream(START, chunk("a"), Do.STALL)


def test_places_are_given_back_however_a_request_ends(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        ends: list[tuple[Any, bool]] = [(OK, False), (error(500), False), ((Do.RESET,), True)]
        ends += [(stream(START, chunk("a"), Do.CLOSE), True), (served(True), True), ((0.05, *OK), False)]
        for script, streamed in ends:
            upstream.scripts["one"] = script
            await gateway.ask(chat(streamed))
            await until(lambda: held(gateway) == 0)
        for streamed, script in ((False, (Do.STALL,)), (True, (Do.STALL,)), (True, SLOW)):
            upstream.scripts["one"] = script
            _, writer = await gateway.send(chat(streamed))
            await until(lambda: held(gateway) == 1)
            refused = await gateway.ask()
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
            writer.close()
            await until(lambda: held(gateway) == 0)

    more = [limit({"concurrency": 1})]
    play(tmp_path, scenario, scripts={"one": OK}, more=more, policy={"retry": {"per_target": 1}})


def test_what_is_refused_or_routed_nowhere_takes_nothing(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask(chat(model="other"))).status == 404
        assert used(gateway, "limit/fair/all/requests/60") == 0
        plan = gateway.engine.explain(chat())
        assert (plan.stop, len(plan.limits)) == (None, 1)
        assert (await gateway.ask()).status == 200
        told = gateway.engine.explain(chat())
        assert (told.stop, told.status) == ("over_limit", 429)
        assert used(gateway, "limit/fair/all/requests/60") == 1

    play(tmp_path, scenario, scripts={"one": OK}, more=[limit({"requests": 1, "per": "1m"})])


def test_many_at_once_take_no_more_than_there_is(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await asyncio.gather(*(gateway.ask() for _ in range(40)))
        assert sorted(reply.status for reply in got) == [200] * 15 + [429] * 25
        assert upstream.calls("one") == 15

    more = [limit({"requests": 15, "per": "1m"}, {"concurrency": 40})]
    play(tmp_path, scenario, scripts={"one": OK}, more=more)


def test_other_clients_read_the_refusal_in_their_own_protocol(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        body = {"model": "chat", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
        assert (await gateway.ask(body, "/v1/messages")).status == 200
        refused: Got = await gateway.ask(body, "/v1/messages")
        assert refused.status == 429
        assert refused.json["type"] == "error"
        assert "is used up" in refused.error["message"]

    play(tmp_path, scenario, scripts={"one": OK}, more=[limit({"requests": 1, "per": "1m"})])


def test_an_edit_keeps_what_was_counted(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).status == 200
        file = tmp_path / "policies" / "all.yaml"
        file.write_text(file.read_text("utf-8").replace('"requests": 1,', '"requests": 2,'), encoding="utf-8")
        assert await gateway.engine.reload() == ()
        assert [(await gateway.ask()).status for _ in range(2)] == [200, 429]

    play(tmp_path, scenario, scripts={"one": OK}, more=[limit({"requests": 1, "per": "1m"})])
