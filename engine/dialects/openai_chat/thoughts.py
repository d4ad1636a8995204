"""What models think, in the several notations of the services that speak this protocol.

OpenAI shows no thoughts here, so others chose: a string ``reasoning_content`` (DeepSeek and most), a string
``reasoning`` (vLLM, Groq), a list ``reasoning_details`` with signatures (OpenRouter), parts of type ``thinking`` in the
content (Mistral). A thought remembers its notation in ``extra``: ``field`` names one of the strings or ``content``,
``detail`` holds an entry of the list apart from its text, signature and data.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.trees import mapping, mappings, others, text
from engine.exchange.canonical import Thinking

FIELDS = frozenset({"reasoning_content", "reasoning", "reasoning_details"})
_PLAIN = ("reasoning_content", "reasoning")
_TEXT = "reasoning.text"
_SUMMARY = "reasoning.summary"
_ENCRYPTED = "reasoning.encrypted"
#: The maker of thoughts that are not Anthropic's: encrypted data of theirs is not what others call redacted thought.
RESPONSES_FORMAT = "openai-responses-v1"
_TOLD = frozenset({"text", "summary", "signature", "data", "id"})


def plain_thought(message: dict[str, Any]) -> tuple[str, str]:
    """The thought in one of the string fields, and the field's name; empty where there is none."""
    for name in _PLAIN:
        found = message.get(name)
        if isinstance(found, str) and found:
            return found, name
    return "", ""


def read_thoughts(message: dict[str, Any]) -> list[Thinking]:
    """The thoughts beside a message's content. The list tells most, so the strings count only where it is silent."""
    listed = [read_detail(entry) for entry in mappings(message.get("reasoning_details"))]
    if not any(thought.text for thought in listed):
        found, name = plain_thought(message)
        if found:
            listed.insert(0, Thinking(found, extra=field_extra(name)))
    return listed


def field_extra(name: str) -> dict[str, Any]:
    """What remembers the string field that a thought stood in; nothing for the usual one."""
    return {} if name == "reasoning_content" else {"field": name}


def read_detail(entry: dict[str, Any]) -> Thinking:
    """One entry of ``reasoning_details``, or the piece of one that a stream brings."""
    kind, maker = text(entry.get("type")), text(entry.get("format"))
    thought = Thinking(
        text(entry.get("summary") if kind == _SUMMARY else entry.get("text")),
        signature=text(entry.get("signature")) or None,
        id=text(entry.get("id")) or None,
        extra={"detail": others(entry, _TOLD)},
    )
    data = text(entry.get("data"))
    if data and maker == RESPONSES_FORMAT:
        thought.extra["encrypted_content"] = data
    elif data and maker.startswith("google"):
        thought.extra["data"] = data
    elif data:
        thought.redacted = data
    return thought


def read_thinking_part(part: dict[str, Any]) -> Thinking:
    """A part of type ``thinking`` in the content."""
    inner = part.get("thinking")
    told = inner if isinstance(inner, str) else "".join(text(piece.get("text")) for piece in mappings(inner))
    extra = {"field": "content", **others(part, ("type", "thinking", "signature"))}
    return Thinking(told, signature=text(part.get("signature")) or None, extra=extra)


def write_thinking_part(thought: Thinking) -> dict[str, Any]:
    """The part of type ``thinking`` that :func:`read_thinking_part` reads."""
    extra = {name: value for name, value in thought.extra.items() if name != "field"}
    if thought.signature is not None:
        extra["signature"] = thought.signature
    return {"type": "thinking", "thinking": [{"type": "text", "text": thought.text}], **extra}


def stands_in_content(thought: Thinking) -> bool:
    """Whether it was read from the content."""
    return thought.extra.get("field") == "content"


def write_thoughts(thoughts: list[Thinking], own: bool) -> dict[str, Any]:
    """The fields of a message that tell ``thoughts``.

    The text stands in a string field. Where a thought has what only the list can carry, the list tells them all, so
    that a client that sends the message back sends everything.
    """
    fields: dict[str, Any] = {}
    told = "".join(thought.text for thought in thoughts)
    if told:
        name = thoughts[0].extra.get("field") if own else None
        fields[name if name in _PLAIN else "reasoning_content"] = told
    if any(map(needs_list, thoughts)):
        details: list[dict[str, Any]] = []
        for thought in thoughts:
            details.extend(details_of(thought, len(details)))
        fields["reasoning_details"] = details
    return fields


def needs_list(thought: Thinking) -> bool:
    """Whether the string fields cannot carry all of it."""
    return bool(
        thought.signature or thought.redacted or "detail" in thought.extra or "encrypted_content" in thought.extra
    )


def details_of(thought: Thinking, place: int) -> list[dict[str, Any]]:
    """The entries of ``reasoning_details`` for one thought, of which the first is at ``place``."""
    known = mapping(thought.extra.get("detail"))
    sealed = thought.extra.get("encrypted_content")
    common: dict[str, Any] = {"id": thought.id} if thought.id is not None else {}
    if sealed is not None and "detail" not in thought.extra:
        common["format"] = RESPONSES_FORMAT
    entries: list[dict[str, Any]] = []
    if thought.text or thought.signature is not None or known.get("type") in (_TEXT, _SUMMARY):
        kind = known.get("type") or (_TEXT if sealed is None else _SUMMARY)
        entry = {"type": kind, "summary" if kind == _SUMMARY else "text": thought.text, **common}
        if thought.signature is not None:
            entry["signature"] = thought.signature
        entries.append(entry)
    data = thought.redacted or sealed or thought.extra.get("data")
    if data is not None:
        entries.append({"type": _ENCRYPTED, "data": data, **common})
    if known:
        return [{**known, **entry} for entry in entries]
    return [{"index": place + step, **entry} for step, entry in enumerate(entries)]
