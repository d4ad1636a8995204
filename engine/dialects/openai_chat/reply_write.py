"""From a canonical reply to the body of a chat completion's reply."""

from __future__ import annotations

from typing import Any

from engine.exchange.canonical import ChatReply, ChatRequest, Choice, Media, Opaque, Refusal, Text, Thinking, ToolCall

from .citations import SOURCES, write_annotations
from .media import write_media
from .messages_read import NAME
from .messages_write import is_call
from .thoughts import write_thoughts
from .usage import write_usage
from .words import word_of


def write_reply(reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
    """The body. What only another protocol knows is left out; thoughts stand in ``reasoning_content``."""
    own = reply.origin == NAME
    body: dict[str, Any] = {
        "id": reply.id,
        "object": "chat.completion",
        "created": reply.created or 0,
        "model": reply.model,
        "choices": [_choice(choice, place, reply, asked) for place, choice in enumerate(reply.choices)],
    }
    if reply.usage is not None:
        body["usage"] = write_usage(reply.usage)
    if reply.service_tier is not None:
        body["service_tier"] = reply.service_tier
    if own:
        body.update(reply.extra)
    return body


def asks_legacy(asked: ChatRequest) -> bool:
    """Whether the client uses ``functions``, and so expects ``function_call`` in the answer."""
    return bool(asked.tools) and all(tool.extra.get("legacy") is True for tool in asked.tools)


def _choice(choice: Choice, place: int, reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
    own, legacy = reply.origin == NAME, asks_legacy(asked)
    refusals = [part.text for part in choice.parts if isinstance(part, Refusal)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": _content(choice),
        "refusal": "".join(refusals) or None,
    }
    message.update(write_thoughts([part for part in choice.parts if isinstance(part, Thinking)], own))
    calls = [call for call in (_call(part, own) for part in choice.parts) if call is not None]
    if calls and legacy:
        message["function_call"] = calls[0]["function"]
    elif calls:
        message["tool_calls"] = calls
    annotations = _annotations(choice, own, own and any(name in reply.extra for name in SOURCES))
    if annotations:
        message["annotations"] = annotations
    _media(choice, message)
    word = choice.finish_raw if own and choice.finish_raw else word_of(choice.finish, refused=bool(refusals))
    if legacy and word == "tool_calls":
        word = "function_call"
    tokens = None if choice.logprobs is None else {"content": choice.logprobs, "refusal": None}
    written: dict[str, Any] = {"index": place, "message": message, "logprobs": tokens, "finish_reason": word}
    if own:
        extra = dict(choice.extra)
        message.update(extra.pop("message", {}))
        written.update(extra)
    return written


def _content(choice: Choice) -> str | None:
    texts = [part.text for part in choice.parts if isinstance(part, Text)]
    if texts:
        return "".join(texts)
    spoken = any(isinstance(part, ToolCall | Refusal | Opaque) for part in choice.parts)
    return None if spoken or any(isinstance(part, Media) for part in choice.parts) else ""


def _call(part: Any, own: bool) -> dict[str, Any] | None:
    if isinstance(part, Opaque) and is_call(part):
        call: dict[str, Any] = part.value
        return call if "function" in call or own else None
    if not isinstance(part, ToolCall):
        return None
    extra = {name: value for name, value in part.extra.items() if name != "legacy"} if own else {}
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}, **extra}


def _annotations(choice: Choice, own: bool, listed: bool) -> list[dict[str, Any]]:
    """The annotations of all texts; such as the reply lists beside its choices (``listed``) are told there."""
    found, before = [], 0
    for part in choice.parts:
        if isinstance(part, Text):
            if not listed or any(citation.extra for citation in part.citations):
                found.extend(write_annotations(part, before, own))
            before += len(part.text)
    return found


def _media(choice: Choice, message: dict[str, Any]) -> None:
    images = []
    for part in choice.parts:
        if isinstance(part, Media) and part.kind == "audio":
            message["audio"] = write_audio(part)
        elif isinstance(part, Media) and part.kind == "image" and (part.url or part.data):
            images.append(write_media(part, False))
    if images:
        message["images"] = images


def write_audio(audio: Media) -> dict[str, Any]:
    """The ``audio`` of a message."""
    spoken: dict[str, Any] = {"id": audio.id or "audio", "data": audio.data or "", "transcript": audio.text or ""}
    expires = audio.extra.get("expires_at")
    spoken["expires_at"] = expires if isinstance(expires, int) else 0
    return spoken
