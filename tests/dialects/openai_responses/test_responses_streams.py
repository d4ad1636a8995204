"""Streams of responses: read as events, written for the official client, relayed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI

from engine.dialects.openai_responses import OpenAIResponses
from engine.exchange import Usage
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Citation,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from engine.exchange.events import (
    Began,
    Ended,
    Event,
    Failed,
    Finished,
    Logprobs,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    ToolCallPiece,
    Used,
    WholePart,
    events_of,
    is_output,
)

from ..canon import bare, finish_of, openai_answers, usages
from ..play import CUTS, added, encode, events, odd_json, pieces, streamed
from ..recordings import cassette

CHAT: Any = OpenAIResponses().chat
NAME = "openai-responses"
BEGAN = Began("r", "m", 5)


def sse(*told: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + encode(event) + b"\n\n" for event in told)


def write(told: Iterable[Event], asked: ChatRequest | None = None) -> bytes:
    writer = CHAT.writer(asked or ChatRequest(model="asked"))
    return b"".join(map(writer.write, told))


def written(*told: Event) -> list[dict[str, Any]]:
    found = []
    for place, block in enumerate(write([BEGAN, *told, Ended()]).decode().removesuffix("\n\n").split("\n\n")):
        name, data = block.split("\n")
        tree = msgspec.json.decode(data.removeprefix("data: "))
        assert name == f"event: {tree['type']}"
        assert tree["sequence_number"] == place
        found.append(tree)
    return found


def client(stream: bytes) -> OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    transport = httpx2.MockTransport(answer)
    return OpenAI(base_url="http://x.invalid", api_key="-", http_client=httpx2.Client(transport=transport))


TOLD: list[Event] = [
    BEGAN,
    ThinkingPiece("Let me ", block=0),
    ThinkingPiece("see.", block=0),
    ThinkingPiece(signature="s", block=0),
    TextPiece("It is ", block=1),
    Logprobs([{"token": "sunny", "logprob": -0.5, "bytes": [1], "top_logprobs": []}]),
    TextPiece("sunny.", block=1),
    TextPiece(block=1, citations=[Citation("https://x.example", "t", start=0, end=2)]),
    TextPiece("Really.", block=2),
    ToolCallPiece(0, 3, "c1", "weather"),
    ToolCallPiece(0, 4, "c2", "time", "{"),
    ToolCallPiece(0, 3, arguments='{"city":"Rome"}'),
    ToolCallPiece(0, 4, arguments="}"),
    Used(Usage(input=3, output=4, cached=2)),
    Finished("tool_calls"),
    Ended(),
]


def test_the_official_client_gets_what_was_said() -> None:
    with client(write(TOLD)) as openai, openai.responses.stream(model="m", input="hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == "It is sunny.Really."
    thought, message, weather, time = final.output
    assert (thought.type, thought.summary[0].text, thought.encrypted_content) == (
        "reasoning", "Let me see.", "interlock.signature.s"
    )  # fmt: skip
    assert message.content[0].annotations[0].url == "https://x.example"
    assert message.content[0].logprobs[0].token == "sunny"
    assert (weather.call_id, weather.name, weather.arguments) == ("c1", "weather", '{"city":"Rome"}')
    assert (time.call_id, time.name, time.arguments) == ("c2", "time", "{}")
    assert (final.status, final.usage.total_tokens, final.usage.input_tokens_details.cached_tokens) == (
        "completed",
        7,
        2,
    )
    assert kinds[:4] == [
        "response.created", "response.in_progress", "response.output_item.added",
        "response.reasoning_summary_part.added",
    ]  # fmt: skip
    assert {kind.removeprefix("response.") for kind in kinds} == {
        "created", "in_progress", "completed", "output_item.added", "output_item.done", "content_part.added",
        "content_part.done", "output_text.delta", "output_text.done", "output_text.annotation.added",
        "reasoning_summary_part.added", "reasoning_summary_part.done", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "function_call_arguments.delta", "function_call_arguments.done",
    }  # fmt: skip


def test_the_official_client_gets_events_of_its_own_types() -> None:
    with client(write(TOLD)) as openai:
        found = list(openai.responses.create(model="m", input="hi", stream=True))
    assert [event.sequence_number for event in found] == list(range(len(found)))
    assert all(type(event).__module__.startswith("openai.types.responses") for event in found)


def test_a_refusal_and_an_answer_that_was_cut() -> None:
    told = written(RefusalPiece("n"), RefusalPiece("o"), Finished("refusal"))
    assert [event["delta"] for event in told if event["type"] == "response.refusal.delta"] == ["n", "o"]
    assert told[-1]["response"]["status"] == "completed"
    assert told[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "no"}]
    told = written(TextPiece("a"), Finished("length"))
    assert told[-1]["type"] == "response.incomplete"
    assert told[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_words_after_a_call_are_another_message() -> None:
    told = written(TextPiece("a"), ToolCallPiece(0, 1, "c", "f"), TextPiece("b"), Finished("tool_calls"))
    output = told[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "message"]
    added = [event["output_index"] for event in told if event["type"] == "response.output_item.added"]
    done = [event["output_index"] for event in told if event["type"] == "response.output_item.done"]
    assert (added, sorted(done)) == ([0, 1, 2], [0, 1, 2])


def test_other_parts() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    told = written(
        WholePart(Opaque(NAME, search)),
        WholePart(Opaque("elsewhere", search), block=1),
        WholePart(Media("image", data="QUJD"), block=2),
        WholePart(Media("audio", text="hello"), block=3),
        WholePart(Media("audio", data="QUJD"), block=4),
        ThinkingPiece(block=5),
        TextPiece("", block=6),
        TextPiece("not told", choice=1),
    )
    assert [item["type"] for item in told[-1]["response"]["output"]] == [
        "web_search_call", "image_generation_call", "message"
    ]  # fmt: skip


def test_a_stream_without_a_word() -> None:
    told = written(Finished("length"))
    assert [event["type"] for event in told] == ["response.created", "response.in_progress", "response.incomplete"]
    assert {event["response"]["id"] for event in told} == {"r"}


def recorded(name: str) -> list[Event]:
    return events(CHAT, [cassette(NAME, name).body])


def test_a_recorded_stream_with_thoughts() -> None:
    found = added(recorded("raw-thoughts-stream"), NAME).reply()
    thought, said = found.choices[0].parts
    assert isinstance(thought, Thinking)
    assert isinstance(said, Text)
    assert thought.text
    assert thought.extra["content"][0]["text"] == thought.text
    assert found.choices[0].finish == "stop"
    assert found.usage is not None


def test_an_end_without_output_of_its_own() -> None:
    found = added(recorded("no-output-stream"), NAME)
    assert found.ended
    assert [bare(part) for part in found.reply().choices[0].parts if isinstance(part, ToolCall)] == [
        {"id": "call_REDACTED_1", "name": "ping", "arguments": "{}"}
    ]


def test_an_answer_that_was_cut_in_a_call() -> None:
    found = added(recorded("cut-in-a-call-stream"), NAME).reply().choices[0]
    assert (found.finish, found.finish_raw) == ("length", "max_output_tokens")
    assert isinstance(found.parts[0], ToolCall)
    assert found.parts[0].arguments == '{"x":48151'


@pytest.mark.parametrize(("name", "outcome"), [("failed-stream", "rate_limited"), ("error-stream", "server_error")])
def test_recorded_failures(name: str, outcome: str) -> None:
    found = recorded(name)
    assert isinstance(found[-1], Failed)
    assert found[-1].verdict.outcome_class == outcome
    assert not any(map(is_output, found))


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, "rate_limited"),
        ({"error": {"code": "server_error"}}, "server_error"),
        ({"type": "response.failed", "response": {}}, "server_error"),
        ({"type": "response.cancelled", "response": {"status": "cancelled"}}, "server_error"),
        ({"type": "response.failed", "response": {"error": {"code": "invalid_image"}}}, "invalid_request"),
    ],
)
def test_failures_inside(told: dict[str, Any], outcome: str) -> None:
    found = events(CHAT, [sse(told, {"type": "response.completed", "response": {"output": []}})])
    assert isinstance(found[-1], Failed)
    assert found[-1].verdict.outcome_class == outcome


def test_what_no_piece_told_is_in_the_whole_item() -> None:
    items: list[dict[str, Any]] = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {
            "type": "message",
            "content": [{"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "u"}]}],
        },
        {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "[]"},
        {"type": "web_search_call", "id": "ws_1"},
    ]
    end = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": items}}
    whole = CHAT.read_reply(encode(end["response"]))
    done = [
        {"type": "response.output_item.done", "output_index": place, "item": item} for place, item in enumerate(items)
    ]
    begun = [{**event, "type": "response.output_item.added"} for event in done]
    both = [event for pair in zip(begun, done, strict=True) for event in pair]
    for told in ([end], [*done, end], [*both, end]):
        assert bare(streamed(CHAT, sse(*told), NAME)) == bare(whole)


def test_parts_of_which_nothing_is_told_do_not_shift_the_others() -> None:
    cited = Citation(url="https://x.example", title="X")
    told: list[Event] = [TextPiece("a"), TextPiece("", 0, 1), TextPiece("", 0, 2, [cited]), TextPiece(".", 0, 3)]
    said = streamed(CHAT, write([BEGAN, *told, Finished("stop"), Ended()]), NAME)
    assert said.text == "a."
    texts = [part for part in said.choices[0].parts if isinstance(part, Text)]
    assert [citation.url for text in texts for citation in text.citations] == [cited.url]


def test_summaries_of_several_parts() -> None:
    def piece(text: str, place: int) -> dict[str, Any]:
        return {
            "type": "response.reasoning_summary_text.delta",
            "output_index": 0,
            "summary_index": place,
            "delta": text,
        }

    item = {"type": "reasoning", "id": "rs_1", "summary": [{"text": "ab"}, {"text": "c"}]}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    end = {"type": "response.completed", "response": {"status": "completed"}}
    found = streamed(CHAT, sse(piece("a", 0), piece("b", 0), piece("c", 1), done, end), NAME)
    assert [part.text for part in found.choices[0].parts if isinstance(part, Thinking)] == ["ab\n\nc"]


def test_nothing_but_the_last_event_is_the_end() -> None:
    body = cassette(NAME, "refusal-stream").body
    whole = added(recorded("refusal-stream"), NAME)
    assert whole.ended
    assert whole.reply().choices[0].parts == [Refusal("I'm sorry, I can't assist with that.")]
    cut = body[: body.index(b"event: response.completed")]
    assert not added(events(CHAT, [cut, b"data: [DONE]\n\n"]), NAME).ended


STREAMS = ["raw-thoughts-stream", "refusal-stream", "cut-in-a-call-stream", "no-output-stream"]


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=25)
@given(cuts=CUTS)
def test_recorded_streams_in_any_pieces(name: str, cuts: list[int]) -> None:
    assert streamed(CHAT, cassette(NAME, name).body, NAME, cuts) == added(recorded(name), NAME).reply()


@pytest.mark.parametrize("name", [*STREAMS, "failed-stream", "error-stream"])
@settings(max_examples=15)
@given(cuts=CUTS)
def test_recorded_streams_are_relayed_byte_for_byte(name: str, cuts: list[int]) -> None:
    body = cassette(NAME, name).body
    relay = OpenAIResponses().stream(None, None)  # type: ignore[arg-type]
    out = b"".join(map(relay.feed, pieces(body, cuts)))
    tail, failure = relay.finish()
    if name in STREAMS:
        assert failure is None
        assert body.startswith((out + tail).rstrip(b"\n"))
        assert b"response.completed" in out + tail or b"response.incomplete" in out + tail
        assert relay.conversation
        assert relay.usage == added(recorded(name), NAME).reply().usage
    else:
        assert failure is not None
        assert out + tail == b""


@settings(max_examples=100)
@given(openai_answers(), usages("cached", "reasoning"), CUTS)
def test_a_stream_amounts_to_the_whole_reply(parts: list[Part], usage: Usage, cuts: list[int]) -> None:
    reply = ChatReply("r", "m", 5, [Choice(parts, finish_of(parts))], usage, "flex", origin="elsewhere")
    told = streamed(CHAT, write(events_of(reply)), NAME, cuts)
    whole = CHAT.read_reply(encode(CHAT.write_reply(reply, ChatRequest())))
    assert bare(told) == bare(whole)


_NAMES = ["type", "response", "item", "delta", "output_index", "content_index", "response.output_text.delta",
          "response.output_item.done", "response.output_item.added", "response.completed", "message", "reasoning",
          "function_call", "output", "annotation", "response.output_text.annotation.added", "error"]  # fmt: skip


@settings(max_examples=150)
@given(st.lists(odd_json(_NAMES), max_size=4))
def test_any_events_are_read_or_refused(told: list[Any]) -> None:
    wrapped = [{"type": "response.output_item.done", "item": inner, "output_index": 0} for inner in told]
    for found in (sse(*wrapped), sse(*told)):
        try:
            added(events(CHAT, [found]), NAME).reply()
        except ValueError:
            continue


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        events(CHAT, [data, b"\n\n"])
    except ValueError:
        return
