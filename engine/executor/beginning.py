"""How a request begins: what its turns have in common, and what a provider's cache of prompts goes by."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec
from msgspec import Raw, Struct

#: Bytes of a bare prompt that count as its beginning; what follows may differ from turn to turn.
PLAIN = 1024

_NULL = Raw(b"null")
_FIXED = ("system", "instructions", "tools", "functions")


class _Turn(Struct):
    """Of a message, who speaks."""

    role: Raw = _NULL


_items = msgspec.json.Decoder(list[Raw]).decode
_turn = msgspec.json.Decoder(_Turn).decode


def beginning(body: Mapping[str, Raw]) -> str | None:
    """A digest (16 hexadecimal digits) of the request's stable prefix; ``None`` where it has none.

    The prefix is the JSON text, as it was sent, of ``system``, ``instructions``, ``tools`` and ``functions``, and of
    the messages (``messages``, ``input``) up to and including the first one of the user; of a text instead of messages
    its first 1,024 bytes. So all turns of a conversation have the same, and two conversations hardly ever.
    """
    parts = [bytes(body[name]) for name in _FIXED if name in body]
    fixed = len(parts)
    for name in ("messages", "input", "prompt"):
        if name in body:
            parts += _opening(body[name])
    if len(parts) == fixed:
        return None
    return blake2b(b"\0".join(parts), digest_size=8).hexdigest()


class Beginning:
    """:func:`beginning` of one body, read when it is called. Two are equal where their digests are."""

    __slots__ = ("_body",)

    def __init__(self, body: Mapping[str, Raw]) -> None:
        self._body = body

    def __call__(self) -> str | None:
        return beginning(self._body)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Beginning) and self() == other()

    def __hash__(self) -> int:
        return hash(self())


def _opening(raw: Raw) -> list[bytes]:
    """The messages up to the user's first one, or the beginning of a text."""
    try:
        items = _items(raw)
    except msgspec.DecodeError:
        return [bytes(raw)[:PLAIN]]
    found = []
    for item in items:
        found.append(bytes(item))
        try:
            if bytes(_turn(item).role) == b'"user"':
                break
        except msgspec.DecodeError:
            continue
    return found
