"""Embeddings and reranking: models behind ``invoke``, each with the body of its maker."""

from __future__ import annotations

from typing import Any

from engine.dialects.protocol import Written
from engine.dialects.statuses import unreadable
from engine.dialects.trees import count, items, json_tree, mapping, mappings, number, others, text, texts, whole
from engine.exchange import OutcomeClass, Shape, UncarriedError, Usage, Verdict
from engine.exchange.vectors import EmbedReply, EmbedRequest, Ranked, RerankReply, RerankRequest

from .errors import inner_error, is_error
from .names import NAME, vendor

_GARBLED = OutcomeClass.GARBLED
#: What Cohere's models must be told; texts to be searched are what most are.
_PURPOSE = "search_document"
_COHERE = frozenset({"texts", "input_type", "output_dimension", "model"})
_TITAN = frozenset({"inputText", "dimensions"})


class Embeddings:
    """Embeddings in the bodies of Titan, Nova and Cohere, chosen by the model's id.

    Titan and Nova embed one text a request, so that several are an error.
    """

    def read_request(self, body: dict[str, Any]) -> EmbedRequest:
        """The request in whichever of the bodies it is."""
        request = EmbedRequest(origin=NAME)
        params = mapping(body.get("singleEmbeddingParams"))
        if "inputText" in body:
            request.input = [text(body["inputText"])]
            request.dimensions = whole(body.get("dimensions"))
            request.extra = others(body, _TITAN)
        elif params:
            told = mapping(params.get("text"))
            request.input = [text(told.get("value"))]
            request.dimensions = whole(params.get("embeddingDimension"))
            request.purpose = text(params.get("embeddingPurpose")) or None
            request.extra = {"truncationMode": told["truncationMode"]} if "truncationMode" in told else {}
        else:
            request.input = [*texts(body.get("texts"))]
            request.dimensions = whole(body.get("output_dimension"))
            request.purpose = text(body.get("input_type")) or None
            request.extra = others(body, _COHERE)
        if not request.input:
            raise UncarriedError("input", "There is no text to embed.")
        return request

    def write_request(self, request: EmbedRequest, shape: Shape) -> Written:
        """See :class:`engine.dialects.protocol.Codec`."""
        told = [one for one in request.input if isinstance(one, str)]
        if len(told) < len(request.input):
            raise UncarriedError("input", "The models of this provider embed texts, not tokens.")
        dropped = [name for name in ("user",) if getattr(request, name) is not None]
        extra = request.extra if request.origin == NAME else {}
        if request.origin != NAME:
            dropped += request.extra
        maker = vendor(shape.name)
        if maker == "cohere":
            body = _cohere(request, told)
            body.update(extra)
            return Written(body, dropped)
        if len(told) != 1:
            raise UncarriedError("input", f"The model {shape.name!r} embeds one text a request.")
        if "nova" in shape.name:
            return Written(_nova(request, told[0], extra), dropped)
        body = {"inputText": told[0], **extra}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.purpose is not None:
            dropped.append("input_type")
        return Written(body, dropped)

    def read_reply(self, body: bytes) -> EmbedReply | Verdict:
        """See :class:`engine.dialects.protocol.Codec`."""
        tree = _tree(body)
        if isinstance(tree, Verdict):
            return tree
        found: Any = tree.get("embeddings")
        vectors: list[Any] = [tree["embedding"]] if isinstance(tree.get("embedding"), list) else []
        if isinstance(found, dict):
            vectors = next((items(kind) for kind in found.values() if items(kind)), vectors)
        elif isinstance(found, list):
            vectors = [one.get("embedding") if isinstance(one, dict) else one for one in found]
        if not vectors or not all(isinstance(one, list) for one in vectors):
            return Verdict(_GARBLED, detail="the reply holds no embedding")
        tokens = count(tree.get("inputTextTokenCount"))
        return EmbedReply(vectors, usage=None if tokens is None else Usage(input=tokens), origin=NAME)

    def write_reply(self, reply: EmbedReply, asked: EmbedRequest) -> dict[str, Any]:
        """Cohere's shape where there are several vectors, Titan's for one."""
        if len(reply.vectors) != 1:
            return {"embeddings": reply.vectors}
        tree: dict[str, Any] = {"embedding": reply.vectors[0]}
        if reply.usage is not None and reply.usage.input is not None:
            tree["inputTextTokenCount"] = reply.usage.input
        return tree


def _cohere(request: EmbedRequest, told: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {"texts": told, "input_type": request.purpose or _PURPOSE}
    if request.dimensions is not None:
        body["output_dimension"] = request.dimensions
    return body


def _nova(request: EmbedRequest, told: str, extra: dict[str, Any]) -> dict[str, Any]:
    """``text.truncationMode`` and the purpose are demanded: the whole text or an error, and for search."""
    mode = text(extra.get("truncationMode")) or "NONE"
    params: dict[str, Any] = {
        "embeddingPurpose": _nova_purpose(request.purpose),
        "text": {"truncationMode": mode, "value": told},
    }
    if request.dimensions is not None:
        params["embeddingDimension"] = request.dimensions
    return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}


def _nova_purpose(purpose: str | None) -> str:
    """Cohere's words in Nova's."""
    words = {
        "search_document": "GENERIC_INDEX",
        "search_query": "TEXT_RETRIEVAL",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
    }
    return words.get(purpose or _PURPOSE, purpose or "GENERIC_INDEX")


class Rerank:
    """Reranking in Cohere's body, which Amazon's own model shares but for ``api_version``."""

    def read_request(self, body: dict[str, Any]) -> RerankRequest:
        """The request."""
        extra = others(body, ("query", "documents", "top_n", "api_version"))
        documents = [one for one in items(body.get("documents")) if isinstance(one, str | dict)]
        return RerankRequest("", text(body.get("query")), documents, whole(body.get("top_n")), None, extra, NAME)

    def write_request(self, request: RerankRequest, shape: Shape) -> Written:
        """See :class:`engine.dialects.protocol.Codec`."""
        documents = [text(one.get("text")) if isinstance(one, dict) else one for one in request.documents]
        body: dict[str, Any] = {"query": request.query, "documents": documents}
        if request.top_n is not None:
            body["top_n"] = request.top_n
        if vendor(shape.name) == "cohere":
            body["api_version"] = 2
        dropped = ["return_documents"] if request.return_documents else []
        if request.origin == NAME:
            body.update(request.extra)
        else:
            dropped += request.extra
        return Written(body, dropped)

    def read_reply(self, body: bytes) -> RerankReply | Verdict:
        """See :class:`engine.dialects.protocol.Codec`."""
        tree = _tree(body)
        if isinstance(tree, Verdict):
            return tree
        if not isinstance(tree.get("results"), list):
            return Verdict(_GARBLED, detail="the reply holds no results")
        results = []
        for one in mappings(tree["results"]):
            index, score = whole(one.get("index")), number(one.get("relevance_score"))
            if index is not None and score is not None:
                results.append(Ranked(index, score))
        return RerankReply(results, origin=NAME)

    def write_reply(self, reply: RerankReply, asked: RerankRequest) -> dict[str, Any]:
        """See :class:`engine.dialects.protocol.Codec`."""
        return {"results": [{"index": one.index, "relevance_score": one.score} for one in reply.results]}


def _tree(body: bytes) -> dict[str, Any] | Verdict:
    try:
        tree = json_tree(body)
    except ValueError as problem:
        return unreadable(body, problem)
    if not isinstance(tree, dict):
        return Verdict(_GARBLED, detail="the reply is no JSON object")
    return inner_error(tree) if is_error(tree) else tree
