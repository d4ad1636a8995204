"""Whole replies, both ways."""

from __future__ import annotations

from typing import Any

from engine.dialects.statuses import unreadable
from engine.dialects.trees import items, json_tree, mapping, mappings, number, others, text
from engine.exchange import OutcomeClass, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Choice, Finish, Text, Thinking

from .content import ORIGIN, Gathering, read_answer, write_answer
from .errors import verdict_of
from .usage import read_usage, write_usage

FINISH: dict[str, Finish] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "ERROR_LIMIT": "length",
}
#: Reasons that are failures of the service.
FAILED = frozenset({"ERROR", "TIMEOUT", "USER_CANCEL"})
_NAMES: dict[Finish, str] = {
    "stop": "COMPLETE",
    "pause": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",
    "refusal": "ERROR_TOXIC",
    "error": "ERROR",
}
_READ = frozenset({"id", "message", "finish_reason", "usage", "logprobs"})


def read_reply(body: bytes) -> ChatReply | Verdict:
    """See :class:`engine.dialects.protocol.ChatCodec`. A reply that ended in a failure is that failure."""
    try:
        tree = mapping(json_tree(body))
    except ValueError as problem:
        return unreadable(body, problem)
    message = tree.get("message")
    usage = read_usage(tree.get("usage"))
    if isinstance(message, str) or (message is None and "error" in tree):
        return verdict_of(tree, 200)
    if not isinstance(message, dict):
        return Verdict(OutcomeClass.GARBLED, detail="the reply holds no message", usage=usage)
    reason = text(tree.get("finish_reason")).upper()
    if reason in FAILED:
        return verdict_of({"error_type": reason, "message": tree.get("error")}, 200)
    parts = [part for part in read_answer(message) if not isinstance(part, Text | Thinking) or part.text]
    choice = Choice(parts, finish_of(reason), reason or None, logprobs=read_logprobs(tree.get("logprobs")))
    reply = ChatReply(text(tree.get("id")), choices=[choice], usage=usage, origin=ORIGIN)
    reply.extra = others(tree, _READ)
    return reply


def finish_of(reason: str) -> Finish | None:
    """The canonical reason; a word that is not known is an ordinary end."""
    return FINISH.get(reason, "stop") if reason else None


def read_logprobs(raw: Any) -> list[dict[str, Any]] | None:
    """Log probabilities in OpenAI's shape. A piece of several tokens has the sum of theirs, as its probability is."""
    found = [raw] if isinstance(raw, dict) else mappings(raw)
    tokens = []
    for item in found:
        values = [value for value in map(number, items(item.get("logprobs"))) if value is not None]
        token: dict[str, Any] = {"token": text(item.get("text")), "logprob": sum(values)}
        tokens.append({**token, "bytes": None, "top_logprobs": []})
    return tokens or None


def write_reply(reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
    """See :class:`engine.dialects.protocol.ChatCodec`; this protocol knows one answer only."""
    writing = Gathering(reply.origin == ORIGIN)
    choice = reply.choices[0] if reply.choices else Choice()
    answer = write_answer(choice.parts, writing)
    if isinstance(answer.get("content"), str):
        answer["content"] = [{"type": "text", "text": answer["content"]}]
    tree: dict[str, Any] = {"id": reply.id, "message": {"role": "assistant", **answer}}
    if choice.finish is not None:
        known = choice.finish_raw if reply.origin == ORIGIN else None
        tree["finish_reason"] = known or _NAMES[choice.finish]
    usage = write_usage(reply.usage)
    if usage:
        tree["usage"] = usage
    if choice.logprobs is not None:
        tree["logprobs"] = [
            {"text": token.get("token"), "token_ids": [], "logprobs": [token.get("logprob")]}
            for token in choice.logprobs
        ]
    writing.keep(tree, reply.extra)
    return tree
