"""OpenAI's client, chat completions, against upstreams of every protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion

from ..server.harness import PATIENCE, Server
from .conftest import Asked
from .played import INNER, Played
from .told import DIALECTS, Told
from .wires import NAMELESS, calls, results, schema

HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]


def tools(told: Told) -> Any:
    """Declarations of the tools that are called in the recording."""
    parameters = {"type": "object", "properties": {"query": {"type": "string"}}}
    names = dict.fromkeys(name for name, _ in told.calls)
    return [{"type": "function", "function": {"name": name, "parameters": parameters}} for name in names]


@pytest.fixture(scope="module")
def sdk(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="-", timeout=PATIENCE, max_retries=0) as client:
        yield client


def check_usage(reply: Any, told: Told) -> None:
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (told.input, told.output)
    cached, thought = reply.usage.prompt_tokens_details, reply.usage.completion_tokens_details
    assert ((cached and cached.cached_tokens) or 0) == told.cached
    assert ((thought and thought.reasoning_tokens) or 0) == told.reasoning


def check_calls(reply: ChatCompletion, told: Told) -> None:
    choice = reply.choices[0]
    made: Any = choice.message.tool_calls or []
    assert [(call.function.name, json.loads(call.function.arguments)) for call in made] == list(told.calls)
    assert len({call.id for call in made}) == len(told.calls)
    assert (choice.message.content or "").startswith(told.text)
    assert choice.finish_reason == "tool_calls"
    check_usage(reply, told)


def test_text(sdk: OpenAI, dialect: str) -> None:
    told = DIALECTS[dialect].text
    reply = sdk.chat.completions.create(model=f"{dialect}.text", messages=HELLO)
    message = reply.choices[0].message
    assert message.content is not None
    assert message.content.startswith(told.text)
    assert message.content.endswith(told.ends)
    assert (reply.object, message.role, reply.choices[0].finish_reason) == ("chat.completion", "assistant", "stop")
    assert getattr(message, "reasoning_content", "").startswith(told.thought)
    check_usage(reply, told)


def test_pieces_of_a_stream_arrive_apart(sdk: OpenAI, upstream: Played, dialect: str) -> None:
    """The upstream tells the rest only when the beginning has arrived."""
    told = DIALECTS[dialect].text_stream
    upstream.gate.clear()
    model, options = f"{dialect}.text", {"include_usage": True}
    stream = sdk.chat.completions.create(model=model, messages=HELLO, stream=True, stream_options=options)  # type: ignore[call-overload]
    chunks = []
    for chunk in stream:
        chunks.append(chunk)
        if chunk.choices and chunk.choices[0].delta.content:
            upstream.gate.set()
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith(told.text)
    assert text.endswith(told.ends)
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    if told.input is not None:
        check_usage(chunks[-1], told)
    thought = "".join(getattr(c.choices[0].delta, "reasoning_content", "") or "" for c in chunks if c.choices)
    assert thought.startswith(told.thought)


def test_calls(sdk: OpenAI, dialect: str) -> None:
    told = DIALECTS[dialect].calls
    reply = sdk.chat.completions.create(model=f"{dialect}.calls", messages=HELLO, tools=tools(told))
    check_calls(reply, told)


def test_calls_in_a_stream(sdk: OpenAI, dialect: str) -> None:
    told = DIALECTS[dialect].calls_stream
    with sdk.chat.completions.stream(
        model=f"{dialect}.calls", messages=HELLO, tools=tools(told), stream_options={"include_usage": True}
    ) as stream:
        check_calls(stream.get_final_completion(), told)


def test_the_results_of_tools_go_back(sdk: OpenAI, dialect: str, asked: Asked) -> None:
    told = DIALECTS[dialect].calls
    first = sdk.chat.completions.create(model=f"{dialect}.calls", messages=HELLO, tools=tools(told)).choices[0].message
    made: Any = first.tool_calls
    answers = [
        {"role": "tool", "tool_call_id": call.id, "content": f"result {number}"} for number, call in enumerate(made)
    ]
    history: Any = [*HELLO, first.model_dump(exclude_none=True), *answers]
    reply = sdk.chat.completions.create(model=f"{dialect}.calls", messages=history, tools=tools(told))
    assert (reply.choices[0].message.content or "").startswith(DIALECTS[dialect].text.text)
    names = [call.function.name if dialect in NAMELESS else call.id for call in made]
    assert results(dialect, asked()) == [(name, f"result {number}") for number, name in enumerate(names)]
    assert calls(dialect, asked()) == [(name, call[1]) for name, call in zip(names, told.calls, strict=True)]


def test_an_answer_by_a_schema(sdk: OpenAI, dialect: str, asked: Asked) -> None:
    expected = DIALECTS[dialect].answer
    reply: Any = sdk.chat.completions.parse(
        model=f"{dialect}.structured", messages=HELLO, response_format=type(expected)
    )
    parsed = reply.choices[0].message.parsed
    assert type(parsed) is type(expected)
    if dialect != "ollama":  # a long one
        assert parsed == expected
    assert set(schema(dialect, asked())["properties"]) == set(type(expected).model_fields)


ERRORS: list[tuple[str, type[openai.APIStatusError], int, str]] = [
    ("too-long", openai.BadRequestError, 400, "context_length_exceeded"),
    ("401", openai.InternalServerError, 502, "unauthorized"),
    ("429", openai.RateLimitError, 429, "rate_limited"),
    ("503", openai.InternalServerError, 503, "overloaded"),
]


@pytest.mark.parametrize(("scene", "kind", "status", "code"), ERRORS)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors(
    sdk: OpenAI, dialect: str, scene: str, kind: type[openai.APIStatusError], status: int, code: str, streamed: bool
) -> None:
    with pytest.raises(kind) as caught:
        sdk.chat.completions.create(model=f"{dialect}.{scene}", messages=HELLO, stream=streamed)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.request_id
    assert INNER not in str(caught.value)


def test_an_error_inside_a_stream(sdk: OpenAI, dialect: str) -> None:
    got: list[str] = []
    stream = sdk.chat.completions.create(model=f"{dialect}.broken", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError) as caught:
        got.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert DIALECTS[dialect].text_stream.text.startswith("".join(got)[:3])
    assert "".join(got)
    assert INNER not in str(caught.value)
    assert caught.value.type in ("upstream_error", "rate_limit_error")


def test_asynchronous(server: Server, dialect: str) -> None:
    async def scenario() -> None:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="-", timeout=PATIENCE, max_retries=0) as client:
            create = client.chat.completions.create
            reply, stream = await asyncio.gather(
                create(model=f"{dialect}.text", messages=HELLO),
                create(model=f"{dialect}.text", messages=HELLO, stream=True),
            )
            assert (reply.choices[0].message.content or "").startswith(DIALECTS[dialect].text.text)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            assert text.endswith(DIALECTS[dialect].text_stream.ends)
            with pytest.raises(openai.RateLimitError):
                await create(model=f"{dialect}.429", messages=HELLO)

    asyncio.run(scenario())
