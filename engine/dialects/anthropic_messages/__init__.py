"""Anthropic's Messages, which Claude models speak on every cloud and several other services beside their own protocol.

Fields, blocks and events are those of Anthropic's API reference (version 2023-06-01; a client's own
``anthropic-version`` and ``anthropic-beta`` are passed on). ``max_tokens``, which the protocol demands, is the
request's, else the model's ``max_output``, else :data:`engine.dialects.claude.MAX_TOKENS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

from engine.dialects.discovery import ANTHROPIC
from engine.dialects.functions import ChatFunctions
from engine.dialects.link import JSON, path_of, spliced
from engine.dialects.protocol import ChatCodec, Codec
from engine.dialects.registry import dialect
from engine.dialects.splice import Relay
from engine.exchange import Call, Header, Shape, StreamDecoder, Verdict, WireRequest

from . import errors
from .decode import decode_reply
from .foreign import without_foreign_thoughts
from .reader import Reader
from .reply import read_reply, write_reply
from .request_read import read_request
from .request_write import write_request
from .writer import Writer

VERSION = "2023-06-01"
_VERSION = "anthropic-version"
_BETA = "anthropic-beta"
_PATHS = MappingProxyType({"chat": "/messages", "count_tokens": "/messages/count_tokens"})
#: What a stream lacks that ended with a stop reason and no more.
_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_encode = msgspec.json.encode


#: Chat, both ways.
CHAT = ChatFunctions(read_request, write_request, read_reply, write_reply, Reader, Writer)


@dialect("anthropic-messages")
class AnthropicMessages:
    """The protocol of ``/v1/messages`` and ``/v1/messages/count_tokens``."""

    name = "anthropic-messages"
    prefix = "/v1"
    headers: tuple[tuple[str, str], ...] = ((_VERSION, VERSION),)
    lacks: frozenset[str] = frozenset()
    discovery = ANTHROPIC
    aliases: Mapping[str, str | None] = MappingProxyType(
        {
            "max_completion_tokens": "max_tokens",
            "stop": "stop_sequences",
            **dict.fromkeys(
                (
                    "frequency_penalty",
                    "logit_bias",
                    "logprobs",
                    "n",
                    "parallel_tool_calls",
                    "presence_penalty",
                    "reasoning_effort",
                    "response_format",
                    "seed",
                    "top_logprobs",
                    "user",
                )
            ),
        }
    )
    id_header = "request-id"
    chat: ChatCodec | None = CHAT
    codecs: Mapping[str, Codec] = MappingProxyType({})

    def path(self, kind: str, model: str, stream: bool) -> str:
        """The same for every model."""
        return _PATHS[kind]

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """See :func:`engine.dialects.anthropic_messages.errors.classify`."""
        return errors.classify(status, header, body, now)

    def encode(self, call: Call, shape: Shape) -> WireRequest:
        """The client's body with the model's name, the overrides and the provider's quirks spliced in."""
        path = path_of(call.path, call.kind, shape, call.stream)
        version = call.headers.get(_VERSION)
        beta = call.headers.get(_BETA)
        own = [(_VERSION, version if version is not None else VERSION)]
        if beta is not None:
            own.append((_BETA, beta))
        if call.body is None:
            return WireRequest(call.method, path, (("content-type", call.content_type), *own), call.raw)
        body, dropped = spliced(call, shape, self.aliases)
        cleaned = without_foreign_thoughts(body["messages"], shape.name) if "messages" in body else None
        if cleaned is not None:
            body["messages"] = cleaned
            dropped = (*dropped, "reasoning_content")
        stop = body.get("stop_sequences")
        if stop is not None and bytes(stop)[:1] == b'"':  # a policy's ``stop`` may be a single text
            body["stop_sequences"] = Raw(b"[%b]" % bytes(stop))
        body.update(shape.always)
        return WireRequest(call.method, path, (*JSON, *own), _encode(body), dropped)

    def decode(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """See :func:`engine.dialects.anthropic_messages.decode.decode_reply`."""
        return decode_reply(call.kind, body, keeps=_keeps(call)), body

    def stream(self, call: Call, header: Header) -> StreamDecoder:
        """A decoder that relays byte for byte."""
        return Relay(Reader(), _END, keeps=_keeps(call))

    def error_body(self, status: int, error: Mapping[str, Any], request_id: str) -> bytes:
        """``{"type": "error", "error": {...}, "request_id": ...}``."""
        return errors.error_body(status, error, request_id)

    def error_event(self, status: int, error: Mapping[str, Any], request_id: str) -> bytes:
        """``event: error``, which Anthropic's SDKs raise."""
        return errors.error_event(status, error, request_id)


def _keeps(call: Call) -> bool:
    """Whether the upstream is to keep the conversation (the beta of message threads)."""
    return call.body is not None and "thread" in call.body
