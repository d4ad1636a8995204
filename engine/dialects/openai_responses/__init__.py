"""OpenAI's responses, the protocol of ``/responses``. Paths and fields follow OpenAI's API reference.

An upstream of this protocol may keep the conversation; ``previous_response_id`` then continues it there and nowhere
else.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from engine.dialects.discovery import OPENAI
from engine.dialects.link import JSON, path_of, spliced
from engine.dialects.openai_chat.errors import classify
from engine.dialects.protocol import ChatCodec, Codec
from engine.dialects.registry import dialect
from engine.dialects.splice import Relay
from engine.exchange import Call, Header, Shape, StreamDecoder, Verdict, WireRequest

from .chat import CHAT
from .reader import ResponsesReader
from .relay import decode_reply, nested, without_foreign_thoughts

_PATH = "/responses"
_encode = msgspec.json.encode


@dialect("openai-responses")
class OpenAIResponses:
    """The protocol of ``/v1/responses``."""

    name = "openai-responses"
    prefix = ""
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset()
    aliases: Mapping[str, str | None] = MappingProxyType(
        {
            "max_tokens": "max_output_tokens",
            "max_completion_tokens": "max_output_tokens",
            **dict.fromkeys(
                (
                    "frequency_penalty",
                    "logit_bias",
                    "logprobs",
                    "n",
                    "presence_penalty",
                    "seed",
                    "stop",
                )
            ),
        }
    )
    id_header = "x-request-id"
    chat: ChatCodec | None = CHAT
    codecs: Mapping[str, Codec] = MappingProxyType({})
    discovery = OPENAI

    def path(self, kind: str, model: str, stream: bool) -> str:
        """The same for every model."""
        return _PATH

    def encode(self, call: Call, shape: Shape) -> WireRequest:
        """The client's body with the model's name, the overrides and the provider's quirks spliced in."""
        body, dropped = spliced(call, shape, self.aliases)
        body = without_foreign_thoughts(nested(body))
        body.update(shape.always)
        path = path_of(call.path, call.kind, shape, call.stream)
        return WireRequest(call.method, path, JSON, _encode(body), dropped)

    def decode(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """See :func:`engine.dialects.openai_responses.relay.decode_reply`."""
        return decode_reply(body), body

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """See :func:`engine.dialects.openai_chat.errors.classify`: both of OpenAI's protocols say errors alike."""
        return classify(status, header, body, now)

    def stream(self, call: Call, header: Header) -> StreamDecoder:
        """A decoder that relays the stream; it ends with ``response.completed`` or ``response.incomplete`` only."""
        return Relay(ResponsesReader(), keeps=True)

    def error_body(self, status: int, error: Mapping[str, Any], request_id: str) -> bytes:
        """``{"error": {...}}``."""
        return _encode({"error": error})

    def error_event(self, status: int, error: Mapping[str, Any], request_id: str) -> bytes:
        """An event ``error``, which OpenAI's SDKs raise as an API error for its field of that name."""
        flat = {name: error.get(name) for name in ("code", "message", "param")}
        data = {"type": "error", "sequence_number": 0, **flat, "error": error}
        return b"event: error\ndata: " + _encode(data) + b"\n\n"
