"""Whole replies of chat completions, read and written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from engine.dialects.openai_chat import OpenAIChat
from engine.dialects.openai_chat.ids import made_id
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
)

from ..canon import bare, finish_of, openai_answers, usages
from ..play import encode, odd_json, tree
from ..recordings import cassette

CHAT = OpenAIChat().chat
assert CHAT is not None
ASKED = ChatRequest()


def read(body: bytes) -> ChatReply:
    reply = CHAT.read_reply(body)  # type: ignore[union-attr]
    assert isinstance(reply, ChatReply), reply
    return reply


def recorded(name: str) -> ChatReply:
    return read(cassette("openai-chat-recorded", name).body)


def choice(finish: str = "stop", **message: Any) -> Choice:
    body = {"id": "r", "choices": [{"message": {"role": "assistant", **message}, "finish_reason": finish}]}
    return read(encode(body)).choices[0]


def verdict(body: bytes) -> Verdict:
    found = CHAT.read_reply(body)  # type: ignore[union-attr]
    assert isinstance(found, Verdict)
    return found


def write(*parts: Part, asked: ChatRequest = ASKED, **fields: Any) -> Any:
    reply = ChatReply("r", "m", 5, [Choice([*parts], **fields)], origin="elsewhere")
    return tree(CHAT.write_reply(reply, asked))["choices"][0]  # type: ignore[union-attr]


def test_thoughts_and_a_call() -> None:
    reply = recorded("reasoning-apart")
    thought, call = reply.choices[0].parts
    assert isinstance(thought, Thinking)
    assert thought.text.startswith("First, the user is asking about the weather")
    assert call == ToolCall("call_93562515", "weather", '{"location":"San Francisco"}')
    assert (reply.choices[0].finish, reply.choices[0].finish_raw) == ("tool_calls", "tool_calls")
    assert reply.usage == Usage(input=291, output=215, cached=244, reasoning=189, input_audio=0, output_audio=0)
    assert (reply.model, reply.created) == ("grok-3-mini", 1770774041)


def test_cached_tokens_beside_the_details() -> None:
    assert recorded("cached-reasoning").usage == Usage(input=20, output=30, cached=10, reasoning=22)


def test_fields_that_a_service_writes_empty_are_nothing() -> None:
    found = recorded("empty-fields").choices[0]
    assert found.parts == [Text('{"city": "Mexico City", "country": "Mexico"}')]
    assert (found.finish, found.logprobs) == (None, None)


def test_signed_thoughts_can_be_sent_back() -> None:
    reply = recorded("signed-thoughts")
    thought, call = reply.choices[0].parts
    assert isinstance(thought, Thinking)
    assert thought.signature == "signature_REDACTED_1"
    assert isinstance(call, ToolCall)
    asked = CHAT.read_request(cassette("openai-chat-recorded", "signed-thoughts-back").request)
    back = next(part for message in asked.messages for part in message.parts if isinstance(part, Thinking))
    assert (back.text, back.signature) == (thought.text, thought.signature)
    message = write(Thinking("a", signature="s"), Thinking(redacted="x"), ToolCall("c", "f", "[]"))["message"]
    again = CHAT.read_request({"messages": [message]}).messages[0].parts
    assert bare(again) == bare([Thinking("a", signature="s"), Thinking(redacted="x"), ToolCall("c", "f", "[]")])


def test_thoughts_among_the_content() -> None:
    thought, words = recorded("mistral-thinking").choices[0].parts
    assert isinstance(thought, Thinking)
    assert isinstance(words, Text)
    assert thought.text
    assert "<think>" not in words.text


def test_sources_beside_the_choices_hang_on_the_text() -> None:
    reply = recorded("sources")
    words = reply.choices[0].parts[0]
    assert isinstance(words, Text)
    assert [citation.url for citation in words.citations] == reply.extra["citations"]
    assert "annotations" not in tree(CHAT.write_reply(reply, ASKED))["choices"][0]["message"]
    reply.origin = "elsewhere"
    notes = tree(CHAT.write_reply(reply, ASKED))["choices"][0]["message"]["annotations"]
    assert [note["url_citation"]["url"] for note in notes] == [citation.url for citation in words.citations]


def test_a_call_without_an_id_gets_one_that_tells_replies_apart() -> None:
    reply = recorded("unnumbered-call")
    call = reply.choices[0].parts[0]
    assert isinstance(call, ToolCall)
    assert call.id == made_id("call", reply.id, 0) != made_id("call", "another", 0)
    assert reply.usage == Usage(input=35, output=74)


def test_log_probabilities() -> None:
    found = choice(content="hi")
    assert found.logprobs is None
    token = {"token": "hi", "logprob": -0.1, "bytes": [104, 105], "top_logprobs": []}
    body = {"choices": [{"message": {"content": "hi"}, "logprobs": {"content": [token], "refusal": None}}]}
    assert read(encode(body)).choices[0].logprobs == [token]
    assert recorded("logprobs").choices[0].extra["logprobs"]["reasoning_content"]


@pytest.mark.parametrize(
    ("finish", "message", "found"),
    [
        ("stop", {"content": "a"}, "stop"),
        ("eos", {"content": "a"}, "stop"),
        ("length", {"content": "a"}, "length"),
        ("model_length", {"content": "a"}, "length"),
        ("content_filter", {"content": "a"}, "content_filter"),
        ("sensitive", {"content": "a"}, "content_filter"),
        ("function_call", {"function_call": {"name": "f", "arguments": "{}"}}, "tool_calls"),
        ("stop", {"tool_calls": [{"function": {"name": "f"}}]}, "tool_calls"),
        ("stop", {"refusal": "no"}, "refusal"),
        ("a word of 2031", {"content": "a"}, "stop"),
        ("", {"content": "a"}, None),
    ],
)
def test_why_answers_end(finish: str, message: dict[str, Any], found: str | None) -> None:
    assert choice(finish, **message).finish == found


@pytest.mark.parametrize(
    ("body", "outcome", "words"),
    [
        (b"", "garbled", "empty"),
        (b"<html>", "garbled", "not JSON"),
        (b"[]", "garbled", "no JSON object"),
        (b"7", "garbled", "no JSON object"),
        (b"{}", "garbled", "no choice"),
        (b'{"choices": [1, null]}', "garbled", "no choice"),
        (b'{"error": {"code": 429, "message": "slow"}}', "rate_limited", "slow"),
        (b'[{"error": {"code": "context_length_exceeded"}}]', "context_exceeded", ""),
        (b'{"object": "error", "message": "gone", "code": 404}', "model_gone", "gone"),
        (b'{"error": "broken"}', "server_error", "broken"),
        (b'{"choices": [{"message": {}, "error": {"code": 502, "message": "x"}}]}', "server_error", "x"),
        (b'{"choices": [{"message": {"content": "a"}, "finish_reason": "network_error"}]}', "server_error", "network"),
        (
            b'{"choices": [{"message": {"content": ""}, "finish_reason": "insufficient_system_resource"}]}',
            "overloaded",
            "insufficient_system_resource",
        ),
    ],
)
def test_what_is_no_reply(body: bytes, outcome: str, words: str) -> None:
    found = verdict(body)
    assert found.outcome_class == outcome
    assert words in found.detail


def test_a_filter_says_so_in_a_success() -> None:
    assert verdict(cassette("openai-chat-recorded", "filtered").body).outcome_class is OutcomeClass.CONTENT_REFUSED


def test_audio_and_images_are_parts() -> None:
    audio = {"id": "audio_1", "data": "QUJD", "transcript": "hi", "expires_at": 9}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    found = choice(content=None, audio=audio, images=[image])
    assert found.parts == [
        Media("audio", data="QUJD", id="audio_1", text="hi", extra={"expires_at": 9}),
        Media("image", mime="image/png", data="QUJD"),
    ]
    message = write(*found.parts)["message"]
    assert (message["audio"], message["images"], message["content"]) == (audio, [image], None)


def test_annotations_there_and_back() -> None:
    note = {
        "type": "url_citation",
        "url_citation": {"url": "https://x.example", "title": "t", "start_index": 1, "end_index": 3},
    }
    found = choice(content="abcd", annotations=[note])
    text = found.parts[0]
    assert isinstance(text, Text)
    assert text.citations == [Citation("https://x.example", "t", start=1, end=3, extra=note)]
    assert write(*found.parts)["message"]["annotations"] == [note]
    later = write(Text("12345"), *found.parts)["message"]["annotations"][0]["url_citation"]
    assert (later["start_index"], later["end_index"]) == (6, 8)
    whole = write(Text("abcd", [Citation(document="d", quote="q")]))["message"]["annotations"]
    assert whole == [
        {
            "type": "document_citation",
            "document_citation": {"start_index": 0, "end_index": 4, "title": "", "document": "d", "quote": "q"},
        }
    ]


def test_a_client_of_functions_gets_a_function_call() -> None:
    asked = ChatRequest(tools=[Tool("f", extra={"legacy": True})])
    found = write(ToolCall("c", "f", '{"a":1}'), asked=asked, finish="tool_calls")
    assert found["finish_reason"] == "function_call"
    assert found["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in found["message"]


def test_what_other_protocols_keep_for_themselves_is_left_out() -> None:
    reply = ChatReply("r", "m", None, [Choice([Opaque("x", {"type": "y"}), Text("a", extra={"z": 1})], extra={"w": 1})])
    reply.extra, reply.origin = {"v": 1}, "x"
    assert tree(CHAT.write_reply(reply, ASKED)) == {
        "id": "r",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "a", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }


def test_a_refusal_without_words_is_a_filtered_answer() -> None:
    assert write(Text("a"), finish="refusal")["finish_reason"] == "content_filter"
    assert write(Refusal("no"), finish="refusal")["finish_reason"] == "stop"


@given(openai_answers(), usages("cached", "reasoning"), st.booleans())
def test_what_is_written_is_read_again(parts: list[Part], usage: Usage, cut: bool) -> None:
    finish = "length" if cut else finish_of(parts)
    reply = ChatReply(
        "r", "m", 5, [Choice(parts, finish), Choice([Text("b")], "stop")], usage, "flex", origin="elsewhere"
    )
    body = CHAT.write_reply(reply, ASKED)
    ChatCompletion.model_validate(body)
    again = read(encode(body))
    assert bare(again, "finish_raw") == bare(reply)


@pytest.mark.parametrize("name", ["reasoning-apart", "signed-thoughts", "sources", "video", "logprobs", "calls"])
def test_recorded_replies_come_back_as_they_were(name: str) -> None:
    reply = recorded(name)
    assert read(encode(CHAT.write_reply(reply, ASKED))) == reply


_NAMES = ["choices", "message", "content", "role", "tool_calls", "function", "arguments", "type", "text", "id", "usage",
          "logprobs", "finish_reason", "reasoning_details", "audio", "error", "annotations", "citations"]  # fmt: skip


@settings(max_examples=150)
@given(odd_json(_NAMES))
def test_any_body_has_an_answer(body: Any) -> None:
    for data in (encode(body), encode({"choices": [{"message": body}, body]}), encode({"choices": body})):
        found = CHAT.read_reply(data)
        if isinstance(found, ChatReply):
            CHAT.write_reply(found, ASKED)
            found.origin = "elsewhere"
            CHAT.write_reply(found, ASKED)


@given(st.binary(max_size=30))
def test_any_bytes_have_an_answer(data: bytes) -> None:
    assert CHAT.read_reply(data) is not None
