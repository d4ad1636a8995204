"""Clients that people have, unchanged but for their base URL: the official SDK, and LangChain's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from .harness import PATIENCE, Server, wait_for
from .upstream import SPEECH, USAGE, Models

HELLO: Any = [{"role": "user", "content": "hello"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class City(BaseModel):
    city: str


@pytest.fixture
def sdk(server: Server) -> Iterator[OpenAI]:
    """The SDK as it comes: it retries twice what it may retry."""
    with OpenAI(base_url=f"{server.url}/v1", api_key="-", timeout=PATIENCE) as client:
        yield client


def test_chat(sdk: OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
    reply = raw.parse()
    assert reply.choices[0].message.content == "hello there"
    assert reply.usage is not None
    assert reply.usage.total_tokens == USAGE["total_tokens"]
    assert (reply.model, reply._request_id) == ("words", raw.headers["x-request-id"])
    assert raw.headers["x-interlock-target"] == "near/words"


def test_stream(sdk: OpenAI) -> None:
    with sdk.chat.completions.create(model="chat", messages=HELLO, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello there"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)
    options: Any = {"include_usage": True}
    *_, last = sdk.chat.completions.create(model="chat", messages=HELLO, stream=True, stream_options=options)
    assert last.usage is not None
    assert last.usage.completion_tokens == USAGE["completion_tokens"]


def test_tools_and_structured_output(sdk: OpenAI) -> None:
    reply = sdk.chat.completions.create(model="chat", messages=HELLO, tools=[WEATHER])
    (call,) = reply.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Oslo"}')
    with sdk.chat.completions.stream(model="chat", messages=HELLO, tools=[WEATHER]) as stream:
        final = stream.get_final_completion()
    (streamed,) = final.choices[0].message.tool_calls or ()
    assert streamed.function.arguments == '{"city":"Oslo"}'
    parsed = sdk.chat.completions.parse(model="chat", messages=HELLO, response_format=City)
    assert parsed.choices[0].message.parsed == City(city="Oslo")


def test_the_other_endpoints(sdk: OpenAI) -> None:
    assert sdk.embeddings.create(model="vectors", input="x", encoding_format="float").data[0].embedding == [0.25, -0.5]
    assert sdk.moderations.create(model="judge", input="x").results[0].flagged is False
    assert sdk.completions.create(model="text", prompt="x").choices[0].text == "once upon a time"
    assert "".join(c.choices[0].text for c in sdk.completions.create(model="text", prompt="x", stream=True)) == (
        "once upon a time"
    )
    assert (sdk.images.generate(model="painter", prompt="x").data or [])[0].b64_json == "aGk="
    assert sdk.audio.speech.create(model="voice", input="x", voice="alloy").content == SPEECH
    assert sdk.audio.transcriptions.create(model="voice", file=("a.mp3", b"x")).text == "what was said"
    names = {model.id for model in sdk.models.list()}
    assert {"chat", "vectors"} <= names
    assert sdk.models.retrieve("chat").owned_by == "interlock"


#: A model, the SDK's exception for it, its code, and how often the SDK sends it: terminal errors once, others thrice.
ERRORS: list[tuple[str, type[openai.APIStatusError], str, int]] = [
    ("picky", openai.BadRequestError, "invalid_value", 1),
    ("none", openai.NotFoundError, "model_not_found", 1),
    ("refusing", openai.APIStatusError, "rejected", 1),
    ("broke", openai.InternalServerError, "quota_exhausted", 1),
    ("limited", openai.RateLimitError, "rate_limited", 3),
]


@pytest.mark.parametrize(("model", "kind", "code", "times"), ERRORS)
def test_errors(
    server: Server, sdk: OpenAI, model: str, kind: type[openai.APIStatusError], code: str, times: int
) -> None:
    before = len(requests_of(server, model))
    with pytest.raises(openai.APIStatusError) as caught:
        sdk.chat.completions.create(model=model, messages=HELLO)
    assert type(caught.value) is kind or (kind is openai.APIStatusError and caught.value.status_code == 451)
    assert (caught.value.code, caught.value.request_id is not None) == (code, True)
    server.line(str(caught.value.request_id))
    assert len(requests_of(server, model)) - before == times
    if model == "picky":
        assert caught.value.param == "temperature"
        assert "must be at most 2" in caught.value.message


def requests_of(server: Server, model: str) -> list[Any]:
    return [line for line in server.access_lines() if line.get("model") == model]


def test_an_error_inside_a_stream(sdk: OpenAI) -> None:
    stream = sdk.chat.completions.create(model="cut", messages=HELLO, stream=True)
    assert next(stream).choices[0].delta.role == "assistant"
    assert next(stream).choices[0].delta.content == "hello"
    with pytest.raises(openai.APIError) as caught:
        next(stream)
    assert (caught.value.code, caught.value.type) == ("connection", "upstream_error")


def test_a_client_that_closes_its_stream(server: Server, sdk: OpenAI, upstream: Models) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="slow", messages=HELLO, stream=True)
    with raw.parse() as stream:
        next(stream)
    assert server.line(raw.headers["x-request-id"])["outcome"] == "cancelled"
    wait_for(lambda: upstream.seen[0].left)


def test_asynchronous(server: Server) -> None:
    async def scenario() -> None:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="-", timeout=PATIENCE) as client:
            replies = await asyncio.gather(
                *(client.chat.completions.create(model="chat", messages=HELLO) for _ in range(20))
            )
            assert {reply.choices[0].message.content for reply in replies} == {"hello there"}
            stream = await client.chat.completions.create(model="chat", messages=HELLO, stream=True)
            assert "".join([c.choices[0].delta.content or "" async for c in stream]) == "hello there"
            vectors = await client.embeddings.create(model="vectors", input="x", encoding_format="float")
            assert vectors.data[0].embedding == [0.25, -0.5]
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model="none", messages=HELLO)
            with pytest.raises(openai.APITimeoutError):
                await client.with_options(timeout=0.3, max_retries=0).chat.completions.create(
                    model="slow", messages=HELLO
                )

    asyncio.run(scenario())


def test_langchain(server: Server) -> None:
    model = ChatOpenAI(model="chat", base_url=f"{server.url}/v1", api_key="-", timeout=PATIENCE)
    reply = model.invoke("hello")
    assert (reply.content, reply.response_metadata["finish_reason"]) == ("hello there", "stop")
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["total_tokens"] == USAGE["total_tokens"]
    assert "".join(str(chunk.content) for chunk in model.stream("hello")) == "hello there"
    called = model.bind_tools([WEATHER]).invoke("the weather in Oslo?")
    assert isinstance(called, AIMessage)
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [("weather", {"city": "Oslo"})]
    assert model.with_structured_output(City).invoke("a city") == City(city="Oslo")
    assert [reply.content for reply in model.batch(["a", "b", "c"])] == ["hello there"] * 3

    async def asynchronous() -> str:
        return "".join([str(chunk.content) async for chunk in model.astream("hello")])

    assert asyncio.run(asynchronous()) == "hello there"
    embed = OpenAIEmbeddings(
        model="vectors", base_url=f"{server.url}/v1", api_key="-", check_embedding_ctx_length=False
    )
    assert embed.embed_query("x") == [0.25, -0.5]
    with pytest.raises(openai.NotFoundError, match="Did you mean 'chat'"):
        ChatOpenAI(model="caht", base_url=f"{server.url}/v1", api_key="-").invoke("hello")
