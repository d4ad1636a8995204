"""Amazon Bedrock's Converse, by which all its chat models are reached, and ``invoke`` for embeddings and reranking.

A provider's protocol only: no client is answered in it. Fields and events are those of AWS's API reference (Bedrock
Runtime). Streams are binary and decoded by botocore, which the extra ``bedrock`` brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from engine.dialects.discovery import Discovery
from engine.dialects.protocol import ChatCodec, Codec, EventReader, Written
from engine.dialects.registry import dialect
from engine.dialects.upstream import NoWriter
from engine.exchange import Header, Shape, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest

from . import errors
from .reply import read_reply, write_reply
from .request_read import read_request
from .request_write import write_request
from .stream import Reader
from .vectors import Embeddings, Rerank


class Chat(NoWriter):
    """Conversations, both ways but for streams."""

    def read_request(self, body: dict[str, Any]) -> ChatRequest:
        """See :func:`engine.dialects.bedrock_converse.request_read.read_request`."""
        return read_request(body)

    def write_request(self, request: ChatRequest, shape: Shape) -> Written:
        """See :func:`engine.dialects.bedrock_converse.request_write.write_request`."""
        return write_request(request, shape)

    def read_reply(self, body: bytes) -> ChatReply | Verdict:
        """See :func:`engine.dialects.bedrock_converse.reply.read_reply`."""
        return read_reply(body)

    def write_reply(self, reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
        """See :func:`engine.dialects.bedrock_converse.reply.write_reply`."""
        return write_reply(reply, asked)

    def reader(self) -> EventReader:
        """A :class:`Reader`."""
        return Reader()


@dialect("bedrock-converse")
class BedrockConverse:
    """The protocol of ``/model/{id}/converse`` and ``/converse-stream``, and of ``/invoke`` for vectors."""

    name = "bedrock-converse"
    prefix = ""
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset({"image_url"})
    discovery: Discovery | None = None
    chat: ChatCodec | None = Chat()
    codecs: Mapping[str, Codec] = MappingProxyType({"embeddings": Embeddings(), "rerank": Rerank()})

    def path(self, kind: str, model: str, stream: bool) -> str:
        """The model stands in it, as a single segment even where its id is an ARN."""
        action = ("converse-stream" if stream else "converse") if kind == "chat" else "invoke"
        return f"/model/{quote(model, safe='')}/{action}"

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """See :func:`engine.dialects.bedrock_converse.errors.classify`."""
        return errors.classify(status, header, body, now)
