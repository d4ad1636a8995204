"""Ollama's own API, which it speaks beside OpenAI's: with all of a model's options, and thinking apart from the text.

Names and meanings follow Ollama's reference for ``/api/chat`` and ``/api/embed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.dialects.discovery import OLLAMA
from engine.dialects.functions import ChatFunctions
from engine.dialects.protocol import ChatCodec, Codec
from engine.dialects.registry import dialect
from engine.exchange import Header, Verdict

from .embed import Embeddings
from .errors import classify
from .reply import read_reply, write_reply
from .request import read_request, write_request
from .stream import Reader

_PATHS = MappingProxyType({"chat": "/chat", "embeddings": "/embed"})


#: Chat, both ways but for streams.
CHAT = ChatFunctions(read_request, write_request, read_reply, write_reply, Reader)


@dialect("ollama")
class Ollama:
    """The protocol of ``/api/chat`` and ``/api/embed``."""

    name = "ollama"
    prefix = "/api"
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset({"image_url"})
    discovery = OLLAMA
    chat: ChatCodec | None = CHAT
    codecs: Mapping[str, Codec] = MappingProxyType({"embeddings": Embeddings()})

    def path(self, kind: str, model: str, stream: bool) -> str:
        """The same for every model."""
        return _PATHS[kind]

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """See :func:`engine.dialects.ollama.errors.classify`."""
        return classify(status, header, body, now)
