"""Access tokens that expire: fetched by the vendors' own libraries in a thread, and again before they run out."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from engine.errors import PrepareError
from engine.graph import Auth

from .base import Pairs
from .secret import Source

_log = logging.getLogger("interlock.credentials")

#: Seconds before its end at which a token is replaced.
MARGIN = 120.0
#: Seconds after which a fetch that failed is tried again.
AGAIN = 10.0
#: Seconds a fetch may take.
PATIENCE = 30.0
_EPOCH = datetime(1970, 1, 1)
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_ENTRA_SCOPE = "https://cognitiveservices.azure.com/.default"

#: Called in a thread: the token, and until when it is good (Unix seconds).
Fetch = Callable[[], tuple[str, float]]


class TokenCredential:
    """A bearer token from ``fetch``."""

    def __init__(self, what: str, fetch: Fetch) -> None:
        self._what = what
        self._fetch = fetch
        self._headers: Pairs | None = None
        self._until = float("-inf")
        self._tried = float("-inf")
        self._failed = False
        self._running: asyncio.Task[None] | None = None

    def available(self, now: float) -> bool:
        """Whether there is a token, or one may be had."""
        return self._headers is not None or not self._failed or now - self._tried >= AGAIN

    def due(self, now: float) -> bool:
        """Whether a token must be fetched."""
        if self._failed and now - self._tried < AGAIN:
            return False
        return self._headers is None or time.time() > self._until - MARGIN

    async def refresh(self, now: float) -> None:
        """Fetch a token; callers that come meanwhile wait for the same fetch, unless the old token is still good."""
        if self._running is None or self._running.done():
            self._tried = now
            self._running = asyncio.create_task(self._refresh())
        if self._headers is None or time.time() >= self._until:
            await asyncio.shield(self._running)

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                token, self._until = await asyncio.to_thread(self._fetch)
        except TimeoutError:
            self._fail(f"it took longer than {PATIENCE:g} s")
        except Exception as problem:  # boundary: the vendors' libraries raise what they like
            self._fail(f"{type(problem).__name__}: {problem}"[:300])
            _log.debug("no token for %s", self._what, exc_info=True)
        else:
            self._failed = False
            self._headers = (("authorization", f"Bearer {token}"),)

    def _fail(self, why: str) -> None:
        self._failed = True
        if time.time() >= self._until:
            self._headers = None
        _log.error("no token for %s: %s", self._what, why)

    def headers(self, caller: str | None, now: float) -> Pairs | None:
        """The token."""
        return self._headers

    def sign(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Pairs:
        """Nothing is signed."""
        return ()


def google(auth: Auth, environ: Mapping[str, str]) -> TokenCredential:
    """Tokens of a service account's key, or of the application's default credentials. Raises ``PrepareError``."""
    try:
        import google.auth
        import google.auth.transport.requests
        from google.oauth2 import service_account
    except ImportError:
        raise PrepareError("auth.scheme: google needs the extra vertex: pip install 'interlock[vertex]'") from None
    source = Source(auth.secret, environ, text=True) if auth.secret is not None else None
    scopes = [auth.audience or _GOOGLE_SCOPE]

    def fetch() -> tuple[str, float]:
        credentials: Any
        if source is None:
            credentials, _ = google.auth.default(scopes=scopes)
        else:
            value = source.value(time.monotonic())
            if value is None:
                raise ValueError("the service account's key is not set")
            make: Any = service_account.Credentials.from_service_account_info
            credentials = make(json.loads(value.reveal()), scopes=scopes)
        credentials.refresh(google.auth.transport.requests.Request())
        expiry = credentials.expiry  # naive, UTC
        until = time.time() + 300 if expiry is None else (expiry - _EPOCH).total_seconds()
        return str(credentials.token), until

    return TokenCredential("a Google service", fetch)


def entra(auth: Auth, environ: Mapping[str, str]) -> TokenCredential:
    """Tokens from Microsoft Entra ID: of an application's secret, or of whatever identity this machine has.

    Raises ``PrepareError``.
    """
    try:
        from azure import identity
    except ImportError:
        raise PrepareError("auth.scheme: entra needs the extra entra: pip install 'interlock[entra]'") from None
    source = Source(auth.secret, environ) if auth.secret is not None else None
    scope = auth.audience or _ENTRA_SCOPE
    tenant, client_id = auth.tenant or environ.get("AZURE_TENANT_ID"), auth.client_id
    made: list[Any] = []

    def fetch() -> tuple[str, float]:
        if source is not None:
            value = source.value(time.monotonic())
            if value is None:
                raise ValueError("the application's secret is not set")
            if tenant is None or client_id is None:
                raise ValueError("tenant and client_id are needed beside the secret")
            token = identity.ClientSecretCredential(tenant, client_id, value.reveal()).get_token(scope)
        else:
            if not made:
                made.append(identity.DefaultAzureCredential(managed_identity_client_id=client_id))
            token = made[0].get_token(scope)
        return str(token.token), float(token.expires_on)

    return TokenCredential("Microsoft Entra ID", fetch)
