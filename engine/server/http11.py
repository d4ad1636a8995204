"""HTTP/1.1 connections under uvicorn: httptools parses, uvicorn owns sockets, signals and the drain.

uvicorn's own protocol class stands between the parser and an ASGI application. This one stands between the parser and
the :class:`Front`, because it must do what that one cannot: answer what is not HTTP in the shape that clients of this
API read, bound headers and slow senders, and tell a request at once that its client has left. It also does a third of
the work a request.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

import httptools
from msgspec import Struct
from uvicorn.server import ServerState

from engine.executor.reply import Headers, Reply, StreamReply

from .front import Aside, Front

#: Bytes of a request's line and headers together.
MAX_HEADERS = 64 * 1024
#: Seconds a connection may idle between requests, and a request may take to arrive.
IDLE, ARRIVAL = 75.0, 60.0
#: Seconds a refused sender is listened to, so that it reads the refusal before its connection is closed.
LINGER = 1.0
#: Requests that may wait on one connection behind the one being served; the client's next bytes then wait as well.
PIPELINE = 8

_HEADERS_TOO_LARGE = 431, "headers_too_large", f"The request's line and headers are larger than {MAX_HEADERS} bytes."
_log = logging.getLogger("interlock.server")
_STATUS = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}


class Arrived(Struct):
    """One whole request; ``chunked`` is whether the client reads a chunked answer (HTTP/1.1)."""

    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    keep_alive: bool
    chunked: bool


class Http11(asyncio.Protocol):
    """One connection."""

    _transport: asyncio.Transport

    def __init__(self, front: Front, state: ServerState, loop: asyncio.AbstractEventLoop, aside: Aside | None) -> None:
        self._front = front
        self._state = state
        self._loop = loop
        self._aside = aside
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[Arrived] = deque()
        self._writable: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._since = loop.time()
        self._head_size = 0
        self._refusal: Reply | None = None
        self._gone = self._refused = self._draining = self._wrote = self._stuck = self._completed = False
        self._reset()

    # -- the connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn calls shutdown() on it, no more
        self._timer = self._loop.call_later(IDLE, self._check_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, or we closed. A request under way is told at once."""
        self._state.connections.discard(self)
        self._gone = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._refused:
            return
        upgrade_at: int | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as problem:
            upgrade_at = problem.args[0]
        except httptools.HttpParserCallbackError as problem:
            cause = problem.__context__
            if isinstance(cause, _RefusedError):
                self._refuse(cause.status, cause.code, cause.message)
            else:
                _log.error("a request could not be taken in", exc_info=cause)
                self._failed()
        except httptools.HttpParserError as problem:
            self._refuse(400, "malformed_http", f"This is not a well-formed HTTP/1.1 request: {problem}.")
        else:
            # A piece that also holds the end of the request before tells nothing about the size of this one's head.
            self._head_size = self._head_size + len(data) if self._in_head and not self._completed else 0
            self._completed = False
            if self._head_size > MAX_HEADERS:
                self._refuse(*_HEADERS_TOO_LARGE)
        if upgrade_at is not None:
            self._decline_upgrade(data[upgrade_at:])

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """The client has caught up, or left."""
        self._stuck = False
        waiter, self._writable = self._writable, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if self._waiting:
            self._loop.call_soon(self._resume)

    def shutdown(self) -> None:
        """uvicorn drains: finish the request under way, then close."""
        self._draining = True
        self._waiting.clear()
        if self._task is None:
            self._transport.close()

    def _check_time(self) -> None:
        """Close a connection that idles, or whose request does not arrive, or whose client does not read its answer."""
        if self._transport.is_closing() or self._writable is not None:
            if self._stuck:
                self._transport.abort()
                return
            self._stuck = True
        limit = ARRIVAL if self._arriving else IDLE
        left = self._since + limit - self._loop.time()
        if self._task is None and left <= 0 and not self._transport.is_closing():
            if self._arriving:
                self._refuse(408, "request_timeout", f"The request did not arrive within {ARRIVAL:g} seconds.")
            else:
                self._transport.close()
        self._timer = self._loop.call_later(left if self._task is None and left > 0 else IDLE, self._check_time)

    # -- the parser's callbacks ----------------------------------------------------------------------------------

    def _reset(self) -> None:
        self._arriving = self._in_head = False
        self._head_size = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0

    def on_message_begin(self) -> None:
        """A request begins."""
        self._reset()
        self._arriving = self._in_head = True
        if self._task is None:
            self._since = self._loop.time()

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The headers are there; the body, if any, follows."""
        if self._parser.should_upgrade():
            return
        self._in_head = False
        size, asked = len(self._url), False
        for name, value in self._headers:
            size += len(name) + len(value)
            if name == b"content-length" and int(value) > self._front.max_body:
                self._too_large()
            elif name == b"expect" and value.lower() == b"100-continue":
                asked = True
        if size > MAX_HEADERS:
            raise _RefusedError(*_HEADERS_TOO_LARGE)
        if asked and self._task is None and not self._waiting:  # else it would stand in the middle of another answer
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body.append(body)
        self._size += len(body)
        if self._size > self._front.max_body:
            self._too_large()

    def _too_large(self) -> None:
        limit = self._front.max_body
        message = f"The body is larger than the {limit} bytes this gateway accepts (settings: limits.body)."
        raise _RefusedError(413, "request_too_large", message)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._parser.should_upgrade():
            return
        path, _, query = self._url.partition(b"?")
        arrived = Arrived(
            self._parser.get_method().decode("ascii"),
            _path(path),
            query,
            self._headers,
            b"".join(self._body) if len(self._body) != 1 else self._body[0],
            self._parser.should_keep_alive(),
            self._parser.get_http_version() != "1.0",
        )
        self._arriving = False
        self._completed = True
        if self._task is None and self._writable is None and not self._waiting:
            self._begin(arrived)
            return
        self._waiting.append(arrived)
        if len(self._waiting) >= PIPELINE:
            self._transport.pause_reading()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Take the request in as if no upgrade had been asked for (RFC 9110, section 7.8); ``rest`` follows its head.

        The parser takes what follows for the other protocol. But Java's HTTP client, among others, asks for HTTP/2 like
        this in its first request, whose body follows all the same.
        """
        if self._parser.get_method() == b"CONNECT":
            self._refuse(405, "method_not_allowed", "CONNECT is not served: this is a gateway for models, not a proxy.")
            return
        kept = [pair for pair in self._headers if pair[0] not in (b"upgrade", b"connection")]
        if not self._parser.should_keep_alive():
            kept.append((b"connection", b"close"))
        first = b"%b %b HTTP/1.1\r\n" % (self._parser.get_method(), self._url)
        head = b"".join([first, *(b"%b: %b\r\n" % pair for pair in kept), b"\r\n"])
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    # -- answering -----------------------------------------------------------------------------------------------

    def _begin(self, arrived: Arrived) -> None:
        self._wrote = False
        began = self._loop.time()
        begun = self._front.begin(arrived.method, arrived.path, arrived.query, arrived.headers, arrived.body)
        if isinstance(begun, Reply):
            self._answer(arrived, begun, began)
            self._next(arrived)
            return
        task = self._task = self._loop.create_task(self._serve(arrived, begun, began))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    async def _serve(self, arrived: Arrived, begun: Coroutine[Any, Any, Reply | StreamReply], began: float) -> None:
        try:
            reply = await begun
            if isinstance(reply, Reply):
                self._answer(arrived, reply, began)
            else:
                await self._stream(arrived, reply)
        except asyncio.CancelledError:
            if not self._gone:
                raise
        except Exception:
            # The boundary of a connection: a defect of ours ends this one and no other.
            self._task = None
            _log.exception("a request failed inside the gateway")
            self._failed()
            return
        finally:
            self._task = None
        self._next(arrived)

    def _next(self, arrived: Arrived) -> None:
        """The answer is written: close, or go on with the next request."""
        self._since = self._loop.time()
        if self._gone:
            return
        if not arrived.keep_alive or self._draining:
            self._transport.close()
        elif self._waiting:
            # Not called directly: a long pipeline of quick answers must not recurse.
            self._loop.call_soon(self._resume)
        elif self._refusal is not None:
            self._say_refusal(self._refusal)

    def _resume(self) -> None:
        if self._task is None and self._writable is None and self._waiting and not self._gone:
            self._begin(self._waiting.popleft())
            if not self._waiting:
                self._transport.resume_reading()

    def _answer(self, arrived: Arrived, reply: Reply, began: float) -> None:
        headers = reply.headers
        headers.append((b"content-length", b"%d" % len(reply.body)))
        if not arrived.keep_alive or self._draining:
            headers.append((b"connection", b"close"))
        head = _head(reply.status, headers)
        self._wrote = True
        self._write(head if arrived.method == "HEAD" else head + reply.body)
        if reply.outcome is None and self._aside is not None:
            self._aside(arrived.method, arrived.path, reply.status, self._loop.time() - began, reply)

    async def _stream(self, arrived: Arrived, reply: StreamReply) -> None:
        """Pass every piece on as it comes. However it ends, the upstream's connection is let go."""
        headers = reply.headers
        headers.append((b"cache-control", b"no-cache"))
        # Proxies such as nginx would collect a stream before they pass it on.
        headers.append((b"x-accel-buffering", b"no"))
        chunked = arrived.chunked
        if chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        else:
            arrived.keep_alive = False  # without chunks only the close can end the answer
        if not arrived.keep_alive or self._draining:
            headers.append((b"connection", b"close"))
        write = self._write
        try:
            head = _head(reply.status, headers)
            async for piece in reply.chunks:
                self._wrote = True
                write(b"%b%x\r\n%b\r\n" % (head, len(piece), piece) if chunked else head + piece)
                head = b""
                if self._writable is not None:
                    await self._writable
            write(head + b"0\r\n\r\n" if chunked else head)
        finally:
            await reply.aclose()

    def _write(self, data: bytes) -> None:
        """Send, unless the client has left: the transport knows that a moment before ``connection_lost`` is called."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def _failed(self) -> None:
        """A defect of ours: say so if nothing was said yet, and close."""
        self._waiting.clear()
        if self._wrote:
            self._transport.close()
        else:
            self._refuse(500, "internal", "The gateway failed on this request.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer what cannot be served, after the requests before it, and close. What follows is not looked at."""
        if self._refused or self._gone:
            return
        self._refused = True
        self._refusal = self._front.refuse(status, code, message)
        if self._task is None and not self._waiting:
            self._say_refusal(self._refusal)

    def _say_refusal(self, reply: Reply) -> None:
        reply.headers.append((b"content-length", b"%d" % len(reply.body)))
        reply.headers.append((b"connection", b"close"))
        self._write(_head(reply.status, reply.headers) + reply.body)
        if self._aside is not None:
            self._aside("-", "-", reply.status, 0.0, reply)
        self._loop.call_later(LINGER, self._transport.close)


class _RefusedError(Exception):
    """Raised in a callback of the parser, which wraps it in an error of its own."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(message)


def _path(raw: bytes) -> str:
    """The decoded path, of the absolute form (``http://host/path``) too."""
    path = raw.decode("latin-1")
    if path.startswith(("http://", "https://")):
        path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
    return unquote(path) if "%" in path else path


def _head(status: int, headers: Headers) -> bytes:
    """Status line and headers. Raises ``ValueError`` where a value would break out of its line."""
    lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
        raise ValueError("a header holds a line break")
    known = _STATUS.get(status)
    return (known if known is not None else b"HTTP/1.1 %d \r\n" % status) + lines + b"\r\n"
