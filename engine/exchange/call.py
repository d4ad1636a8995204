"""One client request as the engine carries it: what it must know, and the body as it came."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Call(msgspec.Struct):
    """A parsed request on one surface.

    ``kind`` is what a target must be able to answer (``chat`` for the surfaces ``messages`` and ``responses`` too), and
    ``front`` the dialect the client speaks.

    ``body`` maps the top-level fields to their JSON text, untouched, so that what nobody must read is never decoded; it
    is ``None`` for bodies that are not JSON (uploads), which travel in ``raw``. ``path`` is below the provider's
    ``base_url`` (``/chat/completions``). Header names are lower case. ``deadline`` is seconds the client allows.
    """

    request_id: str
    surface: str
    path: str
    model: str
    kind: str = "chat"
    front: str = "openai-chat"
    stream: bool = False
    body: dict[str, msgspec.Raw] | None = None
    raw: bytes = b""
    content_type: str = "application/json"
    method: str = "POST"
    headers: Mapping[str, str] = _NOTHING
    user: str | None = None
    key: str | None = None
    key_routes: tuple[str, ...] = ()
    trusted: Mapping[str, str] = _NOTHING
    """Metadata fixed by the client's key."""
    metadata: Mapping[str, str] = _NOTHING
    """All metadata: the key's, then the header's, then the body's."""
    wants_usage: bool = False
    """Whether a streaming client asked for the usage chunk itself."""
    deadline: float | None = None
    no_fallback: bool = False
    authorization: str | None = None
    """The caller's own credential, for providers whose ``auth.scheme`` is ``caller``."""
    arrived: float = 0.0
    """When the request was there, by ``time.perf_counter``; 0 where nobody looked."""
    canonical: Any = None
    """The request in canonical form, once a target of another dialect has needed it."""
