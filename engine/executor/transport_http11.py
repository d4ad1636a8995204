"""The default transport: HTTP/1.1 on the event loop's own sockets, parsed by httptools.

A client library would do, but for two things that are ours to promise: that a call which is cancelled closes its
connection there and then, whatever it waits for, so that no upstream goes on writing what nobody will read; and that a
stream costs little more than its bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import httptools
from msgspec import Struct

from engine.exchange import Header

from .transport import Answer, StreamAnswer, TransportError, TransportOptions, header_of, trust
from .transport_names import Names

#: Seconds a connection may idle before it is no longer used.
IDLE = 60.0
#: Bytes of a reply's status line and headers, and of a whole reply's body.
MAX_HEAD, MAX_BODY = 256 * 1024, 256 * 1024 * 1024
#: Bytes of a stream that are kept for a reader that is slower than the upstream.
AHEAD = 256 * 1024


class Origin(Struct, frozen=True):
    """Where connections go: what may share one is equal."""

    host: str
    port: int
    tls: bool


class Lead(Struct, frozen=True):
    """What comes before a request's length and body, and where it goes."""

    origin: Origin
    head: bytes


class Http11Transport:
    """Keeps the connections to one provider."""

    def __init__(self, options: TransportOptions) -> None:
        self._connect = options.connect
        self._ca_pem = options.ca_pem
        self._context: ssl.SSLContext | None = trust(options.ca_pem) if options.ca_pem else None
        self._idle: dict[Origin, list[_Connection]] = {}
        self._all: set[_Connection] = set()
        # Nearly every request is led by what led the one before it. One is kept and no more, because it holds a secret.
        self._last: tuple[str, str, list[tuple[str, str]]] = ("", "", [])
        self._lead = Lead(Origin("", 0, tls=False), b"")
        self._names = Names()

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """See :class:`engine.executor.transport.Transport`."""
        reply = await self._request(method, url, headers, body, whole=True)
        try:
            await reply.wait(lambda: reply.ended)
        finally:
            await reply.close()
        return Answer(reply.status, reply.header, b"".join(reply.parts))

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        """See :class:`engine.executor.transport.Transport`."""
        reply = await self._request(method, url, headers, body, whole=False)
        try:
            await reply.wait(lambda: reply.begun)
        except BaseException:
            await reply.close()
            raise
        return reply

    async def close(self) -> None:
        """Close every connection."""
        self._names.close()
        for connection in list(self._all):
            connection.abort()

    async def _request(
        self, method: str, url: str, headers: list[tuple[str, str]], body: bytes, *, whole: bool
    ) -> _Reply:
        asked = (method, url, headers)
        if asked != self._last:
            self._lead, self._last = _lead(method, url, headers), asked
        origin, head = self._lead.origin, self._lead.head
        connection = self._idle_connection(origin) or await self._new_connection(origin)
        return connection.send(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body), whole)

    def _idle_connection(self, origin: Origin) -> _Connection | None:
        """The connection that was used last: those that are not needed grow old and are closed."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.usable():
                return connection
            connection.abort()
        return None

    async def _new_connection(self, origin: Origin) -> _Connection:
        if origin.tls and self._context is None:
            self._context = trust(None)
        idle = self._idle.setdefault(origin, [])
        try:
            async with asyncio.timeout(self._connect):
                *others, last = await self._names.addresses(origin.host)
                for address in others:
                    with contextlib.suppress(OSError):
                        return await self._connection_to(address, origin, idle)
                return await self._connection_to(last, origin, idle)
        except TimeoutError as problem:
            raise TransportError("connect_timeout", f"no connection within {self._connect:g}s") from problem
        except (OSError, UnicodeError) as problem:
            raise TransportError("connection", f"no connection: {problem}"[:500]) from problem

    async def _connection_to(self, address: str, origin: Origin, idle: list[_Connection]) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Connection(loop, idle, self._all),
            address,
            origin.port,
            ssl=self._context if origin.tls else None,
            server_hostname=origin.host if origin.tls else None,
        )
        return connection


class _Reply:
    """One reply as it arrives: whole for :meth:`Http11Transport.send`, piece by piece as a :class:`StreamAnswer`."""

    __slots__ = ("_connection", "_holds", "_waiter", "begun", "ended", "header", "parts", "problem", "size", "status")

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._waiter: asyncio.Future[None] | None = None
        self._holds: Callable[[], object] = bool
        self.status = 0
        self.header: Header = header_of({})
        self.parts: list[bytes] = []
        self.size = 0
        self.begun = self.ended = False
        self.problem = ""

    async def wait(self, holds: Callable[[], object]) -> None:
        """Wait until ``holds``. Raises :class:`TransportError` where that will not come."""
        if not holds() and not self.problem:
            self._holds = holds
            self._waiter = self._connection.loop.create_future()
            await self._waiter
        if not holds():
            raise TransportError("connection", self.problem)

    def told(self) -> None:
        """Something has arrived, or nothing will: wake the one who waits for it."""
        waiter = self._waiter
        if waiter is not None and (self.problem or self._holds()):
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    async def read(self) -> bytes | None:
        if not self.parts and not self.ended:
            await self.wait(lambda: self.parts or self.ended)
        parts, self.parts = self.parts, []
        if self.size >= AHEAD and not self.ended:
            self._connection.read_on()
        self.size = 0
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def close(self) -> None:
        if not self.ended:
            self._connection.abort()


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, idle: list[_Connection], everyone: set[_Connection]) -> None:
        self.loop = loop
        self._idle = idle
        self._all = everyone
        self._parser = httptools.HttpResponseParser(self)
        self._reply: _Reply | None = None
        self._whole = self._until_close = False
        self._headers: dict[str, str] = {}
        self._head_size = 0
        self._since = 0.0

    # -- for the transport and its replies -----------------------------------------------------------------------

    def send(self, request: bytes, whole: bool) -> _Reply:
        """Send a request; ``whole`` is whether its reply is waited for in full."""
        reply = self._reply = _Reply(self)
        self._whole = whole
        self._head_size = 0
        self._transport.write(request)
        return reply

    def usable(self) -> bool:
        """Whether another request may be sent."""
        return not self._transport.is_closing() and self.loop.time() - self._since < IDLE

    def read_on(self) -> None:
        """The reader has caught up."""
        self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once, which tells the upstream that nobody waits any longer."""
        self._reply = None
        self._transport.abort()

    # -- what arrives --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._all.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The upstream has closed, or we have."""
        self._all.discard(self)
        if self in self._idle:
            self._idle.remove(self)
        reply = self._reply
        if reply is None:
            return
        if exc is None and self._until_close:
            reply.ended = True
            reply.told()
        else:
            self._fail(f"the connection broke: {exc}" if exc else "the upstream closed the connection too early")

    def data_received(self, data: bytes) -> None:
        """Bytes from the upstream."""
        if self._reply is None:
            self._transport.abort()  # nothing was asked for
            return
        if not self._reply.begun:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self._fail(f"the reply's headers are larger than {MAX_HEAD} bytes")
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("the upstream switched to another protocol")
        except httptools.HttpParserError as problem:
            self._fail(f"the reply is not HTTP/1.1: {problem}")

    def _fail(self, problem: str) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.problem = problem
            reply.told()
        self._transport.abort()

    def on_message_begin(self) -> None:
        """A reply begins."""
        if self._reply is None:
            self._transport.abort()  # it would be read as the answer to another request
        self._headers = {}
        self._until_close = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; of those that come twice the first counts."""
        self._headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        """The headers are there."""
        status, reply = self._parser.get_status_code(), self._reply
        if reply is None or status < 200:
            return
        headers = self._headers
        self._until_close = "content-length" not in headers and "transfer-encoding" not in headers
        reply.status = status
        reply.header = header_of(headers)
        reply.begun = True
        if not self._whole:
            reply.told()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        reply = self._reply
        if reply is None:
            return
        reply.parts.append(body)
        reply.size += len(body)
        if not self._whole:
            reply.told()
            if reply.size >= AHEAD:
                self._transport.pause_reading()
        elif reply.size > MAX_BODY:
            self._fail(f"the reply is larger than {MAX_BODY} bytes")

    def on_message_complete(self) -> None:
        """The reply has ended; what only announced it (1xx) has not."""
        reply = self._reply
        if reply is None or not reply.begun:
            return
        self._reply = None
        reply.ended = True
        reply.told()
        # A reply that came before its request was all sent leaves the rest behind on the connection.
        if self._parser.should_keep_alive() and not self._transport.get_write_buffer_size():
            self._since = self.loop.time()
            self._transport.resume_reading()
            self._idle.append(self)
            oldest = self._idle[0]
            if not oldest.usable():  # what a burst has left behind goes one by one
                del self._idle[0]
                oldest.abort()
        else:
            self._transport.abort()


def _lead(method: str, url: str, headers: list[tuple[str, str]]) -> Lead:
    """The request's line and headers but for its length. Raises :class:`TransportError` where a value would break out
    of its line."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    host = parts.hostname or ""
    port = parts.port or (443 if tls else 80)
    shown = f"[{host}]" if ":" in host else host
    named = shown if port == (443 if tls else 80) else f"{shown}:{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"host: {named}", "user-agent: interlock", "accept: */*"]
    lines.append("accept-encoding: identity")  # silence would allow any
    lines += [f"{name}: {value}" for name, value in headers]
    text = "\r\n".join(lines)
    if text.count("\r") != len(lines) - 1 or text.count("\n") != len(lines) - 1:
        raise TransportError("connection", "a header of the request holds a line break")
    return Lead(Origin(host, port, tls), text.encode() + b"\r\n")
