"""Whole replies, both ways, and what their usage includes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.dialects import dialects
from engine.dialects.anthropic_messages.decode import decode_reply
from engine.dialects.anthropic_messages.usage import read_usage, write_usage
from engine.exchange import OutcomeClass, Usage, Verdict
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Citation,
    Media,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)

NAME = "anthropic-messages"
CHAT: Any = dialects()[NAME].chat


def message(*blocks: Any, **fields: Any) -> bytes:
    tree = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(blocks)}
    tree.update({"stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 5}})
    return json.dumps({**tree, **fields}).encode()


HI = {"type": "text", "text": "Hi"}


def read(*blocks: Any, **fields: Any) -> ChatReply:
    reply = CHAT.read_reply(message(*blocks, **fields))
    assert isinstance(reply, ChatReply)
    return reply


def test_a_reply() -> None:
    reply = read(
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        HI,
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}, "caller": {"type": "direct"}},
        stop_reason="tool_use",
        container={"id": "c"},
    )
    call = ToolCall("a", "f", '{"x":1}', extra={"caller": {"type": "direct"}})
    choice = Choice([Thinking("Hm.", "c2ln"), Text("Hi"), call], "tool_calls", "tool_use")
    assert reply == ChatReply(
        "msg_1", "m", None, [choice], Usage(input=3, output=5), None, {"container": {"id": "c"}}, NAME
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("unheard_of", "stop"),
    ],
)
def test_why_it_ended(reason: str, finish: str) -> None:
    choice = read(HI, stop_reason=reason, stop_sequence="END" if reason == "stop_sequence" else None).choices[0]
    assert (choice.finish, choice.finish_raw) == (finish, reason)
    if reason != "unheard_of":
        reply = ChatReply(choices=[choice], origin=NAME)
        assert CHAT.write_reply(reply, ChatRequest())["stop_reason"] == reason


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (Choice([Text("a")], "stop", "stop"), "end_turn"),
        (Choice([Text("a")], None), "end_turn"),
        (Choice([Text("a")], "stop", "stop", "END"), "stop_sequence"),
        (Choice([ToolCall("1", "f")], "stop", "STOP"), "tool_use"),
        (Choice([ToolCall("1", "f")], "tool_calls"), "tool_use"),
        (Choice([Refusal("No.")], "stop"), "refusal"),
        (Choice([], "content_filter", "SAFETY"), "refusal"),
        (Choice([Text("a")], "length", "length"), "max_tokens"),
        (Choice([Text("a")], "pause"), "pause_turn"),
        (Choice([Text("a")], "error", "malformed"), "end_turn"),
    ],
)
def test_why_answers_of_others_ended(choice: Choice, reason: str) -> None:
    assert CHAT.write_reply(ChatReply(choices=[choice]), ChatRequest())["stop_reason"] == reason


def test_an_answer_of_another_protocol() -> None:
    parts = [
        Thinking("Hm."),
        Text("Hi", [Citation("https://x", "X", "q"), Citation(title="Doc", quote="q")], extra={"odd": 1}),
        ToolCall("1", "f", '{"x":1}', extra={"odd": 1}),
        Media("image", data="AAAA"),
        Opaque("gemini", {"odd": 1}),
    ]
    usage = Usage(input=10, output=4, cached=6, cache_write=1, reasoning=2)
    reply = ChatReply("r", "m", 1, [Choice(parts, "tool_calls")], usage, "default", {"odd": 1}, "gemini")
    tree = CHAT.write_reply(reply, ChatRequest(model="asked"))
    assert tree["content"][0] == {"type": "thinking", "thinking": "Hm.", "signature": ""}
    assert [one["type"] for one in tree["content"][1]["citations"]] == [
        "web_search_result_location",
        "search_result_location",
    ]
    assert tree["content"][2:] == [{"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}}]
    assert tree["usage"] == {
        "input_tokens": 3,
        "output_tokens": 4,
        "cache_read_input_tokens": 6,
        "cache_creation_input_tokens": 1,
        "output_tokens_details": {"thinking_tokens": 2},
        "service_tier": "standard",
    }
    assert "odd" not in tree


def test_usage_is_told_apart_on_the_wire_and_whole_here() -> None:
    wire = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 800},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 30},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    }
    usage = read_usage(wire)
    assert usage == Usage(1110, 50, 100, 30, 1000, 800, searches=2)
    assert write_usage(usage) == wire


def test_usage_that_nobody_reports_is_unknown() -> None:
    assert read_usage({"input_tokens": 3, "output_tokens": 5}) == Usage(input=3, output=5)
    assert read_usage({"cache_read_input_tokens": 5}) == Usage(cached=5)
    assert read_usage({"input_tokens": "3", "output_tokens": True}) == Usage()
    assert read_usage(None) is None
    parted = {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 2}}
    assert read_usage(parted) == Usage(input=3, cache_write=2)


GARBLED, REFUSED, SERVED = OutcomeClass.GARBLED, OutcomeClass.CONTENT_REFUSED, OutcomeClass.SERVED


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", GARBLED),
        (b"<html>", GARBLED),
        (b"[]", GARBLED),
        (b"{}", GARBLED),
        (b'{"content": "Hi"}', GARBLED),
        (b'{"content": [5]}', GARBLED),
        (b'{"content": [{"text": "\xff"}]}', GARBLED),
        (b"[" * 100_000, GARBLED),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', OutcomeClass.OVERLOADED),
        (b'{"error":{"message":"x","code":429}}', OutcomeClass.RATE_LIMITED),
        (b'{"type":"error","error":"gone wrong"}', OutcomeClass.SERVER_ERROR),
    ],
)
def test_what_is_no_reply(body: bytes, outcome: OutcomeClass) -> None:
    read = CHAT.read_reply(body)
    assert isinstance(read, Verdict)
    assert read.outcome_class is outcome
    assert decode_reply("chat", body).outcome_class is outcome


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (message(HI), SERVED),
        (message({"type": "server_tool_use", "id": "1", "name": "s", "input": {}}), SERVED),
        (message(), GARBLED),
        (message({"type": "text", "text": ""}), GARBLED),
        (message(stop_reason="refusal"), REFUSED),
        (message(stop_reason="max_tokens"), SERVED),
        (message(stop_reason="pause_turn"), SERVED),
    ],
)
def test_an_answer_that_is_passed_on_unread(body: bytes, outcome: OutcomeClass) -> None:
    verdict = decode_reply("chat", body)
    assert (verdict.outcome_class, verdict.usage) == (outcome, Usage(input=3, output=5))


def test_a_count_of_tokens_has_no_usage() -> None:
    assert decode_reply("count_tokens", b'{"input_tokens": 14}') == Verdict(SERVED)
