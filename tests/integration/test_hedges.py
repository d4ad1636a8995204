"""A slow target and one beside it: who answers, who is told to stop, and how much more is sent."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest

from engine import Outcome

from .gateway import QUICK, Gateway, chat, play, read_head
from .upstream import START, Answer, Do, Script, Seen, Upstream, chunk, error, served, stream, until

DELAY = 0.1


def hedge(*steps: object, delay: str = "100ms", extra: str = "100%", **more: object) -> dict[str, Any]:
    """A hedge step; everything may be hedged unless it says less."""
    return {"hedge": {"delay": delay, "extra": extra, "steps": list(steps) or ["one/m", "two/m"], **more}}


def told(outcome: Outcome) -> list[tuple[str, str, bool]]:
    """What became of each attempt, in the order they ended."""
    return [(attempt.target, attempt.outcome_class.value, attempt.hedged) for attempt in outcome.attempts]


def late(streamed: bool, seconds: float) -> Answer:
    """A faultless answer after so long."""
    return (seconds, *served(streamed))


@pytest.mark.parametrize("streamed", [False, True])
def test_the_second_answers_for_a_slow_first_which_is_told_to_stop(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        began = time.monotonic()
        got = await gateway.ask(chat(streamed))
        took = time.monotonic() - began
        assert (got.status, got.headers["x-interlock-target"], got.headers["x-interlock-attempts"]) == (
            200,
            "two/m",
            "2",
        )
        assert (got.text if streamed else got.json["choices"][0]["message"]["content"]) == "Hello"
        assert DELAY < took < DELAY + 0.3
        await until(lambda: upstream.seen[0].left)
        assert (upstream.seen[0].left or 0.0) - began < DELAY + 0.3, "the loser's connection is closed at once"
        outcome = gateway.outcome
        assert told(outcome) == [("one/m", "cancelled", False), ("two/m", "served", True)]
        assert outcome.attempts[0].detail == "another target answered first"
        assert (outcome.outcome_class, outcome.target) == ("served", "two/m")
        assert outcome.usage is not None
        assert outcome.usage.output == 3

    play(tmp_path, scenario, scripts={"one": (Do.STALL,), "two": served(streamed)}, step=hedge())


@pytest.mark.parametrize("streamed", [False, True])
def test_the_first_may_still_win(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed))
        assert got.headers["x-interlock-target"] == "one/m"
        await until(lambda: upstream.seen[1].left)
        assert told(gateway.outcome) == [("two/m", "cancelled", True), ("one/m", "served", False)]

    play(tmp_path, scenario, scripts={"one": late(streamed, 0.2), "two": (Do.STALL,)}, step=hedge())


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_in_time_is_not_hedged(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await gateway.ask(chat(streamed))
        await asyncio.sleep(2 * DELAY)
        assert (told(gateway.outcome), len(upstream.seen)) == ([("one/m", "served", False)], 1)

    play(tmp_path, scenario, scripts={"one": served(streamed), "two": served(streamed)}, step=hedge())


def test_a_stream_that_has_begun_is_not_hedged_however_slowly_it_goes_on(tmp_path: Path) -> None:
    slow = stream(START, chunk("a"), 0.3, chunk("b"), chunk(finish="stop"), b"data: [DONE]\n\n")

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.text, len(upstream.seen)) == ("ab", 1)

    play(tmp_path, scenario, scripts={"one": slow, "two": served(True)}, step=hedge())


def test_what_leads_a_stream_is_no_output(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.text, got.headers["x-interlock-target"]) == ("Hello", "two/m")

    play(tmp_path, scenario, scripts={"one": stream(START, Do.STALL), "two": served(True)}, step=hedge())


def test_a_failure_before_the_delay_goes_on_at_once(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        began = time.monotonic()
        await gateway.ask()
        assert time.monotonic() - began < 5
        assert told(gateway.outcome) == [("one/m", "quota_exhausted", False), ("two/m", "served", False)]

    play(tmp_path, scenario, scripts={"one": error(402), "two": served(False)}, step=hedge(delay="9s"))


def test_a_failure_after_the_delay_waits_for_the_other_and_asks_nobody_again(tmp_path: Path) -> None:
    scripts = {"one": (0.2, *error(500)), "two": late(False, 0.3)}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).status == 200
        assert told(gateway.outcome) == [("one/m", "server_error", False), ("two/m", "served", True)]

    # Two attempts are all that may be made: the one under way is none more.
    play(tmp_path, scenario, scripts=scripts, step=hedge(), policy={"retry": {"max_attempts": 2}})


def test_the_other_fails_and_the_first_goes_on(tmp_path: Path) -> None:
    scripts = {"one": late(False, 0.3), "two": error(400), "three": served(False)}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).headers["x-interlock-target"] == "one/m"
        assert told(gateway.outcome) == [("two/m", "invalid_request", True), ("one/m", "served", False)]

    play(tmp_path, scenario, scripts=scripts, step={"fallback": [hedge(), "three/m"]})


def test_when_all_of_a_hedge_fail_what_stands_behind_it_serves(tmp_path: Path) -> None:
    scripts = {"one": (0.3, *error(402)), "two": error(402), "three": served(False)}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).headers["x-interlock-target"] == "three/m"
        assert told(gateway.outcome) == [
            ("two/m", "quota_exhausted", True),
            ("one/m", "quota_exhausted", False),
            ("three/m", "served", False),
        ]

    play(tmp_path, scenario, scripts=scripts, step={"fallback": [hedge(), "three/m"]})


def test_when_nobody_is_left_the_last_in_the_plan_says_why(tmp_path: Path) -> None:
    scripts = {"one": (0.3, *error(402)), "two": error(429, retry_after="9")}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask()
        assert (got.status, got.error["code"]) == (429, "rate_limited")

    play(tmp_path, scenario, scripts=scripts, step=hedge())


def test_each_step_is_given_the_delay_before_the_next_begins(tmp_path: Path) -> None:
    scripts: dict[str, Script] = {"one": [served(False), (Do.STALL,)], "two": (Do.STALL,), "three": served(False)}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await gateway.ask()  # leaves room for two more attempts of the next one
        assert (await gateway.ask()).headers["x-interlock-target"] == "three/m"
        starts = {attempt.target: attempt.started for attempt in gateway.outcomes[1].attempts}
        assert 0.9 * DELAY < starts["two/m"] < 1.8 * DELAY < starts["three/m"] < 4 * DELAY
        await until(lambda: all(seen.left for seen in upstream.seen[1:3]))

    play(tmp_path, scenario, scripts=scripts, step=hedge("one/m", "two/m", "three/m"))


def test_a_request_may_be_hedged_while_it_waits_to_try_again(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        began = time.monotonic()
        assert (await gateway.ask()).headers["x-interlock-target"] == "two/m"
        assert time.monotonic() - began < 5
        assert told(gateway.outcome) == [("one/m", "server_error", False), ("two/m", "served", True)]

    policy = {"retry": {"backoff": {"initial": "60s", "max": "60s"}}}
    play(tmp_path, scenario, scripts={"one": error(500), "two": served(False)}, step=hedge(), policy=policy)


def test_no_attempt_is_made_beside_the_last_that_may_be_made(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).status == 504
        assert told(gateway.outcome) == [("one/m", "server_error", False), ("one/m", "timeout", False)]
        assert upstream.calls("two") == 0

    policy = {"retry": {**QUICK, "max_attempts": 2}, "timeouts": {"attempt": "300ms"}}
    scripts: dict[str, Script] = {"one": [error(500), (Do.STALL,)], "two": served(False)}
    play(tmp_path, scenario, scripts=scripts, step=hedge(), policy=policy)


def test_the_deadline_ends_both(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(x_interlock_deadline="0.3")
        assert got.status == 504
        await until(lambda: all(seen.left for seen in upstream.seen))
        assert {attempt.target for attempt in gateway.outcome.attempts} == {"one/m", "two/m"}

    play(tmp_path, scenario, scripts={"one": (Do.STALL,), "two": (Do.STALL,)}, step=hedge())


@pytest.mark.parametrize("allowed", [False, True])
def test_requests_with_tools_are_hedged_only_where_that_is_said(tmp_path: Path, allowed: bool) -> None:
    tool = {"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(tools=[tool]))
        assert got.headers["x-interlock-target"] == ("two/m" if allowed else "one/m")
        assert upstream.calls("two") == (1 if allowed else 0)

    step = hedge(tools=True) if allowed else hedge()
    play(tmp_path, scenario, scripts={"one": late(False, 0.3), "two": served(False)}, step=step)


def test_who_forbids_failover_is_not_hedged(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(x_interlock_no_fallback="1")
        assert (got.headers["x-interlock-target"], len(upstream.seen)) == ("one/m", 1)

    play(tmp_path, scenario, scripts={"one": late(False, 0.3), "two": served(False)}, step=hedge())


MOMENTS: dict[str, tuple[bool, Answer]] = {
    "unstreamed": (False, (Do.STALL,)),
    "before the first output": (True, stream(START, Do.STALL)),
}


@pytest.mark.parametrize("asgi", [False, True])
@pytest.mark.parametrize("name", MOMENTS)
def test_a_client_that_leaves_ends_both(tmp_path: Path, name: str, asgi: bool) -> None:
    streamed, answer = MOMENTS[name]

    async def leave(gateway: Gateway, upstream: Upstream) -> float:
        upstream.seen.clear()
        gateway.outcomes.clear()
        _, writer = await gateway.send(chat(streamed))
        await until(lambda: len(upstream.seen) == 2)
        await asyncio.sleep(0.05)
        writer.transport.abort()
        left = time.monotonic()
        await until(lambda: gateway.outcomes and all(seen.left for seen in upstream.seen))
        assert gateway.outcome.outcome_class == "cancelled"
        assert sorted(told(gateway.outcome)) == [("one/m", "cancelled", False), ("two/m", "cancelled", True)]
        assert {attempt.detail for attempt in gateway.outcome.attempts} == {""}
        return max(seen.left or 0.0 for seen in upstream.seen) - left

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        # A busy machine may be late once or twice; another server's protocol asks only now and then.
        assert min([await leave(gateway, upstream) for _ in range(3)]) < (0.2 if asgi else 0.05)

    play(tmp_path, scenario, scripts={"one": answer, "two": answer}, step=hedge(), asgi=asgi)


def test_a_client_that_leaves_the_winner_in_its_output_ends_it(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        reader, writer = await gateway.send(chat(True))
        assert (await read_head(reader)).headers["x-interlock-target"] == "two/m"
        await reader.readuntil(b"\n\n")
        writer.transport.abort()
        await until(lambda: all(seen.left for seen in upstream.seen))
        await until(lambda: gateway.outcomes)
        assert told(gateway.outcome) == [("one/m", "cancelled", False), ("two/m", "cancelled", True)]

    play(tmp_path, scenario, scripts={"one": (Do.STALL,), "two": stream(START, chunk("x"), Do.STALL)}, step=hedge())


# -- load ----------------------------------------------------------------------------------------------------------

MANY = 400
SLOW = 1.0


def one_in(every: int) -> Any:
    """An account of which one request in so many is slow."""
    count = 0

    def answer(seen: Seen) -> Answer:
        nonlocal count
        count += 1
        return late(False, SLOW if count % every == 0 else 0.01)

    return answer


async def burst(gateway: Gateway) -> list[float]:
    """The times of :data:`MANY` requests, ten at a time, in order of size."""
    times: list[float] = []

    async def one(turn: asyncio.Semaphore) -> None:
        async with turn:
            began = time.monotonic()
            assert (await gateway.ask()).status == 200
            times.append(time.monotonic() - began)

    turn = asyncio.Semaphore(10)
    await asyncio.gather(*(one(turn) for _ in range(MANY)))
    return sorted(times)


def test_the_slowest_requests_become_faster_for_a_little_more_load(tmp_path: Path) -> None:
    """One target answers one request in 25 slowly; the other never does."""
    p99: dict[str, float] = {}

    def measured(name: str, step: object) -> Any:
        async def scenario(gateway: Gateway, upstream: Upstream) -> None:
            p99[name] = (await burst(gateway))[int(0.99 * MANY)]
            extra = sum(attempt.hedged for outcome in gateway.outcomes for attempt in outcome.attempts)
            assert MANY <= len(upstream.seen) <= MANY + extra, "some are cancelled before they were sent"
            if name == "hedged":
                assert 1 <= extra <= 0.1 * MANY
            else:
                assert extra == 0

        return scenario

    for name, step in (("plain", {"fallback": ["one/m", "two/m"]}), ("hedged", hedge(delay="60ms", extra="10%"))):
        play(tmp_path / name, measured(name, step), scripts={"one": one_in(25), "two": late(False, 0.01)}, step=step)
    assert p99["plain"] >= SLOW
    assert p99["hedged"] < SLOW / 2


def test_no_more_is_sent_than_was_declared_however_slow_all_are(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await burst(gateway)
        extra = sum(attempt.hedged for outcome in gateway.outcomes for attempt in outcome.attempts)
        assert 0 < extra <= 0.05 * MANY
        assert MANY <= len(upstream.seen) <= MANY + extra, "some are cancelled before they were sent"

    scripts = {"one": late(False, 0.05), "two": late(False, 0.05)}
    play(tmp_path, scenario, scripts=scripts, step=hedge(delay="20ms", extra="5%"))


def test_whatever_happens_to_many_at_once_nothing_is_left_and_all_is_counted(tmp_path: Path) -> None:
    """Slow, failing, stalled and broken answers, streamed or not, and clients that leave at any moment."""
    chance = random.Random(7)

    def mixed(seen: Seen) -> Answer:
        streamed = bool(seen.body.get("stream"))
        answers: list[Answer] = [
            served(streamed),
            late(streamed, chance.uniform(0.0, 0.1)),
            (chance.uniform(0.0, 0.1), *error(500)),
            (Do.STALL,),
            (Do.CLOSE,),
            (stream(START, chunk("x"), Do.CLOSE, end=False) if streamed else (b"nonsense", Do.CLOSE)),
        ]
        return chance.choices(answers, [4, 4, 2, 1, 1, 1])[0]

    async def one(gateway: Gateway) -> None:
        reader, writer = await gateway.send(chat(chance.random() < 0.5))
        try:
            async with asyncio.timeout(chance.choice([0.01, 0.03, 0.06, 2.0])):
                await reader.read(100_000)
        except (TimeoutError, ConnectionError):
            pass
        writer.transport.abort()

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(10):
            await asyncio.gather(*(one(gateway) for _ in range(30)))
        await until(lambda: len(gateway.outcomes) == 300)
        attempts = [attempt for outcome in gateway.outcomes for attempt in outcome.attempts]
        assert 0 < sum(attempt.hedged for attempt in attempts) <= 0.5 * 300
        assert all(sum(a.outcome_class == "served" for a in o.attempts) <= 1 for o in gateway.outcomes)
        assert all(o.attempts[-1].outcome_class == "served" for o in gateway.outcomes if o.outcome_class == "served"), (
            "who served is recorded last"
        )
        assert len({outcome.request_id for outcome in gateway.outcomes}) == 300

    policy = {"timeouts": {"attempt": "300ms", "first_token": "300ms", "total": "1s"}, "retry": QUICK}
    step = {"fallback": [hedge(delay="20ms", extra="50%"), "three/m"]}
    play(tmp_path, scenario, scripts=dict.fromkeys(("one", "two", "three"), mixed), step=step, policy=policy)
