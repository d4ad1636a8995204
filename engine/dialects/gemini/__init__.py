"""Google's ``generateContent``: the Gemini API, and Gemini models on Vertex AI.

``base_url`` is the service's (``https://generativelanguage.googleapis.com``) or, on Vertex AI, all up to the publisher
(``.../v1/projects/P/locations/L/publishers/google``). Names and meanings follow Google's reference for
``models.generateContent``, ``models.streamGenerateContent`` and ``models.batchEmbedContents``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.dialects.discovery import GEMINI
from engine.dialects.functions import ChatFunctions
from engine.dialects.protocol import ChatCodec, Codec
from engine.dialects.registry import dialect
from engine.exchange import Header, Verdict

from .embed import Embeddings
from .errors import classify
from .reply import read_reply, write_reply
from .request import path, read_request, write_request
from .stream import Reader

#: Chat, both ways but for streams.
CHAT = ChatFunctions(read_request, write_request, read_reply, write_reply, Reader)


@dialect("gemini")
class Gemini:
    """The protocol of ``:generateContent``, ``:streamGenerateContent`` and ``:batchEmbedContents``."""

    name = "gemini"
    prefix = "/v1beta"
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset()
    discovery = GEMINI
    chat: ChatCodec | None = CHAT
    codecs: Mapping[str, Codec] = MappingProxyType({"embeddings": Embeddings()})

    def path(self, kind: str, model: str, stream: bool) -> str:
        """The model and the method; what else is asked stands in the body."""
        if kind == "embeddings":
            return path(model, "batchEmbedContents")
        return path(model, "streamGenerateContent") + "?alt=sse" if stream else path(model, "generateContent")

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """See :func:`engine.dialects.gemini.errors.classify`."""
        return classify(status, header, body, now)
