"""What answers say, in the protocols of clients: whole, streamed, and in no form at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects.answers import NOTHING, Said, said

CHAT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}]}
CALL = {"id": "c", "type": "function", "function": {"name": "pay", "arguments": '{"to":1}'}}
CALLS = {"choices": [{"index": 0, "message": {"tool_calls": [CALL]}, "finish_reason": "tool_calls"}]}
MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "c",
    "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "Hi."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
EVENTS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "H"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": "i."}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]
STREAM = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENTS) + b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("front", "kind", "body", "streamed", "told"),
    [
        ("openai-chat", "chat", CHAT, False, Said("Hi.", "stop")),
        ("openai-chat", "chat", CALLS, False, Said('\npay {"to":1}\n', "tool_calls")),
        ("openai-chat", "chat", STREAM, True, Said("Hi.", "stop")),
        ("anthropic-messages", "chat", MESSAGE, False, Said("Hi.", "stop")),
        ("openai-chat", "completions", {"choices": [{"text": "Hi.", "finish_reason": "length"}]}, False, None),
        ("openai-chat", "embeddings", {"data": [{"embedding": [1.0]}]}, False, NOTHING),
        ("cohere", "rerank", {"results": []}, False, NOTHING),
    ],
)
def test_what_is_said(front: str, kind: str, body: object, streamed: bool, told: Said | None) -> None:
    """Thoughts are no part of an answer, calls of tools are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert said(front, kind, data, streamed=streamed) == (told or Said("Hi.", "length"))


@given(
    st.sampled_from(["openai-chat", "openai-responses", "anthropic-messages"]),
    st.sampled_from(["chat", "completions", "embeddings"]),
    st.binary(max_size=60) | st.sampled_from([b"{}", b"[]", b"null", b'{"choices":[]}', b'{"choices":[null]}', STREAM]),
    st.booleans(),
)
def test_anything_else_says_nothing_and_raises_nothing(front: str, kind: str, body: bytes, streamed: bool) -> None:
    assert isinstance(said(front, kind, body, streamed=streamed), Said)
