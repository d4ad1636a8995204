"""Amazon Bedrock's Converse, by which all its chat models are reached, and ``invoke`` for embeddings and reranking.

A provider's protocol only: no client is answered in it. Fields and events are those of AWS's API reference (Bedrock
Runtime). Streams are binary and decoded by botocore, which the extra ``bedrock`` brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

from engine.dialects.discovery import Discovery
from engine.dialects.functions import ChatFunctions
from engine.dialects.protocol import ChatCodec, Codec
from engine.dialects.registry import dialect
from engine.exchange import Header, Verdict

from . import errors
from .reply import read_reply, write_reply
from .request_read import read_request
from .request_write import write_request
from .stream import Reader
from .vectors import Embeddings, Rerank

#: Chat, both ways but for streams.
CHAT = ChatFunctions(read_request, write_request, read_reply, write_reply, Reader)


@dialect("bedrock-converse")
class BedrockConverse:
    """The protocol of ``/model/{id}/converse`` and ``/converse-stream``, and of ``/invoke`` for vectors."""

    name = "bedrock-converse"
    prefix = ""
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset({"image_url"})
    discovery: Discovery | None = None
    chat: ChatCodec | None = CHAT
    codecs: Mapping[str, Codec] = MappingProxyType({"embeddings": Embeddings(), "rerank": Rerank()})

    def path(self, kind: str, model: str, stream: bool) -> str:
        """The model stands in it, as a single segment even where its id is an ARN."""
        action = ("converse-stream" if stream else "converse") if kind == "chat" else "invoke"
        return f"/model/{quote(model, safe='')}/{action}"

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """See :func:`engine.dialects.bedrock_converse.errors.classify`."""
        return errors.classify(status, header, body, now)
