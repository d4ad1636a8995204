"""Copies of requests: who gets one, what is recorded of it, and that the client never notices."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from engine import Engine, Outcome
from engine.exchange import Mirrored
from engine.executor import mirroring

from .gateway import Gateway, chat, configuration, environ, play
from .upstream import Answer, Do, Upstream, completion, error, served, until, whole


def mirror(step: object = "one/m", to: str = "two/m", percent: str = "100%", **more: object) -> dict[str, Any]:
    """A mirror step."""
    return {"mirror": {"to": to, "percent": percent, "step": step, **more}}


def rows(gateway: Gateway) -> list[dict[str, Any]]:
    """What the status says of copies."""
    found: list[dict[str, Any]] = gateway.engine.status()["state"]["mirrors"]
    return found


async def row(gateway: Gateway, copies: int = 1) -> dict[str, Any]:
    """The one row of the status, when so many copies were answered."""
    await until(lambda: rows(gateway) and rows(gateway)[0]["copies"] == copies)
    (found,) = rows(gateway)
    return found


class Ears:
    """An observer of both kinds of record."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.copies: list[Mirrored] = []

    def __call__(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def mirrored(self, record: Mirrored) -> None:
        """A copy."""
        self.copies.append(record)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_copy_is_sent_and_compared(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed, temperature=0.5))
        assert (got.headers["x-interlock-target"], got.headers["x-interlock-attempts"]) == ("one/m", "1")
        found = await row(gateway)
        assert (found["route"], found["to"], found["outcomes"]) == ("chat", "two/m", {"served": 1})
        assert (found["compared"], found["equal"], found["mean_similarity"], found["finish_differs"]) == (1, 1, 1.0, 0)
        copy = next(seen for seen in upstream.seen if seen.account == "two")
        assert "stream" not in copy.body
        assert "stream_options" not in copy.body
        assert (copy.body["model"], copy.body["temperature"]) == ("m-of-two", 0.5)
        assert [attempt.target for attempt in gateway.outcome.attempts] == ["one/m"]

    play(tmp_path, scenario, scripts={"one": served(streamed), "two": served(False)}, step=mirror())


def test_what_is_recorded_of_a_copy(tmp_path: Path) -> None:
    """Figures of both answers, how alike they are, and nothing that anybody wrote."""
    one, two = "the canary sings in the morning", "the canary sleeps in the morning"
    scripts = {
        "one": whole(200, completion(one)),
        "two": (0.05, *whole(200, completion(two, finish_reason="length"))),
    }
    ears = Ears()

    async def main() -> None:
        async with Upstream(**scripts) as upstream:
            folder = configuration(tmp_path, upstream.port, mirror())
            async with Engine.open(folder, watch=False, environ=environ(), observers=[ears]) as engine:
                await engine.chat(chat(), headers={"x-request-id": "r-1"})
                await until(lambda: ears.copies)
                fingerprint = engine.graph.fingerprint
        (record,) = ears.copies
        assert (record.request_id, record.route, record.fingerprint) == ("r-1", "chat", fingerprint)
        assert (record.served.target, record.copy.target) == ("one/m", "two/m")
        assert (record.served.finish, record.copy.finish) == ("stop", "length")
        assert (record.copy.outcome_class, record.copy.status) == ("served", 200)
        assert record.copy.duration > 0.04 > record.served.duration
        assert record.copy.usage == record.served.usage
        assert record.copy.usage is not None
        assert (record.equal, record.similarity) == (False, round(10 / 12, 4))
        assert "canary" not in repr(record.to_dict())
        assert [outcome.target for outcome in ears.outcomes] == ["one/m"]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("bad", [error(500), error(401), (Do.CLOSE,), whole(200, b"nonsense")])
def test_a_copy_that_fails_concerns_nobody(tmp_path: Path, bad: Answer) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).status == 200
        found = await row(gateway)
        assert "served" not in found["outcomes"]
        assert (found["compared"], found["mean_similarity"], found["mean_seconds"]) == (0, None, None)
        assert gateway.outcome.outcome_class == "served"
        assert upstream.calls("two") == 1, "copies are not tried again"

    play(tmp_path, scenario, scripts={"one": served(False), "two": bad}, step=mirror())


def test_a_slow_copy_is_not_waited_for(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        began = time.monotonic()
        for _ in range(3):
            await gateway.ask()
        assert time.monotonic() - began < 0.9
        assert (await row(gateway, 3))["outcomes"] == {"served": 3}

    play(tmp_path, scenario, scripts={"one": served(False), "two": (1.0, *served(False))}, step=mirror())


def test_only_what_the_step_has_served_is_copied(tmp_path: Path) -> None:
    step = {"fallback": [mirror("one/m", to="three/m"), "two/m"]}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).headers["x-interlock-target"] == "two/m"
        await asyncio.sleep(0.05)
        assert (upstream.calls("three"), rows(gateway)) == (0, [])

    scripts = {"one": error(402), "two": served(False), "three": served(False)}
    play(tmp_path, scenario, scripts=scripts, step=step)


def test_a_share_is_copied_and_the_same_requests_always(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for name in range(200):
            await gateway.ask(x_request_id=f"r-{name}")
        copied = upstream.calls("two")
        assert 25 < copied < 80
        await row(gateway, copied)
        for name in range(200):
            await gateway.ask(x_request_id=f"r-{name}")
        assert upstream.calls("two") == 2 * copied
        await row(gateway, 2 * copied)

    play(tmp_path, scenario, scripts={"one": served(False), "two": served(False)}, step=mirror(percent="25%"))


@pytest.mark.parametrize("allowed", [False, True])
def test_requests_with_tools_are_copied_only_where_that_is_said(tmp_path: Path, allowed: bool) -> None:
    tool = {"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await gateway.ask(chat(tools=[tool]))
        if allowed:
            await row(gateway)
        await asyncio.sleep(0.05)
        assert upstream.calls("two") == (1 if allowed else 0)

    step = mirror(tools=True) if allowed else mirror()
    play(tmp_path, scenario, scripts={"one": served(False), "two": served(False)}, step=step)


@pytest.mark.parametrize(("to", "copies"), [("mine/m", 0), ("one/m", 1)])
def test_the_callers_own_key_goes_to_nobody_else(tmp_path: Path, to: str, copies: int) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await gateway.ask(authorization="Bearer sk-callers-own-key")
        if copies:
            await row(gateway)
        await asyncio.sleep(0.05)
        keys = {seen.account: seen.headers["authorization"] for seen in upstream.seen}
        assert keys == {"one": "Bearer sk-callers-own-key"}
        assert len(upstream.seen) == 1 + copies

    def own(name: str) -> dict[str, Any]:
        return {"auth": {"scheme": "caller"}}

    providers = {"one": own("one"), "mine": {**own("mine"), "base_url": "http://127.0.0.1:9/mine/v1"}}
    play(tmp_path, scenario, scripts={"one": served(False)}, step=mirror(to=to), providers=providers)


def test_another_protocol_is_compared_too(tmp_path: Path) -> None:
    claude = {
        "id": "msg",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 7, "output_tokens": 3},
    }

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await gateway.ask(chat(max_tokens=9))
        found = await row(gateway)
        assert (found["outcomes"], found["equal"], found["finish_differs"]) == ({"served": 1}, 1, 0)

    providers = {"two": {"dialect": "anthropic-messages"}}
    scripts = {"one": served(False), "two": whole(200, claude)}
    play(tmp_path, scenario, scripts=scripts, step=mirror(), providers=providers)


def test_copies_are_bounded_and_those_that_are_not_sent_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirroring, "AT_ONCE", 2)
    monkeypatch.setattr(mirroring, "WAITING", 3)

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(10):
            assert (await gateway.ask()).status == 200
        assert upstream.calls("two") == 2
        assert rows(gateway)[0]["dropped"] == {"busy": 5}
        began = time.monotonic()
        await gateway.engine.executor.close()
        assert time.monotonic() - began < 1, "who closes waits for no copy"
        await until(lambda: all(seen.left for seen in upstream.seen if seen.account == "two"))
        await gateway.ask()
        assert rows(gateway)[0]["dropped"] == {"busy": 6}

    play(tmp_path, scenario, scripts={"one": served(False), "two": (Do.STALL,)}, step=mirror())


def test_a_copy_without_a_credential_is_a_skip(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        plan = gateway.engine.explain(chat())
        assert [(skip.target, skip.reason) for skip in plan.skips] == [("two/m", "credential")]
        assert (await gateway.ask()).status == 200
        assert upstream.calls("two") == 0

    play(tmp_path, scenario, scripts={"one": served(False)}, step=mirror(), env=environ("two"))


def test_copies_stay_within_the_limits_of_their_provider(tmp_path: Path) -> None:
    """They take part of them, and go without rather than stand in line."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        began = time.monotonic()
        for _ in range(5):
            assert (await gateway.ask()).status == 200
        await until(lambda: rows(gateway) and sum(rows(gateway)[0]["dropped"].values()) == 3)
        assert time.monotonic() - began < 5
        assert (rows(gateway)[0]["dropped"], upstream.calls("two")) == ({"limit": 3}, 2)
        await row(gateway, 2)

    providers = {"two": {"limits": [{"requests": 2, "per": "1h"}]}}
    scripts = {"one": served(False), "two": served(False)}
    play(tmp_path, scenario, scripts=scripts, step=mirror(), providers=providers)
