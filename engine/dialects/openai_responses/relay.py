"""Passing bodies on between a client and an upstream that both speak this protocol."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from engine.dialects.openai_chat.errors import read_object
from engine.dialects.openai_chat.usage import read_usage
from engine.exchange import OutcomeClass, Verdict

from .errors import failed_verdict, inner_verdict
from .names import FOREIGN_THOUGHT

_encode = msgspec.json.encode
_FOREIGN = f'"{FOREIGN_THOUGHT}'.encode()
#: Fields of chat completions that policies name, and where this protocol has them.
_NESTED = {
    "reasoning_effort": ("reasoning", "effort"),
    "verbosity": ("text", "verbosity"),
    "response_format": ("text", "format"),
}


class _Head(Struct):
    """The few fields of a response that routing must read."""

    id: Any = None
    status: Any = None
    error: Any = None
    usage: Any = None
    output: list[Raw] | None = None
    incomplete_details: Any = None


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode


def decode_reply(body: bytes) -> Verdict:
    """Served with its usage and the id under which the upstream keeps it; or an error in disguise; or garbled."""
    try:
        if not body.isascii():
            body.decode()
        head = _decode_head(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        tree = read_object(body)
        if tree is not None and tree.get("error"):
            return inner_verdict(tree["error"])
        return Verdict(OutcomeClass.GARBLED, detail="the reply is no response" if body else "the reply is empty")
    failure = failed_verdict({"error": head.error, "status": head.status})
    if failure is not None:
        return failure
    usage = read_usage(head.usage)
    if not head.output and head.status in (None, "completed"):
        return Verdict(OutcomeClass.GARBLED, detail="a success without any output", usage=usage)
    if not head.output and _filtered(head.incomplete_details):
        return Verdict(OutcomeClass.CONTENT_REFUSED, code="content_filter", message="The answer was filtered.")
    kept = head.id if isinstance(head.id, str) else ""
    return Verdict(OutcomeClass.SERVED, usage=usage, conversation=kept)


def _filtered(details: Any) -> bool:
    return isinstance(details, dict) and details.get("reason") == "content_filter"


def nested(body: dict[str, Raw]) -> dict[str, Raw]:
    """The body with fields in the place that this protocol has for them, where policies set them by OpenAI's names."""
    for name, (field, inner) in _NESTED.items():
        if name in body:
            value = body.pop(name)
            try:
                tree = msgspec.json.decode(body.get(field, b"{}"), type=dict[str, Raw])
            except msgspec.DecodeError:
                tree = {}
            tree[inner] = _flat_format(value) if name == "response_format" else value
            body[field] = Raw(_encode(tree))
    return body


def _flat_format(value: Raw) -> Raw:
    """``text.format`` for a ``response_format``: the schema's fields stand beside the type."""
    tree: Any = msgspec.json.decode(value)
    if isinstance(tree, dict) and isinstance(tree.get("json_schema"), dict):
        return Raw(_encode({"type": "json_schema", **tree["json_schema"]}))
    return value


def without_foreign_thoughts(body: dict[str, Raw]) -> dict[str, Raw]:
    """The body without thoughts that another protocol's upstream had, which no service of this one could find."""
    given = bytes(body.get("input", b""))
    if _FOREIGN not in given:
        return body
    try:
        items = _decode_items(given)
    except msgspec.DecodeError:
        return body
    body["input"] = Raw(_encode([item for item in items if _FOREIGN not in bytes(item) or not _is_foreign(item)]))
    return body


def _is_foreign(item: Raw) -> bool:
    tree: Any = msgspec.json.decode(item)
    if not isinstance(tree, dict) or tree.get("type") != "reasoning":
        return False
    return isinstance(tree.get("id"), str) and tree["id"].startswith(FOREIGN_THOUGHT)
