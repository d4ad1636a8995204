"""AWS Signature Version 4, by botocore: its credential chain finds the keys, its signer signs each request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from engine.errors import PrepareError
from engine.graph import Auth

from .base import Pairs
from .secret import Source

_log = logging.getLogger("interlock.credentials")

#: Seconds after which a search for credentials that failed is repeated, and one that succeeded is checked for expiry.
AGAIN, CHECK = 10.0, 60.0
_SIGNED = ("authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256")


class AwsCredential:
    """Signs requests with declared keys, or with those that the usual chain finds (environment, profile, role, ...)."""

    def __init__(self, auth: Auth, base_url: str, environ: Mapping[str, str]) -> None:
        try:
            import botocore.auth
            import botocore.awsrequest
            import botocore.credentials
            import botocore.session
        except ImportError:
            raise PrepareError("auth.scheme: aws needs the extra bedrock: pip install 'interlock[bedrock]'") from None
        self._modules = botocore
        refs = (auth.access_key, auth.secret, auth.session_token)
        self._sources = [None if ref is None else Source(ref, environ) for ref in refs]
        self._region = (
            auth.region or _region(base_url) or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        )
        self._service = auth.service or _service(base_url)
        self._found: Any = None
        self._keys: Any = None
        self._tried = float("-inf")
        self._failed = False

    @property
    def _declared(self) -> bool:
        return self._sources[0] is not None

    def available(self, now: float) -> bool:
        """Whether there are keys, or some may be found."""
        if self._declared:
            return self._own_keys(now) is not None
        return not self._failed or now - self._tried >= AGAIN

    def due(self, now: float) -> bool:
        """Whether keys must be looked for, or looked at again: the chain replaces those that expire."""
        return not self._declared and now - self._tried >= (AGAIN if self._keys is None else CHECK)

    async def refresh(self, now: float) -> None:
        """Let the chain find keys, in a thread: it may ask the instance's metadata service."""
        self._tried = now
        try:
            self._keys = await asyncio.to_thread(self._search)
        except Exception as problem:  # boundary: the chain's many sources raise what they like
            self._keys = None
            _log.error("no AWS credentials: %s: %s", type(problem).__name__, str(problem)[:300])
        self._failed = self._keys is None

    def _search(self) -> Any:
        if self._found is None:
            self._found = self._modules.session.get_session().get_credentials()
        if self._found is None:
            _log.error("no AWS credentials: neither the environment, a profile nor a role has any")
            return None
        return self._found.get_frozen_credentials()

    def _own_keys(self, now: float) -> Any:
        values = [None if source is None else source.value(now) for source in self._sources]
        key, secret, token = (None if value is None else value.reveal() for value in values)
        if key is None or secret is None:
            return None
        return self._modules.credentials.ReadOnlyCredentials(key, secret, token)

    def headers(self, caller: str | None, now: float) -> Pairs | None:
        """Nothing but the signature; ``None`` where there are no keys to make one."""
        keys = self._own_keys(now) if self._declared else self._keys
        self._keys = keys
        return None if keys is None else ()

    def sign(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Pairs:
        """The headers of the signature."""
        if self._keys is None:
            return ()
        request = self._modules.awsrequest.AWSRequest(method, url, headers=dict(headers), data=body)
        signer = self._modules.auth.SigV4Auth(self._keys, self._service, self._region or "us-east-1")
        signer.add_auth(request)
        return tuple((name.lower(), value) for name, value in request.headers.items() if name.lower() in _SIGNED)


def _region(base_url: str) -> str | None:
    """The region in a host such as ``bedrock-runtime.eu-west-1.amazonaws.com``."""
    labels = (urlsplit(base_url).hostname or "").split(".")
    return labels[1] if len(labels) >= 4 and labels[2].startswith("amazonaws") else None


def _service(base_url: str) -> str:
    """The name that requests to such a host are signed for; of all runtimes only Bedrock's differs from its host."""
    host = urlsplit(base_url).hostname or ""
    return "sagemaker" if host.startswith("runtime.sagemaker") else "bedrock"
