"""Cohere's chat, version 2: replies, streams, errors."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects.cohere import Cohere
from engine.exchange import OutcomeClass, Usage, Verdict
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Citation,
    Message,
    Text,
    Thinking,
    ToolCall,
)
from engine.exchange.events import Failed

from ..play import CUTS, added, encode, events, odd_json, pieces, shape, streamed, tree
from ..recordings import cassette

DIALECT = Cohere()
CHAT = DIALECT.chat
assert CHAT is not None

RECORDED = ["plan-stream", "no-arguments-stream", "thinking-stream", "cited-stream", "failed-stream"]


def asked(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=list(messages), origin="openai-chat", **fields)


def read(body: bytes) -> ChatReply:
    reply = CHAT.read_reply(body)
    assert isinstance(reply, ChatReply), reply
    return reply


def sse(*told: dict[str, Any]) -> bytes:
    return b"".join(b"event: " + event["type"].encode() + b"\ndata: " + encode(event) + b"\n\n" for event in told)


# --- replies -------------------------------------------------------------------------------------------------------


def test_a_plan_is_a_thought_before_the_calls() -> None:
    reply = read(cassette("cohere", "plan").body)
    plan, first = reply.choices[0].parts[:2]
    assert isinstance(plan, Thinking)
    assert plan.text.startswith("I will use the weather tool")
    assert isinstance(first, ToolCall)
    assert (first.name, first.arguments) == ("weather", '{"location":"San Francisco"}')
    assert (reply.choices[0].finish, reply.choices[0].finish_raw) == ("tool_calls", "TOOL_CALL")


def test_no_arguments_are_an_empty_object() -> None:
    call = read(cassette("cohere", "null-arguments").body).choices[0].parts[-1]
    assert isinstance(call, ToolCall)
    assert call.arguments == "{}"
    call = streamed(CHAT, cassette("cohere", "no-arguments-stream").body, "cohere").choices[0].parts[-1]
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("currentTime", "{}")


def test_what_is_charged_is_the_usage_and_of_the_rest_what_can_be_part_of_it() -> None:
    usage = read(cassette("cohere", "thinking").body).usage
    assert usage == Usage(input=8, output=578)  # 1,344 of 1,394 tokens seen were cached, 8 are charged
    body = {
        "message": {"content": []},
        "usage": {"tokens": {"input_tokens": 9, "output_tokens": 4}, "cached_tokens": 5},
    }
    assert read(encode(body)).usage == Usage(input=9, output=4, cached=5)


def test_each_source_is_a_citation() -> None:
    part = read(cassette("cohere", "cited").body).choices[0].parts[0]
    assert isinstance(part, Text)
    assert [part.text[c.start : c.end] for c in part.citations] == [
        "Automation of tasks",
        "Better decision-making",
        "Cost reduction",
    ]
    assert {(c.document, c.title) for c in part.citations} == {("doc:0", "benefits.txt")}
    assert all((c.quote or "").startswith("AI provides") for c in part.citations)
    sources = [{"type": "document", "id": name, "document": {"url": name}} for name in ("a", "b")]
    cited = {"start": 0, "end": 1, "text": "x", "sources": sources, "content_index": 1}
    message = {"content": [{"type": "thinking", "thinking": "?"}, {"type": "text", "text": "x"}], "citations": [cited]}
    reply = read(encode({"message": message}))
    part = reply.choices[0].parts[1]
    assert isinstance(part, Text)
    assert [c.url for c in part.citations] == ["a", "b"]
    assert CHAT.write_reply(reply, ChatRequest())["message"]["citations"] == [cited]


def test_citations_of_another_service_need_a_place_in_the_text() -> None:
    placed = Citation("https://x.example", "X", "said", 0, 2)
    written = CHAT.write_request(
        asked(Message("assistant", [Text("abc", citations=[placed, Citation("https://y.example")])])), shape()
    )
    assert written.dropped == ["citations"]
    assert tree(written.body)["messages"][0]["citations"] == [
        {
            "start": 0,
            "end": 2,
            "text": "ab",
            "sources": [
                {
                    "type": "document",
                    "id": "https://x.example",
                    "document": {"title": "X", "url": "https://x.example", "text": "said"},
                }
            ],
            "content_index": 0,
            "type": "TEXT_CONTENT",
        }
    ]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR_TOXIC", "content_filter"),
        ("A_REASON_TO_COME", "stop"),
    ],
)
def test_reasons_to_finish(reason: str, finish: str) -> None:
    assert read(encode({"message": {"content": "a"}, "finish_reason": reason})).choices[0].finish == finish


@pytest.mark.parametrize(
    ("reason", "expected"), [("ERROR", OutcomeClass.SERVER_ERROR), ("TIMEOUT", OutcomeClass.TIMEOUT)]
)
def test_an_answer_that_ended_in_a_failure_is_one(reason: str, expected: OutcomeClass) -> None:
    verdict = CHAT.read_reply(encode({"message": {"content": "a"}, "finish_reason": reason, "error": "oh"}))
    assert isinstance(verdict, Verdict)
    assert (verdict.outcome_class, verdict.message) == (expected, "oh")
    (failed,) = events(CHAT, [sse({"type": "message-end", "delta": {"finish_reason": reason}})])
    assert isinstance(failed, Failed)
    assert failed.verdict.outcome_class is expected


def test_log_probabilities() -> None:
    item = {"text": "ab", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}
    (token,) = read(encode({"message": {"content": "ab"}, "logprobs": [item]})).choices[0].logprobs or []
    assert (token["token"], token["logprob"]) == ("ab", -0.75)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"message": 3}'])
def test_what_is_no_reply_is_garbled(body: bytes) -> None:
    verdict = CHAT.read_reply(body)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome_class is OutcomeClass.GARBLED


# --- streams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDED)
@given(cuts=CUTS)
def test_how_the_bytes_are_cut_makes_no_difference(name: str, cuts: list[int]) -> None:
    body = cassette("cohere", name).body
    assert events(CHAT, pieces(body, cuts)) == events(CHAT, [body])


def test_a_stream_of_calls() -> None:
    reply = streamed(CHAT, cassette("cohere", "plan-stream").body, "cohere")
    plan, call = reply.choices[0].parts[:2]
    assert isinstance(plan, Thinking)
    assert plan.extra == {"tool_plan": True}
    assert isinstance(call, ToolCall)
    assert (call.name, msgspec.json.decode(call.arguments)) == ("weather", {"location": "San Francisco"})
    assert reply.choices[0].finish == "tool_calls"
    assert reply.usage is not None


def test_a_piece_of_arguments_is_never_read_for_itself() -> None:
    bits = ['{"a":', "null", "}"]
    start = {"id": "c", "function": {"name": "f", "arguments": None}}
    body = sse(
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": start}}},
        *(
            {
                "type": "tool-call-delta",
                "index": 0,
                "delta": {"message": {"tool_calls": {"function": {"arguments": bit}}}},
            }
            for bit in bits
        ),
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    )
    assert streamed(CHAT, body, "cohere").choices[0].parts == [ToolCall("c", "f", '{"a":null}')]


def test_a_stream_with_thoughts_and_citations() -> None:
    reply = streamed(CHAT, cassette("cohere", "cited-stream").body, "cohere")
    thought, text = reply.choices[0].parts
    assert isinstance(thought, Thinking)
    assert isinstance(text, Text)
    assert [text.text[c.start : c.end] for c in text.citations] == ["Yukihiro Matsumoto", "1993."]


def test_a_citation_that_comes_before_its_text_waits_for_it() -> None:
    cited = {"start": 0, "end": 1, "text": "a", "sources": [{"id": "d"}]}
    body = sse(
        {"type": "citation-start", "index": 0, "delta": {"message": {"citations": cited}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "a"}}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
    )
    part = streamed(CHAT, body, "cohere").choices[0].parts[0]
    assert isinstance(part, Text)
    assert [c.document for c in part.citations] == ["d"]


def test_a_stream_that_fails_says_why() -> None:
    failure = added(events(CHAT, [cassette("cohere", "failed-stream").body]), "cohere").failure
    assert failure is not None
    assert (failure.outcome_class, failure.code) == (OutcomeClass.SERVER_ERROR, "INVALID_TOOL_GENERATION")
    (failed,) = events(CHAT, [b'data: {"id": "x", "message": "internal"}\n\n'])
    assert isinstance(failed, Failed)


@pytest.mark.parametrize("body", [b"data: nonsense\n\n", b"data: 3\n\n"])
def test_what_is_no_stream_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="JSON"):
        events(CHAT, [body])


_NAMES = (
    *("id", "message", "content", "type", "text", "thinking", "tool_plan", "tool_calls", "function", "name"),
    *("arguments", "citations", "start", "end", "sources", "document", "content_index", "finish_reason", "usage"),
    *("billed_units", "input_tokens", "cached_tokens", "logprobs", "delta", "index", "error", "image_url", "url"),
    *("message-start", "content-start", "content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta"),
    *("citation-start", "message-end", "COMPLETE", "ERROR"),
)


@given(st.dictionaries(st.sampled_from(_NAMES), odd_json(_NAMES), max_size=5), st.binary(max_size=20))
def test_nothing_odd_raises_anything_but_a_value_error(told: dict[str, Any], noise: bytes) -> None:
    body = encode(told)
    CHAT.read_reply(body)
    DIALECT.classify(500, lambda name: None, body, 0.0)
    try:
        events(CHAT, [b"data: " + body + b"\n\n", noise])
    except ValueError as problem:
        assert str(problem)  # noqa: PT017 whether it is raised is the data's affair


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected", "code"),
    [
        ("too-long", OutcomeClass.CONTEXT_EXCEEDED, "TOO_MANY_TOKENS"),
        ("unknown-model", OutcomeClass.MODEL_GONE, ""),
        ("unknown-embedding-model", OutcomeClass.MODEL_GONE, ""),
    ],
)
def test_recorded_errors(name: str, expected: OutcomeClass, code: str) -> None:
    recorded = cassette("cohere", name)
    verdict = DIALECT.classify(recorded.status, recorded.header, recorded.body, 0.0)
    assert (verdict.outcome_class, verdict.code) == (expected, code)
    assert verdict.message


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, OutcomeClass.INVALID_REQUEST),
        (401, OutcomeClass.UNAUTHORIZED),
        (402, OutcomeClass.QUOTA_EXHAUSTED),
        (422, OutcomeClass.INVALID_REQUEST),
        (429, OutcomeClass.RATE_LIMITED),
        (498, OutcomeClass.UNAUTHORIZED),
        (499, OutcomeClass.SERVER_ERROR),
        (503, OutcomeClass.OVERLOADED),
        (504, OutcomeClass.SERVER_ERROR),
    ],
)
def test_statuses(status: int, expected: OutcomeClass) -> None:
    for body in (b'{"message": "no"}', b"<html>", b"", b"[1]"):
        verdict = DIALECT.classify(status, {"retry-after": "2"}.get, body, 0.0)
        assert (verdict.outcome_class, verdict.retry_after) == (expected, 2.0)
