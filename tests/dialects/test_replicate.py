"""Predictions: what is written, what their replies and failures mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from engine.dialects import dialects
from engine.exchange import OutcomeClass, Shape, UncarriedError, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Format, Media, Message, Text, Tool

REPLICATE = dialects()["replicate"]
CHAT = REPLICATE.chat
SHAPE = Shape(Raw(b'"meta/llama"'), "meta/llama")
assert CHAT is not None


def say(role: Any, text: str) -> Message:
    return Message(role, [Text(text)])


def test_one_question_is_the_prompt() -> None:
    request = ChatRequest(messages=[say("system", "Be brief."), say("user", "Hi")], max_tokens=9, stop=["a", "b"], n=2)
    written = CHAT.write_request(request, SHAPE)
    assert written.body == {
        "input": {"system_prompt": "Be brief.", "prompt": "Hi", "max_tokens": 9, "stop_sequences": "a,b"}
    }
    assert written.dropped == ["n"]


def test_a_conversation_is_told_in_turns() -> None:
    request = ChatRequest(messages=[say("user", "Hi"), say("assistant", "Yes?"), say("user", "Why?")])
    assert CHAT.write_request(request, SHAPE).body["input"]["prompt"] == (
        "User: Hi\n\nAssistant: Yes?\n\nUser: Why?\n\nAssistant:"
    )


@pytest.mark.parametrize(
    "request_",
    [
        ChatRequest(messages=[say("user", "Hi")], tools=[Tool("f")]),
        ChatRequest(messages=[say("user", "Hi")], format=Format("json")),
        ChatRequest(messages=[Message("user", [Media("image", data="AA==")])]),
    ],
)
def test_what_would_change_the_answer_is_not_left_out(request_: ChatRequest) -> None:
    with pytest.raises(UncarriedError):
        CHAT.write_request(request_, SHAPE)


def test_the_output_is_the_answer() -> None:
    metrics = {"input_token_count": 4, "output_token_count": 2}
    body = {"id": "p1", "status": "succeeded", "output": ["Be", "cause."], "metrics": metrics, "model": "meta/llama"}
    reply = CHAT.read_reply(json.dumps(body).encode())
    assert isinstance(reply, ChatReply)
    assert reply.text == "Because."
    assert reply.usage is not None
    assert (reply.usage.input, reply.usage.output) == (4, 2)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"status": "failed", "error": "CUDA out of memory"}, OutcomeClass.SERVER_ERROR),
        ({"status": "canceled"}, OutcomeClass.SERVER_ERROR),
        ({"status": "succeeded", "output": {"image": 1}}, OutcomeClass.GARBLED),
        ({"status": "succeeded"}, OutcomeClass.GARBLED),
        ([], OutcomeClass.GARBLED),
    ],
)
def test_any_other_end_is_no_answer(body: Any, outcome: OutcomeClass) -> None:
    verdict = CHAT.read_reply(json.dumps(body).encode())
    assert isinstance(verdict, Verdict)
    assert verdict.outcome_class is outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (401, "unauthorized"),
        (402, "quota_exhausted"),
        (404, "model_gone"),
        (422, "invalid_request"),
        (429, "rate_limited"),
    ],
)
def test_errors_go_by_their_status(status: int, outcome: str) -> None:
    body = json.dumps({"title": "Title", "detail": "What is wrong.", "status": status}).encode()
    verdict = REPLICATE.classify(status, {"retry-after": "7"}.get, body, 0.0)
    assert (verdict.outcome_class, verdict.message, verdict.retry_after) == (outcome, "What is wrong.", 7.0)


def test_the_path_names_owner_and_model() -> None:
    assert REPLICATE.path("chat", "meta/llama-3", False) == "/models/meta/llama-3/predictions"
