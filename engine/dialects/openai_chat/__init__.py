"""OpenAI's chat completions and its neighbours, the protocol most services speak.

The body of a request is spliced, never rebuilt: fields that nobody overrides keep the client's own JSON text. Paths and
fields follow OpenAI's API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

from engine.dialects.discovery import OPENAI
from engine.dialects.link import JSON, path_of, spliced
from engine.dialects.protocol import ChatCodec, Codec
from engine.dialects.registry import dialect
from engine.exchange import Call, Header, Shape, StreamDecoder, Verdict, WireRequest
from engine.exchange.multipart import replace_field

from .chat import CHAT
from .embeddings import Embeddings
from .errors import classify
from .reply import decode_reply
from .rerank import Rerank
from .stream import ChatStream, RelayStream

_PATHS = MappingProxyType({"chat": "/chat/completions", "embeddings": "/embeddings", "rerank": "/rerank"})
_STREAMED = frozenset({"chat", "completions"})
_TRUE = Raw(b"true")
_USAGE_OPTIONS = Raw(b'{"include_usage":true}')
_encode = msgspec.json.encode


@dialect("openai-chat")
class OpenAIChat:
    """The protocol of ``/v1/chat/completions``, ``/completions``, ``/embeddings`` and the endpoints beside them."""

    name = "openai-chat"
    prefix = ""
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset()
    aliases: Mapping[str, str | None] = MappingProxyType({})
    id_header = "x-request-id"
    discovery = OPENAI
    chat: ChatCodec | None = CHAT
    codecs: Mapping[str, Codec] = MappingProxyType({"embeddings": Embeddings(), "rerank": Rerank()})

    def path(self, kind: str, model: str, stream: bool) -> str:
        """The same for every model."""
        return _PATHS[kind]

    def encode(self, call: Call, shape: Shape) -> WireRequest:
        """The client's body with the model's name, the overrides and the provider's quirks spliced in.

        Of an upload only the model's name changes.
        """
        path = path_of(call.path, call.kind, shape, call.stream)
        if call.body is None:
            form = replace_field(call.raw, call.content_type, "model", shape.name)
            return WireRequest(call.method, path, (("content-type", call.content_type),), form)
        body, dropped = spliced(call, shape, self.aliases)
        if call.stream and call.kind in _STREAMED and "stream" in body:
            if shape.stream_usage:
                body["stream_options"] = _with_usage(body.get("stream_options"))
            elif body.pop("stream_options", None) is not None:
                dropped = (*dropped, "stream_options")
        body.update(shape.always)
        return WireRequest(call.method, path, JSON, _encode(body), dropped)

    def decode(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """See :func:`decode_reply`."""
        return decode_reply(call.kind, body), body

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """See :func:`engine.dialects.openai_chat.errors.classify`."""
        return classify(status, header, body, now)

    def stream(self, call: Call, header: Header) -> StreamDecoder:
        """A decoder that strips the usage chunk unless the client asked for it."""
        if call.kind in _STREAMED:
            return ChatStream(strip_usage=not call.wants_usage)
        return RelayStream()

    def error_body(self, status: int, error: Mapping[str, Any], request_id: str) -> bytes:
        """``{"error": {...}}``."""
        return _encode({"error": error})

    def error_event(self, status: int, error: Mapping[str, Any], request_id: str) -> bytes:
        """``data: {"error": ...}``, which OpenAI's SDKs raise as an API error."""
        return b"data: " + _encode({"error": error}) + b"\n\n"


def _with_usage(options: Raw | None) -> Raw:
    """The client's stream options with usage asked for."""
    if options is None or bytes(options) == b"null":
        return _USAGE_OPTIONS
    try:
        fields = msgspec.json.decode(options, type=dict[str, Raw])
    except msgspec.DecodeError:
        return options  # not an object: the upstream's own error says it better
    fields["include_usage"] = _TRUE
    return Raw(_encode(fields))
