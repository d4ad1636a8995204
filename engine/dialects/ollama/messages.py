"""Messages, both ways.

Content is one string on this wire, images are base64 beside it, and arguments of calls are objects. Ids of calls came
late to the protocol; results name the function that they are of (``tool_name``).
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from engine.dialects.call_ids import CallIds, was_made
from engine.dialects.trees import arguments_object, json_text, mapping, mappings, others, text, texts
from engine.dialects.writing import Writing
from engine.exchange import UncarriedError
from engine.exchange.canonical import (
    Media,
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

ORIGIN = "ollama"

_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_MESSAGE = frozenset({"role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"})
_CALL = frozenset({"index", "name", "arguments"})


# --- from the wire -------------------------------------------------------------------------------------------------


def read_message(raw: dict[str, Any], ids: CallIds) -> Message:
    """One message. Raises ``UncarriedError`` for a role that has no meaning."""
    role = text(raw.get("role")).lower()
    extra = others(raw, _MESSAGE)
    if role == "tool":
        name = text(raw.get("tool_name"))
        result = ToolResult(ids.result(text(raw.get("tool_call_id")), name), name=name or None)
        result.content = [Text(text(raw.get("content"))), *read_images(raw)]
        return Message("tool", [result], extra=extra)
    if role not in _ROLES:
        raise UncarriedError("messages", f"The role {raw.get('role')!r} has no meaning.")
    return Message(_ROLES[role], read_parts(raw, ids), extra=extra)


def read_parts(raw: dict[str, Any], ids: CallIds) -> list[Part]:
    """What a message holds: thought, text, images, calls."""
    parts: list[Part] = []
    if text(raw.get("thinking")):
        parts.append(Thinking(raw["thinking"]))
    if text(raw.get("content")):
        parts.append(Text(raw["content"]))
    parts.extend(read_images(raw))
    parts.extend(read_call(call, ids) for call in mappings(raw.get("tool_calls")))
    return parts


def read_images(raw: dict[str, Any]) -> list[Media]:
    """The images of a message."""
    return [Media("image", data=data) for data in texts(raw.get("images"))]


def read_call(raw: dict[str, Any], ids: CallIds) -> ToolCall:
    """One call."""
    function = mapping(raw.get("function"))
    name, arguments = text(function.get("name")), function.get("arguments")
    found = arguments if isinstance(arguments, str) else json_text(mapping(arguments))
    return ToolCall(ids.call(text(raw.get("id")), name), name, found or "{}", extra=others(function, _CALL))


# --- to the wire ---------------------------------------------------------------------------------------------------


class Naming(Writing):
    """With the name of each call, by its id."""

    names: dict[str, str] = field(default_factory=dict)


def write_message(message: Message, writing: Naming) -> list[dict[str, Any]]:
    """The message on the wire, where each result of a tool is one of its own."""
    if message.name:
        writing.dropped.append("name")
    if message.role == "tool":
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        return [_write_result(result, message.extra, writing) for result in results]
    role = "system" if message.role == "developer" else message.role
    written: dict[str, Any] = {"role": role, **write_parts(message.parts, writing)}
    writing.keep(written, message.extra)
    return [written]


def write_parts(parts: list[Part], writing: Naming) -> dict[str, Any]:
    """The fields of a message that hold its parts; several texts are one, a line each."""
    said: list[str] = []
    thought: list[str] = []
    images: list[str] = []
    calls: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            said.append(part.text)
            _name_text(part, writing)
        elif isinstance(part, Thinking):
            thought.append(part.text)
            writing.dropped.extend(["thinking.signature"] if part.signature else [])
            writing.dropped.extend(["thinking"] if part.redacted else [])
        elif isinstance(part, Media):
            _write_media(part, said, images, writing)
        elif isinstance(part, ToolCall):
            calls.append(_write_call(part, writing))
        elif isinstance(part, Opaque):
            writing.foreign(part)
    fields: dict[str, Any] = {"content": "\n".join(said)}
    if any(thought):
        fields["thinking"] = "\n".join(thought)
    if images:
        fields["images"] = images
    if calls:
        fields["tool_calls"] = calls
    return fields


def _name_text(part: Text | Refusal, writing: Naming) -> None:
    if isinstance(part, Text):
        writing.dropped.extend(["cache_control"] if part.cache else [])
        writing.dropped.extend(["citations"] if part.citations else [])
    writing.dropped.extend(part.extra)


def _write_media(part: Media, said: list[str], images: list[str], writing: Naming) -> None:
    if part.cache:
        writing.dropped.append("cache_control")
    if part.detail:
        writing.dropped.append("detail")
    if part.text is not None:
        said.append(part.text)
    elif part.kind != "image":
        raise UncarriedError("messages", f"This service takes no {part.kind}, only text and images.")
    elif part.data is not None:
        images.append(part.data)
    else:
        raise UncarriedError("messages", "This service takes images as data only, not by address.")


def _write_call(call: ToolCall, writing: Naming) -> dict[str, Any]:
    if call.cache:
        writing.dropped.append("cache_control")
    writing.names[call.id] = call.name
    function = {"name": call.name, "arguments": arguments_object(call.arguments)}
    writing.keep(function, call.extra)
    return {**_id_of("id", call.id), "type": "function", "function": function}


def _write_result(result: ToolResult, extra: dict[str, Any], writing: Naming) -> dict[str, Any]:
    if result.is_error:
        writing.dropped.append("is_error")
    if result.cache:
        writing.dropped.append("cache_control")
    written: dict[str, Any] = {"role": "tool", **write_parts(list(result.content), writing)}
    name = result.name or (writing.names.get(result.id) if not writing.same else None)
    if name:
        written["tool_name"] = name
    written.update(_id_of("tool_call_id", result.id))
    writing.keep(written, extra)
    return written


def _id_of(field_name: str, known: str) -> dict[str, str]:
    return {} if was_made(known, ORIGIN) else {field_name: known}
