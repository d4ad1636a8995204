"""What the codecs share of writing: what came from the protocol itself goes back as it was, the rest is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from engine.exchange import UncarriedError
from engine.exchange.canonical import ChatRequest, Opaque

from .trees import mapping, text


class Writing(Struct):
    """One request or reply on its way to the wire: whether it came in this protocol, and what it could not carry."""

    same: bool
    dropped: list[str] = field(default_factory=list)

    def keep(self, target: dict[str, Any], extra: dict[str, Any]) -> None:
        """Write ``extra`` back where it came from this protocol, else name its fields."""
        if self.same:
            target.update(extra)
        else:
            self.dropped.extend(extra)

    def foreign(self, part: Opaque) -> None:
        """Name a part that only another protocol knows."""
        self.dropped.append(text(mapping(part.value).get("type")) or "messages")


def leave_out(request: ChatRequest, unknown: Mapping[str, object], dropped: list[str]) -> None:
    """Name the fields that a protocol of texts has no place for: ``unknown``, with the values that ask for nothing.

    Raises ``UncarriedError`` where the answer is to be something other than text.
    """
    for name, nothing in unknown.items():
        value = getattr(request, name)
        if value is not None and value != nothing:
            dropped.append(name)
    if any(kind != "text" for kind in request.modalities):
        raise UncarriedError("modalities", "The protocol of this model's provider answers in text only.")
