"""Who is calling, and what they may do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from engine.graph import Graph, Key

from .tokens import TokenError, Tokens, looks_like_token

USE, READ, ADMIN = "use", "read", "admin"
#: What no key is needed for, but an administrator's counts.
RELAY = "relay"


class DeniedError(Exception):
    """The caller may not do this. ``status`` is 401 or 403; the message is for the caller."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(message)


class UnverifiedError(Exception):
    """The caller brought a token that must be verified first: await :meth:`Access.verify`, then ask again."""

    def __init__(self, token: str) -> None:
        self.token = token
        super().__init__()


class Access:
    """Decides who may do what: by keys, and by tokens of the issuers that the settings name."""

    def __init__(self) -> None:
        self._tokens = Tokens()

    def authorize(self, graph: Graph, headers: Mapping[str, str], scope: str) -> Key | None:
        """The caller's key, ``None`` where the configuration knows no callers (then everyone may do everything).

        The secret is read from ``Authorization: Bearer`` or ``x-api-key``. Raises :class:`DeniedError`, and
        :class:`UnverifiedError` for a token not seen before. Keys are found by the hash of the secret, so that neither
        the time it takes nor memory says anything about other secrets.
        """
        issuers = graph.settings.issuers
        if not graph.keys and not issuers:
            return None
        secret = secret_of(headers)
        if not secret:
            message = "This gateway needs a key: send it as 'Authorization: Bearer KEY' or as 'x-api-key: KEY'."
            raise DeniedError(401, "missing_api_key", message)
        if issuers and looks_like_token(secret):
            key = self._tokens.remembered(secret, issuers)
            if key is None:
                raise UnverifiedError(secret)
        else:
            key = _known(graph, secret)
        if scope not in key.scopes and ADMIN not in key.scopes:
            granted = ", ".join(sorted(key.scopes)) or "none"
            message = f"Key {key.name!r} has not the scope {scope!r} that this needs (it has: {granted})."
            raise DeniedError(403, "insufficient_scope", message)
        return key

    async def verify(self, graph: Graph, token: str) -> None:
        """Verify a token against the graph's issuers. Raises :class:`DeniedError`."""
        try:
            await self._tokens.verify(token, graph.settings.issuers)
        except TokenError as problem:
            raise DeniedError(401, "invalid_token", str(problem)) from None


def _known(graph: Graph, secret: str) -> Key:
    digest = sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    key = graph.keys.get(digest)
    if key is None or not compare_digest(key.sha256, digest):
        raise DeniedError(401, "invalid_api_key", "This key is not known here.")
    if key.expires is not None and time.time() >= key.expires:
        raise DeniedError(401, "expired_api_key", f"Key {key.name!r} has expired; ask for another.")
    return key


def secret_of(headers: Mapping[str, str]) -> str:
    """The secret the caller sent, or an empty string."""
    authorization = headers.get("authorization", "")
    if authorization[:7].lower() == "bearer ":
        return authorization[7:].strip()
    return headers.get("x-api-key", "").strip()
