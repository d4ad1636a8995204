"""The same dialect on both sides: bodies are passed on, and only what routing needs is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from engine.exchange import Call, Header, OutcomeClass, Shape, StreamDecoder, Verdict, WireRequest
from engine.exchange.events import Began, Event

from .bridge import Bridge
from .following import Following
from .protocol import Dialect, Front
from .sse import Splitter, payload

_LINE_FEED = 0x0A


class Both(Dialect, Front, Protocol):
    """A dialect with both sides."""


class Splice:
    """The link of a dialect to itself: what the front says of it."""

    def __init__(self, dialect: Both) -> None:
        self.encode: Callable[[Call, Shape], WireRequest] = dialect.encode
        self.decode: Callable[[Call, Header, bytes], tuple[Verdict, bytes]] = dialect.decode
        self.stream: Callable[[Call, Header], StreamDecoder] = dialect.stream
        self._dialect = dialect

    def content_type(self, call: Call, header: Header) -> str:
        """The upstream's own."""
        return header("content-type") or "application/json"

    def replay(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """See :meth:`engine.dialects.link.Link.replay`."""
        return Bridge(self._dialect, self._dialect).replay(call, header, body)


class FrameReader(Protocol):
    """An event reader over server-sent events that can be given one event at a time."""

    def frame(self, name: str, data: bytes) -> list[Event]:
        """What one event means; ``name`` is its ``event`` field, ``data`` not empty. Raises ``ValueError``."""


class Relay(Following):
    """Follows a stream of server-sent events by a dialect's own reader, and relays it byte for byte.

    ``ending`` is what a client still must see where the upstream closed after a finish without its end marker; a
    dialect that insists on the marker gives ``None``. ``keeps`` is whether the upstream keeps the conversation under
    the reply's id.
    """

    #: Bytes of start-up events that are held back before the commit point.
    MAX_HELD = 1024 * 1024

    def __init__(self, reader: FrameReader, ending: bytes | None = None, *, keeps: bool = False) -> None:
        super().__init__()
        self._keeps = keeps
        self._reader = reader
        self._ending = ending
        self._splitter = Splitter()
        self._held = b""

    def _take(self, data: bytes) -> bytes:
        return self._relayed(self._splitter.feed(data))

    def _rest(self) -> bytes:
        return self._relayed(self._splitter.flush())

    def _release(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _end(self) -> bytes | None:
        return self._ending

    def _relayed(self, block: bytes) -> bytes:
        start = 0
        while start < len(block) and not self.ended and self.failure is None:
            if block[start] == _LINE_FEED:  # a blank line that ends no event keeps the connection alive
                start += 1
                continue
            end = block.index(b"\n\n", start) + 2
            event = block[start : end - 2]
            data = payload(event)
            if data:
                for found in self._reader.frame(name_of(event), data):
                    self._note(found)
            if self.failure is None:
                start = end
        block = block[:start]
        if self.committed:
            return self._release() + block if self._held else block
        self._held += block
        if len(self._held) > self.MAX_HELD:
            self.failure = Verdict(OutcomeClass.GARBLED, detail=f"over {self.MAX_HELD} bytes without any output")
        return b""

    def _note(self, event: Event) -> None:
        super()._note(event)
        if self._keeps and isinstance(event, Began):
            self.conversation = event.id or self.conversation


def name_of(event: bytes) -> str:
    """The ``event`` field of one server-sent event; empty where it has none."""
    if event.startswith(b"data:") and b"\n" not in event:
        return ""
    for line in event.split(b"\n"):
        if line.startswith(b"event:"):
            return line[6:].strip().decode("latin-1")
    return ""


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object in one event. Raises ``ValueError`` for anything else."""
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as problem:
        raise ValueError(f"an event of the stream is no JSON object: {problem}") from None
