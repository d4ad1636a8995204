"""Server-sent events, as far as model streams use them (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from collections.abc import Iterator

#: Bytes an unfinished event may grow to before the stream counts as unreadable.
MAX_EVENT = 8 * 1024 * 1024


class Splitter:
    """Cuts a byte stream into whole events, however the bytes are split on the way."""

    __slots__ = ("_rest", "_size", "_tail")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0
        self._tail = b""

    def feed(self, data: bytes) -> bytes:
        """The whole events so far as one block that ends in a blank line (lines end in LF); the rest is kept.

        Between events, and behind the last, there may be further blank lines, with which some services keep a
        connection alive. Raises ``ValueError`` when an event grows beyond :data:`MAX_EVENT`.
        """
        if self._rest:
            seam = self._tail + data
            if b"\n\n" not in seam and b"\r" not in seam:
                # An event of megabytes comes in thousands of pieces: only what is new is looked at.
                self._keep(data, seam)
                return b""
            data = b"".join((*self._rest, data))
            self._rest = []
            self._size = 0
        held = b""
        if b"\r" in data:
            # A CR at the very end may be half of a CRLF: it waits for its other half.
            held = b"\r" if data.endswith(b"\r") else b""
            data = data[: len(data) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        cut = data.rfind(b"\n\n") + 2
        if cut == 1:
            cut = 0
        if held or cut < len(data):
            rest = data[cut:] + held
            self._keep(rest, rest)
        return data[:cut]

    def flush(self) -> bytes:
        """What is left when the stream closed: an event whose blank line never came, completed; else nothing."""
        rest = b"".join(self._rest).strip(b"\r\n")
        self._rest = []
        self._size = 0
        return rest + b"\n\n" if rest else b""

    def _keep(self, data: bytes, end: bytes) -> None:
        self._rest.append(data)
        self._size += len(data)
        self._tail = end[-2:]
        if self._size > MAX_EVENT:
            raise ValueError(f"an event of more than {MAX_EVENT} bytes")


def payloads(block: bytes) -> Iterator[bytes]:
    """The ``data`` of each event of a block that has some, in order, without OpenAI's end marker."""
    for event in block.split(b"\n\n"):
        data = payload(event)
        if data and data != b"[DONE]":
            yield data


def payload(event: bytes) -> bytes:
    """The ``data`` of one event (without its blank line); empty for comments and events without data."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines).strip()
