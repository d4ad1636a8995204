"""Reranking: Cohere's ``POST /v2/rerank``, which Jina's clients speak too but for a few fields.

A reply has what either's clients read: Cohere's ``id``, ``results`` and ``meta``, Jina's ``model``, ``usage`` and
documents. Documents are sent as texts, as version 2 takes them; an object is its ``text``, or itself as JSON.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.protocol import Written
from engine.dialects.statuses import unreadable
from engine.dialects.trees import count, flag, items, json_text, json_tree, mapping, mappings, number, others, text
from engine.exchange import OutcomeClass, Shape, UncarriedError, Usage, Verdict
from engine.exchange.vectors import Ranked, RerankReply, RerankRequest

from .content import ORIGIN
from .errors import verdict_of
from .usage import read_usage

_READ = frozenset({"model", "query", "documents", "top_n", "return_documents"})


class Rerank:
    """See :class:`engine.dialects.protocol.Codec`."""

    def read_request(self, body: dict[str, Any]) -> RerankRequest:
        """Raises ``UncarriedError`` where there is nothing to rank or nothing to rank it by."""
        documents = [item for item in items(body.get("documents")) if isinstance(item, str | dict)]
        query = body.get("query")
        if not isinstance(query, str):
            raise UncarriedError("query", "`query` must be a string.")
        if not documents or len(documents) != len(items(body.get("documents"))):
            raise UncarriedError("documents", "`documents` must be a list of strings or objects, at least one.")
        return RerankRequest(
            text(body.get("model")),
            query,
            documents,
            count(body.get("top_n")),
            flag(body.get("return_documents")),
            others(body, _READ),
            ORIGIN,
        )

    def write_request(self, request: RerankRequest, shape: Shape) -> Written:
        """Version 2 returns no documents: who asked for them gets those of the request, from :meth:`write_reply`."""
        body: dict[str, Any] = {"model": shape.name, "query": request.query}
        body["documents"] = [_as_text(item) for item in request.documents]
        if request.top_n is not None:
            body["top_n"] = request.top_n
        if request.origin == ORIGIN:
            return Written({**body, **request.extra})
        return Written(body, list(request.extra))

    def read_reply(self, body: bytes) -> RerankReply | Verdict:
        """The results, as they are ordered."""
        try:
            tree = mapping(json_tree(body))
        except ValueError as problem:
            return unreadable(body, problem)
        if not isinstance(tree.get("results"), list):
            if isinstance(tree.get("message"), str):
                return verdict_of(tree, 200)
            return Verdict(OutcomeClass.GARBLED, detail="the reply holds no results")
        results = []
        for raw in mappings(tree["results"]):
            index, score = count(raw.get("index")), number(raw.get("relevance_score"))
            if index is None or score is None:
                return Verdict(OutcomeClass.GARBLED, detail="a result without its index or its score")
            results.append(Ranked(index, score, raw.get("document")))
        reply = RerankReply(results, text(tree.get("id")), text(tree.get("model")), usage_of(tree), origin=ORIGIN)
        reply.extra = others(tree, ("results", "id", "model", "usage", "meta"))
        return reply

    def write_reply(self, reply: RerankReply, asked: RerankRequest) -> dict[str, Any]:
        """What clients of Cohere and of Jina read."""
        tree: dict[str, Any] = {
            "id": reply.id,
            "model": reply.model,
            "object": "list",
            "results": [_result(ranked, asked) for ranked in reply.results],
        }
        meta: dict[str, Any] = {"api_version": {"version": "2"}}
        usage = reply.usage
        if usage is not None:
            billed = {"search_units": usage.searches, "input_tokens": usage.input}
            meta["billed_units"] = {name: value for name, value in billed.items() if value is not None}
            if usage.input is not None:
                tree["usage"] = {"total_tokens": usage.input, "prompt_tokens": usage.input}
        tree["meta"] = meta
        if reply.origin == ORIGIN:
            tree.update(reply.extra)
        return tree


def usage_of(tree: dict[str, Any]) -> Usage | None:
    """The usage of a reply: Cohere's ``meta``, or Jina's ``usage``."""
    found = read_usage(tree.get("meta"))
    tokens = count(mapping(tree.get("usage")).get("total_tokens"))
    if tokens is None or (found is not None and found.input is not None):
        return found
    return Usage(input=tokens, searches=found.searches if found is not None else None)


def _result(ranked: Ranked, asked: RerankRequest) -> dict[str, Any]:
    result: dict[str, Any] = {"index": ranked.index, "relevance_score": ranked.score}
    document = ranked.document
    if document is None and asked.return_documents and ranked.index < len(asked.documents):
        document = asked.documents[ranked.index]
    if document is not None and asked.return_documents is not False:
        result["document"] = {"text": document} if isinstance(document, str) else document
    return result


def _as_text(document: str | dict[str, Any]) -> str:
    if isinstance(document, str):
        return document
    words = document.get("text")
    return words if isinstance(words, str) else json_text(document)
