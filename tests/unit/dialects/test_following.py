"""What holds of every stream that is followed, whether its bytes are relayed or written anew."""

from __future__ import annotations

from typing import Any

import pytest

from engine.dialects.bridge import BridgeStream
from engine.dialects.following import Following
from engine.dialects.splice import Relay
from engine.exchange import Call, OutcomeClass
from engine.exchange.events import Began, Ended, Event, Finished, TextPiece

C = OutcomeClass


class Words:
    """A protocol of words: each word, in an event of its own for :class:`Relay`, is an event."""

    known: dict[bytes, Any] = {  # noqa: RUF012
        b"began": Began(),
        b"text": TextPiece("x"),
        b"stop": Finished("stop"),
        b"length": Finished("length"),
        b"filter": Finished("content_filter"),
        b"end": Ended(),
    }

    def frame(self, name: str, data: bytes) -> list[Event]:
        if data not in self.known:
            raise ValueError("what is that?")
        return [self.known[data]]

    def feed(self, data: bytes) -> list[Event]:
        return [event for word in data.split() for event in self.frame("", word.removeprefix(b"data:"))]

    def finish(self) -> list[Event]:
        return []

    def write(self, event: Event) -> bytes:
        return type(event).__name__.encode() + b" "


def followed(kind: str, words: str) -> tuple[Following, bytes, OutcomeClass | None]:
    decoder: Following = Relay(Words(), b"END") if kind == "relay" else BridgeStream(Words(), Words())
    told = b"".join(decoder.feed(f"data:{word}\n\n".encode()) for word in words.split())
    tail, failure = decoder.finish()
    return decoder, told + tail, failure.outcome_class if failure else None


@pytest.mark.parametrize("kind", ["relay", "bridge"])
@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("began text stop end", None),
        ("began text stop", None),
        ("began text", C.GARBLED),
        ("began stop end", C.GARBLED),
        ("began end", C.GARBLED),
        ("began length end", None),
        ("began filter end", C.CONTENT_REFUSED),
        ("began text filter end", None),
        ("began what", C.GARBLED),
        ("", C.GARBLED),
    ],
)
def test_how_a_stream_ends(kind: str, words: str, outcome: OutcomeClass | None) -> None:
    decoder, told, ended = followed(kind, words)
    assert ended is outcome
    assert decoder.committed is ("text" in words)
    if outcome is None:
        assert told
        assert decoder.ended
    elif not decoder.committed:
        assert told == b"", "nothing may be told before the commit point"


def test_a_bridge_fills_in_what_clients_insist_on() -> None:
    seen: list[Began] = []

    class Keeping(Words):
        def write(self, event: Event) -> bytes:
            if isinstance(event, Began):
                seen.append(event)
            return b"."

    words = Words()
    words.known = {**Words.known, b"began": Began()}
    BridgeStream(words, Keeping(), Call("req_1", "chat", "/chat/completions", "asked")).feed(
        b"data:began\n\ndata:text\n\n"
    )
    assert (seen[0].id, seen[0].model) == ("req_1", "asked")
