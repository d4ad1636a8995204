"""The same dialect on both sides: bodies are passed on, and only what routing needs is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from engine.exchange import Call, Header, OutcomeClass, Shape, StreamDecoder, Usage, Verdict, WireRequest
from engine.exchange.events import Began, Ended, Event, Failed, Finished, Used, is_output, merged

from .bridge import Bridge
from .protocol import Dialect, Front
from .sse import Splitter, payload


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


class Relay:
    """Follows a stream of server-sent events by a dialect's own reader, and relays it byte for byte.

    ``ending`` is what a client still must see where the upstream closed after a finish without its end marker; a
    dialect that insists on the marker gives ``None``. ``keeps`` is whether the upstream keeps the conversation under
    the reply's id.
    """

    __slots__ = (
        "_ending",
        "_filtered",
        "_finished",
        "_held",
        "_keeps",
        "_reader",
        "_splitter",
        "committed",
        "conversation",
        "ended",
        "failure",
        "usage",
    )

    #: Bytes of start-up events that are held back before the commit point.
    MAX_HELD = 1024 * 1024

    def __init__(self, reader: FrameReader, ending: bytes | None = None, *, keeps: bool = False) -> None:
        self.committed = False
        self.ended = False
        self.failure: Verdict | None = None
        self.usage: Usage | None = None
        self.conversation = ""
        self._keeps = keeps
        self._reader = reader
        self._ending = ending
        self._splitter = Splitter()
        self._held = b""
        self._finished = False
        self._filtered = False

    def feed(self, data: bytes) -> bytes:
        """See :class:`engine.exchange.StreamDecoder`."""
        if self.ended or self.failure is not None:
            return b""
        try:
            return self._relay(self._splitter.feed(data))
        except ValueError as problem:
            self.failure = Verdict(OutcomeClass.GARBLED, detail=str(problem)[:500])
            return b""

    def finish(self) -> tuple[bytes, Verdict | None]:
        """See :class:`engine.exchange.StreamDecoder`."""
        tail = b""
        if not self.ended and self.failure is None:
            try:
                tail = self._relay(self._splitter.flush())
            except ValueError as problem:
                self.failure = Verdict(OutcomeClass.GARBLED, detail=str(problem)[:500])
        if self.failure is not None:
            return tail, self.failure
        if not self.ended and (self._ending is None or not self._finished):
            return tail, Verdict(OutcomeClass.GARBLED, detail="the stream closed without its end marker")
        if not self.committed:
            if self._filtered:
                message = "The answer was filtered."
                return b"", Verdict(OutcomeClass.CONTENT_REFUSED, code="content_filter", message=message)
            if not self._finished:
                return b"", Verdict(OutcomeClass.GARBLED, detail="a stream without any output")
            tail, self._held = self._held + tail, b""
        if not self.ended:
            self.ended = True
            tail += self._ending or b""
        return tail, None

    def _relay(self, block: bytes) -> bytes:
        start = 0
        while start < len(block) and not self.ended and self.failure is None:
            end = block.index(b"\n\n", start) + 2
            event = block[start : end - 2]
            data = payload(event)
            if data:
                for found in self._reader.frame(name_of(event), data):
                    self._note(found)
            if self.failure is None:
                start = end
        block = block[:start]
        if not self.committed:
            self._held += block
            if len(self._held) > self.MAX_HELD:
                self.failure = Verdict(OutcomeClass.GARBLED, detail=f"over {self.MAX_HELD} bytes without any output")
            return b""
        if self._held:
            block, self._held = self._held + block, b""
        return block

    def _note(self, event: Event) -> None:
        if isinstance(event, Failed):
            self.failure = event.verdict
        elif isinstance(event, Ended):
            self.ended = True
        elif isinstance(event, Used):
            self.usage = merged(self.usage, event.usage)
        elif isinstance(event, Began):
            self.conversation = event.id if self._keeps else ""
        elif isinstance(event, Finished):
            self._finished = True
            self._filtered = event.finish in ("content_filter", "refusal")
        elif not self.committed:
            self.committed = is_output(event)


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
