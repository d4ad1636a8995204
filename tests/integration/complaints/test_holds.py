"""Complaints 16 to 19: how long a failing target is left alone, who is closed for nothing, what clients are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ..gateway import QUICK, Gateway, chat, play
from ..upstream import DONE, START, STOP, Answer, Do, Upstream, chunk, error, served, stream, whole

OK = served(False)
BOTH = {"fallback": ["one/m", "two/m"]}
ONCE: dict[str, Any] = {"retry": {"per_target": 1, **QUICK}}
#: Opens soon, and stays open for longer than any test.
QUICKLY: dict[str, Any] = {**ONCE, "breaker": {"min_requests": 4, "consecutive": 4, "open_for": "1m"}}


async def accounts(gateway: Gateway, upstream: Upstream, requests: int = 1, streamed: bool = False) -> list[str]:
    """Which accounts were asked for these requests, one after the other."""
    before = len(upstream.seen)
    for _ in range(requests):
        await gateway.ask(chat(streamed))
    return [seen.account for seen in upstream.seen[before:]]


# -- 16: a second 429 ends the hold of the first ----------------------------------------------------------------------


@pytest.mark.parametrize("order", ["the longer first", "the shorter first"])
def test_16_of_two_holds_the_later_end_counts(tmp_path: Path, order: str) -> None:
    """Both requests were under way when the first answer came, as in a burst."""
    waits = ["60", "0.2"] if order == "the longer first" else ["0.2", "60"]
    answers = iter([(0.1, *error(429, retry_after=waits[0])), (0.2, *error(429, retry_after=waits[1]))])

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await asyncio.gather(gateway.ask(), gateway.ask())
        assert upstream.calls("one") == 2
        await asyncio.sleep(0.5)
        assert await accounts(gateway, upstream, 3) == ["two"] * 3

    play(tmp_path, scenario, scripts={"one": lambda seen: next(answers, OK), "two": OK}, step=BOTH, policy=ONCE)


# -- 17: a replica keeps a hold past its end --------------------------------------------------------------------------


def test_17_a_hold_ends_when_the_upstream_said_and_not_later(tmp_path: Path) -> None:
    """Its end is a moment and not a length: looking at it, or asking meanwhile, does not put it off."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert await accounts(gateway, upstream) == ["one", "two"]
        began = asyncio.get_running_loop().time()
        while upstream.calls("one") == 1:
            await gateway.ask()
            await asyncio.sleep(0.02)
            assert asyncio.get_running_loop().time() - began < 5.0
        assert 0.85 < asyncio.get_running_loop().time() - began < 2.0

    play(tmp_path, scenario, scripts={"one": [error(429, retry_after="1"), OK], "two": OK}, step=BOTH, policy=ONCE)


# -- 18: one failure closes a target, what is not the target's fault does, and a lone target is closed too ------------


def test_18_one_failure_is_no_reason_to_close(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert await accounts(gateway, upstream) == ["one", "two"]
        assert await accounts(gateway, upstream, 3) == ["one"] * 3

    play(tmp_path, scenario, scripts={"one": [error(500), OK], "two": OK}, step=BOTH, policy=QUICKLY)


#: What closes a target once it happened often enough, and what never does.
FAULTS: dict[str, tuple[Answer, bool]] = {
    "a server error": (error(500), True),
    "overload": (error(529), True),
    "a reset": ((Do.RESET,), True),
    "no answer": ((Do.STALL,), True),
    "garbage": (whole(200, b"<html>", "text/html"), True),
    "the caller's mistake": (error(400), False),
    "a context that is too long": (error(400, code="context_length_exceeded"), False),
    "a refusal": (error(400, code="content_filter"), False),
}


@pytest.mark.parametrize("name", FAULTS)
def test_18_only_what_is_the_targets_fault_closes_it(tmp_path: Path, name: str) -> None:
    answer, closes = FAULTS[name]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await accounts(gateway, upstream, 6)
        before = upstream.calls("one")
        await accounts(gateway, upstream, 5)
        assert upstream.calls("one") - before == (0 if closes else 5)

    policy = {**QUICKLY, "timeouts": {"attempt": "100ms"}}
    play(tmp_path, scenario, scripts={"one": answer, "two": OK}, step=BOTH, policy=policy)


@pytest.mark.parametrize("broken", [(Do.CLOSE,), (Do.RESET,), ()], ids=["closed", "reset", "ended without a mark"])
def test_11_18_streams_that_break_off_close_a_target_too(tmp_path: Path, broken: Any) -> None:
    """They began with a 200, and that is no success."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await accounts(gateway, upstream, 4, streamed=True)
        assert await accounts(gateway, upstream, 2, streamed=True) == ["two"] * 2

    half = stream(START, chunk("half"), *broken, end=not broken)
    fine = stream(START, chunk("x"), STOP, DONE)
    play(tmp_path, scenario, scripts={"one": half, "two": fine}, step=BOTH, policy=QUICKLY)


#: How services say that there is no money left; a retry or two will not mend it.
NO_MONEY: dict[str, tuple[str, Answer]] = {
    "OpenAI": ("openai-chat", error(429, code="insufficient_quota")),
    "payment required": ("openai-chat", error(402)),
    "Anthropic's 400": (
        "anthropic-messages",
        whole(
            400,
            {
                "type": "error",
                "error": {
                    "type": "invalid_request_error",
                    "message": "Your credit balance is too low to access the Anthropic API.",
                },
            },
        ),
    ),
    "a key that is refused": ("openai-chat", error(401)),
}


@pytest.mark.parametrize("name", NO_MONEY)
def test_18_no_money_and_a_bad_key_close_the_credential_at_once(tmp_path: Path, name: str) -> None:
    """Also where it is told as a 400, which elsewhere is the caller's affair."""
    dialect, answer = NO_MONEY[name]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert await accounts(gateway, upstream) == ["one", "two"]
        assert await accounts(gateway, upstream, 5) == ["two"] * 5

    providers = {"one": {"dialect": dialect}}
    models = {"one": {"max_output": 100}}
    scripts: dict[str, Answer] = {"one": answer, "two": OK}
    play(tmp_path, scenario, scripts=scripts, step=BOTH, policy=QUICKLY, providers=providers, models=models)


@pytest.mark.parametrize("answer", [error(500), error(429, retry_after="30")], ids=["failing", "held"])
def test_18_a_target_that_stands_alone_is_tried_now_and_then(tmp_path: Path, answer: Answer) -> None:
    """``when_all_open: least_bad``, the default: nobody is locked out by a verdict on the only target there is."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(8):
            await gateway.ask(x_interlock_deadline="1s")
        upstream.scripts["one"] = OK
        began = asyncio.get_running_loop().time()
        while (await gateway.ask(x_interlock_deadline="1s")).status != 200:
            await asyncio.sleep(0.02)
            assert asyncio.get_running_loop().time() - began < 3.0

    play(tmp_path, scenario, scripts={"one": answer}, policy=QUICKLY)


# -- 19: "all are down" does not say until when -----------------------------------------------------------------------


def test_19_where_all_are_closed_the_client_is_told_when_the_first_one_opens(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask()
        for _ in range(8):
            got = await gateway.ask()
        assert await accounts(gateway, upstream) == []
        assert got.status == 503
        assert set(got.error) == {"message", "type", "code", "param"}
        assert 50 <= int(got.headers["retry-after"]) <= 60

    policy = {**QUICKLY, "breaker": {**QUICKLY["breaker"], "when_all_open": "reject"}}
    play(tmp_path, scenario, scripts={"one": error(500), "two": error(500)}, step=BOTH, policy=policy)


def test_19_where_all_are_rate_limited_the_client_is_told_the_earliest_end(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(2):
            got = await gateway.ask(x_interlock_deadline="2s")
            assert (got.status, got.error["code"]) == (429, "rate_limited")
            assert 15 <= int(got.headers["retry-after"]) <= 20

    scripts: dict[str, Answer] = {"one": error(429, retry_after="40"), "two": error(429, retry_after="20")}
    play(tmp_path, scenario, scripts=scripts, step=BOTH, policy=ONCE)
