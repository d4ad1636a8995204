"""Newline-delimited JSON, as far as model streams use it: one value a line."""

from __future__ import annotations

#: Bytes an unfinished line may grow to before the stream counts as unreadable.
MAX_LINE = 8 * 1024 * 1024


class Lines:
    """Cuts a byte stream into whole lines, however the bytes are split on the way."""

    __slots__ = ("_held", "_size")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete, without their ends and without empty ones; the rest is kept.

        Raises ``ValueError`` when a line grows beyond :data:`MAX_LINE`.
        """
        cut = data.rfind(b"\n")
        if cut < 0:
            self._hold(data)
            return []
        block = b"".join((*self._held, data[:cut]))
        self._held, self._size = [], 0
        self._hold(data[cut + 1 :])
        return [line for line in map(bytes.strip, block.split(b"\n")) if line]

    def flush(self) -> list[bytes]:
        """What is left when the stream closed: a last line without its end, if there is one."""
        rest = b"".join(self._held).strip()
        self._held, self._size = [], 0
        return [rest] if rest else []

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        self._held.append(data)
        self._size += len(data)
        if self._size > MAX_LINE:
            raise ValueError(f"a line of more than {MAX_LINE} bytes")
