"""Messages and their content, both ways.

``tool_plan``, what the model means to do with its tools, is :class:`Thinking` in the canonical form: it is written
before the calls and is no part of the answer. Documents in content are known to this protocol only.
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from engine.dialects.mime import mime_of
from engine.dialects.trees import items, json_text, mapping, mappings, text
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

from .citations import attach, write_citations

ORIGIN = "cohere"
#: In ``Thinking.extra``: the thought is a ``tool_plan``.
PLAN = "tool_plan"

_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class Gathering(Writing):
    """With the files of plain text, which gather in ``documents``."""

    documents: list[dict[str, Any]] = field(default_factory=list)


# --- from the wire -------------------------------------------------------------------------------------------------


def read_message(raw: dict[str, Any]) -> Message:
    """One message of a request. Raises ``UncarriedError`` for a role that has no meaning."""
    name = text(raw.get("role")).lower()
    if name == "tool":
        content = [read_part(item) for item in _listed(raw.get("content"))]
        kept = [part for part in content if isinstance(part, Text | Media | Opaque)]
        return Message("tool", [ToolResult(text(raw.get("tool_call_id")), kept)])
    role = _ROLES.get(name)
    if role is None:
        raise UncarriedError("messages", f"The role {raw.get('role')!r} has no meaning.")
    return Message(role, read_answer(raw))


def read_answer(raw: dict[str, Any]) -> list[Part]:
    """The parts of a message: its content, the plan, the calls; citations hang on the texts they belong to."""
    parts: list[Part] = [read_part(item) for item in _listed(raw.get("content"))]
    attach(mappings(raw.get("citations")), parts)
    plan = raw.get("tool_plan")
    if isinstance(plan, str) and plan:
        parts.append(Thinking(plan, extra={PLAN: True}))
    parts.extend(read_call(call) for call in mappings(raw.get("tool_calls")))
    return parts


def _listed(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else items(content)


def read_part(raw: Any) -> Part:
    """One item of content."""
    item = mapping(raw)
    kind = item.get("type")
    if kind == "text" and isinstance(item.get("text"), str):
        return Text(item["text"])
    if kind == "thinking" and isinstance(item.get("thinking"), str):
        return Thinking(item["thinking"])
    if kind == "image_url":
        image = mapping(item.get("image_url"))
        url = text(image.get("url"))
        if url:
            return _read_image(url, text(image.get("detail")) or None)
    return Opaque(ORIGIN, raw)


def _read_image(url: str, detail: str | None) -> Media:
    head, comma, data = url.partition(",")
    if head.startswith("data:") and comma and head.endswith(";base64"):
        return Media("image", head[5:-7] or None, data=data, detail=detail)
    return Media("image", url=url, detail=detail)


def read_call(raw: dict[str, Any]) -> ToolCall:
    """One call; a function without parameters may be called with ``null``."""
    function = mapping(raw.get("function"))
    arguments = text(function.get("arguments")).strip()
    found = arguments if arguments not in ("", "null") else "{}"
    return ToolCall(text(raw.get("id")), text(function.get("name")), found)


# --- to the wire ---------------------------------------------------------------------------------------------------


def write_message(message: Message, writing: Gathering) -> list[dict[str, Any]]:
    """The message on the wire, where each result of a tool is one of its own."""
    if message.name:
        writing.dropped.append("name")
    if message.role == "tool":
        return [_write_result(part, writing) for part in message.parts if isinstance(part, ToolResult)]
    if message.role == "assistant":
        return [{"role": "assistant", **write_answer(message.parts, writing)}]
    if message.role != "user" and not all(isinstance(part, Text | Opaque) for part in message.parts):
        raise UncarriedError("messages", "Instructions (system, developer) can only be text for this service.")
    role = "user" if message.role == "user" else "system"
    return [{"role": role, "content": _plain(_write_content(message.parts, writing))}]


def write_answer(parts: list[Part], writing: Gathering) -> dict[str, Any]:
    """The fields of an answer. Other services' thoughts before a call are its plan: every model takes that."""
    calls = [part for part in parts if isinstance(part, ToolCall)]
    plans: list[str] = []
    content: list[Part] = []
    for part in parts:
        if isinstance(part, Thinking):
            if part.redacted:
                writing.dropped.append("thinking")
            if part.signature:
                writing.dropped.append("thinking.signature")
            if part.text and (part.extra.get(PLAN) or (calls and not writing.same)):
                plans.append(part.text)
            elif part.text:
                content.append(part)
        elif not isinstance(part, ToolCall):
            content.append(part)
    fields: dict[str, Any] = {}
    if content:
        fields["content"] = _plain(_write_content(content, writing))
    if plans:
        fields["tool_plan"] = "\n".join(plans)
    if calls:
        fields["tool_calls"] = [_write_call(call, writing) for call in calls]
    citations = write_citations(content, writing.same, writing.dropped)
    if citations:
        fields["citations"] = citations
    return fields


def _plain(content: list[dict[str, Any]]) -> Any:
    """A single text, or none, as a string, which every model takes."""
    if not content:
        return ""
    if len(content) == 1 and content[0]["type"] == "text":
        return content[0]["text"]
    return content


def _write_content(parts: list[Part], writing: Gathering) -> list[dict[str, Any]]:
    return [item for part in parts for item in _write_part(part, writing)]


def _write_part(part: Part, writing: Gathering) -> list[dict[str, Any]]:
    if isinstance(part, Text | Refusal):
        if isinstance(part, Text) and part.cache:
            writing.dropped.append("cache_control")
        writing.dropped.extend(part.extra)
        return [{"type": "text", "text": part.text}]
    if isinstance(part, Thinking):
        return [{"type": "thinking", "thinking": part.text}]
    if isinstance(part, Media):
        return _write_media(part, writing)
    if isinstance(part, Opaque):
        if part.origin == ORIGIN:
            return [part.value]
        writing.foreign(part)
    return []


def _write_media(part: Media, writing: Gathering) -> list[dict[str, Any]]:
    if part.cache:
        writing.dropped.append("cache_control")
    if part.text is not None:
        document: dict[str, Any] = {"text": part.text}
        if part.name:
            document["title"] = part.name
        writing.documents.append({"data": document})
        return []
    if part.kind != "image":
        raise UncarriedError("messages", f"This service takes no {part.kind}, only text and images.")
    url = part.url
    if part.data is not None:
        url = f"data:{mime_of(part) or 'image/jpeg'};base64,{part.data}"
    if url is None:
        raise UncarriedError("messages", "An image that was uploaded to another service cannot be sent to this one.")
    image = {"url": url, "detail": part.detail} if part.detail else {"url": url}
    return [{"type": "image_url", "image_url": image}]


def _write_call(call: ToolCall, writing: Gathering) -> dict[str, Any]:
    if call.cache:
        writing.dropped.append("cache_control")
    writing.dropped.extend(call.extra)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _write_result(result: ToolResult, writing: Gathering) -> dict[str, Any]:
    if result.is_error:
        writing.dropped.append("is_error")
    if result.cache:
        writing.dropped.append("cache_control")
    content: list[dict[str, Any]] = []
    for part in result.content:
        if isinstance(part, Media) and part.text is None:
            raise UncarriedError("messages", "This service takes no files in the results of tools.")
        if isinstance(part, Media):
            data = {"text": part.text, **({"title": part.name} if part.name else {})}
            content.append({"type": "document", "document": {"data": data}})
        else:
            content.extend(_write_part(part, writing))
    return {"role": "tool", "tool_call_id": result.id, "content": _plain(content)}


def arguments_text(value: Any) -> str:
    """A piece of arguments as text, whatever it came as."""
    return value if isinstance(value, str) else "" if value is None else json_text(value)
