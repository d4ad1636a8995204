"""Whole replies, both ways."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from engine.dialects.statuses import unreadable
from engine.dialects.trees import arguments_object, others, text
from engine.exchange import OutcomeClass, Verdict
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Finish,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)

from .citations import write_citations
from .content import NAME, read_blocks
from .errors import inner_error, is_error
from .usage import read_usage, unread, write_usage

#: Why an answer ended, in the protocol's words and in some of the services that speak it.
FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
}
#: Fields of a message that have a canonical form.
KNOWN = frozenset({"id", "model", "type", "role", "content", "usage", "stop_reason", "stop_sequence", "stop_details"})
_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "error": "end_turn",
}
#: Words that say more than their canonical form.
_EXACT = frozenset({"stop_sequence", "model_context_window_exceeded", "compaction"})
_GARBLED = OutcomeClass.GARBLED


def read_reply(body: bytes) -> ChatReply | Verdict:
    """See :meth:`engine.dialects.protocol.ChatCodec.read_reply`."""
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return unreadable(body)
    if not isinstance(tree, dict):
        return Verdict(_GARBLED, detail="the reply is no JSON object")
    if is_error(tree):
        return inner_error(tree)
    content = tree.get("content")
    if not isinstance(content, list):
        return Verdict(_GARBLED, detail="the reply holds no content")
    try:
        parts = read_blocks(content)
    except ValueError as problem:
        return Verdict(_GARBLED, detail=f"the reply cannot be read: {problem}")
    reply = ChatReply(text(tree.get("id")), text(tree.get("model")), origin=NAME)
    reply.choices = [_choice(parts, tree)]
    usage = tree.get("usage")
    reply.usage = read_usage(usage)
    reply.extra = others(tree, KNOWN)
    if isinstance(usage, dict):
        reply.service_tier = read_tier(usage.get("service_tier"))
        if other := unread(usage):
            reply.extra["usage"] = other
    return reply


def _choice(parts: list[Part], tree: dict[str, Any]) -> Choice:
    choice = Choice(parts)
    reason, sequence, details = tree.get("stop_reason"), tree.get("stop_sequence"), tree.get("stop_details")
    if isinstance(reason, str):
        choice.finish, choice.finish_raw = FINISHES.get(reason, "stop"), reason
    choice.stop_sequence = sequence if isinstance(sequence, str) else None
    if details is not None:
        choice.extra["stop_details"] = details
    return choice


def read_tier(tier: object) -> str | None:
    """The tier that served, in OpenAI's words."""
    return "default" if tier == "standard" else tier if isinstance(tier, str) else None


def write_tier(tier: str) -> str:
    """The tier that served, in this protocol's words."""
    return "standard" if tier == "default" else tier


def write_reply(reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
    """See :meth:`engine.dialects.protocol.ChatCodec.write_reply`. Of several answers the first."""
    same = reply.origin == NAME
    choice = reply.choices[0] if reply.choices else Choice()
    blocks = [block for part in choice.parts if (block := write_part(part, same)) is not None]
    usage = write_usage(reply.usage)
    if reply.service_tier is not None:
        usage["service_tier"] = write_tier(reply.service_tier)
    tree: dict[str, Any] = {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model or asked.model,
        "content": blocks,
        "stop_reason": _reason(choice),
        "stop_sequence": choice.stop_sequence,
        "usage": usage,
    }
    if same:
        tree.update(choice.extra)
        extra = dict(reply.extra)
        usage.update(extra.pop("usage", {}))
        tree.update(extra)
    return tree


def _reason(choice: Choice) -> str:
    calls = any(isinstance(part, ToolCall) for part in choice.parts)
    refused = any(isinstance(part, Refusal) for part in choice.parts)
    return reason_of(choice.finish, choice.finish_raw, choice.stop_sequence, calls=calls, refused=refused)


def reason_of(finish: Finish | None, raw: str | None, sequence: str | None, *, calls: bool, refused: bool) -> str:
    """The protocol's word for why an answer ended.

    An answer that calls tools ends in ``tool_use`` whatever its upstream calls it, for clients act on that word.
    """
    if raw in _EXACT and FINISHES[raw] == finish:
        return raw
    if finish in (None, "stop"):
        if refused:
            return "refusal"
        if calls:
            return "tool_use"
        return "stop_sequence" if sequence is not None else "end_turn"
    return _REASONS[cast(str, finish)]


def write_part(part: Part, same: bool) -> dict[str, Any] | None:
    """One block of a reply; ``None`` for what clients of this protocol have no form for."""
    if isinstance(part, Text):
        block: dict[str, Any] = {"type": "text", "text": part.text}
        if part.citations:
            block["citations"] = write_citations(part.citations)
        return {**block, **part.extra} if same else block
    if isinstance(part, ToolCall):
        block = {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments_object(part.arguments)}
        return {**block, **part.extra} if same else block
    if isinstance(part, Thinking):
        if part.redacted is not None:
            return {"type": "redacted_thinking", "data": part.redacted}
        return {"type": "thinking", "thinking": part.text, "signature": part.signature or ""}
    if isinstance(part, Refusal):
        return {"type": "text", "text": part.text}
    if isinstance(part, Opaque) and part.origin == NAME and isinstance(part.value, dict):
        return part.value
    return None
