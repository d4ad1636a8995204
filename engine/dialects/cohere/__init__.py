"""Cohere's API, version 2; and the form of ``/v1/rerank`` that clients of Cohere and of Jina speak to us.

Names and meanings follow Cohere's reference for ``/v2/chat``, ``/v2/embed`` and ``/v2/rerank``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from engine.dialects.discovery import COHERE
from engine.dialects.functions import ChatFunctions
from engine.dialects.link import JSON, path_of, spliced
from engine.dialects.protocol import ChatCodec, Codec
from engine.dialects.registry import dialect
from engine.exchange import Call, Header, OutcomeClass, Shape, StreamDecoder, Verdict, WireRequest

from .embed import Embeddings
from .errors import classify
from .reply import read_reply, write_reply
from .request import read_request, write_request
from .rerank import Rerank
from .stream import Reader

_PATHS = MappingProxyType({"chat": "/chat", "embeddings": "/embed", "rerank": "/rerank"})
_RERANK = Rerank()
_encode = msgspec.json.encode


#: Chat, both ways but for streams.
CHAT = ChatFunctions(read_request, write_request, read_reply, write_reply, Reader)


@dialect("cohere")
class Cohere:
    """The protocol of ``/v2/chat``, ``/v2/embed`` and ``/v2/rerank``; clients speak the last of them to us."""

    name = "cohere"
    prefix = "/v2"
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset()
    discovery = COHERE
    aliases: Mapping[str, str | None] = MappingProxyType({})
    id_header = "x-request-id"
    chat: ChatCodec | None = CHAT
    codecs: Mapping[str, Codec] = MappingProxyType({"embeddings": Embeddings(), "rerank": _RERANK})

    def path(self, kind: str, model: str, stream: bool) -> str:
        """The same for every model."""
        return _PATHS[kind]

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """See :func:`engine.dialects.cohere.errors.classify`."""
        return classify(status, header, body, now)

    def encode(self, call: Call, shape: Shape) -> WireRequest:
        """The client's body with the model's name and the target's overrides spliced in."""
        body, dropped = spliced(call, shape, self.aliases)
        body.update(shape.always)
        path = path_of(_PATHS[call.kind], call.kind, shape, call.stream)
        return WireRequest("POST", path, JSON, _encode(body), dropped)

    def decode(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """Served with its usage, if the reply holds results."""
        reply = _RERANK.read_reply(body)
        if isinstance(reply, Verdict):
            return reply, b""
        return Verdict(OutcomeClass.SERVED, usage=reply.usage), body

    def stream(self, call: Call, header: Header) -> StreamDecoder:
        """Reranking does not stream."""
        raise TypeError(f"{call.kind} does not stream")

    def error_body(self, status: int, error: Mapping[str, Any], request_id: str) -> bytes:
        """An error for every client: Cohere's reads ``message``, Jina's ``detail``, others ``error``."""
        message = error.get("message")
        return _encode({"id": request_id, "message": message, "detail": message, "error": error})

    def error_event(self, status: int, error: Mapping[str, Any], request_id: str) -> bytes:
        """As :meth:`error_body`; no stream has one, since reranking does not stream."""
        return b"data: " + self.error_body(status, error, request_id) + b"\n\n"
