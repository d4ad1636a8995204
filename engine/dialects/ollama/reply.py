"""Whole replies, both ways; a stream's lines have the same form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from engine.dialects.call_ids import CallIds, prefix_of
from engine.dialects.statuses import unreadable
from engine.dialects.trees import count, json_tree, mapping, mappings, number, others, seconds, text
from engine.exchange import OutcomeClass, Usage, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Choice, Finish, ToolCall

from .errors import verdict_of
from .messages import ORIGIN, Naming, read_parts, write_parts

#: Fields of a reply or a line that have a canonical form; durations (nanoseconds) have none.
KNOWN = frozenset(
    {"model", "created_at", "message", "done", "done_reason", "prompt_eval_count", "eval_count", "logprobs"}
)
_NAMES: dict[Finish, str] = {"length": "length"}


def read_reply(body: bytes) -> ChatReply | Verdict:
    """See :class:`engine.dialects.protocol.ChatCodec`."""
    try:
        tree = mapping(json_tree(body))
    except ValueError as problem:
        return unreadable(body, problem)
    if tree.get("error"):
        return verdict_of(tree, 200)
    message = tree.get("message")
    if not isinstance(message, dict):
        return Verdict(OutcomeClass.GARBLED, detail="the reply holds no message", usage=read_usage(tree))
    parts = read_parts(message, CallIds(prefix_of(ORIGIN, text(tree.get("created_at")))))
    called = any(isinstance(part, ToolCall) for part in parts)
    reason = text(tree.get("done_reason")) or None
    finish = finish_of(reason, called) if tree.get("done") is not False else None
    choice = Choice(parts, finish, reason, logprobs=read_logprobs(tree.get("logprobs")))
    return ChatReply(
        model=text(tree.get("model")),
        created=seconds(tree.get("created_at")),
        choices=[choice],
        usage=read_usage(tree),
        extra=others(tree, KNOWN),
        origin=ORIGIN,
    )


def finish_of(reason: str | None, called: bool) -> Finish:
    """The canonical reason; ``called`` is whether the answer calls tools, for which this wire has no reason."""
    if reason == "length":
        return "length"
    return "tool_calls" if called else "stop"


def read_usage(tree: dict[str, Any]) -> Usage | None:
    """The usage; tokens of a prompt that the service still had in memory are not counted at all."""
    found = Usage(input=count(tree.get("prompt_eval_count")), output=count(tree.get("eval_count")))
    return found if found != Usage() else None


def read_logprobs(raw: Any) -> list[dict[str, Any]] | None:
    """Log probabilities in OpenAI's shape, which is almost this protocol's own."""
    tokens = [{**_token(item), "top_logprobs": _tokens(item.get("top_logprobs"))} for item in mappings(raw)]
    return tokens or None


def _tokens(raw: Any) -> list[dict[str, Any]]:
    return [_token(item) for item in mappings(raw)]


def _token(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "token": text(item.get("token")),
        "logprob": number(item.get("logprob")) or 0.0,
        "bytes": item.get("bytes") if isinstance(item.get("bytes"), list) else None,
    }


def write_reply(reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
    """See :class:`engine.dialects.protocol.ChatCodec`; this protocol knows one answer only."""
    writing = Naming(reply.origin == ORIGIN)
    choice = reply.choices[0] if reply.choices else Choice()
    tree: dict[str, Any] = {"model": reply.model or asked.model}
    if reply.created is not None:
        tree["created_at"] = datetime.fromtimestamp(reply.created, UTC).isoformat().replace("+00:00", "Z")
    tree["message"] = {"role": "assistant", **write_parts(choice.parts, writing)}
    tree["done"] = choice.finish is not None
    if choice.finish is not None:
        known = choice.finish_raw if reply.origin == ORIGIN else None
        tree["done_reason"] = known or _NAMES.get(choice.finish, "stop")
    if choice.logprobs is not None:
        tree["logprobs"] = choice.logprobs
    usage = reply.usage
    if usage is not None:
        counts = {"prompt_eval_count": usage.input, "eval_count": usage.output}
        tree.update({name: value for name, value in counts.items() if value is not None})
    writing.keep(tree, reply.extra)
    return tree
