"""Asking a running server for its status, and for its providers: one small blocking GET, for the command line."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from engine.errors import EngineError

_STATUS, _PROVIDERS = "/api/v1/status", "/api/v1/providers"
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class StatusError(EngineError):
    """The server gave no status. ``waiting_helps`` tells a server that is not up (yet) from one that refuses."""

    def __init__(self, message: str, hint: str, waiting_helps: bool) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.waiting_helps = waiting_helps


def fetch_status(url: str, *, key: str | None = None, timeout: float = 5.0) -> dict[str, Any]:
    """What ``GET /api/v1/status`` of the server at ``url`` answers.

    ``timeout`` is seconds. Proxies of the environment are not used for loopback addresses. Raises :class:`StatusError`.
    """
    return _fetch(url, _STATUS, "running", dict, key, timeout)


def fetch_providers(url: str, *, key: str | None = None, timeout: float = 10.0) -> list[dict[str, Any]]:
    """The providers of the server at ``url`` with their health; otherwise as :func:`fetch_status`."""
    rows: list[dict[str, Any]] = _fetch(url, _PROVIDERS, "providers", list, key, timeout)["providers"]
    return rows


def _fetch(url: str, path: str, field: str, kind: type, key: str | None, timeout: float) -> dict[str, Any]:
    import httpx

    headers = {"authorization": f"Bearer {key}"} if key else {}
    loopback = (urlsplit(url).hostname or "") in _LOOPBACK
    try:
        with httpx.Client(timeout=timeout, trust_env=not loopback) as client:
            reply = client.get(url.rstrip("/") + path, headers=headers)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise StatusError(
            f'"{url}" is not a server\'s address: {error}', "write for example --url http://127.0.0.1:8080", False
        ) from error
    except httpx.TimeoutException as error:
        raise StatusError(
            f"{url} did not answer within {timeout:g} s", "is the server overloaded, or a firewall in between?", True
        ) from error
    except httpx.HTTPError as error:
        hint = "is the server running (`interlock serve`), and is this its address? --url names another"
        raise StatusError(
            f"no server answers at {url} ({_ERRNO.sub('', str(error)) or type(error).__name__})", hint, True
        ) from error
    body = _read(url, path, reply.status_code, reply.content, key)
    if not isinstance(body, dict) or not isinstance(body.get(field), kind):
        what = path.rpartition("/")[2]
        message = f"{url}{path} answered something that is not {'a status' if what == 'status' else what}"
        raise StatusError(message, "is this an Interlock server?", False)
    return body


def _read(url: str, path: str, status: int, content: bytes, key: str | None) -> Any:
    if status in (401, 403):
        why = "it wants a key with the scope read or admin"
        if key:
            why = "it does not know the key it got" if status == 401 else "the key it got has not the scope read"
        hint = "put the secret of a key with the scope read or admin into INTERLOCK_KEY"
        raise StatusError(f"{url} answered {status}: {why}", hint, False)
    if status != 200:
        # A server that is starting or draining says 503; anything else will not change by waiting.
        hint = "is this an Interlock server? --url wants no path"
        raise StatusError(f"{url}{path} answered {status}", hint, status == 503)
    try:
        return json.loads(content)
    except ValueError:
        return None
