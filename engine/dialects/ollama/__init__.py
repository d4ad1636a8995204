"""Ollama's own API, which it speaks beside OpenAI's: with all of a model's options, and thinking apart from the text.

Names and meanings follow Ollama's reference for ``/api/chat`` and ``/api/embed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.dialects.discovery import OLLAMA
from engine.dialects.protocol import ChatCodec, Codec, Written
from engine.dialects.registry import dialect
from engine.dialects.upstream import NoWriter
from engine.exchange import Header, Shape, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest

from .embed import Embeddings
from .errors import classify
from .reply import read_reply, write_reply
from .request import read_request, write_request
from .stream import Reader

_PATHS = MappingProxyType({"chat": "/chat", "embeddings": "/embed"})


class Chat(NoWriter):
    """See :class:`engine.dialects.protocol.ChatCodec`."""

    def read_request(self, body: dict[str, Any]) -> ChatRequest:
        """See :func:`engine.dialects.ollama.request.read_request`."""
        return read_request(body)

    def write_request(self, request: ChatRequest, shape: Shape) -> Written:
        """See :func:`engine.dialects.ollama.request.write_request`."""
        return write_request(request, shape)

    def read_reply(self, body: bytes) -> ChatReply | Verdict:
        """See :func:`engine.dialects.ollama.reply.read_reply`."""
        return read_reply(body)

    def write_reply(self, reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
        """See :func:`engine.dialects.ollama.reply.write_reply`."""
        return write_reply(reply, asked)

    def reader(self) -> Reader:
        """A reader for one stream."""
        return Reader()


@dialect("ollama")
class Ollama:
    """The protocol of ``/api/chat`` and ``/api/embed``."""

    name = "ollama"
    prefix = "/api"
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset({"image_url"})
    discovery = OLLAMA
    chat: ChatCodec | None = Chat()
    codecs: Mapping[str, Codec] = MappingProxyType({"embeddings": Embeddings()})

    def path(self, kind: str, model: str, stream: bool) -> str:
        """The same for every model."""
        return _PATHS[kind]

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """See :func:`engine.dialects.ollama.errors.classify`."""
        return classify(status, header, body, now)
