"""``engine.transport()``: official SDKs and plain clients of both httpx packages, in process, without a server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import httpx
import httpx2
import openai
import pytest

from engine import Engine, Outcome, OutcomeClass
from engine.runtime import Engine as PlainEngine

HELLO: Any = [{"role": "user", "content": "Hello"}]
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def sdk(engine: Engine) -> openai.AsyncOpenAI:
    client = httpx2.AsyncClient(transport=engine.transport())
    return openai.AsyncOpenAI(base_url="http://interlock/v1", api_key="-", max_retries=0, http_client=client)


def test_the_openai_sdk(config: Any, upstream: Any) -> None:
    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.route()
            config.route("assistant", "home/tools")
            async with Engine.open(config.root) as engine, sdk(engine) as client:
                raw = await client.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
                reply = raw.parse()
                assert reply.choices[0].message.content == "one/small"
                assert reply.usage is not None
                assert reply.usage.total_tokens == 5
                assert raw.headers["x-interlock-target"] == "home/small"
                assert raw.headers["x-interlock-graph"] == engine.graph.fingerprint
                stream = await client.chat.completions.create(model="chat", messages=HELLO, stream=True)
                text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
                assert text == "one/small"
                called = await client.chat.completions.create(model="assistant", messages=HELLO, tools=[WEATHER])
                (call,) = called.choices[0].message.tool_calls or ()
                assert call.type == "function"
                assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Oslo"}')
                vectors = await client.embeddings.create(model="chat", input="x", encoding_format="float")
                assert vectors.data[0].embedding == [0.5]
                assert {model.id async for model in client.models.list()} >= {"chat", "assistant"}
                assert engine.snapshot.pins == 0

    asyncio.run(scenario())


def test_the_openai_sdk_raises_its_own_errors(config: Any, upstream: Any) -> None:
    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.once()
            config.route("limited", "home/limited")
            config.route("cut", "home/cut")
            async with Engine.open(config.root) as engine, sdk(engine) as client:
                create = client.chat.completions.create
                with pytest.raises(openai.RateLimitError) as limited:
                    await create(model="limited", messages=HELLO)
                assert limited.value.response.headers["retry-after"] == "7"
                with pytest.raises(openai.NotFoundError) as unknown:
                    await create(model="limitd", messages=HELLO)
                assert unknown.value.code == "model_not_found"
                with pytest.raises(openai.BadRequestError):
                    await create(model="limited", messages=None)  # type: ignore[call-overload]
                stream = await create(model="cut", messages=HELLO, stream=True)
                pieces = [(await anext(stream)).choices[0].delta.content for _ in "one/cut"]
                assert "".join(map(str, pieces)) == "one/cut"
                with pytest.raises(openai.APIError) as broken:
                    await anext(stream)
                assert broken.value.code == "connection"

    asyncio.run(scenario())


def test_keys_hold_in_process_too(config: Any, upstream: Any) -> None:
    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.route()
            secret = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"  # of "secret"
            config.put("policies/key.yaml", f"version: 1\nkind: key\nname: app\nsha256: {secret}\nscopes: [use]\n")
            async with Engine.open(config.root) as engine, sdk(engine) as client:
                with pytest.raises(openai.AuthenticationError):
                    await client.chat.completions.create(model="chat", messages=HELLO)
                client.api_key = "secret"
                reply = await client.chat.completions.create(model="chat", messages=HELLO)
                assert reply.choices[0].message.content == "one/small"

    asyncio.run(scenario())


@pytest.mark.parametrize("package", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_plain_clients_of_both_packages(config: Any, upstream: Any, package: Any) -> None:
    heard: list[Outcome] = []

    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.route()
            config.route("endless", "home/endless")
            async with (
                Engine.open(config.root, observers=[heard.append]) as engine,
                package.AsyncClient(transport=engine.transport(), base_url="http://interlock") as client,
            ):
                reply = await client.post("/v1/chat/completions", json={"model": "chat", "messages": HELLO})
                assert isinstance(reply, package.Response)
                assert reply.json()["choices"][0]["message"]["content"] == "one/small"
                status = (await client.get("/api/v1/status")).json()
                assert status["running"]["fingerprint"] == engine.graph.fingerprint
                assert (await client.get("/nothing")).status_code == 404
                body = {"model": "endless", "messages": HELLO, "stream": True}
                async with client.stream("POST", "/v1/chat/completions", json=body) as stream:
                    assert isinstance(stream, package.Response)
                    pieces = stream.aiter_bytes()
                    assert (await anext(pieces)).startswith(b"data: ")
                    assert up.under_way == 1  # what came, came while the upstream was still at it
                await asyncio.wait_for(up.left.wait(), 5)
                assert heard[-1].outcome_class is OutcomeClass.CANCELLED
                assert engine.snapshot.pins == 0

    asyncio.run(scenario())


def test_a_client_that_gives_up_waiting_cancels_the_request(config: Any, upstream: Any) -> None:
    heard: list[Outcome] = []

    async def scenario() -> None:
        async with upstream() as up:
            up.delay = 30
            config.provider(up.port)
            config.route()
            async with Engine.open(config.root, observers=[heard.append]) as engine, sdk(engine) as client:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await client.chat.completions.create(model="chat", messages=HELLO)
                assert [outcome.outcome_class for outcome in heard] == [OutcomeClass.CANCELLED]
                assert engine.snapshot.pins == 0

    asyncio.run(scenario())


def test_synchronous_clients_are_told_what_to_do(config: Any) -> None:
    config.provider(9)
    config.route()

    async def scenario() -> None:
        async with Engine.open(config.root) as engine:
            transport: Any = engine.transport()
            with pytest.raises(TypeError, match="AsyncClient"):
                transport.handle_request(httpx.Request("GET", "http://interlock/healthz"))
            with pytest.raises(TypeError, match="not a request of httpx or httpx2"):
                await transport.handle_async_request(object())

    asyncio.run(scenario())


def test_it_imports_neither_package() -> None:
    code = "import sys, engine.server.embedded; print([m for m in ('httpx', 'httpx2', 'uvicorn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_asgi_app_mounts_anywhere(config: Any, upstream: Any) -> None:
    async def scenario() -> None:
        async with upstream() as up:
            config.provider(up.port)
            config.route()
            async with Engine.open(config.root) as engine:
                assert isinstance(engine, PlainEngine)
                transport: Any = httpx.ASGITransport(app=engine.asgi())  # type: ignore[arg-type]
                async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                    reply = await client.post("/v1/chat/completions", json={"model": "chat", "messages": HELLO})
                    assert reply.json()["choices"][0]["message"]["content"] == "one/small"

    asyncio.run(scenario())
