"""What a reply that is passed on unread means: only what routing must know is decoded."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from engine.dialects.statuses import unreadable
from engine.exchange import OutcomeClass, Verdict

from .errors import inner_error, is_error
from .reply import FINISHES
from .usage import read_usage

_GARBLED = OutcomeClass.GARBLED


class Block(Struct):
    """A block, reduced to what tells whether it says anything."""

    type: str = ""
    text: str = ""
    thinking: str = ""


class Body(Struct):
    """A reply, reduced to what routing must read."""

    id: Any = None
    type: str = ""
    content: list[Block] | None = None
    stop_reason: str | None = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(Body).decode
_decode_tree = msgspec.json.Decoder(dict[str, Any]).decode


def decode_reply(kind: str, body: bytes, *, keeps: bool = False) -> Verdict:
    """Served with its usage; or the error that hid in a success; or garbled: unreadable, or empty.

    ``keeps`` is whether the upstream was asked to keep the conversation, which then goes by the reply's id.
    """
    try:
        if not body.isascii():
            body.decode()
        reply = _decode(body)
    except msgspec.ValidationError as problem:
        return _odd(body, problem)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return unreadable(body)
    if reply.type == "error" or reply.error:
        return inner_error({"error": reply.error})
    if kind != "chat":
        return Verdict(OutcomeClass.SERVED)
    if reply.content is None:
        return Verdict(_GARBLED, detail="the reply holds no content")
    usage = read_usage(reply.usage)
    kept = reply.id if keeps and isinstance(reply.id, str) else ""
    if any(map(_says, reply.content)):
        return Verdict(OutcomeClass.SERVED, usage=usage, conversation=kept)
    finish = FINISHES.get(reply.stop_reason or "")
    if finish in ("refusal", "content_filter"):
        message = "The answer was filtered."
        return Verdict(OutcomeClass.CONTENT_REFUSED, code="content_filter", message=message, usage=usage)
    if finish in ("length", "pause"):
        return Verdict(OutcomeClass.SERVED, usage=usage, conversation=kept)
    return Verdict(_GARBLED, detail="a success without any output", usage=usage)


def _says(block: Block) -> bool:
    return bool(block.text or block.thinking) if block.type in ("text", "thinking") else True


def _odd(body: bytes, problem: msgspec.ValidationError) -> Verdict:
    """JSON of another shape than the protocol's: an error if it says so, else unreadable."""
    try:
        tree = _decode_tree(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        tree = {}
    if is_error(tree):
        return inner_error(tree)
    return Verdict(_GARBLED, detail=f"the reply has another shape than the protocol's: {problem}")
