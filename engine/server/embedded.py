"""The server without a server: a transport for clients of ``httpx`` and of ``httpx2``.

The two packages have the same classes under different names, and each client insists on its own. The answer is made of
the classes of the package that the request came from, so neither is imported here and both can be in use at once.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from types import ModuleType, TracebackType
from typing import Any, NoReturn, Self

from engine.executor.reply import Reply
from engine.server.front import Front

_PACKAGES = ("httpx", "httpx2")


class EmbeddedTransport:
    """Give it to ``httpx.AsyncClient(transport=...)`` or ``httpx2.AsyncClient(transport=...)``.

    Requests go the way that requests to the server go, keys and limits included; the host of the URL does not matter.
    Closing a streamed response early cancels the upstream request. Closing the transport closes nothing: the engine is
    its owner's to close.
    """

    def __init__(self, front: Front) -> None:
        self._front = front
        self._streams: dict[str, type[Any]] = {}

    async def handle_async_request(self, request: Any) -> Any:
        """Answer a request of either package with a response of the same package."""
        package = _package_of(request)
        reply = await self._front.handle(
            request.method,
            request.url.path,
            request.url.query,
            [(name.lower(), value) for name, value in request.headers.raw],
            await request.aread(),
            ("127.0.0.1", 0),
        )
        if isinstance(reply, Reply):
            return package.Response(reply.status, headers=reply.headers, content=reply.body, request=request)
        stream = self._stream_class(package)(reply)
        return package.Response(reply.status, headers=reply.headers, stream=stream, request=request)

    def handle_request(self, request: Any) -> NoReturn:
        """Always raises: an engine answers on its event loop, which a synchronous client would block."""
        raise TypeError("engine.transport() is for asynchronous clients: use AsyncClient, or AsyncOpenAI and the like")

    async def aclose(self) -> None:
        """Does nothing: the engine outlives its clients."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _stream_class(self, package: ModuleType) -> type[Any]:
        """The package's own stream class, relaying a reply's chunks as they come. Made once for each package."""
        known = self._streams.get(package.__name__)
        if known is None:
            known = type("EmbeddedStream", (_Relay, package.AsyncByteStream), {})
            self._streams[package.__name__] = known
        return known


class _Relay:
    def __init__(self, reply: Any) -> None:
        self._reply = reply

    def __aiter__(self) -> AsyncIterator[bytes]:
        chunks: AsyncIterator[bytes] = self._reply.chunks
        return chunks

    async def aclose(self) -> None:
        await self._reply.aclose()


def _package_of(request: Any) -> ModuleType:
    for cls in type(request).__mro__:
        name = cls.__module__.partition(".")[0]
        if name in _PACKAGES:
            return sys.modules[name]
    raise TypeError(f"{type(request).__name__} is not a request of {' or '.join(_PACKAGES)}")
