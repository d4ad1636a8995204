"""The default transport: pyreqwest, a binding of Rust's reqwest."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from datetime import timedelta
from typing import Any, Literal

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import ConnectTimeoutError, PyreqwestError
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from engine.errors import PrepareError
from engine.exchange import Header

from .transport import Answer, StreamAnswer, TransportError, TransportOptions

#: Bytes that are collected into one piece at most.
MAX_PIECE = 64 * 1024


class PyreqwestTransport:
    """Keeps a pool of connections to one provider."""

    def __init__(self, options: TransportOptions) -> None:
        builder = (
            ClientBuilder()
            .user_agent("interlock")
            .follow_redirects(False)  # a credential must never follow a redirect to another host
            .referer(False)
            .no_proxy()  # settings name the proxy, the environment does not
            .connect_timeout(timedelta(seconds=options.connect))
            .http1_lower_case_headers()
        )
        if options.proxy:
            builder = builder.proxy(ProxyBuilder.all(options.proxy))
        if options.ca_pem:
            builder = builder.add_root_certificate_pem(options.ca_pem)
        try:
            self._client: Client = builder.build()
        except (PyreqwestError, ValueError) as problem:
            raise PrepareError(f"the HTTP client could not be made ready: {problem}") from problem

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """See :class:`engine.executor.transport.Transport`."""
        try:
            response = await self._client.request(method, url).headers(headers).body_bytes(body).build().send()
            return Answer(response.status, response.get_header, bytes(await response.bytes()))
        except PyreqwestError as problem:
            raise _error(problem) from problem

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        """See :class:`engine.executor.transport.Transport`."""
        builder = self._client.request(method, url).headers(headers).body_bytes(body)
        # The default read-ahead would hold a whole short stream back until it has ended.
        request = builder.streamed_read_buffer_limit(0).build_streamed()
        try:
            return _Stream(request, await request.__aenter__())
        except PyreqwestError as problem:
            raise _error(problem) from problem

    async def close(self) -> None:
        """Close the pool."""
        await self._client.close()


class _Pending:
    """A read that has begun and waits for the network: awaiting it goes on where it stopped."""

    __slots__ = ("_read", "_waits_for")

    def __init__(self, read: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._read = read
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as problem:  # a cancellation is the reader's to handle, not ours
                    waits_for = self._read.throw(problem)
                else:
                    waits_for = self._read.send(sent)
        except StopIteration as done:
            return done.value

    def close(self) -> None:
        """Give the read up."""
        self._read.close()


class _Stream:
    """One streamed reply. Pieces that are there already come as one, so that a burst costs one step, not many."""

    __slots__ = ("_ended", "_pending", "_reader", "_request", "header", "status")

    def __init__(self, request: StreamRequest, response: Response) -> None:
        self._request = request
        self._reader = response.body_reader
        self._pending: _Pending | None = None
        self._ended = False
        self.status = response.status
        self.header: Header = response.get_header

    async def read(self) -> bytes | None:
        if self._ended:
            return None
        pending, self._pending = self._pending, None
        try:
            piece = await (self._reader.read_chunk() if pending is None else pending)
            if piece is None:
                self._ended = True
                return None
            return self._and_what_is_there(bytes(piece))
        except PyreqwestError as problem:
            raise _error(problem) from problem

    def _and_what_is_there(self, piece: bytes) -> bytes:
        """``piece`` with those behind it that can be had without waiting; the read that must wait is kept for later."""
        pieces = [piece]
        size = len(piece)
        while size < MAX_PIECE:
            read: Any = self._reader.read_chunk()
            try:
                self._pending = _Pending(read, read.send(None))
                break
            except StopIteration as done:
                if done.value is None:
                    self._ended = True
                    break
                pieces.append(bytes(done.value))
                size += len(pieces[-1])
            except PyreqwestError as problem:
                # What came before the break is relayed first; the next read meets the break again.
                self._pending = _Pending(_raising(problem), None)
                break
        return b"".join(pieces) if len(pieces) > 1 else piece

    async def close(self) -> None:
        if self._pending is not None:
            self._pending.close()
            self._pending = None
        await self._request.__aexit__(None, None, None)


async def _raising(problem: PyreqwestError) -> None:
    raise problem


def _error(problem: PyreqwestError) -> TransportError:
    """What the library's exception means; its text names the host and the cause, never a header."""
    kind: Literal["connect_timeout", "connection"]
    kind = "connect_timeout" if isinstance(problem, ConnectTimeoutError) else "connection"
    causes = getattr(problem, "details", None) or {}
    chain = [problem.message, *(str(c.get("message", "")) for c in causes.get("causes") or ())]
    return TransportError(kind, ": ".join(dict.fromkeys(text for text in chain if text))[:500])
