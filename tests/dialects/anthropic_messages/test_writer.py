"""Writing streams: what clients put together from them."""

from __future__ import annotations

import json
from typing import Any

from engine.dialects import dialects
from engine.exchange import Usage
from engine.exchange.canonical import ChatRequest, Citation, Media, Opaque
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
)

NAME = "anthropic-messages"
CHAT: Any = dialects()[NAME].chat
BEGAN = Began("r-1", "m")


def write(*events: Event) -> list[dict[str, Any]]:
    writer = CHAT.writer(ChatRequest(model="asked"))
    told = b"".join(map(writer.write, events))
    found = []
    for block in told.split(b"\n\n")[:-1]:
        name, data = block.split(b"\n")
        tree = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + tree["type"].encode()
        found.append(tree)
    return found


def blocks(*events: Event) -> list[list[dict[str, Any]]]:
    """The events of each block; asserts that they come one block after the other."""
    found: list[list[dict[str, Any]]] = []
    for tree in write(BEGAN, *events, Finished("stop"), Ended()):
        if tree["type"] == "content_block_start":
            found.append([])
        if "index" in tree:
            assert tree.pop("index") == len(found) - 1
            found[-1].append(tree.get("content_block") or tree.get("delta") or tree)
    assert all(block[-1] == {"type": "content_block_stop"} for block in found)
    return [block[:-1] for block in found]


def call(block: int, arguments: str = "", **names: str) -> ToolCallPiece:
    return ToolCallPiece(0, block, arguments=arguments, **names)


def test_a_whole_stream() -> None:
    told = write(BEGAN, TextPiece("Hel"), TextPiece("lo"), Finished("length"), Used(Usage(input=9, output=2)), Ended())
    assert told == [
        {
            "type": "message_start",
            "message": {
                "id": "r-1",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 0, "output_tokens": 0},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": {"input_tokens": 9, "output_tokens": 2},
        },
        {"type": "message_stop"},
    ]


def test_what_is_known_by_the_beginning_is_told_there() -> None:
    start = write(Began("", "m"), Began("r-1", service_tier="default"), Used(Usage(input=9, cached=4)), TextPiece("a"))[
        0
    ]
    assert start["message"]["id"] == "r-1"
    assert start["message"]["usage"] == {
        "input_tokens": 5,
        "output_tokens": 0,
        "cache_read_input_tokens": 4,
        "service_tier": "standard",
    }
    assert write(TextPiece("a"))[0]["message"]["model"] == "asked"


def test_nothing_is_told_before_there_is_something() -> None:
    assert write(BEGAN, Used(Usage(input=1)), Logprobs([])) == []


def test_kinds_of_blocks() -> None:
    told = blocks(
        ThinkingPiece("Hm", block=0),
        ThinkingPiece(".", block=0),
        ThinkingPiece(signature="c2ln", block=0),
        ThinkingPiece(redacted="xyz", block=1),
        TextPiece("t", block=2, citations=[Citation("https://x", "X")]),
        call(3, id="a", name="f"),
        call(3, '{"x"'),
        call(3, ":1}"),
        WholePart(Opaque(NAME, {"type": "server_tool_use", "id": "s"}), block=4),
        WholePart(Media("image", data="AAAA"), block=5),
        WholePart(Opaque("gemini", {"odd": 1}), block=6),
    )
    assert [block[0]["type"] for block in told] == [
        *("thinking", "redacted_thinking", "text", "tool_use", "server_tool_use"),
    ]
    assert [piece["type"] for piece in told[0][1:]] == ["thinking_delta", "thinking_delta", "signature_delta"]
    assert [piece["type"] for piece in told[2][1:]] == ["text_delta", "citations_delta"]
    assert told[3][0] == {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    assert [piece["partial_json"] for piece in told[3][1:]] == ['{"x"', ":1}"]


def arguments(told: list[list[dict[str, Any]]]) -> list[tuple[str, str]]:
    return [(block[0]["name"], "".join(piece["partial_json"] for piece in block[1:])) for block in told]


def test_calls_that_take_turns_come_one_after_the_other() -> None:
    told = blocks(
        call(0, id="a", name="f"),
        call(1, id="b", name="g"),
        call(2, id="c", name="h"),
        call(1, '{"y":'),
        call(0, '{"x":'),
        call(2, "{}"),
        call(0, "1}"),
        call(1, "2}"),
    )
    assert arguments(told) == [("f", '{"x":1}'), ("g", '{"y":2}'), ("h", "{}")]


def test_a_call_does_not_wait_for_one_that_is_whole() -> None:
    told = write(BEGAN, call(0, '{"x":1}', id="a", name="f"), call(1, '{"y"', id="b", name="g"))
    assert [tree["index"] for tree in told[1:]] == [0, 0, 0, 1, 1]
    told = write(BEGAN, call(0, id="a", name="f"), call(1, '{"y"', id="b", name="g"), call(0, "{}"), call(1, ":2}"))
    assert [(tree["type"], tree["index"]) for tree in told[-3:]] == [
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
    ]


def test_texts_that_take_turns_are_blocks_of_their_own() -> None:
    told = blocks(TextPiece("a", block=0), ThinkingPiece("b", block=1), TextPiece("c", block=0))
    assert [block[0]["type"] for block in told] == ["text", "thinking", "text"]


def test_text_waits_for_a_call() -> None:
    told = blocks(call(0, '{"x"', id="a", name="f"), TextPiece("t", block=1), call(0, ":1}"), TextPiece("u", block=1))
    assert [block[0]["type"] for block in told] == ["tool_use", "text"]
    assert [piece["text"] for piece in told[1][1:]] == ["t", "u"]


def test_only_the_first_of_several_answers_is_told() -> None:
    told = write(BEGAN, TextPiece("a"), TextPiece("b", 1), Finished("stop"), Finished("length", 1), Ended())
    assert [tree["delta"]["text"] for tree in told if tree["type"] == "content_block_delta"] == ["a"]
    assert told[-2]["delta"]["stop_reason"] == "end_turn"


def test_why_it_ended() -> None:
    def reason(*events: Event) -> str:
        found: str = write(BEGAN, *events, Ended())[-2]["delta"]["stop_reason"]
        return found

    assert reason(TextPiece("a"), Finished("stop")) == "end_turn"
    assert reason(TextPiece("a")) == "end_turn"
    assert reason(call(0, "{}", id="a", name="f"), Finished("stop")) == "tool_use"
    assert reason(RefusalPiece("No."), Finished("stop")) == "refusal"
    assert reason(Finished("length", raw="model_context_window_exceeded")) == "model_context_window_exceeded"


def test_an_answer_without_any_piece_is_still_a_message() -> None:
    assert [tree["type"] for tree in write(BEGAN, Finished("length"), Ended())] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]


def test_what_is_this_protocols_own_is_told() -> None:
    told = write(
        Began(extra={"container": {"id": "c"}, "odd": 1}),
        ToolCallPiece(id="a", name="f", extra={"caller": {"type": "direct"}, "odd": 1}),
        Finished("refusal", extra={"stop_details": {"type": "refusal"}}),
        Ended(),
    )
    assert told[1]["content_block"]["caller"] == {"type": "direct"}
    assert told[-2]["delta"] == {
        "stop_reason": "refusal",
        "stop_sequence": None,
        "stop_details": {"type": "refusal"},
        "container": {"id": "c"},
    }
    assert "odd" not in json.dumps(told)
