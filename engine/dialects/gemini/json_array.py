"""Objects in a stream that is one JSON array, each as soon as it is whole."""

from __future__ import annotations

#: Bytes an unfinished object may grow to before the stream counts as unreadable.
MAX_OBJECT = 8 * 1024 * 1024

_QUOTE, _ESCAPE, _OPEN, _CLOSE = b'"\\{}'
_BETWEEN = frozenset(b"[], \t\r\n")


class Objects:
    """Cuts the objects of an array (or of a plain sequence) out of a byte stream."""

    __slots__ = ("_depth", "_escaped", "_held", "_quoted")

    def __init__(self) -> None:
        self._held = bytearray()
        self._depth = 0
        self._quoted = False
        self._escaped = False

    @property
    def open(self) -> bool:
        """Whether an object has begun that is not whole yet."""
        return self._depth > 0

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that these bytes complete. Raises ``ValueError`` for what stands between objects nowhere."""
        whole: list[bytes] = []
        start = 0
        for at, byte in enumerate(data):
            if self._quoted:
                if self._escaped:
                    self._escaped = False
                elif byte == _ESCAPE:
                    self._escaped = True
                elif byte == _QUOTE:
                    self._quoted = False
            elif byte == _OPEN:
                if self._depth == 0:
                    start = at
                self._depth += 1
            elif self._depth == 0:
                if byte not in _BETWEEN:
                    raise ValueError("the stream is neither events nor a JSON array")
            elif byte == _QUOTE:
                self._quoted = True
            elif byte == _CLOSE:
                self._depth -= 1
                if self._depth == 0:
                    whole.append(bytes(self._held) + data[start : at + 1])
                    self._held.clear()
                    start = at + 1
        if self._depth:
            self._held += data[start:]
            if len(self._held) > MAX_OBJECT:
                raise ValueError(f"a chunk of more than {MAX_OBJECT} bytes")
        return whole
