"""One JSON line a request, without content, written in batches off the request's path."""

from __future__ import annotations

import asyncio
import contextlib
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import msgspec

from engine.exchange import Outcome
from engine.executor.reply import Reply

#: Seconds a line may wait for others.
FLUSH = 0.2
#: Lines that are kept when the reader of the log does not keep up; older ones are then dropped, and counted.
LIMIT = 100_000
#: Bytes that a pipe takes in one piece (POSIX says 512, Linux 4,096): lines of several writers do not mix within them.
WHOLE = getattr(select, "PIPE_BUF", 512)

_encode = msgspec.json.Encoder().encode_lines


class AccessLog:
    """Writes outcomes, as :meth:`Outcome.to_dict` shows them, and requests that no route had a part in.

    Writing happens in a thread: a reader that stops reading delays lines, never requests. Lines beyond :data:`LIMIT`
    are dropped, and a line ``{"dropped_lines": N}`` says so. ``wanted`` is asked at every request. ``shared`` is for
    several processes that write to the same place: each write is then one that a pipe takes whole.
    """

    def __init__(
        self, out: BinaryIO | None = None, wanted: Callable[[], bool] = lambda: True, *, shared: bool = False
    ) -> None:
        self._wanted = wanted
        self._shared = shared
        self._out = out if out is not None else sys.stdout.buffer
        self._lines: list[Any] = []
        self._dropped = 0
        self._writing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, outcome: Outcome) -> None:
        """Note a routed request."""
        self._add(outcome)

    def aside(self, method: str, path: str, status: int, seconds: float, reply: Reply) -> None:
        """Note any other request."""
        request_id = next((value.decode("latin-1") for name, value in reply.headers if name == b"x-request-id"), "")
        started = time.time() - seconds
        self._add(
            {
                "request_id": request_id,
                "method": method,
                "path": path[:200],
                "status": status,
                "started_at": started,
                "duration": seconds,
            }
        )

    def _add(self, line: Any) -> None:
        if not self._wanted():
            return
        if len(self._lines) >= LIMIT:
            self._dropped += 1
            return
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH, self._start)

    def _start(self) -> None:
        """Hand the lines so far to a thread, one batch at a time."""
        loop = asyncio.get_running_loop()
        if self._writing is not None and not self._writing.done():
            self._timer = loop.call_later(FLUSH, self._start)
            return
        self._timer = None
        self._writing = loop.run_in_executor(None, self._write, self._take())

    def _take(self) -> list[Any]:
        lines, self._lines = self._lines, []
        if self._dropped:
            lines.append({"dropped_lines": self._dropped})
            self._dropped = 0
        return lines

    def _write(self, lines: list[Any]) -> None:
        # A closed pipe must not end the server: there is nobody left to tell.
        with contextlib.suppress(OSError, ValueError):
            text = _encode(lines)
            for piece in _pieces(text) if self._shared else (text,):
                self._out.write(piece)
                self._out.flush()

    async def aclose(self) -> None:
        """Write what is left; nothing may be noted after that."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await asyncio.to_thread(self._write, self._take())


def _pieces(text: bytes) -> Iterator[bytes]:
    """Whole lines together, as many as a pipe takes in one piece; a longer line by itself."""
    begin = 0
    while begin < len(text):
        end = text.rfind(b"\n", begin, begin + WHOLE) + 1 or text.find(b"\n", begin) + 1 or len(text)
        yield text[begin:end]
        begin = end
