"""OpenAI's chat completions and its neighbours, the protocol most services speak.

The body of a request is spliced, never rebuilt: fields that nobody overrides keep the client's own JSON text. Paths and
fields follow OpenAI's API reference.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from engine.dialects.registry import dialect
from engine.exchange import Call, Header, Shape, StreamDecoder, Verdict, WireRequest
from engine.exchange.multipart import replace_field

from .errors import classify
from .reply import decode_reply
from .stream import ChatStream, RelayStream

_SPLICED = frozenset({"chat", "completions", "embeddings", "moderations", "images", "audio"})
_STREAMED = frozenset({"chat", "completions"})
_TRUE = Raw(b"true")
_USAGE_OPTIONS = Raw(b'{"include_usage":true}')
_JSON = (("content-type", "application/json"),)
_encode = msgspec.json.encode


@dialect("openai-chat")
class OpenAIChat:
    """The protocol of ``/v1/chat/completions``, ``/completions``, ``/embeddings`` and the endpoints beside them."""

    surfaces = _SPLICED

    def encode(self, call: Call, shape: Shape) -> WireRequest:
        """The client's body with the model's name, the overrides and the provider's quirks spliced in.

        Of an upload only the model's name changes.
        """
        if call.body is None:
            model = msgspec.json.decode(shape.model, type=str)
            form = replace_field(call.raw, call.content_type, "model", model)
            return WireRequest(call.method, call.path, (("content-type", call.content_type),), form)
        body = dict(call.body)
        for name, value in shape.default:
            body.setdefault(name, value)
        body.update(shape.set)
        dropped = _apply_quirks(body, shape) if shape.rename or shape.drop else ()
        body["model"] = shape.model
        if call.stream and call.surface in _STREAMED and "stream" in body:
            if shape.stream_usage:
                body["stream_options"] = _with_usage(body.get("stream_options"))
            elif body.pop("stream_options", None) is not None:
                dropped = (*dropped, "stream_options")
        body.update(shape.always)
        return WireRequest(call.method, call.path, _JSON, _encode(body), dropped)

    def decode(self, call: Call, header: Header, body: bytes) -> Verdict:
        """See :func:`decode_reply`."""
        return decode_reply(call.surface, body)

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """See :func:`engine.dialects.openai_chat.errors.classify`."""
        return classify(status, header, body, now)

    def stream(self, call: Call, header: Header) -> StreamDecoder:
        """A decoder that strips the usage chunk unless the client asked for it."""
        if call.surface in _STREAMED:
            return ChatStream(strip_usage=not call.wants_usage)
        return RelayStream()

    def error_event(self, error: Mapping[str, object]) -> bytes:
        """``data: {"error": ...}``, which OpenAI's SDKs raise as an API error."""
        return b"data: " + _encode({"error": error}) + b"\n\n"


def _apply_quirks(body: dict[str, Raw], shape: Shape) -> tuple[str, ...]:
    for old, new in shape.rename:
        if old in body:
            body[new] = body.pop(old)
    dropped = tuple(sorted(shape.drop & body.keys()))
    for name in dropped:
        del body[name]
    return dropped


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
