"""Embeddings (Cohere's reference, ``POST /v2/embed``)."""

from __future__ import annotations

from typing import Any

from engine.dialects.protocol import Written
from engine.dialects.statuses import unreadable
from engine.dialects.trees import count, items, json_tree, mapping, others, text, texts
from engine.exchange import OutcomeClass, Shape, UncarriedError, Verdict
from engine.exchange.vectors import EmbedReply, EmbedRequest

from .content import ORIGIN
from .errors import verdict_of
from .usage import read_usage

#: ``input_type`` must be said; what is embedded where nobody says why is a document to be found.
_USUAL = "search_document"
_PURPOSES = {"document": "search_document", "query": "search_query"}
_KNOWN = frozenset({"search_document", "search_query", "classification", "clustering", "image"})
_READ = frozenset({"model", "texts", "input_type", "embedding_types", "output_dimension"})


class Embeddings:
    """See :class:`engine.dialects.protocol.Codec`."""

    def read_request(self, body: dict[str, Any]) -> EmbedRequest:
        """Texts; images stay as they came. Of several types of vectors the first that has a canonical form counts."""
        kinds = texts(body.get("embedding_types"))
        extra = others(body, _READ)
        known = next((kind for kind in kinds if kind in ("float", "base64")), None)
        if kinds and kinds != [known]:
            extra["embedding_types"] = kinds
        return EmbedRequest(
            text(body.get("model")),
            list(texts(body.get("texts"))),
            dimensions=count(body.get("output_dimension")),
            encoding=known,
            purpose=text(body.get("input_type")) or None,
            extra=extra,
            origin=ORIGIN,
        )

    def write_request(self, request: EmbedRequest, shape: Shape) -> Written:
        """The body. Raises ``UncarriedError`` for tokens in the place of text."""
        if not all(isinstance(item, str) for item in request.input):
            raise UncarriedError("input", "This service embeds texts only, not lists of tokens.")
        own = request.origin == ORIGIN
        dropped = ["user"] if request.user is not None else []
        purpose = _PURPOSES.get(request.purpose or "", request.purpose or _USUAL)
        if purpose not in _KNOWN and not own:
            dropped.append("input_type")
            purpose = _USUAL
        body: dict[str, Any] = {"model": shape.name, "input_type": purpose}
        if request.input or not own:
            body["texts"] = request.input
        body["embedding_types"] = [request.encoding if request.encoding == "base64" else "float"]
        if request.dimensions is not None:
            body["output_dimension"] = request.dimensions
        if own:
            body.update(request.extra)
        else:
            dropped.extend(request.extra)
        return Written(body, dropped)

    def read_reply(self, body: bytes) -> EmbedReply | Verdict:
        """The vectors, of whichever type came; numbers before base64."""
        try:
            tree = mapping(json_tree(body))
        except ValueError as problem:
            return unreadable(body, problem)
        found = tree.get("embeddings")
        if isinstance(found, dict):
            order = ("float", "base64", *found)
            found = next((found[kind] for kind in order if isinstance(found.get(kind), list)), None)
        vectors = [item for item in items(found) if isinstance(item, list | str)]
        if not vectors:
            if isinstance(tree.get("message"), str):
                return verdict_of(tree, 200)
            return Verdict(OutcomeClass.GARBLED, detail="the reply holds no embedding")
        extra = others(tree, ("embeddings", "meta", "texts"))
        return EmbedReply(vectors, usage=read_usage(tree.get("meta")), extra=extra, origin=ORIGIN)

    def write_reply(self, reply: EmbedReply, asked: EmbedRequest) -> dict[str, Any]:
        """Vectors by their type."""
        kinds: dict[str, list[Any]] = {}
        for vector in reply.vectors:
            kinds.setdefault("base64" if isinstance(vector, str) else "float", []).append(vector)
        tree: dict[str, Any] = {"embeddings": kinds, "texts": asked.input, "response_type": "embeddings_by_type"}
        if reply.usage is not None and reply.usage.input is not None:
            tree["meta"] = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": reply.usage.input}}
        if reply.origin == ORIGIN:
            tree.update(reply.extra)
        return tree
