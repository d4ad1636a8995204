"""Server-sent events, as far as model streams use them (WHATWG HTML, section 9.2)."""

from __future__ import annotations

#: Bytes an unfinished event may grow to before the stream counts as unreadable.
MAX_EVENT = 8 * 1024 * 1024


class Splitter:
    """Cuts a byte stream into whole events, however the bytes are split on the way."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The whole events so far as one block that ends in a blank line (lines end in LF); the rest is kept.

        Between events, and behind the last, there may be further blank lines, with which some services keep a
        connection alive. Raises ``ValueError`` when an event grows beyond :data:`MAX_EVENT`.
        """
        buffer = self._rest + data if self._rest else data
        if b"\r" in buffer:
            # A CR at the very end may be half of a CRLF: it waits for its other half.
            held = b"\r" if buffer.endswith(b"\r") else b""
            buffer = buffer[: len(buffer) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            cut = buffer.rfind(b"\n\n") + 2
            self._rest = (buffer[cut:] if cut > 1 else buffer) + held
        else:
            cut = buffer.rfind(b"\n\n") + 2
            self._rest = buffer[cut:] if cut > 1 else buffer
        if len(self._rest) > MAX_EVENT:
            raise ValueError(f"an event of more than {MAX_EVENT} bytes")
        return buffer[:cut] if cut > 1 else b""

    def flush(self) -> bytes:
        """What is left when the stream closed: an event whose blank line never came, completed; else nothing."""
        rest, self._rest = self._rest.strip(b"\r\n"), b""
        return rest + b"\n\n" if rest else b""


def payload(event: bytes) -> bytes:
    """The ``data`` of one event (without its blank line); empty for comments and events without data."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines).strip()
