"""Limits of providers: never passed, waited for in turn where nobody else can serve, over several accounts."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from .gateway import Gateway, chat, play
from .upstream import START, Answer, Do, Seen, Upstream, chunk, error, served, stream, until

OK = served(False)
ANYONE = {"balance": {"by": "weighted", "steps": ["one/m", "two/m"]}}


def provider(*limits: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"limits": list(limits), **changes}


def settings(**limits: Any) -> dict[str, Any]:
    return {"version": 1, "kind": "settings", "name": "server", "limits": limits}


def key(name: str) -> dict[str, Any]:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {"version": 1, "kind": "key", "name": name, "sha256": digest, "scopes": ["use"]}


def busiest(seen: Iterable[Seen], per: float) -> int:
    """The most requests that arrived in any window of ``per`` seconds."""
    moments = sorted(request.arrived for request in seen)
    return max(sum(end - per < at <= end for at in moments) for end in moments)


def calls(upstream: Upstream, account: str) -> list[Seen]:
    return [seen for seen in upstream.seen if seen.account == account]


def test_three_times_what_one_may_take_is_served_by_two_and_neither_is_asked_for_more(tmp_path: Path) -> None:
    """Thirty at a time where each may take ten a second: none is lost, none of the two is asked for more."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await asyncio.gather(*(gateway.ask() for _ in range(30)))
        assert [reply.status for reply in got] == [200] * 30
        for account in ("one", "two"):
            assert busiest(calls(upstream, account), 1.0) <= 10
        assert {reply.headers["x-interlock-attempts"] for reply in got} == {"1"}
        assert gateway.engine.state.desks.waiting() == {}

    rate = provider({"requests": 10, "per": "1s"})
    scripts = {"one": OK, "two": OK}
    play(tmp_path, scenario, scripts=scripts, step=ANYONE, providers={"one": rate, "two": rate})


def test_one_without_room_is_passed_over_while_another_serves_and_explain_says_so(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        began = time.monotonic()
        got = [await gateway.ask() for _ in range(4)]
        assert [reply.headers["x-interlock-target"] for reply in got] == ["one/m", "two/m", "two/m", "two/m"]
        assert time.monotonic() - began < 1
        view = gateway.engine.snapshot.clients.view(gateway.engine.state)
        step = gateway.engine.graph.routes["chat"].step.steps[0]  # type: ignore[union-attr]
        closure = view.closed(step, time.time())
        assert closure is not None
        assert (closure.reason, closure.until > time.time() + 50) == ("limit", True)

    providers = {"one": provider({"requests": 1, "per": "1m"})}
    step = {"fallback": ["one/m", "two/m"]}
    play(tmp_path, scenario, scripts={"one": OK, "two": OK}, step=step, providers=providers)


def test_what_was_passed_over_is_waited_for_when_the_others_have_failed(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).status == 200
        got = await gateway.ask()
        assert (got.status, got.headers["x-interlock-target"]) == (200, "one/m")
        assert [attempt.target for attempt in gateway.outcomes[1].attempts] == ["two/m", "one/m"]
        assert busiest(calls(upstream, "one"), 0.4) == 1

    providers = {"one": provider({"requests": 1, "per": "400ms"})}
    step = {"fallback": ["one/m", "two/m"]}
    play(tmp_path, scenario, scripts={"one": OK, "two": error(404)}, step=step, providers=providers)


def test_turns_in_the_line_are_fair_between_callers(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        first = await gateway.send(authorization="Bearer greedy")
        await until(lambda: upstream.seen)
        order: list[str] = []

        async def ask(who: str) -> None:
            got = await gateway.ask(authorization=f"Bearer {who}")
            assert got.status == 200
            order.append(who)

        greedy = [asyncio.create_task(ask("greedy")) for _ in range(12)]
        await until(lambda: gateway.engine.state.desks.waiting() == {"one": 12})
        modest = [asyncio.create_task(ask("modest")) for _ in range(3)]
        await until(lambda: gateway.engine.state.desks.waiting() == {"one": 15})
        await asyncio.gather(*greedy, *modest)
        first[1].close()
        assert Counter(order[:7])["modest"] == 3
        assert len(order) == 15

    scripts = {"one": (0.05, *OK)}
    more = [key("greedy"), key("modest")]
    play(tmp_path, scenario, scripts=scripts, providers={"one": provider({"concurrency": 1})}, more=more)


def test_who_leaves_the_line_frees_a_place_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        _, busy = await gateway.send()
        await until(lambda: upstream.seen)
        waiting = [await gateway.send() for _ in range(3)]
        await until(lambda: gateway.engine.state.desks.waiting() == {"one": 3})
        for _, writer in waiting[:2]:
            writer.close()
        await until(lambda: gateway.engine.state.desks.waiting() == {"one": 1})
        upstream.scripts["one"] = OK
        busy.close()
        await until(lambda: len(upstream.seen) == 2)
        await until(lambda: any(outcome.status == 200 for outcome in gateway.outcomes))
        waiting[2][1].close()
        assert gateway.engine.state.desks.waiting() == {}

    play(tmp_path, scenario, scripts={"one": (Do.STALL,)}, providers={"one": provider({"concurrency": 1})})


@pytest.mark.parametrize(
    ("limits", "asked", "seconds"),
    [
        ({"queue": {"length": 0}}, {}, 0.0),
        ({"queue": {"wait": "200ms"}}, {}, 0.2),
        ({}, {"x_interlock_deadline": "200ms"}, 0.2),
    ],
)
def test_a_full_line_and_one_that_takes_too_long_refuse(
    tmp_path: Path, limits: dict[str, Any], asked: dict[str, str], seconds: float
) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        _, busy = await gateway.send()
        await until(lambda: upstream.seen)
        began = time.monotonic()
        got = await gateway.ask(**asked)
        assert seconds <= time.monotonic() - began < seconds + 0.3
        assert (got.status, got.error["code"], got.headers["retry-after"]) == (429, "rate_limited", "1")
        assert got.headers["x-interlock-attempts"] == "0"
        busy.close()

    providers = {"one": provider({"concurrency": 1})}
    play(tmp_path, scenario, scripts={"one": (Do.STALL,)}, providers=providers, more=[settings(**limits)])


def test_nobody_waits_in_vain(tmp_path: Path) -> None:
    """Where a window cannot have room before the deadline, the refusal comes at once and says when it will."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).status == 200
        began = time.monotonic()
        got = await gateway.ask(x_interlock_deadline="5s")
        assert time.monotonic() - began < 0.5
        assert (got.status, got.error["code"]) == (429, "rate_limited")
        assert 58 <= int(got.headers["retry-after"]) <= 61

    play(tmp_path, scenario, scripts={"one": OK}, providers={"one": provider({"requests": 1, "per": "1m"})})


@pytest.mark.parametrize("streamed", [False, True])
def test_a_place_is_held_as_long_as_the_upstream_works(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        ends: list[Answer] = [served(streamed), error(500), (Do.RESET,)]
        ends += [stream(START, chunk("a"), Do.CLOSE), stream(START, chunk("a"), 0.05, chunk("b"), Do.RESET)] * streamed
        for script in ends:
            upstream.scripts["one"] = script
            got = await asyncio.gather(*(gateway.ask(chat(streamed)) for _ in range(3)))
            assert len(got) == 3
        together, most = 0, 0
        for _, change in sorted([(s.arrived, 1) for s in upstream.seen]):
            together += change
            most = max(most, together)
        store: Any = gateway.engine.state.store
        await until(lambda: store.used("provider/one/concurrency", asyncio.get_running_loop().time()) == 0)

    providers = {"one": provider({"concurrency": 2})}
    play(tmp_path, scenario, scripts={"one": OK}, providers=providers, policy={"retry": {"per_target": 1}})


def test_concurrency_is_never_passed(tmp_path: Path) -> None:
    under_way = most = 0

    def enter() -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        return True

    def leave() -> bool:
        nonlocal under_way
        under_way -= 1
        return True

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await asyncio.gather(*(gateway.ask() for _ in range(40)))
        assert [reply.status for reply in got] == [200] * 40
        assert most == 4

    script = (enter, 0.01, leave, *OK)
    play(tmp_path, scenario, scripts={"one": script}, providers={"one": provider({"concurrency": 4})})


def test_tokens_count_as_they_are_used(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        # Each may use about 60 and uses 10: reserved one after the other, ten times as many fit as reserved at once.
        for _ in range(6):
            assert (await gateway.ask(chat(max_tokens=50))).status == 200
        store: Any = gateway.engine.state.store
        assert store.used("provider/one/tokens/60", asyncio.get_running_loop().time()) == 60

    play(tmp_path, scenario, scripts={"one": OK}, providers={"one": provider({"tokens": 120, "per": "1m"})})


SECRETS = {"scheme": "bearer", "secrets": [{"env": "ONE_KEY"}, {"env": "TWO_KEY"}]}


def sent(upstream: Upstream) -> list[str]:
    return [seen.headers["authorization"].rpartition("-")[2] for seen in upstream.seen]


def test_several_accounts_take_turns_and_each_has_the_limits_to_itself(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert [(await gateway.ask()).status for _ in range(4)] == [200] * 4
        assert sent(upstream) == ["one", "two"] * 2
        refused = await gateway.ask(x_interlock_deadline="1s")
        assert refused.status == 429

    providers = {"one": provider({"requests": 2, "per": "1m"}, auth=SECRETS)}
    play(tmp_path, scenario, scripts={"one": OK}, providers=providers)


@pytest.mark.parametrize(("status", "streamed"), [(401, False), (429, False), (429, True), (402, False)])
def test_what_one_account_is_refused_for_closes_that_one_only(tmp_path: Path, status: int, streamed: bool) -> None:
    def answer(seen: Seen) -> Answer:
        return error(status) if seen.headers["authorization"].endswith("one") else served(streamed)

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(4):
            assert (await gateway.ask(chat(streamed))).status == 200
        assert sent(upstream) == ["one", "two", "two", "two", "two"]
        upstream.scripts["one"] = lambda seen: error(status, f"Refused: {seen.headers['authorization']}")
        code = {401: "unauthorized", 402: "quota_exhausted", 429: "rate_limited"}[status]
        for _ in range(2):
            began = time.monotonic()
            refused = await gateway.ask(chat(streamed), x_interlock_deadline="1s")
            assert (refused.status, refused.error["code"]) == (429 if status == 429 else 502, code)
            assert time.monotonic() - began < 0.5
            assert len(upstream.seen) == 6

    play(tmp_path, scenario, scripts={"one": answer}, providers={"one": provider(auth=SECRETS)})


def test_an_account_whose_secret_is_not_set_is_left_out(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert [(await gateway.ask()).status for _ in range(3)] == [200] * 3
        assert sent(upstream) == ["two"] * 3

    env = {"TWO_KEY": "sk-canary-of-two"}
    play(tmp_path, scenario, scripts={"one": OK}, providers={"one": provider(auth=SECRETS)}, env=env)
