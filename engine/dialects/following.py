"""What following a stream by its canonical events comes to, whether its bytes are relayed or written anew."""

from __future__ import annotations

from engine.exchange import OutcomeClass, Usage, Verdict
from engine.exchange.canonical import Finish
from engine.exchange.events import Began, Ended, Event, Failed, Finished, Used, is_output, merged

#: Reasons to end that leave an answer without output an answer: the limit was spent before it, or it will go on.
SPENT = frozenset({"length", "pause"})
FILTERED = frozenset({"content_filter", "refusal"})


def empty(finishes: list[Finish | None], usage: Usage | None = None) -> Verdict | None:
    """The verdict on an answer without any output, by why its choices ended; ``None`` where that is no failure."""
    if any(finish in FILTERED for finish in finishes):
        message = "The answer was filtered."
        return Verdict(OutcomeClass.CONTENT_REFUSED, code="content_filter", message=message, usage=usage)
    if any(finish in SPENT for finish in finishes):
        return None
    return Verdict(OutcomeClass.GARBLED, detail="a success without any output", usage=usage)


class Following:
    """The common half of stream decoders; see :class:`engine.exchange.StreamDecoder` for what the names mean.

    A subclass gives the bytes to relay: ``_take`` of what arrives, ``_rest`` of what is left when the upstream closes,
    ``_release`` of what was held back, and ``_end`` of what a client still must see of the end.
    """

    def __init__(self) -> None:
        self.committed = False
        self.ended = False
        self.failure: Verdict | None = None
        self.usage: Usage | None = None
        self.conversation = ""
        self._finish: Finish | None = None

    def _take(self, data: bytes) -> bytes:
        raise NotImplementedError

    def _rest(self) -> bytes:
        raise NotImplementedError

    def _release(self) -> bytes:
        raise NotImplementedError

    def _end(self) -> bytes | None:
        """``None`` where only the upstream's own end marker ends a stream."""
        raise NotImplementedError

    def feed(self, data: bytes) -> bytes:
        """See :class:`engine.exchange.StreamDecoder`."""
        if self.ended or self.failure is not None:
            return b""
        try:
            return self._take(data)
        except ValueError as problem:
            self.failure = Verdict(OutcomeClass.GARBLED, detail=str(problem)[:500])
            return b""

    def finish(self) -> tuple[bytes, Verdict | None]:
        """See :class:`engine.exchange.StreamDecoder`."""
        tail = b""
        if not self.ended and self.failure is None:
            try:
                tail = self._rest()
            except ValueError as problem:
                self.failure = Verdict(OutcomeClass.GARBLED, detail=str(problem)[:500])
        if self.failure is not None:
            return tail, self.failure
        end = b"" if self.ended else self._end()
        if not self.ended and (end is None or self._finish is None):
            return tail, Verdict(OutcomeClass.GARBLED, detail="the stream closed without its end marker")
        if not self.committed:
            nothing = empty([self._finish])
            if nothing is not None:
                return b"", nothing
            tail = self._release() + tail
        self.ended = True
        return tail + (end or b""), None

    def _note(self, event: Event) -> None:
        """Take note of what an event says of the stream itself."""
        if isinstance(event, Failed):
            self.failure = event.verdict
        elif isinstance(event, Ended):
            self.ended = True
        elif isinstance(event, Used):
            self.usage = merged(self.usage, event.usage)
        elif isinstance(event, Finished):
            self._finish = event.finish
        elif not self.committed and not isinstance(event, Began):
            self.committed = is_output(event)
