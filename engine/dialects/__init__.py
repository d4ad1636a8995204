"""Wire protocols: one module or package each, found by discovery, pure."""

from .link import COUNT_TOKENS, Link, front, lacks, link
from .protocol import ChatCodec, Codec, Dialect, EventReader, EventWriter, Front, Written
from .registry import ENTRY_POINT, dialect, dialects

__all__ = [
    "COUNT_TOKENS",
    "ENTRY_POINT",
    "ChatCodec",
    "Codec",
    "Dialect",
    "EventReader",
    "EventWriter",
    "Front",
    "Link",
    "Written",
    "dialect",
    "dialects",
    "front",
    "lacks",
    "link",
]
