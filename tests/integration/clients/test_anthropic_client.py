"""Anthropic's client against upstreams of every protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic, beta_tool
from anthropic.types import Message

from ..server.harness import PATIENCE, Server
from .conftest import Asked
from .played import INNER, Played
from .told import DIALECTS, Told
from .wires import NAMELESS, calls, results, schema

ASK: Any = {"max_tokens": 1024, "system": "Be brief.", "messages": [{"role": "user", "content": "hello"}]}


def tools(told: Told) -> Any:
    """Declarations of the tools that are called in the recording."""
    parameters = {"type": "object", "properties": {"query": {"type": "string"}}}
    return [{"name": name, "input_schema": parameters} for name in dict.fromkeys(name for name, _ in told.calls)]


@pytest.fixture(scope="module")
def sdk(server: Server) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key="-", timeout=PATIENCE, max_retries=0) as client:
        yield client


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def check(message: Message, told: Told) -> None:
    """The message holds what was told, as blocks of this client's types."""
    text = text_of(message)
    assert text.startswith(told.text)
    assert text.endswith(told.ends)
    thoughts = [block.thinking for block in message.content if block.type == "thinking"]
    assert "".join(thoughts).startswith(told.thought)
    uses = [block for block in message.content if block.type == "tool_use"]
    assert [(use.name, use.input) for use in uses] == list(told.calls)
    assert len({use.id for use in uses}) == len(told.calls)
    assert message.stop_reason == ("tool_use" if told.calls else "end_turn")
    assert (message.type, message.role) == ("message", "assistant")
    usage = message.usage
    if told.input is not None:
        assert usage.input_tokens == told.input - told.cached - told.written
        assert usage.output_tokens == told.output
    assert ((usage.cache_read_input_tokens or 0), (usage.cache_creation_input_tokens or 0)) == (
        told.cached,
        told.written,
    )


def test_text(sdk: Anthropic, dialect: str, asked: Asked) -> None:
    message = sdk.messages.create(model=f"{dialect}.text", **ASK)
    check(message, DIALECTS[dialect].text)
    assert message._request_id
    assert "Be brief." in str(asked())


def test_pieces_of_a_stream_arrive_apart(sdk: Anthropic, upstream: Played, dialect: str) -> None:
    """The upstream tells the rest only when the beginning has arrived."""
    upstream.gate.clear()
    got = ""
    with sdk.messages.stream(model=f"{dialect}.text", **ASK) as stream:
        for piece in stream.text_stream:
            got += piece
            upstream.gate.set()
        check(stream.get_final_message(), DIALECTS[dialect].text_stream)
    assert got == text_of(stream.get_final_message())


def test_raw_events(sdk: Anthropic, dialect: str) -> None:
    events = list(
        sdk.messages.create(model=f"{dialect}.calls", tools=tools(DIALECTS[dialect].calls_stream), stream=True, **ASK)
    )
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    started = [event.index for event in events if event.type == "content_block_start"]
    stopped = [event.index for event in events if event.type == "content_block_stop"]
    assert started == stopped == list(range(len(started)))


def test_calls(sdk: Anthropic, dialect: str) -> None:
    told = DIALECTS[dialect].calls
    check(sdk.messages.create(model=f"{dialect}.calls", tools=tools(told), **ASK), told)


def test_calls_in_a_stream(sdk: Anthropic, dialect: str) -> None:
    told = DIALECTS[dialect].calls_stream
    with sdk.messages.stream(model=f"{dialect}.calls", tools=tools(told), **ASK) as stream:
        check(stream.get_final_message(), told)


def test_the_results_of_tools_go_back(sdk: Anthropic, dialect: str, asked: Asked) -> None:
    told = DIALECTS[dialect].calls
    first = sdk.messages.create(model=f"{dialect}.calls", tools=tools(told), **ASK)
    uses = [block for block in first.content if block.type == "tool_use"]
    answers = [
        {"type": "tool_result", "tool_use_id": use.id, "content": f"result {number}"} for number, use in enumerate(uses)
    ]
    history: Any = [
        *ASK["messages"],
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": answers},
    ]
    second = sdk.messages.create(model=f"{dialect}.calls", tools=tools(told), **(ASK | {"messages": history}))
    check(second, DIALECTS[dialect].text)
    names = [use.name if dialect in NAMELESS else use.id for use in uses]
    assert results(dialect, asked()) == [(name, f"result {number}") for number, name in enumerate(names)]
    assert calls(dialect, asked()) == [(name, call[1]) for name, call in zip(names, told.calls, strict=True)]


def test_the_clients_own_loop_over_tools(sdk: Anthropic, upstream: Played) -> None:
    """It asks that the conversation be kept, is told that it was not, and then sends all of it."""
    asked_for: list[str] = []

    @beta_tool(name="weather")
    def weather(city: str) -> str:
        """The weather in a city."""
        asked_for.append(city)
        return "sunny"

    @beta_tool(name="search")
    def search(query: str) -> str:
        """Searches."""
        asked_for.append(query)
        return "found"

    runner = sdk.beta.messages.tool_runner(model="ollama.calls", tools=[weather, search], **ASK)
    last: Any = runner.until_done()
    assert text_of(last).startswith(DIALECTS["ollama"].text.text)
    assert asked_for == ["time of Detroit Tigers game today", "Detroit"]
    first, second = (seen.body for seen in upstream.seen)
    assert (len(results("ollama", first)), len(results("ollama", second))) == (0, 2)


def test_an_answer_by_a_schema(sdk: Anthropic, dialect: str, asked: Asked) -> None:
    expected = DIALECTS[dialect].answer
    reply: Any = sdk.messages.parse(model=f"{dialect}.structured", output_format=type(expected), **ASK)
    assert type(reply.parsed_output) is type(expected)
    assert reply.parsed_output == expected or dialect == "ollama"  # a long one
    assert set(schema(dialect, asked())["properties"]) == set(type(expected).model_fields)


def test_counting(sdk: Anthropic, dialect: str, upstream: Played) -> None:
    """By the service where it counts, else by the estimate that routing goes by."""
    ask = {name: ASK[name] for name in ("system", "messages")}
    counted = sdk.messages.count_tokens(model=f"{dialect}.text", tools=tools(DIALECTS[dialect].calls), **ask)
    if dialect == "anthropic-messages":
        assert upstream.seen[-1].path == "/messages/count_tokens"
        assert counted.input_tokens == 671
    else:
        assert upstream.seen == []
        assert 5 < counted.input_tokens < 500


def test_the_beta_header_is_passed_on_to_its_own_protocol_only(sdk: Anthropic, upstream: Played) -> None:
    for dialect in ("anthropic-messages", "gemini"):
        sdk.beta.messages.create(model=f"{dialect}.text", betas=["context-1m-2025-08-07"], **ASK)
    first, second = upstream.seen
    assert first.headers["anthropic-beta"] == "context-1m-2025-08-07"
    assert first.headers["anthropic-version"]
    assert not {"anthropic-beta", "anthropic-version"} & second.headers.keys()
    assert "x-api-key" not in first.headers


ERRORS: list[tuple[str, type[anthropic.APIStatusError], int, str]] = [
    ("too-long", anthropic.BadRequestError, 400, "invalid_request_error"),
    ("401", anthropic.InternalServerError, 502, "api_error"),
    ("429", anthropic.RateLimitError, 429, "rate_limit_error"),
    ("503", anthropic.InternalServerError, 503, "overloaded_error"),
]


@pytest.mark.parametrize(("scene", "kind", "status", "type_"), ERRORS)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors(
    sdk: Anthropic,
    dialect: str,
    scene: str,
    kind: type[anthropic.APIStatusError],
    status: int,
    type_: str,
    streamed: bool,
) -> None:
    with pytest.raises(kind) as caught:
        sdk.messages.create(model=f"{dialect}.{scene}", stream=streamed, **ASK)
    error: Any = caught.value.body
    assert (caught.value.status_code, error["type"], error["error"]["type"]) == (status, "error", type_)
    assert caught.value.request_id
    assert INNER not in str(caught.value)


def test_an_error_inside_a_stream(sdk: Anthropic, dialect: str) -> None:
    got: list[str] = []
    with sdk.messages.stream(model=f"{dialect}.broken", **ASK) as stream, pytest.raises(anthropic.APIStatusError) as e:
        got.extend(stream.text_stream)
    assert got
    error: Any = e.value.body
    assert error["error"]["type"] in ("overloaded_error", "api_error", "rate_limit_error")
    assert INNER not in str(e.value)


def test_asynchronous(server: Server, dialect: str) -> None:
    async def scenario() -> None:
        async with AsyncAnthropic(base_url=server.url, api_key="-", timeout=PATIENCE, max_retries=0) as client:
            check(await client.messages.create(model=f"{dialect}.text", **ASK), DIALECTS[dialect].text)
            async with client.messages.stream(model=f"{dialect}.text", **ASK) as stream:
                check(await stream.get_final_message(), DIALECTS[dialect].text_stream)
            with pytest.raises(anthropic.RateLimitError):
                await client.messages.create(model=f"{dialect}.429", **ASK)

    asyncio.run(scenario())
