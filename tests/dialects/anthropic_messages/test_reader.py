"""Reading streams."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects import dialects
from engine.exchange import OutcomeClass, Usage
from engine.exchange.canonical import Choice, Citation, Opaque, Text, Thinking, ToolCall
from engine.exchange.events import Began, Ended, Event, Failed, Finished, TextPiece, ThinkingPiece, Used

from ..play import added, encode, events, odd_json

NAME = "anthropic-messages"
CHAT: Any = dialects()[NAME].chat

START = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}},
}
STOP = {"type": "message_stop"}


def sse(*trees: Any) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (tree["type"].encode(), json.dumps(tree).encode()) for tree in trees)


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def end(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def finish(reason: str = "end_turn", **usage: int) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def read(*trees: Any) -> list[Event]:
    return events(CHAT, [sse(*trees)])


def choice_of(*trees: Any) -> Choice:
    sum_ = added(read(START, *trees, finish("tool_use"), STOP), NAME)
    assert sum_.failure is None
    return sum_.reply().choices[0]


def test_text_as_it_comes() -> None:
    found = read(
        START,
        {"type": "ping"},
        begin(0, type="text", text=""),
        delta(0, type="text_delta", text="Hel"),
        delta(0, type="text_delta", text="lo"),
        end(0),
        finish(output_tokens=9),
        STOP,
    )
    assert found == [
        Began("msg_1", "m"),
        Used(Usage(input=3, output=1)),
        TextPiece("Hel"),
        TextPiece("lo"),
        Finished("stop", raw="end_turn"),
        Used(Usage(input=3, output=9)),
        Ended(),
    ]


def test_thoughts_calls_and_citations() -> None:
    cited = {"type": "char_location", "cited_text": "q", "document_title": "D", "document_index": 0}
    choice = choice_of(
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="Hm."),
        delta(0, type="signature_delta", signature="c2ln"),
        end(0),
        begin(1, type="redacted_thinking", data="xyz"),
        end(1),
        begin(2, type="text", text=""),
        delta(2, type="citations_delta", citation=cited),
        delta(2, type="text_delta", text="t"),
        end(2),
        begin(3, type="tool_use", id="a", name="f", input={}),
        delta(3, type="input_json_delta", partial_json=""),
        delta(3, type="input_json_delta", partial_json='{"x":'),
        delta(3, type="input_json_delta", partial_json="1}"),
        end(3),
        begin(4, type="tool_use", id="b", name="g", input={}),
        delta(4, type="input_json_delta", partial_json=""),
        end(4),
        begin(5, type="tool_use", id="c", name="h", input={"whole": True}),
        end(5),
    )
    assert choice.parts == [
        Thinking("Hm.", "c2ln"),
        Thinking(redacted="xyz"),
        Text("t", [Citation(title="D", quote="q", extra=cited)]),
        ToolCall("a", "f", '{"x":1}'),
        ToolCall("b", "g", "{}"),
        ToolCall("c", "h", '{"whole":true}'),
    ]


def test_what_only_this_protocol_knows_comes_whole() -> None:
    choice = choice_of(
        begin(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json='{"query":'),
        delta(0, type="input_json_delta", partial_json='"x"}'),
        end(0),
        begin(1, type="compaction", content=""),
        delta(1, type="compaction_delta", content="short"),
        end(1),
    )
    assert choice.parts == [
        Opaque(NAME, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}),
        Opaque(NAME, {"type": "compaction", "content": "short"}),
    ]


def test_indexes_may_have_gaps_and_blocks_may_be_unannounced() -> None:
    choice = choice_of(
        begin(4, type="text", text="a"),
        delta(4, type="text_delta", text="b"),
        end(4),
        delta(7, type="thinking_delta", thinking="Hm."),
        delta(9, type="text_delta", text="c"),
    )
    assert choice.parts == [Text("ab"), Thinking("Hm."), Text("c")]


def test_a_message_may_begin_whole() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "roll", "input": {"dice": 2}, "caller": {"type": "code"}}
    own = {"type": "server_tool_use", "id": "s", "name": "code", "input": {}}
    content = [call, {"type": "text", "text": "Rolling."}, own]
    message = {**START["message"], "content": content, "stop_reason": "tool_use", "stop_sequence": None}
    sum_ = added(read({**START, "message": message}, begin(0, type="text", text="More."), end(0), STOP), NAME)
    assert sum_.ended
    (choice,) = sum_.reply().choices
    assert choice.finish == "tool_calls"
    assert choice.parts == [
        ToolCall("toolu_1", "roll", '{"dice":2}', extra={"caller": {"type": "code"}}),
        Text("Rolling."),
        Opaque(NAME, own),
        Text("More."),
    ]


def test_later_usage_completes_earlier() -> None:
    start = {"input_tokens": 3, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20, "output_tokens": 1}
    message = {"id": "1", "model": "m", "usage": {**start, "service_tier": "priority"}}
    found = read({"type": "message_start", "message": message}, finish(output_tokens=9), STOP)
    sum_ = added(found, NAME).reply()
    assert sum_.usage == Usage(input=123, output=9, cached=100, cache_write=20)
    assert sum_.service_tier == "priority"
    sum_ = added(
        read({"type": "message_start", "message": message}, finish(input_tokens=5, output_tokens=9)), NAME
    ).reply()
    assert sum_.usage is not None
    assert sum_.usage.input == 125


def test_a_second_beginning() -> None:
    again = json.loads(json.dumps(START))
    assert len(read(START, again, STOP)) == 3
    again["message"]["id"] = "msg_2"
    failed = read(START, again)[-1]
    assert isinstance(failed, Failed)
    assert failed.verdict.outcome_class is OutcomeClass.GARBLED


def test_nothing_follows_the_end() -> None:
    assert read(START, finish(), STOP, START, begin(0, type="text", text="x"))[-1] == Ended()
    assert events(CHAT, [sse(STOP), b"data: [DONE]\n\n"]) == [Ended()]


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n',
            OutcomeClass.OVERLOADED,
        ),
        (b'data: {"type":"error","error":{"type":"rate_limit_error","message":"x"}}\n\n', OutcomeClass.RATE_LIMITED),
        (b'event: error\ndata: {"message":"x"}\n\n', OutcomeClass.SERVER_ERROR),
        (b'data: {"error":{"code":"insufficient_quota"}}\n\n', OutcomeClass.QUOTA_EXHAUSTED),
    ],
)
def test_errors_inside(data: bytes, outcome: OutcomeClass) -> None:
    (failed,) = events(CHAT, [data])
    assert isinstance(failed, Failed)
    assert failed.verdict.outcome_class is outcome


def test_an_empty_signature_is_none() -> None:
    (piece, *_) = [
        e for e in read(begin(0, type="thinking", thinking="Hm.", signature="")) if isinstance(e, ThinkingPiece)
    ]
    assert piece.signature is None


NAMES = ["type", "index", "content_block", "delta", "message", "usage", "text", "error", "input", "id", "name"]
TYPES = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "tool_use",
]


@given(st.lists(odd_json([*NAMES, *TYPES]) | st.sampled_from([START, begin(0, type="odd"), end(0)]), max_size=6))
def test_odd_events_are_read_or_refused(trees: list[Any]) -> None:
    data = b"".join(b"data: %b\n\n" % encode(tree) for tree in trees)
    with suppress(ValueError):
        events(CHAT, [data])


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        events(CHAT, [data])
