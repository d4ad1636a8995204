"""Reranking in the shape of Jina and Cohere, which Voyage, Together and local servers share but for names."""

from __future__ import annotations

from typing import Any

from engine.dialects.protocol import Written
from engine.dialects.statuses import unreadable
from engine.dialects.trees import count, flag, json_tree, mapping, mappings, number, others, text
from engine.exchange import OutcomeClass, Shape, UncarriedError, Usage, Verdict
from engine.exchange.vectors import Ranked, RerankReply, RerankRequest

from .embeddings import read_vector_usage, write_vector_usage
from .errors import read_object
from .messages_read import NAME
from .reply import inner_error

_REQUEST = frozenset({"model", "query", "documents", "top_n", "top_k", "return_documents"})
_REPLY = frozenset({"object", "results", "data", "model", "usage", "id", "meta", "error"})


class Rerank:
    """The :class:`engine.dialects.protocol.Codec` of ``/rerank``."""

    def read_request(self, body: dict[str, Any]) -> RerankRequest:
        """The request. The limit is ``top_n`` (Jina, Cohere) or ``top_k`` (Voyage)."""
        query, documents = body.get("query"), body.get("documents")
        if not isinstance(query, str):
            raise UncarriedError("query", "`query` must be a text.")
        if not isinstance(documents, list) or not all(isinstance(item, str | dict) for item in documents):
            raise UncarriedError("documents", "`documents` must be a list of texts or of objects.")
        limit = count(body.get("top_n"))
        return RerankRequest(
            model=text(body.get("model")),
            query=query,
            documents=documents,
            top_n=limit if limit is not None else count(body.get("top_k")),
            return_documents=flag(body.get("return_documents")),
            extra=others(body, _REQUEST),
            origin=NAME,
        )

    def write_request(self, request: RerankRequest, shape: Shape) -> Written:
        """The body. A service that calls the limit ``top_k`` says so in its provider's ``quirks.rename``."""
        body: dict[str, Any] = {
            "model": shape.name or request.model,
            "query": request.query,
            "documents": request.documents,
        }
        if request.origin != NAME:
            body["documents"] = [_plain(document) for document in request.documents]
        if request.top_n is not None:
            body["top_n"] = request.top_n
        if request.return_documents is not None:
            body["return_documents"] = request.return_documents
        if request.origin == NAME:
            body.update(request.extra)
            return Written(body)
        return Written(body, list(request.extra))

    def read_reply(self, body: bytes) -> RerankReply | Verdict:
        """The documents by falling relevance, or the verdict on what stands there instead."""
        try:
            found = json_tree(body)
        except ValueError:
            return unreadable(body)
        # One server (text-embeddings-inference) answers with the bare list.
        bare = isinstance(found, list) and all("index" in row for row in mappings(found))
        tree = {"results": found} if bare else read_object(body)
        if tree is None:
            return Verdict(OutcomeClass.GARBLED, detail="the reply is no JSON object")
        rows = tree.get("results", tree.get("data"))
        if not isinstance(rows, list):
            if tree.get("error") or tree.get("object") == "error":
                return inner_error(tree.get("error") or tree)
            return Verdict(OutcomeClass.GARBLED, detail="the reply holds no ranking")
        reply = RerankReply(id=text(tree.get("id")), model=text(tree.get("model")), origin=NAME)
        for row in mappings(rows):
            ranked = _ranked(row)
            if ranked is None:
                return Verdict(OutcomeClass.GARBLED, detail="a result of the ranking has no index or no score")
            reply.results.append(ranked)
        reply.results.sort(key=lambda ranked: -ranked.score)
        reply.usage = _usage(tree)
        reply.extra = others(tree, _REPLY)
        return reply

    def write_reply(self, reply: RerankReply, asked: RerankRequest) -> dict[str, Any]:
        """The reply in the shape that Jina and Cohere share; documents come back where the client asked for them."""
        results = []
        for ranked in reply.results:
            result: dict[str, Any] = {"index": ranked.index, "relevance_score": ranked.score}
            document = ranked.document
            if document is None and asked.return_documents and ranked.index < len(asked.documents):
                document = asked.documents[ranked.index]
            if document is not None and asked.return_documents is not False:
                result["document"] = {"text": document} if isinstance(document, str) else document
            results.append(result)
        body: dict[str, Any] = {"object": "list", "model": reply.model, "results": results}
        if reply.id:
            body["id"] = reply.id
        usage = write_vector_usage(reply.usage)
        if usage:
            body["usage"] = usage
        if reply.usage is not None and reply.usage.searches is not None:
            body["meta"] = {"billed_units": {"search_units": reply.usage.searches}}
        if reply.origin == NAME:
            body.update(reply.extra)
        return body


def _plain(document: str | dict[str, Any]) -> str | dict[str, Any]:
    """The text of a document that is nothing else: every service takes that, and not every one an object."""
    return document["text"] if isinstance(document, dict) and isinstance(document.get("text"), str) else document


def _ranked(row: dict[str, Any]) -> Ranked | None:
    index, score = count(row.get("index")), number(row.get("relevance_score", row.get("score")))
    if index is None or score is None:
        return None
    return Ranked(index, score, row.get("document", row.get("text")))


def _usage(tree: dict[str, Any]) -> Usage | None:
    usage = read_vector_usage(tree.get("usage"))
    billed = mapping(mapping(tree.get("meta")).get("billed_units"))
    searches = count(billed.get("search_units"))
    if searches is None:
        return usage
    return Usage(input=usage.input if usage is not None else count(billed.get("input_tokens")), searches=searches)
