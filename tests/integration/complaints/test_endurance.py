"""Complaints 28 to 30: what grows, what leaks, and what is only true of small numbers."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ..gateway import SECRET, Gateway, chat, configuration, environ, play, read_body, read_head, serving
from ..upstream import DONE, LAST, START, STOP, Answer, Do, Seen, Upstream, chunk, error, piece, served, stream, until

#: Streams that are open at the same time. Each is two sockets of this process, and two of the upstream's.
OPEN = 2_000

# -- 28: memory grows -------------------------------------------------------------------------------------------------


def test_28_requests_of_every_end_leave_nothing_behind(tmp_path: Path) -> None:
    """No task, no attempt under way, no held snapshot, no connection, whatever became of them."""
    answers: list[Answer] = [
        served(False),
        error(500),
        (Do.RESET,),
        stream(START, chunk("x"), Do.CLOSE),
        error(429, retry_after="1"),
        (Do.STALL,),
    ]

    def turn(seen: Seen) -> Answer:
        return answers[len(seen.raw) % len(answers)]

    async def one(gateway: Gateway, number: int) -> None:
        body = chat(number % 2 == 1, user="u" * (number % 60))
        if number % 5:
            await gateway.ask(body)
            return
        _, writer = await gateway.send(body)
        await asyncio.sleep(0.01)
        writer.transport.abort()

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(4):
            await asyncio.gather(*(one(gateway, number) for number in range(60)), return_exceptions=True)
            await until(lambda: not gateway.left_over())
        assert len(gateway.outcomes) == 240, "every request has one record"
        kept = len(upstream.connections)
        assert kept <= 60

    policy = {"timeouts": {"attempt": "300ms", "first_token": "300ms", "idle": "300ms", "total": "1s"}}
    scripts: dict[str, Any] = {"one": turn, "two": turn}
    play(tmp_path, scenario, scripts=scripts, step={"fallback": ["one/m", "two/m"]}, policy=policy)


# -- 29: keys in logs, traces, addresses and error bodies -------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["openai-chat", "openai-responses", "anthropic-messages", "gemini", "cohere"])
def test_29_a_key_goes_out_in_a_header_and_shows_nowhere_else(tmp_path: Path, dialect: str) -> None:
    """Also where the upstream repeats it: ``play`` looks for it in answers, records and the log."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask()
        assert got.status >= 400
        (seen,) = upstream.seen
        assert SECRET not in seen.path
        assert SECRET.encode() not in seen.raw
        assert any(SECRET in value for value in seen.headers.values())
        assert SECRET not in repr(gateway.engine.status())
        assert SECRET not in repr(gateway.engine.graph)

    leaks = error(401, f"Incorrect API key provided: {SECRET}one")
    providers = {"one": {"dialect": dialect}}
    policy = {"retry": {"per_target": 1}}
    play(
        tmp_path,
        scenario,
        scripts={"one": leaks},
        providers=providers,
        policy=policy,
        models={"one": {"max_output": 9}},
    )


# -- 30: weights depend on the order, affinity is lost, and streams end at two thousand -------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_30_weights_hold_in_any_order(tmp_path: Path, turned: bool) -> None:
    members = [{"weight": 6, "step": "one/m"}, {"weight": 3, "step": "two/m"}, {"weight": 1, "step": "three/m"}]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        asked = ({"x-request-id": f"r-{number}"} for number in range(6_000))
        first = Counter(gateway.engine.explain(chat(), headers=headers).attempts[0] for headers in asked)
        for target, share in (("one/m", 0.6), ("two/m", 0.3), ("three/m", 0.1)):
            assert abs(first[target] / 6_000 - share) < 0.03, first

    step = {"balance": {"by": "weighted", "steps": members[::-1] if turned else members}}
    play(tmp_path, scenario, scripts={}, step=step)


def test_30_one_conversation_stays_with_one_target(tmp_path: Path) -> None:
    """Its prompt cache is there. When the target fails the conversation moves, and comes back."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        homes = {}
        for user in ("u-1", "u-2", "u-3", "u-4", "u-5", "u-6"):
            found = {(await gateway.ask(chat(user=user))).headers["x-interlock-target"] for _ in range(5)}
            (homes[user],) = found
        assert len(set(homes.values())) > 1
        user, home = next(iter(homes.items()))
        account = home.partition("/")[0]
        upstream.scripts[account] = error(500)
        assert (await gateway.ask(chat(user=user))).headers["x-interlock-target"] != home
        upstream.scripts[account] = served(False)
        assert (await gateway.ask(chat(user=user))).headers["x-interlock-target"] == home

    scripts: dict[str, Any] = {name: served(False) for name in ("one", "two", "three")}
    step = {"balance": {"by": "hash", "key": "user", "steps": ["one/m", "two/m", "three/m"]}}
    play(tmp_path, scenario, scripts=scripts, step=step)


@pytest.mark.slow
def test_30_thousands_of_streams_are_open_at_once(tmp_path: Path) -> None:
    """Each gets its first piece while all others are open, and each its end."""
    begun: list[int] = []

    async def one(gateway: Gateway) -> bytes:
        reader, writer = await gateway.send(chat(True))
        got = await read_head(reader)
        begun.append(got.status)
        await read_body(reader, got)
        writer.close()
        return got.body

    async def main() -> None:
        go = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"}]")
            writer.write(b"".join(part for part in stream(START, chunk("x"), end=False) if isinstance(part, bytes)))
            await go.wait()
            writer.write(piece(STOP) + piece(DONE) + LAST)
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0, backlog=OPEN) as upstream:
            port = upstream.sockets[0].getsockname()[1]
            folder = configuration(tmp_path, port, policy={"timeouts": {"idle": "60s", "first_token": "60s"}})
            async with serving(folder, environ()) as gateway:
                tasks = []
                for number in range(1, OPEN + 1):
                    tasks.append(asyncio.create_task(one(gateway)))
                    if number % 100 == 0:
                        await until(lambda number=number: len(begun) == number, 30)  # type: ignore[misc]
                assert gateway.engine.state.in_flight("one/m") == OPEN
                go.set()
                assert {body[-len(DONE) :] for body in await asyncio.gather(*tasks)} == {DONE}
                assert Counter(outcome.outcome_class for outcome in gateway.outcomes) == {"served": OPEN}
                assert set(begun) == {200}
                await until(lambda: not gateway.left_over())

    uvloop.run(main())
