"""Following a stream of chat completions: commit point, usage, errors inside, end marker."""

from __future__ import annotations

import msgspec

from engine.dialects.sse import Splitter, payload
from engine.exchange import OutcomeClass, Usage, Verdict

from .errors import read_object
from .reply import FILTERED, failed_choice, filtered, inner_error
from .usage import read_usage
from .wire import Body, carries_output, check_text, decode_body

DONE = b"data: [DONE]\n\n"
#: Bytes of start-up events that are held back before the commit point.
MAX_HELD = 256 * 1024
_LINE_FEED = 10


class ChatStream:
    """Decodes one stream; events are relayed byte for byte.

    The usage chunk that the engine asked for is taken out again where the client did not ask (``strip_usage``). The
    stream ended as it should with ``[DONE]``, or, for services that send none, with a finish reason of every choice
    before the close.
    """

    conversation = ""
    __slots__ = (
        "_finish",
        "_finished",
        "_held",
        "_seen",
        "_size",
        "_splitter",
        "_strip_usage",
        "committed",
        "ended",
        "failure",
        "usage",
    )

    def __init__(self, *, strip_usage: bool) -> None:
        self.committed = False
        self.ended = False
        self.failure: Verdict | None = None
        self.usage: Usage | None = None
        self._splitter = Splitter()
        self._strip_usage = strip_usage
        self._held: list[bytes] = []
        self._size = 0
        self._finish = ""
        self._finished: set[int] = set()
        self._seen: set[int] = set()

    def feed(self, data: bytes) -> bytes:
        """Whole events to relay; empty before the commit point, after the end and after a failure."""
        if self.ended or self.failure is not None:
            return b""
        try:
            block = self._splitter.feed(data)
        except ValueError as problem:
            self.failure = Verdict(OutcomeClass.GARBLED, detail=str(problem))
            return b""
        return self._relay(block) if block else b""

    def finish(self) -> tuple[bytes, Verdict | None]:
        """The upstream closed. What is still to relay, and the failure if the stream did not end as it should."""
        tail = b"" if self.ended or self.failure is not None else self._relay(self._splitter.flush())
        if self.failure is not None:
            return tail, self.failure
        if not self.ended and (not self._finish or self._seen != self._finished):
            return tail, Verdict(OutcomeClass.GARBLED, detail="the stream closed without its end marker")
        if not self.committed:
            if self._finish in FILTERED:
                return b"", filtered()
            if self._finish != "length":
                return b"", Verdict(OutcomeClass.GARBLED, detail="a stream without any output")
            tail = self._release() + tail
        if self.ended:
            return tail, None
        self.ended = True
        return tail + DONE, None

    def _relay(self, block: bytes) -> bytes:
        """Read the events of a block of whole events; return those to pass on."""
        kept = 0
        out: list[bytes] = []
        start = 0
        while start < len(block):
            if block[start] == _LINE_FEED:
                # A blank line that ends no event keeps the connection alive and is not relayed.
                out.append(block[kept:start])
                start = kept = start + 1
                continue
            end = block.index(b"\n\n", start) + 2
            if not self._read(block[start : end - 2]):
                out.append(block[kept:start])
                kept = end
            elif not self.committed:
                self._size += end - start
                if self._size > MAX_HELD and self.failure is None:
                    self.failure = Verdict(OutcomeClass.GARBLED, detail=f"over {MAX_HELD} bytes without any output")
            if self.failure is not None:
                block = block[:start]
                break
            start = end
            if self.ended:
                block = block[:end]
                break
        passed = block if kept == 0 else b"".join((*out, block[kept:]))
        if self.committed:
            return self._release() + passed if self._held else passed
        self._held.append(passed)
        return b""

    def _read(self, event: bytes) -> bool:
        """Take note of one event; false if it is not for the client."""
        data = payload(event)
        if not data:
            return True
        if data == b"[DONE]":
            self.ended = True
            return True
        try:
            check_text(data)
            body = decode_body(data)
        except msgspec.ValidationError:
            return self._odd(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self.failure = Verdict(OutcomeClass.GARBLED, detail="an event of the stream is not JSON")
            return True
        if body.error or body.object == "error":
            self.failure = inner_error(body.error or read_object(data))
            return True
        return self._note(body)

    def _odd(self, data: bytes) -> bool:
        """JSON of another shape: an error if it says so, else some service's extension, not ours to judge."""
        tree = read_object(data)
        if tree is not None and tree.get("error"):
            self.failure = inner_error(tree["error"])
        return True

    def _note(self, body: Body) -> bool:
        output = self.committed
        for choice in body.choices or ():
            number = choice.index if type(choice.index) is int else 0  # where the service does not say, there is one
            self._seen.add(number)
            if choice.finish_reason:
                self._finish = choice.finish_reason
                self._finished.add(number)
            if choice.finish_reason or choice.error:
                self.failure = failed_choice(choice)
                if self.failure is not None:
                    return True
            output = output or bool(choice.text or (choice.delta is not None and carries_output(choice.delta)))
        self.committed = output
        usage = body.usage or (body.x_groq.usage if body.x_groq is not None else None)
        if usage:
            self.usage = read_usage(usage) or self.usage
            return not (self._strip_usage and not body.choices)
        return True

    def _release(self) -> bytes:
        held, self._held = b"".join(self._held), []
        return held


class RelayStream:
    """Follows a stream of an endpoint that is only relayed: what arrives is passed on, and its close is its end."""

    conversation = ""
    __slots__ = ("committed", "ended", "failure", "usage")

    def __init__(self) -> None:
        self.committed = False
        self.ended = False
        self.failure: Verdict | None = None
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> bytes:
        """The bytes as they came; the first ones commit."""
        self.committed = self.committed or bool(data)
        return data

    def finish(self) -> tuple[bytes, Verdict | None]:
        """An empty stream is a failure; any other ended as it should."""
        return b"", None if self.committed else Verdict(OutcomeClass.GARBLED, detail="the reply is empty")
