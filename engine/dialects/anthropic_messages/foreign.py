"""Thoughts of other makers in a conversation that is passed on to a Claude model.

A client of this protocol sends back what it was given, and that may be the answer of another target. Claude refuses a
thought that it has not signed, so such thoughts are taken out. Services that run other models get them as they are.
"""

from __future__ import annotations

import operator
import re
from typing import Any

import msgspec
from msgspec import Raw

from engine.dialects.claude import signed, version

#: A signature that is empty or no base64, hence not Claude's.
_FOREIGN = re.compile(rb'"signature"\s*:\s*"(?:"|[^"]{0,40}[^"A-Za-z0-9+/=_-])')
_decode = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_decode_blocks = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.encode


def without_foreign_thoughts(messages: Raw, model: str) -> Raw | None:
    """The messages without them; ``None`` where there are none, or where the messages cannot be read."""
    text = bytes(messages)
    if b'"signature"' not in text or version(model) is None or not _FOREIGN.search(text):
        return None
    try:
        trees = _decode(text)
        cleaned = [tree for message in trees if (tree := _cleaned(message)) is not None]
    except (msgspec.DecodeError, RecursionError):
        return None
    same = len(cleaned) == len(trees) and all(map(operator.is_, cleaned, trees))
    return None if same else Raw(_encode(cleaned))


def _cleaned(message: dict[str, Raw]) -> dict[str, Raw] | None:
    """The message itself where nothing is taken out; ``None`` where nothing is left."""
    content = bytes(message.get("content", b""))
    if not _FOREIGN.search(content):
        return message
    blocks = _decode_blocks(content)
    kept = [block for block in blocks if not _is_foreign(block)]
    if len(kept) == len(blocks):
        return message
    return {**message, "content": Raw(_encode(kept))} if kept else None


def _is_foreign(block: Raw) -> bool:
    if not _FOREIGN.search(bytes(block)):
        return False
    tree: Any = msgspec.json.decode(block)
    return isinstance(tree, dict) and tree.get("type") == "thinking" and not signed(tree.get("signature"))
