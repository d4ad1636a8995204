"""A transport over httpx: for proxies, custom httpx transports and tests."""

from __future__ import annotations

from typing import Literal

import httpx

from engine.exchange import Header

from .transport import Answer, StreamAnswer, TransportError, TransportOptions, header_of, trust


class HttpxTransport:
    """Sends through an :class:`httpx.AsyncClient`; ``transport`` replaces its network, as in httpx itself."""

    def __init__(self, options: TransportOptions, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            transport=transport,
            headers={"user-agent": "interlock", "accept-encoding": "identity"},
            proxy=options.proxy,
            verify=trust(options.ca_pem),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=options.connect),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
        )

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """See :class:`engine.executor.transport.Transport`."""
        try:
            response = await self._client.request(method, url, headers=headers, content=body)
        except httpx.RequestError as problem:
            raise _error(problem) from problem
        return Answer(response.status_code, header_of(response.headers), response.content)

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        """See :class:`engine.executor.transport.Transport`."""
        request = self._client.build_request(method, url, headers=headers, content=body)
        try:
            return _Stream(await self._client.send(request, stream=True))
        except httpx.RequestError as problem:
            raise _error(problem) from problem

    async def close(self) -> None:
        """Close the pool."""
        await self._client.aclose()


class _Stream:
    """One streamed reply."""

    __slots__ = ("_chunks", "_response", "header", "status")

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks = response.aiter_bytes()
        self.status = response.status_code
        self.header: Header = header_of(response.headers)

    async def read(self) -> bytes | None:
        try:
            return await anext(self._chunks, None)
        except httpx.RequestError as problem:
            raise _error(problem) from problem

    async def close(self) -> None:
        await self._response.aclose()


def _error(problem: httpx.RequestError) -> TransportError:
    kind: Literal["connect_timeout", "connection"]
    kind = "connect_timeout" if isinstance(problem, httpx.ConnectTimeout) else "connection"
    return TransportError(kind, f"{type(problem).__name__}: {problem}"[:500])
