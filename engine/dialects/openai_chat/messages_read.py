"""From the messages of a chat completion to canonical ones; a reply's message is read by the same rules."""

from __future__ import annotations

from typing import Any, cast, get_args

from engine.dialects.trees import json_text, mapping, mappings, others, text
from engine.exchange import UncarriedError
from engine.exchange.canonical import Media, Message, Opaque, Part, Refusal, Role, Text, ToolCall, ToolResult

from .citations import placed, read_annotations
from .ids import made_id
from .media import audio_mime, read_media
from .thoughts import FIELDS, read_thinking_part, read_thoughts

NAME = "openai-chat"
_ROLES = frozenset(get_args(Role))
_TEXTS = frozenset({"text", "input_text", "output_text"})
_TEXT_FIELDS = frozenset({"type", "text", "cache_control", "annotations"})
_CALL_FIELDS = frozenset({"id", "index", "type", "function", "cache_control"})
_READ = FIELDS | {"role", "content", "name", "refusal", "tool_calls", "function_call", "audio", "images", "annotations"}
#: OpenAI's own mark of a place worth caching up to.
_BREAKPOINT = "prompt_cache_breakpoint"


def read_messages(tree: Any) -> list[Message]:
    """The canonical messages. Raises ``UncarriedError`` for what is no list of messages, or a role unknown."""
    if not isinstance(tree, list):
        raise UncarriedError("messages", "`messages` must be a list of messages.")
    called: dict[str, str] = {}
    messages: list[Message] = []
    for place, message in enumerate(tree):
        if not isinstance(message, dict):
            raise UncarriedError("messages", f"`messages[{place}]` must be an object with `role` and `content`.")
        messages.append(_message(message, place, called))
    return messages


def _message(message: dict[str, Any], place: int, called: dict[str, str]) -> Message:
    role = message.get("role")
    if role in ("tool", "function"):
        return _result(message, place, called)
    if role not in _ROLES:
        raise UncarriedError("messages", f"`messages[{place}].role` is {role!r}, which is no role of a message.")
    known = Message(cast(Role, role), name=text(message.get("name")) or None, extra=others(message, _READ))
    if role != "assistant":
        known.parts = read_content(message.get("content"))
        return known
    known.parts = read_parts(message, f"{place}")
    for part in known.parts:
        if isinstance(part, ToolCall):
            called[part.id] = part.name
    return known


def _result(message: dict[str, Any], place: int, called: dict[str, str]) -> Message:
    id_ = text(message.get("tool_call_id"))
    name = text(message.get("name")) or None
    extra = others(message, ("role", "content", "tool_call_id"))
    if message["role"] == "function":
        # The older form has no ids: the result is that of the last call of this name.
        id_ = next((known for known, value in reversed(called.items()) if value == name), made_id("call", "", place))
        extra["legacy"] = True
    result = ToolResult(id_, name=name or called.get(id_), extra=extra)
    for part in read_content(message.get("content")):
        if isinstance(part, Text | Media | Opaque):
            result.content.append(part)
    return Message("tool", [result])


def read_parts(message: dict[str, Any], seed: str) -> list[Part]:
    """The parts of an assistant's message: thoughts, then what it says, then what it calls.

    ``seed`` is what ids are made of where calls have none.
    """
    parts: list[Part] = [*read_thoughts(message)]
    parts.extend(read_content(message.get("content")))
    refusal = text(message.get("refusal"))
    if refusal:
        parts.append(Refusal(refusal))
    audio = read_audio(message.get("audio"))
    if audio is not None:
        parts.append(audio)
    for image in mappings(message.get("images")):
        found = read_media(image, "image_url")
        if found is not None:
            parts.append(found)
    annotations = read_annotations(message.get("annotations"))
    if annotations:
        placed(annotations, parts)
    calls = mappings(message.get("tool_calls"))
    for place, call in enumerate(calls):
        parts.append(read_call(call, seed, place))
    legacy = mapping(message.get("function_call"))
    if text(legacy.get("name")) and not calls:
        arguments = call_arguments(legacy.get("arguments"))
        parts.append(ToolCall(made_id("call", seed, 0), legacy["name"], arguments or "{}", extra={"legacy": True}))
    return parts


def read_content(content: Any) -> list[Part]:
    """The parts of a message's content: a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    if not isinstance(content, list):
        return []
    parts: list[Part] = []
    for part in content:
        if isinstance(part, str):
            parts.append(Text(part))
        elif isinstance(part, dict):
            parts.append(_part(part))
    return parts


def _part(part: dict[str, Any]) -> Part:
    kind = text(part.get("type"))
    if (kind in _TEXTS or not kind) and isinstance(part.get("text"), str):
        return _text(part, kind)
    if kind == "thinking":
        return read_thinking_part(part)
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return Refusal(part["refusal"], extra=others(part, ("type", "refusal")))
    media = read_media(part, kind)
    return media if media is not None else Opaque(NAME, part)


def _text(part: dict[str, Any], kind: str) -> Text:
    found = Text(part["text"], citations=read_annotations(part.get("annotations")), extra=others(part, _TEXT_FIELDS))
    found.cache = mapping(part.get("cache_control")) or ({"type": "ephemeral"} if _BREAKPOINT in part else None)
    if kind not in ("text", ""):
        found.extra["type"] = kind
    return found


def read_audio(tree: Any) -> Media | None:
    """The audio that a model said; ``None`` where there is none, or (in some services) only empty fields."""
    told = mapping(tree)
    id_, data, transcript = (text(told.get(name)) or None for name in ("id", "data", "transcript"))
    if id_ is None and data is None and transcript is None:
        return None
    name = text(told.get("format"))
    extra = others(told, ("id", "data", "transcript", "format"))
    return Media("audio", mime=audio_mime(name) if name else None, data=data, id=id_, text=transcript, extra=extra)


def read_call(call: dict[str, Any], seed: str, place: int) -> Part:
    """One entry of ``tool_calls``; calls of other kinds than functions are known to this protocol only."""
    function = mapping(call.get("function"))
    name = text(function.get("name"))
    if not name and text(call.get("type")) not in ("", "function"):
        return Opaque(NAME, call)
    return ToolCall(
        text(call.get("id")) or made_id("call", seed, place),
        name,
        call_arguments(function.get("arguments")) or "{}",
        cache=mapping(call.get("cache_control")) or None,
        extra=others(call, _CALL_FIELDS),
    )


def call_arguments(value: Any) -> str:
    """The arguments as JSON text; some services send the object itself."""
    if isinstance(value, str):
        return value
    return json_text(value) if isinstance(value, dict | list) else ""
