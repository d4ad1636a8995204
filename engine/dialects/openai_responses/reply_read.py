"""From the body of a response to a canonical reply."""

from __future__ import annotations

from typing import Any

from engine.dialects.openai_chat.ids import made_id
from engine.dialects.openai_chat.usage import read_usage
from engine.dialects.statuses import unreadable
from engine.dialects.trees import json_tree, mapping, mappings, others, text, whole
from engine.exchange import OutcomeClass, Verdict
from engine.exchange.canonical import ChatReply, Choice, Finish, Part, Refusal, ToolCall

from .errors import failed_verdict, inner_verdict
from .items_read import read_item
from .names import NAME

_TOP = frozenset({"id", "object", "created_at", "model", "output", "usage", "service_tier", "status", "error"})


def read_reply(body: bytes) -> ChatReply | Verdict:
    """The reply, or the verdict on a response that failed, on an error in its place, and on what is no response."""
    try:
        tree = json_tree(body)
    except ValueError:
        return unreadable(body)
    if not isinstance(tree, dict):
        return Verdict(OutcomeClass.GARBLED, detail="the reply is no JSON object")
    failure = failed_verdict(tree)
    if failure is not None:
        return failure
    if not isinstance(tree.get("output"), list):
        if tree.get("object") == "error" or tree.get("type") == "error":
            return inner_verdict(tree)
        return Verdict(OutcomeClass.GARBLED, detail="the reply holds no output")
    return reply_of(tree)


def reply_of(tree: dict[str, Any]) -> ChatReply:
    """The reply in a response that did not fail."""
    id_ = text(tree.get("id"))
    choice = Choice()
    for place, item in enumerate(mappings(tree.get("output"))):
        choice.parts.extend(read_item(item, made_id("call", id_, place)))
        tokens = item_logprobs(item)
        if tokens:
            choice.logprobs = [*(choice.logprobs or ()), *tokens]
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    choice.finish, choice.finish_raw = finish_of(tree, called=called, refused=has_refusal(choice.parts))
    return ChatReply(
        id=id_,
        model=text(tree.get("model")),
        created=created_of(tree),
        choices=[choice],
        usage=read_usage(tree.get("usage")),
        service_tier=text(tree.get("service_tier")) or None,
        extra=others(tree, _TOP),
        origin=NAME,
    )


def has_refusal(parts: list[Part]) -> bool:
    """Whether the model refused in words."""
    return any(isinstance(part, Refusal) for part in parts)


def created_of(tree: dict[str, Any]) -> int | None:
    """When the response was made, in Unix seconds."""
    created = tree.get("created_at")
    return whole(int(created) if isinstance(created, float) else created)


def finish_of(tree: dict[str, Any], *, called: bool, refused: bool) -> tuple[Finish | None, str | None]:
    """Why the response ended, and the protocol's word for it; ``None`` for one that goes on elsewhere."""
    status = tree.get("status")
    if status == "incomplete":
        reason = text(mapping(tree.get("incomplete_details")).get("reason"))
        known: dict[str, Finish] = {"max_output_tokens": "length", "content_filter": "content_filter"}
        return known.get(reason, "stop" if reason else "length"), reason or "incomplete"
    if status in ("in_progress", "queued"):
        return None, None
    return "tool_calls" if called else "refusal" if refused else "stop", text(status) or None


def item_logprobs(item: dict[str, Any]) -> list[dict[str, Any]]:
    """The log probabilities in a message's texts."""
    if item.get("type") != "message":
        return []
    return [token for part in mappings(item.get("content")) for token in mappings(part.get("logprobs"))]
