"""Secrets that are sent as they are: bearer, a header of its own, the caller's own, or none."""

from __future__ import annotations

from collections.abc import Mapping

from engine.graph import Auth

from .base import Pairs
from .secret import Source

_NOTHING: Pairs = ()


class StaticCredential:
    """Makes the authentication headers of one provider out of its secret."""

    __slots__ = ("_caller", "_header", "_headers", "_source", "_version")

    def __init__(self, auth: Auth, environ: Mapping[str, str]) -> None:
        self._caller = auth.scheme == "caller"
        self._header = auth.header.lower() if auth.scheme == "header" and auth.header else None
        self._source = Source(auth.secret, environ) if auth.secret is not None else None
        self._headers: Pairs | None = _NOTHING
        self._version = -1
        if self._source is not None and auth.secret is not None and auth.secret.kind == "env":
            value = self._source.value(0.0)
            self._headers = None if value is None else self._made(value.reveal())
            self._source = None  # it stays what it is

    def available(self, now: float) -> bool:
        """Whether there is a secret to send (for the ``caller`` scheme: always, the client brings it)."""
        return self._caller or self.due(now) or self.headers(None, now) is not None

    def due(self, now: float) -> bool:
        """Whether a command has to be run first."""
        return self._source is not None and self._source.due(now)

    async def refresh(self, now: float) -> None:
        """Run the secret's command."""
        if self._source is not None:
            await self._source.refresh(now)

    def headers(self, caller: str | None, now: float) -> Pairs | None:
        """See :class:`engine.executor.credentials.base.Credential`."""
        if self._caller:
            return None if caller is None else (("authorization", caller),)
        source = self._source
        if source is None:
            return self._headers
        value = source.value(now)
        if source.version != self._version:
            self._version = source.version
            self._headers = None if value is None else self._made(value.reveal())
        return self._headers

    def sign(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Pairs:
        """Nothing is signed."""
        return ()

    def _made(self, value: str) -> Pairs:
        return ((self._header, value),) if self._header else (("authorization", f"Bearer {value}"),)
