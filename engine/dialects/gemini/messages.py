"""Messages and instructions, both ways.

The roles of this wire are ``user`` and ``model``. Results of tools stand in contents of role ``user`` (``function`` in
older requests), beside other parts even: there the canonical form has messages of their own, and remembers that they
were one.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.call_ids import CallIds
from engine.dialects.trees import items, others, text
from engine.exchange import UncarriedError
from engine.exchange.canonical import ChatRequest, Message, Role, Text, ToolCall, ToolResult

from .names import ORIGIN, fields
from .parts import Wording, read_part, write_parts
from .signatures import UNSIGNED

_ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "user", "": "user"}
#: In ``Message.extra``: it stood in one content with the message before it.
_SAME = "sameContent"


def read_messages(body: dict[str, Any]) -> list[Message]:
    """The instructions and the contents of a request. Raises ``UncarriedError`` for a role that has no meaning."""
    messages: list[Message] = []
    ids = CallIds(ORIGIN)
    told = body.get("systemInstruction")
    if isinstance(told, str):
        messages.append(Message("system", [Text(told)]))
    elif told:
        content = fields(told)
        message = Message("system", extra=others(content, ("parts",)))
        for raw in _raw_parts(content):
            read_part(raw, message.parts, ids)
        messages.append(message)
    contents = body.get("contents")
    for raw in [contents] if isinstance(contents, dict | str) else items(contents):
        content = {"parts": [{"text": raw}]} if isinstance(raw, str) else fields(raw)
        role = _ROLES.get(text(content.get("role")))
        if role is None:
            raise UncarriedError("contents", f"The role {content['role']!r} is neither user nor model.")
        extra = others(content, ("role", "parts"))
        messages.extend(_split(role, _raw_parts(content), extra, ids))
    return messages


def _raw_parts(content: dict[str, Any]) -> list[Any]:
    parts = content.get("parts")
    return [parts] if isinstance(parts, dict) else items(parts)


def _split(role: Role, raws: list[Any], extra: dict[str, Any], ids: CallIds) -> list[Message]:
    """One content as messages: results of tools and other parts stand apart."""
    found: list[Message] = [Message(role, extra=extra)]
    for raw in raws:
        parts = found[-1].parts
        before = len(parts)
        read_part(raw, parts, ids)
        if len(parts) == before:
            continue
        is_result = isinstance(parts[-1], ToolResult)
        if before == 0:
            found[-1].role = "tool" if is_result else role
        elif is_result != (found[-1].role == "tool"):
            moved = parts[before:]
            del parts[before:]
            found.append(Message("tool" if is_result else role, moved, extra={_SAME: True}))
    return found


def write_messages(request: ChatRequest, writing: Wording) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The contents, and the instructions if there are any."""
    contents: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    told_extra: dict[str, Any] = {}
    turn = max((at for at, message in enumerate(request.messages) if message.role == "user"), default=-1)
    before: Message | None = None
    for at, message in enumerate(request.messages):
        if message.name:
            writing.dropped.append("name")
        if message.role in ("system", "developer"):
            told.extend(_write_told(message, writing))
            writing.keep(told_extra, message.extra)
            continue
        for part in message.parts:
            if isinstance(part, ToolCall):
                writing.names[part.id] = part.name
        parts = write_parts(message.parts, writing)
        if message.role == "assistant" and at > turn and not writing.same and not writing.older:
            _sign_first_call(parts)
        if before is not None and contents and _joins(before, message, writing.same):
            contents[-1]["parts"].extend(parts)
        elif parts or writing.same:
            content = {"role": "model" if message.role == "assistant" else "user", "parts": parts}
            writing.keep(content, {name: value for name, value in message.extra.items() if name != _SAME})
            contents.append(content)
        before = message
    return contents, {**told_extra, "parts": told} if told or told_extra else None


def _write_told(message: Message, writing: Wording) -> list[dict[str, Any]]:
    if not all(isinstance(part, Text) for part in message.parts):
        raise UncarriedError("messages", "Instructions (system, developer) can only be text for this service.")
    return write_parts(message.parts, writing)


def _joins(before: Message, message: Message, same: bool) -> bool:
    """Whether two messages are one content: all results of a round of calls must stand in one."""
    if same:
        return bool(message.extra.get(_SAME))
    return before.role == message.role == "tool"


def _sign_first_call(parts: list[dict[str, Any]]) -> None:
    """Calls of the present turn must be signed, the first of each message; one that another model made cannot be."""
    for part in parts:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", UNSIGNED)
            return
