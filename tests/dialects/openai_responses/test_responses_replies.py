"""Whole responses, read and written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from openai.types.responses import Response

from engine.dialects.openai_responses import OpenAIResponses
from engine.exchange import OutcomeClass, Usage, Verdict
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
    Tool,
    ToolCall,
    ToolChoice,
)

from ..canon import bare, finish_of, openai_answers, usages
from ..play import encode, odd_json, tree
from ..recordings import cassette

CHAT = OpenAIResponses().chat
assert CHAT is not None
NAME = "openai-responses"
ASKED = ChatRequest()


def read(body: bytes) -> ChatReply:
    reply = CHAT.read_reply(body)  # type: ignore[union-attr]
    assert isinstance(reply, ChatReply), reply
    return reply


def recorded(name: str) -> ChatReply:
    return read(cassette(NAME, name).body)


def write(*parts: Part, asked: ChatRequest = ASKED, origin: str = "elsewhere", **fields: Any) -> Any:
    reply = ChatReply("r", "m", 5, [Choice([*parts], **fields)], origin=origin)
    return tree(CHAT.write_reply(reply, asked))  # type: ignore[union-attr]


def test_a_thought_and_a_call() -> None:
    reply = recorded("calls")
    thought, call = reply.choices[0].parts
    assert isinstance(thought, Thinking)
    assert (thought.text, thought.id, thought.extra["encrypted_content"]) == (
        "", "id_REDACTED_1", "encrypted_content_REDACTED_1"
    )  # fmt: skip
    assert bare(call) == {"id": "call_REDACTED_1", "name": "get_weather", "arguments": '{"city":"Tokyo, Japan"}'}
    assert (reply.choices[0].finish, reply.choices[0].finish_raw) == ("tool_calls", "completed")
    assert reply.usage == Usage(input=148, output=65, cached=0, reasoning=43)
    assert reply.service_tier == "default"


def test_a_summary_is_the_thought_where_nothing_else_is_told() -> None:
    thought = recorded("summary").choices[0].parts[0]
    assert isinstance(thought, Thinking)
    assert thought.text


def test_what_the_service_did_itself_is_its_own() -> None:
    parts = recorded("search").choices[0].parts
    assert [type(part) for part in parts] == [Opaque, Opaque, Text]
    text = parts[-1]
    assert isinstance(text, Text)
    assert [citation.url is not None for citation in text.citations] == [True] * len(text.citations)
    assert text.citations


@pytest.mark.parametrize(
    ("body", "finish", "raw"),
    [
        ({"status": "completed"}, "stop", "completed"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
            "max_output_tokens",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "content_filter",
        ),
        ({"status": "incomplete"}, "length", "incomplete"),
        ({"status": "incomplete", "incomplete_details": {"reason": "tired"}}, "stop", "tired"),
        ({"status": "queued"}, None, None),
        ({}, "stop", None),
    ],
)
def test_why_responses_end(body: dict[str, Any], finish: str | None, raw: str | None) -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "a"}]}
    choice = read(encode({"output": [item], **body})).choices[0]
    assert (choice.finish, choice.finish_raw) == (finish, raw)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", "garbled"),
        (b"<html>", "garbled"),
        (b"[]", "garbled"),
        (b"{}", "garbled"),
        (b'{"error": {"code": "rate_limit_exceeded"}}', "rate_limited"),
        (b'{"status": "failed", "output": [], "error": {"code": "invalid_prompt", "message": "x"}}', "invalid_request"),
        (b'{"status": "failed", "output": [], "error": {"code": "bio_policy"}}', "content_refused"),
        (b'{"status": "failed", "output": [], "error": {"code": "vector_store_timeout"}}', "timeout"),
        (b'{"status": "failed", "output": [], "error": null}', "server_error"),
        (b'{"status": "cancelled", "output": []}', "server_error"),
        (b'{"object": "error", "code": "server_error", "message": "x"}', "server_error"),
    ],
)
def test_what_is_no_response(body: bytes, outcome: str) -> None:
    found = CHAT.read_reply(body)
    assert isinstance(found, Verdict)
    assert found.outcome_class == outcome


def test_log_probabilities() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    item = {"type": "message", "content": [{"type": "output_text", "text": "a", "logprobs": [token]}]}
    assert read(encode({"output": [item]})).choices[0].logprobs == [token]
    assert write(Text("a"), logprobs=[token])["output"][0]["content"][0]["logprobs"] == [token]


def test_a_response_says_what_was_asked_for() -> None:
    asked = CHAT.read_request(
        {
            "model": "m", "instructions": "be brief", "input": "hi", "max_output_tokens": 9, "temperature": 0.5,
            "tools": [{"type": "function", "name": "f"}], "tool_choice": "required", "metadata": {"a": "b"},
            "parallel_tool_calls": False, "reasoning": {"effort": "low"}, "text": {"verbosity": "low"}, "user": "u",
        }
    )  # fmt: skip
    told = write(Text("a"), asked=asked, finish="stop")
    assert told["instructions"] == "be brief"
    assert told["tools"] == [{"type": "function", "name": "f"}]
    assert (told["tool_choice"], told["parallel_tool_calls"], told["max_output_tokens"]) == ("required", False, 9)
    assert (told["reasoning"], told["text"]) == ({"effort": "low", "summary": None}, {"verbosity": "low"})
    assert (told["status"], told["object"], told["store"], told["usage"]) == ("completed", "response", False, None)
    named = ChatRequest(tools=[Tool("f")], tool_choice=ToolChoice("named", "f"))
    assert write(Text("a"), asked=named)["tool_choice"] == {"type": "function", "name": "f"}


def test_items_of_other_protocols_answers() -> None:
    told = write(
        Thinking("hm", signature="s"),
        Text("a", [Citation("https://x.example", "t", start=0, end=1), Citation(title="d", quote="q")]),
        Refusal("no"),
        ToolCall("c", "f", "{}"),
        Text("b"),
        Media("image", data="QUJD"),
        Media("audio", data="QUJD", text="hello"),
        Opaque("elsewhere", {"type": "x"}),
    )["output"]
    assert [item["type"] for item in told] == [
        "reasoning", "message", "function_call", "message", "image_generation_call", "message"
    ]  # fmt: skip
    assert told[0]["id"].startswith("rs_foreign_")
    assert told[0]["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert told[0]["encrypted_content"] == "interlock.signature.s"
    assert told[1]["content"][0]["annotations"] == [
        {"type": "url_citation", "url": "https://x.example", "title": "t", "start_index": 0, "end_index": 1},
        {"type": "file_citation", "file_id": "d", "filename": "d", "index": 0},
    ]
    assert told[1]["content"][1] == {"type": "refusal", "refusal": "no"}
    assert told[4]["result"] == "QUJD"
    assert told[5]["content"][0]["text"] == "hello"
    assert len({item["id"] for item in told}) == len(told)


def test_endings_of_other_protocols() -> None:
    for finish, status, reason in (
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
    ):
        told = write(Text("a"), finish=finish)
        assert (told["status"], told["incomplete_details"]) == (status, {"reason": reason})
    assert write(Refusal("no"), finish="refusal")["status"] == "completed"
    assert write(Text("a"), finish=None)["status"] == "completed"


def test_encrypted_thoughts_keep_their_ids() -> None:
    told = write(Thinking("a", id="rs_1", extra={"encrypted_content": "x"}))["output"][0]
    assert told == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}],
        "encrypted_content": "x",
    }


@settings(max_examples=100)
@given(openai_answers(), usages("cached", "reasoning"), st.booleans())
def test_what_is_written_is_read_again(parts: list[Part], usage: Usage, cut: bool) -> None:
    choice = Choice(parts, "length" if cut else finish_of(parts))
    usage = structs.replace(usage, cache_write=usage.cache_write or 0)
    reply = ChatReply("r", "m", 5, [choice], usage, "flex", origin="elsewhere")
    body = CHAT.write_reply(reply, ASKED)
    Response.model_validate(body)
    again = read(encode(body))
    for part in again.choices[0].parts:
        if isinstance(part, Thinking):
            part.id = None
    assert bare(again, "finish_raw") == bare(reply)


@pytest.mark.parametrize("name", ["calls", "calls-back", "search", "encrypted", "summary", "structured"])
def test_recorded_replies_come_back_as_they_were(name: str) -> None:
    reply = recorded(name)
    again = read(encode(CHAT.write_reply(reply, ASKED)))
    assert again.choices == reply.choices
    assert (again.usage, again.id, again.model, again.created) == (reply.usage, reply.id, reply.model, reply.created)
    assert reply.extra.items() <= again.extra.items()


_NAMES = ["output", "type", "message", "content", "text", "output_text", "reasoning", "summary", "function_call",
          "error", "usage", "status", "annotations", "logprobs", "id", "refusal", "result"]  # fmt: skip


@settings(max_examples=150)
@given(odd_json(_NAMES))
def test_any_body_has_an_answer(body: Any) -> None:
    for data in (encode(body), encode({"output": [body]}), encode({"output": body, "status": body})):
        found = CHAT.read_reply(data)
        if isinstance(found, ChatReply):
            CHAT.write_reply(found, ASKED)
            found.origin = "elsewhere"
            CHAT.write_reply(found, ASKED)


def test_the_outcome_of_a_bad_key() -> None:
    entry = cassette(NAME, "bad-key")
    verdict = OpenAIResponses().classify(entry.status, entry.header, entry.body, 0.0)
    assert verdict.outcome_class is OutcomeClass.INVALID_REQUEST
    assert "Model not found" in verdict.message
