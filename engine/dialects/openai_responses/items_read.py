"""From items, of a request's input and of a reply's output, to canonical messages and parts."""

from __future__ import annotations

from typing import Any

from engine.dialects.openai_chat.ids import made_id
from engine.dialects.trees import items, mappings, others, text
from engine.exchange import UncarriedError
from engine.exchange.canonical import Media, Message, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult

from .names import NAME, unseal
from .parts import read_content

_SPEAKERS = frozenset({"user", "system", "developer"})
#: Fields of a function call that are read.
CALL = frozenset({"type", "call_id", "name", "arguments"})
#: Items that answer a call, like a function's output, but that no other protocol knows.
_ANSWERS = ("_output", "_response")


def read_input(tree: Any) -> list[Message]:
    """The messages of an input: a text, or a list of items.

    What the assistant said, thought and called without another in between is one message. Raises ``UncarriedError`` for
    what is neither, and for a role unknown.
    """
    if isinstance(tree, str):
        return [Message("user", [Text(tree)])]
    if not isinstance(tree, list):
        raise UncarriedError("input", "`input` must be a text or a list of items.")
    called: dict[str, str] = {}
    messages: list[Message] = []
    for place, item in enumerate(tree):
        if not isinstance(item, dict):
            raise UncarriedError("input", f"`input[{place}]` must be an object.")
        message = _message(item, place, called)
        last = messages[-1] if messages else None
        if last is not None and message.role == last.role == "assistant":
            last.parts.extend(message.parts)
        else:
            messages.append(message)
    return messages


def _message(item: dict[str, Any], place: int, called: dict[str, str]) -> Message:
    kind = text(item.get("type"))
    if kind in ("message", ""):
        role = item.get("role")
        if role in _SPEAKERS:
            return Message(role, read_content(item.get("content")), extra=others(item, ("role", "content")))
        if role != "assistant":
            raise UncarriedError("input", f"`input[{place}].role` is {role!r}, which is no role of a message.")
    elif kind == "function_call_output":
        return Message("tool", [_result(item, called)])
    elif kind.endswith(_ANSWERS):
        return Message("tool", [Opaque(NAME, item)])
    parts = read_item(item, made_id("call", "", place))
    for part in parts:
        if isinstance(part, ToolCall):
            called[part.id] = part.name
    return Message("assistant", parts)


def _result(item: dict[str, Any], called: dict[str, str]) -> ToolResult:
    id_ = text(item.get("call_id"))
    result = ToolResult(id_, name=called.get(id_), extra=others(item, ("type", "call_id", "output")))
    result.content = [part for part in read_content(item.get("output")) if isinstance(part, Text | Media | Opaque)]
    return result


def read_item(item: dict[str, Any], made: str) -> list[Part]:
    """The parts that one of the assistant's items amounts to; ``made`` is the id of a call that has none."""
    kind = text(item.get("type"))
    if kind in ("message", ""):
        return read_said(item)
    if kind == "reasoning":
        return [read_thought(item)]
    if kind == "function_call":
        id_ = text(item.get("call_id")) or text(item.get("id")) or made
        return [ToolCall(id_, text(item.get("name")), text(item.get("arguments")) or "{}", extra=others(item, CALL))]
    if kind == "image_generation_call" and text(item.get("result")):
        mime = f"image/{text(item.get('output_format')) or 'png'}"
        extra = {"item": others(item, ("id", "result"))}
        return [Media("image", mime=mime, data=item["result"], id=text(item.get("id")) or None, extra=extra)]
    return [Opaque(NAME, item)]


def read_said(item: dict[str, Any]) -> list[Part]:
    """The parts of an assistant's message; the first remembers the item's own fields, and that an item begins."""
    parts = read_content(item.get("content"))
    for part in parts:
        if isinstance(part, Text | Refusal):
            part.extra["item"] = others(item, ("role", "content"))
            break
    return parts


def read_thought(item: dict[str, Any]) -> Thinking:
    """The thought in an item of type ``reasoning``: what the model thought, if it is told, else a summary of it."""
    told = [text(entry.get("text")) for entry in mappings(item.get("content"))]
    summary = [text(entry.get("text")) for entry in mappings(item.get("summary"))]
    thought = Thinking("".join(told) or "\n\n".join(summary), id=text(item.get("id")) or None)
    thought.extra = others(item, ("type", "id", "summary"))
    if len(summary) != 1 or told:
        thought.extra["summary"] = items(item.get("summary"))
    sealed = unseal(text(item.get("encrypted_content")))
    if sealed is not None:
        del thought.extra["encrypted_content"]
        kind, value = sealed
        if kind == "signature":
            thought.signature = value
        else:
            thought.redacted = value
    return thought
