"""Writing streams of chat completions: what the official client puts together from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpx2
import msgspec
from hypothesis import given, settings
from openai import OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from engine.dialects.openai_chat import OpenAIChat
from engine.exchange import Usage
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Citation,
    Media,
    Opaque,
    Part,
    Text,
    Tool,
)
from engine.exchange.events import (
    Began,
    Ended,
    Event,
    Finished,
    Logprobs,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    ToolCallPiece,
    Used,
    WholePart,
    events_of,
)

from ..canon import bare, finish_of, openai_answers, usages
from ..play import CUTS, encode, streamed

CHAT = OpenAIChat().chat
assert CHAT is not None
NAME = "openai-chat"
BEGAN = Began("r", "m", 5, extra={"system_fingerprint": "f", "elsewhere": 1})


def write(told: Iterable[Event], **asked: Any) -> bytes:
    writer = CHAT.writer(ChatRequest(model="asked", **asked))  # type: ignore[union-attr]
    return b"".join(map(writer.write, told))


def chunks(*told: Event, **asked: Any) -> list[dict[str, Any]]:
    *lines, done = write(told, **asked).decode().removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    return [msgspec.json.decode(line.removeprefix("data: ")) for line in lines]


def deltas(*told: Event, **asked: Any) -> list[dict[str, Any]]:
    return [one["choices"][0]["delta"] for one in chunks(*told, Ended(), **asked) if one["choices"]]


def client(stream: bytes) -> OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    transport = httpx2.MockTransport(answer)
    return OpenAI(base_url="http://x.invalid", api_key="-", http_client=httpx2.Client(transport=transport))


def test_a_whole_stream() -> None:
    told = [BEGAN, TextPiece("he"), TextPiece("llo"), Used(Usage(input=1, output=2)), Finished("stop"), Ended()]
    head = {"id": "r", "object": "chat.completion.chunk", "created": 5, "model": "m", "system_fingerprint": "f"}
    first, second, last = chunks(*told)
    assert {**first, "choices": 0} == {**head, "choices": 0}
    assert first["choices"] == [
        {"index": 0, "delta": {"role": "assistant", "content": "he"}, "logprobs": None, "finish_reason": None}
    ]
    assert second["choices"][0]["delta"] == {"content": "llo"}
    assert last["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    *_, usage = chunks(*told, include_usage=True)
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_a_stream_without_a_word() -> None:
    first = chunks(BEGAN, Finished("length"), Ended())[0]["choices"][0]
    assert (first["delta"], first["finish_reason"]) == ({"role": "assistant", "content": ""}, "length")


def test_a_stream_that_says_no_reason_has_one() -> None:
    assert chunks(BEGAN, TextPiece("a"), Ended())[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks(BEGAN, ToolCallPiece(id="c", name="f"), Ended())[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_calls_are_counted_on_their_own() -> None:
    found = deltas(
        TextPiece("a"),
        ToolCallPiece(0, 1, "c1", "f"),
        ToolCallPiece(0, 2, "c2", "g", "{"),
        ToolCallPiece(0, 1, arguments="[]"),
        ToolCallPiece(0, 2, arguments="}"),
        ToolCallPiece(0, 2, extra={"elsewhere": 1}),
    )
    assert [delta["tool_calls"][0] for delta in found if "tool_calls" in delta] == [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": "{"}},
        {"index": 0, "function": {"arguments": "[]"}},
        {"index": 1, "function": {"arguments": "}"}},
    ]


def test_a_client_of_functions_gets_a_function_call() -> None:
    told = [BEGAN, ToolCallPiece(id="c", name="f"), ToolCallPiece(arguments="{}"), Finished("tool_calls"), Ended()]
    found = chunks(*told, tools=[Tool("f", extra={"legacy": True})])
    assert found[0]["choices"][0]["delta"]["function_call"] == {"name": "f", "arguments": ""}
    assert found[1]["choices"][0]["delta"] == {"function_call": {"arguments": "{}"}}
    assert found[2]["choices"][0]["finish_reason"] == "function_call"


def test_thoughts_with_their_signatures() -> None:
    found = deltas(
        ThinkingPiece("a"), ThinkingPiece("b"), ThinkingPiece(signature="s"), ThinkingPiece(redacted="x", block=1)
    )
    assert [delta.get("reasoning_content") for delta in found] == ["a", "b", None, None, None]
    assert found[2]["reasoning_details"] == [{"index": 0, "type": "reasoning.text", "text": "ab", "signature": "s"}]
    assert found[3]["reasoning_details"] == [{"index": 1, "type": "reasoning.encrypted", "data": "x"}]


def test_other_parts() -> None:
    citation = Citation("https://x.example", "t", start=0, end=1)
    custom = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}
    found = deltas(
        TextPiece("ab", block=0),
        TextPiece("c", block=1, citations=[citation]),
        Logprobs([{"token": "c"}]),
        RefusalPiece("no", block=2),
        WholePart(Media("audio", data="QUJD", text="hi"), block=3),
        WholePart(Media("image", url="https://x.example/a.png"), block=4),
        WholePart(Opaque(NAME, custom), block=5),
        WholePart(Opaque("elsewhere", custom), block=6),
    )
    assert found[1]["annotations"][0]["url_citation"] == {
        "url": "https://x.example", "title": "t", "start_index": 2, "end_index": 3
    }  # fmt: skip
    assert found[3] == {"refusal": "no"}
    assert found[4]["audio"]["transcript"] == "hi"
    assert found[5]["images"][0]["image_url"] == {"url": "https://x.example/a.png"}
    assert found[6] == {"tool_calls": [{"index": 0, **custom}]}
    assert len(found) == 8


def test_the_official_client_gets_what_was_said() -> None:
    told: list[Event] = [
        BEGAN,
        TextPiece("It is "),
        TextPiece("sunny."),
        Logprobs([{"token": "sunny", "logprob": -0.5, "bytes": None, "top_logprobs": []}]),
        ToolCallPiece(0, 1, "c1", "weather"),
        ToolCallPiece(0, 1, arguments='{"city":'),
        ToolCallPiece(0, 2, "c2", "time", "{}"),
        ToolCallPiece(0, 1, arguments='"Rome"}'),
        Finished("tool_calls"),
        Used(Usage(input=3, output=4, cached=2)),
        Ended(),
    ]
    state = ChatCompletionStreamState()
    with client(write(told, include_usage=True)) as openai:
        stream = openai.chat.completions.create(model="m", messages=[], stream=True)
        for chunk in stream:
            assert isinstance(chunk, ChatCompletionChunk)
            state.handle_chunk(chunk)
    final: Any = state.get_final_completion()
    message = final.choices[0].message
    assert message.content == "It is sunny."
    assert [(one.id, one.function.name, one.function.arguments) for one in message.tool_calls] == [
        ("c1", "weather", '{"city":"Rome"}'),
        ("c2", "time", "{}"),
    ]
    assert final.choices[0].finish_reason == "tool_calls"
    assert (final.usage.total_tokens, final.usage.prompt_tokens_details.cached_tokens) == (7, 2)


@settings(max_examples=100)
@given(openai_answers(), usages("cached", "reasoning"), CUTS)
def test_a_stream_amounts_to_the_whole_reply(parts: list[Part], usage: Usage, cuts: list[int]) -> None:
    reply = ChatReply("r", "m", 5, [Choice(parts, finish_of(parts))], usage, "flex", origin="elsewhere")
    told = streamed(CHAT, write(events_of(reply), include_usage=True), NAME, cuts)  # type: ignore[arg-type]
    whole = CHAT.read_reply(encode(CHAT.write_reply(reply, ChatRequest())))  # type: ignore[union-attr]
    assert bare(told) == bare(whole)
    assert bare(told, "finish_raw") == bare(reply)


def test_an_answer_in_the_client_s_own_types() -> None:
    reply = ChatReply("r", "m", 5, [Choice([Text("hi")], "stop")], Usage(input=1, output=1), origin="elsewhere")
    found = ChatCompletion.model_validate(CHAT.write_reply(reply, ChatRequest()))  # type: ignore[union-attr]
    assert found.choices[0].message.content == "hi"
