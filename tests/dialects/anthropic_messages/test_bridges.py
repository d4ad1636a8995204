"""Clients and providers of different protocols, with recordings on the provider's side."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Raw

from engine.dialects import dialects, link
from engine.exchange import Call, OutcomeClass
from engine.exchange.canonical import Text, ToolCall

from ..play import encode, pieces, shape, streamed
from ..recordings import cassette

MESSAGES, CONVERSE, OPENAI = "anthropic-messages", "bedrock-converse", "openai-chat"
ASK = {"model": "chat", "max_tokens": 5000, "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def call(front: str, **fields: Any) -> Call:
    body = {name: Raw(encode(value)) for name, value in {**ASK, **fields}.items()}
    return Call("r", "messages", "/messages", "chat", "chat", front, True, body)


def told(front: str, back: str, data: bytes, cuts: Any = ()) -> tuple[bytes, Any, Any]:
    """What the client gets of a provider's stream, how it failed, and its usage."""
    bridge: Any = link(front, back, "chat")
    stream = bridge.stream(call(front), lambda _: None)
    got = b"".join(stream.feed(piece) for piece in pieces(data, cuts))
    tail, failure = stream.finish()
    return got + tail, failure, stream.usage


def test_an_anthropic_client_of_bedrock() -> None:
    data = cassette(CONVERSE, "tools-stream").body
    got, failure, usage = told(MESSAGES, CONVERSE, data, range(0, len(data), 50))
    chat: Any = dialects()[MESSAGES].chat
    reply = streamed(chat, got, MESSAGES)
    text, made = reply.choices[0].parts
    assert isinstance(text, Text)
    assert isinstance(made, ToolCall)
    assert (made.name, made.arguments, reply.choices[0].finish_raw) == (
        "get_temperature",
        '{"city":"Paris"}',
        "tool_use",
    )
    assert (failure, reply.usage, usage.input) == (None, usage, 471)


def test_an_openai_client_of_anthropic() -> None:
    got, failure, usage = told(OPENAI, MESSAGES, cassette(MESSAGES, "parallel-tools-stream").body)
    assert failure is None
    assert got.endswith(b"data: [DONE]\n\n")
    chunks = [json.loads(event[6:]) for event in got.split(b"\n\n")[:-2]]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    names = [one["function"]["name"] for d in deltas for one in d.get("tool_calls", ()) if one["function"].get("name")]
    assert names == ["get_weather", "get_time"]
    assert "".join(d.get("content") or "" for d in deltas).startswith("I'll check both")
    assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]] == ["tool_calls"]
    assert (usage.input, usage.output) == (721, 113)


def test_requests_between_them() -> None:
    bridge: Any = link(OPENAI, MESSAGES, "chat")
    wire = bridge.encode(call(OPENAI, seed=1, reasoning_effort="low"), shape("claude-sonnet-4-5"))
    body = json.loads(wire.body)
    assert (wire.path, wire.dropped) == ("/messages", ("seed",))
    assert dict(wire.headers)["anthropic-version"] == "2023-06-01"
    assert (body["stream"], body["thinking"]) == (True, {"type": "enabled", "budget_tokens": 1024})
    model = "us.anthropic.claude-opus-5-v1:0"
    asked = call(MESSAGES, thinking={"type": "adaptive"}, output_config={"effort": "max"}, container="c")
    bridge = link(MESSAGES, CONVERSE, "chat")
    wire = bridge.encode(asked, shape(model))
    assert wire.path == "/model/us.anthropic.claude-opus-5-v1%3A0/converse-stream"
    assert json.loads(wire.body) == {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "inferenceConfig": {"maxTokens": 5000},
        "additionalModelRequestFields": {"thinking": {"type": "adaptive"}},
        "outputConfig": {"effort": "max"},
    }
    assert wire.dropped == ("container",)


def test_a_stream_of_nothing_but_a_refusal_can_fail_over() -> None:
    data = b'data: {"type":"message_start","message":{"id":"m"}}\n\n'
    data += b'data: {"type":"message_delta","delta":{"stop_reason":"refusal"}}\n\ndata: {"type":"message_stop"}\n\n'
    got, failure, _ = told(OPENAI, MESSAGES, data)
    assert (got, failure.outcome_class) == (b"", OutcomeClass.CONTENT_REFUSED)
