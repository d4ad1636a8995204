"""Whole replies, both ways."""

from __future__ import annotations

from typing import Any

from engine.dialects.statuses import unreadable
from engine.dialects.trees import arguments_object, json_tree, mapping, others, text
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

from .content import read_blocks, thought_block
from .errors import inner_error, is_error
from .names import NAME
from .usage import read_usage, write_usage

FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
_REASONS: dict[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
    "error": "malformed_model_output",
}
_READ = frozenset({"output", "stopReason", "usage", "serviceTier"})
_GARBLED = OutcomeClass.GARBLED


def read_reply(body: bytes) -> ChatReply | Verdict:
    """See :meth:`engine.dialects.protocol.ChatCodec.read_reply`. The reply names neither itself nor its model."""
    try:
        tree = json_tree(body)
    except ValueError as problem:
        return unreadable(body, problem)
    if not isinstance(tree, dict):
        return Verdict(_GARBLED, detail="the reply is no JSON object")
    message = mapping(tree.get("output")).get("message")
    if not isinstance(message, dict):
        if is_error(tree):
            return inner_error(tree)
        return Verdict(_GARBLED, detail="the reply holds no message")
    reply = ChatReply(usage=read_usage(tree.get("usage")), extra=others(tree, _READ), origin=NAME)
    reply.service_tier = text(mapping(tree.get("serviceTier")).get("type")) or None
    choice = Choice(read_blocks(message.get("content")))
    reason = tree.get("stopReason")
    if isinstance(reason, str):
        choice.finish, choice.finish_raw = FINISHES.get(reason, "stop"), reason
    reply.choices = [choice]
    return reply


def write_reply(reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
    """See :meth:`engine.dialects.protocol.ChatCodec.write_reply`. Of several answers the first."""
    choice = reply.choices[0] if reply.choices else Choice()
    same = reply.origin == NAME
    blocks = [block for part in choice.parts if (block := _block(part)) is not None]
    raw = choice.finish_raw if same else None
    tree: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": raw or _REASONS[choice.finish or "stop"],
    }
    if reply.usage is not None:
        tree["usage"] = write_usage(reply.usage)
    if reply.service_tier is not None:
        tree["serviceTier"] = {"type": reply.service_tier}
    return {**tree, **reply.extra} if same else tree


def _block(part: Part) -> dict[str, Any] | None:
    if isinstance(part, Text):
        if part.citations:
            originals = [one.extra for one in part.citations]
            return {"citationsContent": {"content": [{"text": part.text}], "citations": originals}}
        return {"text": part.text}
    if isinstance(part, ToolCall):
        made = arguments_object(part.arguments)
        return {"toolUse": {"toolUseId": part.id, "name": part.name, "input": made}}
    if isinstance(part, Thinking):
        return thought_block(part)
    if isinstance(part, Refusal):
        return {"text": part.text}
    return part.value if isinstance(part, Opaque) and part.origin == NAME else None
