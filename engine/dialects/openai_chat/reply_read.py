"""From the body of a chat completion's reply to a canonical one."""

from __future__ import annotations

from typing import Any

from engine.dialects.statuses import unreadable
from engine.dialects.trees import count, json_tree, mapping, mappings, others, text
from engine.exchange import OutcomeClass, Verdict
from engine.exchange.canonical import ChatReply, Choice, Refusal, ToolCall

from .citations import placed, read_sources
from .errors import read_object
from .messages_read import NAME, read_parts
from .reply import inner_error
from .usage import read_usage
from .words import failure_of, finish_of

_TOP = frozenset({"id", "object", "created", "model", "choices", "usage", "service_tier", "error"})
_CHOICE = frozenset({"index", "message", "delta", "finish_reason", "logprobs"})
_MESSAGE = frozenset(
    {
        "role",
        "content",
        "refusal",
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "tool_calls",
        "function_call",
        "audio",
        "images",
        "annotations",
    }
)


def read_reply(body: bytes) -> ChatReply | Verdict:
    """The reply, or the verdict on an error in it, on a choice that failed, and on what is no reply."""
    try:
        tree = json_tree(body)
    except ValueError:
        return unreadable(body)
    if isinstance(tree, list):
        tree = read_object(body)
    if not isinstance(tree, dict):
        return Verdict(OutcomeClass.GARBLED, detail="the reply is no JSON object")
    choices = mappings(tree.get("choices"))
    if not choices:
        if tree.get("error") or tree.get("object") == "error":
            return inner_error(tree.get("error") or tree)
        return Verdict(OutcomeClass.GARBLED, detail="the reply holds no choice")
    failure = next(filter(None, map(choice_failure, choices)), None)
    if failure is not None:
        return failure
    reply = ChatReply(
        id=text(tree.get("id")),
        model=text(tree.get("model")),
        created=count(tree.get("created")),
        usage=read_usage(tree.get("usage") or mapping(tree.get("x_groq")).get("usage")),
        service_tier=text(tree.get("service_tier")) or None,
        extra=others(tree, _TOP),
        origin=NAME,
    )
    sources = read_sources(tree)
    for place, choice in enumerate(choices):
        read = _choice(choice, reply.id if place == 0 else f"{reply.id}/{place}")
        if sources:
            placed(list(sources), read.parts)
        reply.choices.append(read)
    return reply


def choice_failure(choice: dict[str, Any]) -> Verdict | None:
    """The verdict on a choice that broke off because the service failed."""
    error = choice.get("error")
    if error:
        return inner_error(error)
    return failure_of(text(choice.get("finish_reason")))


def _choice(tree: dict[str, Any], seed: str) -> Choice:
    message = mapping(tree.get("message"))
    choice = Choice(read_parts(message, seed))
    choice.logprobs = read_logprobs(tree.get("logprobs"))
    choice.extra = others(tree, _CHOICE)
    if "reasoning_content" in mapping(tree.get("logprobs")):  # probabilities of thoughts are no text's
        choice.extra["logprobs"] = tree["logprobs"]
    rest = others(message, _MESSAGE)
    if rest:
        choice.extra["message"] = rest
    word = text(tree.get("finish_reason"))
    if word:
        called = any(isinstance(part, ToolCall) for part in choice.parts)
        refused = any(isinstance(part, Refusal) for part in choice.parts)
        choice.finish, choice.finish_raw = finish_of(word, called=called, refused=refused), word
    choice.stop_sequence = stop_sequence(tree)
    return choice


def stop_sequence(choice: dict[str, Any]) -> str | None:
    """The sequence that stopped the answer, where the service says so (vLLM does, in ``stop_reason``)."""
    return text(choice.get("stop_reason")) or None


def read_logprobs(tree: Any) -> list[dict[str, Any]] | None:
    """The tokens with their log probabilities; those of a refusal follow those of the content."""
    told = mapping(tree)
    content, refusal = told.get("content"), told.get("refusal")
    if not isinstance(content, list) and not isinstance(refusal, list):
        return None
    return [*mappings(content), *mappings(refusal)]
