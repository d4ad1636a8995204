"""A provider that takes a request, gives a ticket, and has to be asked for the answer.

The reply to the request has ``status`` and ``urls.get``; while the status is one of :data:`PENDING` that address is
asked, with growing pauses.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .transport import Answer, StreamAnswer, Transport, TransportError

PENDING = frozenset({"starting", "processing", "queued", "pending", "in_progress", "running", "booting"})
#: Seconds between two questions: the first, the factor by which it grows, the longest.
FIRST, GROWTH, LONGEST = 0.25, 1.5, 5.0
#: Seconds that cancelling a ticket may take.
CANCEL = 5.0


class Ticket(msgspec.Struct):
    """What must be read of a reply."""

    status: str = ""
    urls: dict[str, Any] = msgspec.field(default_factory=dict)


class PollTransport:
    """Asks until there is an answer, through another transport. A cancelled request cancels its ticket."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """See :class:`engine.executor.transport.Transport`: the answer is the last reply."""
        answer = await self._inner.send(method, url, headers, body)
        ticket = _ticket(answer)
        if ticket is None:
            return answer
        where = _same_host(url, ticket.urls.get("get"))
        asking = [pair for pair in headers if pair[0] not in ("content-type", "prefer")]
        pause = FIRST
        try:
            while ticket is not None:
                await asyncio.sleep(pause)
                pause = min(pause * GROWTH, LONGEST)
                answer = await self._inner.send("GET", where, asking, b"")
                if not 200 <= answer.status < 300:
                    return answer
                ticket = _ticket(answer)
        except asyncio.CancelledError:
            cancel = ticket.urls.get("cancel") if ticket is not None else None
            if isinstance(cancel, str):
                await self._cancel(_same_host(url, cancel), asking)
            raise
        return answer

    async def _cancel(self, where: str, headers: list[tuple[str, str]]) -> None:
        """Tell the provider, without making whoever cancelled wait for long."""
        with contextlib.suppress(TransportError, TimeoutError):
            async with asyncio.timeout(CANCEL):
                await self._inner.send("POST", where, headers, b"")

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        """The whole answer as a reply of one piece."""
        return Piece(await self.send(method, url, headers, body))

    async def close(self) -> None:
        """Close the other transport."""
        await self._inner.close()


class Piece:
    """A whole answer, read as a stream."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.header = answer.header
        self._body: bytes | None = answer.body

    async def read(self) -> bytes | None:
        body, self._body = self._body, None
        return body or None

    async def close(self) -> None:
        self._body = None


def _ticket(answer: Answer) -> Ticket | None:
    """The ticket of a reply that is not the answer yet."""
    if not 200 <= answer.status < 300:
        return None
    try:
        ticket = msgspec.json.decode(answer.body, type=Ticket)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return ticket if ticket.status in PENDING else None


def _same_host(url: str, where: Any) -> str:
    """The address to ask, which must lie at the provider itself: its key goes with the question."""
    if not isinstance(where, str) or urlsplit(where)[:2] != urlsplit(url)[:2]:
        raise TransportError("connection", "the provider's ticket names no address of its own to ask at")
    return where
