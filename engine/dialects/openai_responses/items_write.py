"""From canonical messages and parts to items, of a request's input and of a reply's output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.dialects.openai_chat.messages_write import kind_of
from engine.exchange.canonical import (
    ChatRequest,
    Media,
    Message,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

from .names import FOREIGN_THOUGHT, NAME, seal
from .parts import write_part


class ItemWriter:
    """Writes the input of one request; ``dropped`` collects what this protocol cannot carry."""

    def __init__(self, request: ChatRequest, roles: Mapping[str, str], dropped: list[str]) -> None:
        self.instructions: str | None = None
        self.items: list[dict[str, Any]] = []
        self._own = request.origin == NAME
        self._roles = roles
        self._dropped = dropped
        for place, message in enumerate(request.messages):
            if place == 0 and self._instructs(message):
                self.instructions = "".join(part.text for part in message.parts if isinstance(part, Text))
            else:
                self._message(message)

    def _instructs(self, message: Message) -> bool:
        """Whether the first message is what this protocol calls instructions: it was, or is another's system prompt."""
        if self._own:
            return message.extra.get("instructions") is True
        return message.role == "system" and len(message.parts) == 1 and isinstance(message.parts[0], Text)

    def _message(self, message: Message) -> None:
        for part in message.parts:
            if isinstance(part, ToolResult):
                self._result(part)
        rest: list[Part] = [part for part in message.parts if not isinstance(part, ToolResult)]
        if message.role == "assistant":
            self.items.extend(assistant_items(self._sendable(rest), self._own))
            return
        if message.role == "tool":
            self.items.extend(part.value for part in rest if isinstance(part, Opaque) and self._known(part))
            rest = [part for part in rest if not isinstance(part, Opaque)]
            if not rest:
                return
        role = "user" if message.role == "tool" else message.role
        extra = message.extra if self._own else {}
        sayable = (part for part in rest if isinstance(part, Text | Refusal | Media | Opaque))
        content: list[Part] = [part for part in sayable if self._known(part)]
        if rest and not content:
            return
        item = {"role": self._roles.get(role, role), "content": _content(content, role, self._own, extra), **extra}
        self.items.append(item)

    def _known(self, part: Part) -> bool:
        """Whether the part can be carried; one of another protocol's own is named as dropped."""
        if not self._own and isinstance(part, Text | Media | ToolCall) and part.cache is not None:
            self._dropped.append("cache_control")
        if isinstance(part, Opaque) and part.origin != NAME:
            self._dropped.append(kind_of(part))
            return False
        return True

    def _sendable(self, parts: list[Part]) -> list[Part]:
        """Without the thoughts that services of this protocol cannot check: only their own encrypted ones go back."""
        kept = []
        for part in parts:
            if isinstance(part, Thinking):
                foreign = (
                    (part.id or "").startswith(FOREIGN_THOUGHT) if self._own else "encrypted_content" not in part.extra
                )
                if foreign:
                    self._dropped.append("reasoning")
                    continue
            if self._known(part):
                kept.append(part)
        return kept

    def _result(self, result: ToolResult) -> None:
        if result.is_error:
            self._dropped.append("is_error")
        content: list[Part] = [part for part in result.content if self._known(part)]
        output: Any
        texts = [part for part in content if isinstance(part, Text)]
        if len(texts) == len(content) and not (self._own and (len(texts) > 1 or any(part.extra for part in texts))):
            output = "\n".join(part.text for part in texts)
        else:
            output = [write_part(part, "user", self._own) for part in content]
        extra = result.extra if self._own else {}
        self.items.append({"type": "function_call_output", "call_id": result.id, "output": output, **extra})


def _content(parts: list[Part], role: str, own: bool, extra: Mapping[str, Any]) -> Any:
    """A string where that says it all, else a list; a message with an id of its own always has a list."""
    if not parts:
        return ""
    first = parts[0]
    if len(parts) == 1 and isinstance(first, Text) and "id" not in extra:
        marked = own and (first.extra.keys() - {"item"} or first.citations)
        if not marked:
            return first.text
    return [write_part(part, role, own) for part in parts]


def assistant_items(parts: list[Part], own: bool) -> list[dict[str, Any]]:
    """The items of one of the assistant's messages, for a request's input."""
    written: list[dict[str, Any]] = []
    for group in groups(parts):
        first = group[0]
        if isinstance(first, Thinking):
            written.append(thought_item([part for part in group if isinstance(part, Thinking)], own))
        elif isinstance(first, ToolCall):
            written.append(call_item(first, own))
        elif isinstance(first, Opaque):
            written.append(first.value)
        else:
            extra = item_fields(first) if own else {}
            written.append({"role": "assistant", "content": _content(group, "assistant", own, extra), **extra})
    return written


def groups(parts: list[Part]) -> list[list[Part]]:
    """The parts item by item: what is said in a row is one message, thoughts of one id are one thought."""
    found: list[list[Part]] = []
    for part in parts:
        last = found[-1] if found else []
        if last and _continues(last[-1], part):
            last.append(part)
        else:
            found.append([part])
    return found


def _continues(before: Part, part: Part) -> bool:
    if isinstance(part, Text | Refusal):
        return isinstance(before, Text | Refusal) and "item" not in part.extra
    if isinstance(part, Thinking):
        return isinstance(before, Thinking) and part.id is not None and part.id == before.id
    return False


def item_fields(part: Part) -> dict[str, Any]:
    """The fields of the item that begins with this part, where the protocol told them."""
    fields = part.extra.get("item") if isinstance(part, Text | Refusal | Media) else None
    return fields if isinstance(fields, dict) else {}


def call_item(call: ToolCall, own: bool) -> dict[str, Any]:
    """The item of a function call."""
    extra = call.extra if own else {}
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments, **extra}


def thought_item(thoughts: list[Thinking], own: bool) -> dict[str, Any]:
    """The item of one thought, told in one part or (by other protocols) in several: as a summary, and encrypted.

    What another protocol's maker signed stands sealed in ``encrypted_content``, so that a client that sends the item
    back sends that too.
    """
    extra: dict[str, Any] = {}
    for thought in thoughts:
        extra.update(thought.extra)
    told = "\n\n".join(thought.text for thought in thoughts if thought.text)
    summary = extra.pop("summary", None)
    sealed = extra.get("encrypted_content")
    for thought in thoughts:
        if sealed is None and thought.signature is not None:
            sealed = seal("signature", thought.signature)
        if sealed is None and thought.redacted is not None:
            sealed = seal("redacted", thought.redacted)
    item: dict[str, Any] = {"type": "reasoning"}
    if thoughts[0].id is not None:
        item["id"] = thoughts[0].id
    item["summary"] = summary if own and isinstance(summary, list) else _summary(told)
    if own:
        item.update(extra)
    if sealed is not None:
        item["encrypted_content"] = sealed
    return item


def _summary(told: str) -> list[dict[str, Any]]:
    return [{"type": "summary_text", "text": told}] if told else []
