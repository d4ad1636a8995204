"""The one seam to the network: what a transport must do, and how it says that it could not."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Mapping
from typing import Literal, Protocol

import certifi
from msgspec import Struct

from engine.errors import PrepareError
from engine.exchange import Header

#: Bytes of an error reply that are read at most.
MAX_ERROR = 1024 * 1024


class TransportError(Exception):
    """No whole reply. ``kind`` is ``connect_timeout`` or ``connection`` (DNS, connect, TLS, reset, early close)."""

    def __init__(self, kind: Literal["connection", "connect_timeout"], detail: str) -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(detail)


class Answer(Struct, frozen=True):
    """A whole reply."""

    status: int
    header: Header
    body: bytes


class StreamAnswer(Protocol):
    """A reply whose body is read piece by piece. :meth:`close` must be called, however the reading ends."""

    status: int
    header: Header

    async def read(self) -> bytes | None:
        """The next piece as it arrives, ``None`` at the end. Raises :class:`TransportError`."""

    async def close(self) -> None:
        """Let go of the connection; one whose body was not read to its end is closed, which tells the upstream."""


class Transport(Protocol):
    """Sends requests to one provider. It never retries, never follows redirects, and keeps no time but ``connect``.

    Cancelling a call closes its connection.
    """

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """The whole reply. Raises :class:`TransportError`."""

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        """The reply once its headers are there. Raises :class:`TransportError`."""

    async def close(self) -> None:
        """Close every connection."""


class TransportOptions(Struct, frozen=True):
    """``connect`` is seconds; ``proxy`` a URL; ``ca_pem`` further certificates to trust."""

    connect: float
    proxy: str | None = None
    ca_pem: bytes | None = None


def header_of(headers: Mapping[str, str]) -> Header:
    """A :data:`Header` over a mapping with lower-case names."""
    return headers.get


@functools.cache
def trust(ca_pem: bytes | None) -> ssl.SSLContext:
    """What TLS connections trust: the system's certificates, Mozilla's, and those in ``ca_pem``.

    Raises :class:`PrepareError` for text that holds no certificate.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    if ca_pem:
        try:
            context.load_verify_locations(cadata=ca_pem.decode("ascii"))
        except (ssl.SSLError, ValueError) as problem:
            raise PrepareError(f"upstream.ca_file holds no certificate that can be read: {problem}") from problem
    return context
