"""The canonical form of embeddings and of ranking documents."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from .usage import Usage


class EmbedRequest(Struct, omit_defaults=True):
    """Texts to embed (or token lists, which few protocols take). ``purpose`` says what for."""

    model: str = ""
    input: list[str | list[int]] = field(default_factory=list)
    dimensions: int | None = None
    encoding: str | None = None
    """``float`` or ``base64``: how the client wants vectors written."""
    purpose: str | None = None
    user: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    origin: str = ""


class EmbedReply(Struct, omit_defaults=True):
    """One vector for each input, in order."""

    vectors: list[list[float] | str] = field(default_factory=list)
    """A string is a vector in base64 (little-endian float32), as OpenAI writes it."""
    model: str = ""
    usage: Usage | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    origin: str = ""


class RerankRequest(Struct, omit_defaults=True):
    """Documents (texts or objects) to rank by how well they answer ``query``."""

    model: str = ""
    query: str = ""
    documents: list[str | dict[str, Any]] = field(default_factory=list)
    top_n: int | None = None
    return_documents: bool | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    origin: str = ""


class Ranked(Struct, omit_defaults=True):
    """One document by its place in the request, and its relevance in 0..1."""

    index: int
    score: float
    document: Any = None


class RerankReply(Struct, omit_defaults=True):
    """Documents by falling relevance."""

    results: list[Ranked] = field(default_factory=list)
    id: str = ""
    model: str = ""
    usage: Usage | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    origin: str = ""
