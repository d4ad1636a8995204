"""All that the corpus holds of OpenAI's two protocols: requests come back, replies and streams are understood."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

import pytest

from engine.dialects.protocol import ChatCodec
from engine.dialects.registry import dialects
from engine.exchange import UncarriedError, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Media, ToolResult

from .openai_canon import bare
from .play import added, encode, events, pieces, shape, tree
from .recordings import CORPUS, Exchange, corpus

CHAT, RESPONSES = "openai-chat", "openai-responses"

#: Recordings that hold no reply of success in their protocol, and what stands there instead.
NO_REPLY = {
    "providers/azure-openai/chat-dd-trace-py__azure_chat_completion.yaml": "an empty body",
    "providers/azure-openai/embeddings-rerank-dd-trace-py__azure_embedding.yaml": "an empty body",
    "providers/deepseek/chat-dd-trace-py__deepseek_completion.yaml": "an empty body",
    "providers/portkey/chat-openinference__test_chat_completion.yaml": "an empty body",
    "providers/azure-openai/chat-openllmetry__test_prompt_content_filtering_with_events_with_content.yaml": "an error",
    "providers/groq/error-stream-pydantic-ai__test_tool_use_failed_error_streaming_with_text.yaml": "an error",
    "providers/openrouter/error-stream-pydantic-ai__test_openrouter_stream_error.yaml": "an error",
    "providers/openai/error-stream-prism__stream-rate-limited-1.json": "an error",
    "providers/openai/error-stream-prism__stream-unknown-error-responses-1.json": "an error",
    "providers/openai/reasoning-openinference__agent_run_reasoning.yaml": "a body in brotli",
}


def providers() -> list[str]:
    index = CORPUS / "INDEX.jsonl"
    if not index.exists():
        return []
    return sorted({json.loads(line)["provider"] for line in index.read_text(encoding="utf-8").splitlines()})


def spoken(found: Exchange) -> str:
    """The protocol and what it is asked for; empty for others."""
    path = found.path.split("?")[0].rstrip("/")
    if path.endswith("/chat/completions"):
        return CHAT
    if path.endswith("/responses"):
        return RESPONSES
    if path or not isinstance(found.body, bytes):
        return ""
    # A reply without its request: only what it calls itself tells what it is.
    text = found.body.replace(b" ", b"")
    if b'"object":"response"' in text:
        return RESPONSES
    return CHAT if b'"object":"chat.completion' in text else ""


@cache
def exchanges(provider: str) -> list[tuple[str, Exchange]]:
    found = ((spoken(entry), entry) for entry in corpus(provider))
    return [(name, entry) for name, entry in found if name]


def chat(name: str) -> ChatCodec:
    codec = dialects()[name].chat
    assert codec is not None
    return codec


@pytest.mark.parametrize("provider", providers())
def test_requests_come_back(provider: str) -> None:
    for name, entry in exchanges(provider):
        if not isinstance(entry.request, dict):
            continue
        codec = chat(name)
        asked = codec.read_request(entry.request)
        written = codec.write_request(asked, shape(asked.model))
        assert written.dropped == [], entry.name
        again = codec.read_request(tree(written.body))
        again.include_usage = asked.include_usage
        assert again == asked, entry.name


@pytest.mark.parametrize("provider", providers())
def test_requests_reach_the_other_protocol(provider: str) -> None:
    for name, entry in exchanges(provider):
        if not isinstance(entry.request, dict):
            continue
        other = chat(RESPONSES if name == CHAT else CHAT)
        asked = chat(name).read_request(entry.request)
        try:
            written = other.write_request(asked, shape(asked.model))
        except UncarriedError:
            assert any(tool.builtin for tool in asked.tools) or _media(asked), entry.name
            continue
        again = other.read_request(tree(written.body))
        if not _media(asked):
            assert _words(again) == _words(asked), entry.name


def _words(asked: ChatRequest) -> str:
    """All that the user and the instructions say."""
    told = [part for message in asked.messages if message.role in ("system", "user") for part in message.parts]
    return "".join(getattr(part, "text", None) or "" for part in told).replace("\n", "")


def _media(asked: ChatRequest) -> list[Media]:
    parts = [part for message in asked.messages for part in message.parts]
    inner = [part for result in parts if isinstance(result, ToolResult) for part in result.content]
    return [part for part in (*parts, *inner) if isinstance(part, Media)]


@pytest.mark.parametrize("provider", providers())
def test_replies_and_streams_are_understood(provider: str) -> None:
    dice = random.Random(provider)
    for name, entry in exchanges(provider):
        if entry.status != 200 or NO_REPLY.get(entry.name, "an error") != "an error":
            continue
        whole = entry.body.lstrip().startswith(b"{")
        reply = chat(name).read_reply(entry.body) if whole else streamed(name, entry, dice)
        if isinstance(reply, Verdict):
            assert entry.name in NO_REPLY, (entry.name, reply)
            continue
        assert reply.choices, entry.name
        again = chat(name).read_reply(encode(chat(name).write_reply(reply, ChatRequest())))
        assert isinstance(again, ChatReply), entry.name
        assert [bare(choice.parts) for choice in again.choices] == [bare(choice.parts) for choice in reply.choices]


def streamed(name: str, entry: Exchange, dice: random.Random) -> ChatReply | Verdict:
    """The reply that a stream amounts to, in whatever pieces it comes."""
    cuts = [dice.randrange(1 << 20) for _ in range(20)]
    codec: Any = chat(name)
    whole, cut = (added(events(codec, data), name) for data in ([entry.body], pieces(entry.body, cuts)))
    if whole.failure is not None:
        assert cut.failure == whole.failure
        return whole.failure
    assert cut.reply() == whole.reply(), entry.name
    return whole.reply()
