"""Who is calling, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from engine.graph import Graph, Key

USE, READ, ADMIN = "use", "read", "admin"


class DeniedError(Exception):
    """The caller may not do this. ``status`` is 401 or 403; the message is for the caller."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(message)


def authorize(graph: Graph, headers: Mapping[str, str], scope: str) -> Key | None:
    """The caller's key, ``None`` where the configuration has no keys (then everyone may do everything).

    The secret is read from ``Authorization: Bearer`` or ``x-api-key``. Raises :class:`DeniedError`. Keys are found by
    the hash of the secret, so that neither the time it takes nor memory says anything about other secrets.
    """
    if not graph.keys:
        return None
    secret = secret_of(headers)
    if not secret:
        message = "This gateway needs a key: send it as 'Authorization: Bearer KEY' or as 'x-api-key: KEY'."
        raise DeniedError(401, "missing_api_key", message)
    digest = sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    key = graph.keys.get(digest)
    if key is None or not compare_digest(key.sha256, digest):
        raise DeniedError(401, "invalid_api_key", "This key is not known here.")
    if scope not in key.scopes and ADMIN not in key.scopes:
        granted = ", ".join(sorted(key.scopes)) or "none"
        message = f"Key {key.name!r} has not the scope {scope!r} that this needs (it has: {granted})."
        raise DeniedError(403, "insufficient_scope", message)
    return key


def secret_of(headers: Mapping[str, str]) -> str:
    """The secret the caller sent, or an empty string."""
    authorization = headers.get("authorization", "")
    if authorization[:7].lower() == "bearer ":
        return authorization[7:].strip()
    return headers.get("x-api-key", "").strip()
