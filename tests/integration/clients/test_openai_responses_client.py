"""OpenAI's client, responses, against upstreams of every protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response

from ..server.harness import PATIENCE, Server
from .conftest import Asked
from .played import INNER, Played
from .told import DIALECTS, Told
from .wires import NAMELESS, calls, results, schema

ASK: Any = {"instructions": "Be brief.", "input": "hello"}


def tools(told: Told) -> Any:
    """Declarations of the tools that are called in the recording."""
    parameters = {"type": "object", "properties": {"query": {"type": "string"}}}
    names = dict.fromkeys(name for name, _ in told.calls)
    return [{"type": "function", "name": name, "parameters": parameters, "strict": False} for name in names]


@pytest.fixture(scope="module")
def sdk(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="-", timeout=PATIENCE, max_retries=0) as client:
        yield client


def check(reply: Response, told: Told) -> None:
    """The response holds what was told, as items of this client's types."""
    assert reply.output_text.startswith(told.text)
    assert reply.output_text.endswith(told.ends)
    assert (reply.object, reply.status) == ("response", "completed")
    made = [item for item in reply.output if item.type == "function_call"]
    assert [(item.name, json.loads(item.arguments)) for item in made] == list(told.calls)
    assert len({item.call_id for item in made}) == len(told.calls)
    if told.thought:
        assert told.thought in str([item for item in reply.output if item.type == "reasoning"])
    if told.input is not None:
        assert reply.usage is not None
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (told.input, told.output)
        assert reply.usage.input_tokens_details.cached_tokens == told.cached
        assert reply.usage.output_tokens_details.reasoning_tokens == told.reasoning


def test_text(sdk: OpenAI, dialect: str, asked: Asked) -> None:
    reply = sdk.responses.create(model=f"{dialect}.text", **ASK)
    check(reply, DIALECTS[dialect].text)
    assert reply._request_id
    assert "Be brief." in str(asked())


def test_pieces_of_a_stream_arrive_apart(sdk: OpenAI, upstream: Played, dialect: str) -> None:
    """The upstream tells the rest only when the beginning has arrived."""
    upstream.gate.clear()
    got = ""
    with sdk.responses.stream(model=f"{dialect}.text", **ASK) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                got += event.delta
                upstream.gate.set()
        final = stream.get_final_response()
    check(final, DIALECTS[dialect].text_stream)
    assert got == final.output_text


def test_raw_events(sdk: OpenAI, dialect: str) -> None:
    stream = sdk.responses.create(
        model=f"{dialect}.calls", tools=tools(DIALECTS[dialect].calls_stream), stream=True, **ASK
    )
    events = list(stream)
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    added = [event.output_index for event in events if event.type == "response.output_item.added"]
    done = [event.output_index for event in events if event.type == "response.output_item.done"]
    assert sorted(added) == sorted(done) == list(range(len(added)))


def test_calls(sdk: OpenAI, dialect: str) -> None:
    told = DIALECTS[dialect].calls
    check(sdk.responses.create(model=f"{dialect}.calls", tools=tools(told), **ASK), told)


def test_calls_in_a_stream(sdk: OpenAI, dialect: str) -> None:
    told = DIALECTS[dialect].calls_stream
    with sdk.responses.stream(model=f"{dialect}.calls", tools=tools(told), **ASK) as stream:
        check(stream.get_final_response(), told)


def test_the_results_of_tools_go_back(sdk: OpenAI, dialect: str, asked: Asked) -> None:
    told = DIALECTS[dialect].calls
    first = sdk.responses.create(model=f"{dialect}.calls", tools=tools(told), **ASK)
    made: Any = [item for item in first.output if item.type == "function_call"]
    answers = [
        {"type": "function_call_output", "call_id": item.call_id, "output": f"result {number}"}
        for number, item in enumerate(made)
    ]
    history: Any = [
        {"role": "user", "content": "hello"},
        *(item.model_dump(exclude_none=True) for item in first.output),
        *answers,
    ]
    second = sdk.responses.create(model=f"{dialect}.calls", tools=tools(told), **(ASK | {"input": history}))
    check(second, DIALECTS[dialect].text)
    names = [item.name if dialect in NAMELESS else item.call_id for item in made]
    assert results(dialect, asked()) == [(name, f"result {number}") for number, name in enumerate(names)]
    assert calls(dialect, asked()) == [(name, call[1]) for name, call in zip(names, told.calls, strict=True)]


def test_a_response_that_is_not_kept_is_not_gone_on_with(sdk: OpenAI, dialect: str) -> None:
    first = sdk.responses.create(model=f"{dialect}.text", **ASK)
    if dialect == "openai-responses":
        check(
            sdk.responses.create(model=f"{dialect}.text", previous_response_id=first.id, **ASK), DIALECTS[dialect].text
        )
        return
    with pytest.raises(openai.BadRequestError, match="send all of it"):
        sdk.responses.create(model=f"{dialect}.text", previous_response_id=first.id, **ASK)


def test_an_answer_by_a_schema(sdk: OpenAI, dialect: str, asked: Asked) -> None:
    expected = DIALECTS[dialect].answer
    reply: Any = sdk.responses.parse(model=f"{dialect}.structured", text_format=type(expected), **ASK)
    assert type(reply.output_parsed) is type(expected)
    assert reply.output_parsed == expected or dialect == "ollama"  # a long one
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
        sdk.responses.create(model=f"{dialect}.{scene}", stream=streamed, **ASK)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.request_id
    assert INNER not in str(caught.value)


def test_an_error_inside_a_stream(sdk: OpenAI, dialect: str) -> None:
    events: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        events.extend(sdk.responses.create(model=f"{dialect}.broken", stream=True, **ASK))
    assert INNER not in str(caught.value)


def test_asynchronous(server: Server, dialect: str) -> None:
    async def scenario() -> None:
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="-", timeout=PATIENCE, max_retries=0) as client:
            check(await client.responses.create(model=f"{dialect}.text", **ASK), DIALECTS[dialect].text)
            async with client.responses.stream(model=f"{dialect}.text", **ASK) as stream:
                check(await stream.get_final_response(), DIALECTS[dialect].text_stream)
            with pytest.raises(openai.RateLimitError):
                await client.responses.create(model=f"{dialect}.429", **ASK)

    asyncio.run(scenario())
