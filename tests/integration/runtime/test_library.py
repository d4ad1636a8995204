"""The library against a real loopback upstream: requests, streams, failures, several engines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine import ChatStream, ConfigError, Engine, Outcome, OutcomeClass, RequestError, StreamError
from engine.graph import Provider

from .threads import assert_no_threads

HELLO = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}


def test_chat(config: Any, upstream: Any) -> None:
    heard: list[Outcome] = []

    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.route()
            async with Engine.open(config.root, observers=[heard.append]) as engine:
                reply = await engine.chat(HELLO)
                assert reply.text == "one/small"
                assert reply.body["choices"][0]["finish_reason"] == "stop"
                assert (reply.target, reply.route) == ("home/small", "chat")
                assert reply.outcome.fingerprint == engine.graph.fingerprint
                assert heard == [reply.outcome]
                assert engine.snapshot.pins == 0

    asyncio.run(scenario())


def test_embeddings_and_completions(config: Any, upstream: Any) -> None:
    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.route()
            async with Engine.open(config.root) as engine:
                assert (await engine.embeddings({"model": "chat", "input": "x"})).body["data"][0]["embedding"] == [0.5]
                reply = await engine.completions({"model": "chat", "prompt": "x"})
                assert reply.text == "one/small"
                assert reply.outcome.surface == "completions"

    asyncio.run(scenario())


def test_stream(config: Any, upstream: Any) -> None:
    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.route()
            async with Engine.open(config.root) as engine:
                stream = engine.stream(HELLO)
                text = "".join([c["choices"][0]["delta"].get("content", "") async for c in stream])
                assert text == "one/small"
                assert stream.outcome is not None
                assert stream.outcome.outcome_class is OutcomeClass.SERVED
                assert engine.snapshot.pins == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["break", "close", "cancel"])
def test_leaving_a_stream_closes_the_upstream(config: Any, upstream: Any, how: str) -> None:
    heard: list[Outcome] = []

    async def read(stream: ChatStream, enough: asyncio.Event) -> None:
        async for _ in stream:
            enough.set()
            if how == "break":
                break

    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.route(step="home/endless")
            async with Engine.open(config.root, observers=[heard.append]) as engine:
                enough = asyncio.Event()
                if how == "close":
                    async with engine.stream(HELLO) as stream:
                        await anext(stream)
                else:
                    task = asyncio.create_task(read(engine.stream(HELLO), enough))
                    await enough.wait()
                    if how == "cancel":
                        task.cancel()
                    await asyncio.wait([task])
                await asyncio.wait_for(up.left.wait(), 5)
                assert [outcome.outcome_class for outcome in heard] == [OutcomeClass.CANCELLED]
                assert engine.snapshot.pins == 0

    asyncio.run(scenario())


def test_failures_are_exceptions_that_say_what_the_server_would(config: Any, upstream: Any) -> None:
    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.once()
            config.route(step="home/limited")
            config.route("broken", "home/cut")
            async with Engine.open(config.root) as engine:
                with pytest.raises(RequestError) as limited:
                    await engine.chat(HELLO)
                assert limited.value.status == 429
                assert limited.value.body["error"]["code"] == "rate_limited"
                assert limited.value.headers["retry-after"] == "7"
                with pytest.raises(RequestError) as unknown:
                    await engine.chat({**HELLO, "model": "chatt"})
                assert unknown.value.status == 404
                assert '"chat"' in str(unknown.value) or "'chat'" in str(unknown.value)
                with pytest.raises(RequestError) as malformed:
                    await engine.chat({"model": "chat"})
                assert malformed.value.status == 400
                assert malformed.value.body["error"]["param"] == "messages"
                with pytest.raises(StreamError) as cut:
                    async for _ in engine.stream({**HELLO, "model": "broken"}):
                        pass
                assert cut.value.outcome.outcome_class is OutcomeClass.CONNECTION
                with pytest.raises(ValueError, match=r"engine\.stream"):
                    await engine.chat({**HELLO, "stream": True})
                assert engine.snapshot.pins == 0

    asyncio.run(scenario())


def test_a_deadline_bounds_the_request(config: Any, upstream: Any) -> None:
    async def scenario() -> None:
        async with upstream() as up:
            up.delay = 5
            config.provider(up.port)
            config.route()
            async with Engine.open(config.root) as engine:
                with pytest.raises(RequestError) as late:
                    await engine.chat(HELLO, deadline=0.05)
                assert late.value.outcome.outcome_class is OutcomeClass.DEADLINE
                assert late.value.outcome.duration < 2

    asyncio.run(scenario())


def test_explain_sends_nothing_and_reads_everything(config: Any, upstream: Any) -> None:
    config.provider(1)
    config.put(
        "policies/chat.yaml",
        "version: 1\nkind: route\nname: chat\nstep:\n  switch:\n    cases:\n"
        "      - {when: {metadata.tier: free}, step: home/small}\n"
        "      - {when: {header.x-team: core}, step: home/tools}\n"
        "    default: home/limited\n",
    )

    async def scenario() -> None:
        async with Engine.open(config.root) as engine:
            assert engine.explain({"model": "chat"}).attempts == ("home/limited",)
            assert engine.explain({"model": "chat"}, metadata={"tier": "free"}).attempts == ("home/small",)
            assert engine.explain({"model": "chat", "metadata": {"tier": "free"}}).attempts == ("home/small",)
            assert engine.explain({"model": "chat"}, headers={"X-Team": "core"}).attempts == ("home/tools",)
            assert engine.explain({"model": "chat", "input": "x"}).attempts == ("home/limited",)
            assert engine.explain({"model": "other"}).stop is OutcomeClass.UNROUTABLE
            assert engine.explain({"model": "chat"}).to_dict()["graph"] == engine.graph.fingerprint
            with pytest.raises(RequestError, match="model"):
                engine.explain({})

    asyncio.run(scenario())


def test_what_is_explained_of_a_request_id_is_what_becomes_of_it(config: Any, upstream: Any) -> None:
    split = "{split: {name: halves, variants: {a: {weight: 1, step: home/small}, b: {weight: 1, step: home/tools}}}}"

    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.route(step=split)
            body = {**HELLO, "tools": [{"type": "function", "function": {"name": "f"}}]}
            async with Engine.open(config.root) as engine:
                variants = set()
                for number in range(12):
                    headers = {"X-Request-Id": f"job-{number}"}
                    plan, reply = engine.explain(body, headers=headers), await engine.chat(body, headers=headers)
                    assert (reply.request_id, plan.request_id) == (f"job-{number}", f"job-{number}")
                    assert plan.variants == reply.outcome.variants
                    variants.add(plan.variants)
                assert len(variants) == 2
                with pytest.raises(RequestError) as refused:
                    engine.explain({}, headers={"X-Request-Id": "job-x"})
                assert refused.value.headers["x-request-id"] == "job-x"

    asyncio.run(scenario())


def test_an_observer_that_raises_hurts_nobody(config: Any, upstream: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(outcome: Outcome) -> None:
        raise ValueError("no")

    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.route()
            async with Engine.open(config.root, observers=[broken]) as engine:
                assert (await engine.chat(HELLO)).text == "one/small"

    asyncio.run(scenario())
    assert "ValueError: no" in caplog.text


def test_a_transport_of_ones_own(config: Any) -> None:
    asked: list[str] = []

    class Refusing:
        async def send(self, method: str, url: str, headers: Any, body: bytes) -> Any:
            from engine.executor.transport import TransportError

            asked.append(url)
            raise TransportError("connection", "no network here")

        open = send

        async def close(self) -> None:
            asked.append("closed")

    def make(provider: Provider, options: Any) -> Any:
        asked.append(provider.name)
        return Refusing()

    async def scenario() -> None:
        config.provider(9, "one")
        config.route()
        async with Engine.open(config.root, transport=make) as engine:
            with pytest.raises(RequestError) as failed:
                await engine.chat(HELLO, deadline=2)
            assert failed.value.outcome.outcome_class in (OutcomeClass.CONNECTION, OutcomeClass.DEADLINE)

    asyncio.run(scenario())
    assert asked[0] == "home"
    assert asked[1] == "http://127.0.0.1:9/one/v1/chat/completions"
    assert asked[-1] == "closed"


def test_several_engines_in_one_process(config: Any, upstream: Any, tmp_path: Any) -> None:
    other = type(config)(tmp_path / "other")

    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port, "one")
            config.route()
            other.provider(up.port, "two")
            other.route()
            async with Engine.open(config.root) as a, Engine.open(other.root) as b:
                replies = await asyncio.gather(*(engine.chat(HELLO) for engine in (a, b) * 10))
                assert [reply.text for reply in replies] == ["one/small", "two/small"] * 10

    asyncio.run(scenario())


def test_a_broken_configuration_raises_with_every_finding(config: Any) -> None:
    config.put("policies/a.yaml", "version: 1\nkind: route\nname: a\nstep: no/where\n")
    config.put("policies/b.yaml", "version: 1\nkind: route\nname: b\nstep: no/how\n")

    async def scenario() -> None:
        with pytest.raises(ConfigError) as caught:
            async with Engine.open(config.root):
                pass
        files = {d.file for d in caught.value.diagnostics if d.severity == "error"}
        assert files == {"policies/a.yaml", "policies/b.yaml"}
        assert_no_threads()

    asyncio.run(scenario())


def test_an_engine_is_used_once_and_only_while_open(config: Any) -> None:
    config.provider(9)
    config.route()

    async def scenario() -> None:
        engine = Engine.open(config.root)
        assert not engine.ready()
        assert engine.ready_detail() == "not open"
        with pytest.raises(RuntimeError, match="not open"):
            engine.explain({"model": "chat"})
        async with engine:
            assert engine.ready()
            assert engine.ready_detail() == f"serving {engine.graph.fingerprint}"
        assert not engine.ready()
        await engine.aclose()
        with pytest.raises(RuntimeError, match="opened before"):
            async with engine:
                pass
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())
