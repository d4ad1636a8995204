"""Embeddings (Ollama's API reference, ``POST /api/embed``; ``/api/embeddings``, its older form, is read too)."""

from __future__ import annotations

from typing import Any

from engine.dialects.protocol import Written
from engine.dialects.statuses import unreadable
from engine.dialects.trees import count, items, json_tree, mapping, others, text, texts
from engine.exchange import OutcomeClass, Shape, UncarriedError, Usage, Verdict
from engine.exchange.vectors import EmbedReply, EmbedRequest

from .errors import verdict_of
from .messages import ORIGIN
from .reply import read_usage

_REPLY = frozenset({"model", "embeddings", "embedding", "prompt_eval_count"})


class Embeddings:
    """See :class:`engine.dialects.protocol.Codec`."""

    def read_request(self, body: dict[str, Any]) -> EmbedRequest:
        """A text or several."""
        found = list(texts(body.get("input") if "input" in body else body.get("prompt")))
        request = EmbedRequest(text(body.get("model")), [*found], origin=ORIGIN)
        request.dimensions = count(body.get("dimensions"))
        request.extra = others(body, ("model", "input", "prompt", "dimensions"))
        return request

    def write_request(self, request: EmbedRequest, shape: Shape) -> Written:
        """The body. Raises ``UncarriedError`` for tokens in the place of text."""
        if not all(isinstance(item, str) for item in request.input):
            raise UncarriedError("input", "This service embeds texts only, not lists of tokens.")
        body: dict[str, Any] = {"model": shape.name, "input": request.input}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        named = {"user": request.user, "input_type": request.purpose}
        dropped = [name for name, value in named.items() if value is not None]
        if request.origin == ORIGIN:
            body.update(request.extra)
        else:
            dropped.extend(request.extra)
        return Written(body, dropped)

    def read_reply(self, body: bytes) -> EmbedReply | Verdict:
        """The vectors."""
        try:
            tree = mapping(json_tree(body))
        except ValueError as problem:
            return unreadable(body, problem)
        if tree.get("error"):
            return verdict_of(tree, 200)
        single = tree.get("embedding")
        vectors = [single] if isinstance(single, list) else items(tree.get("embeddings"))
        found = [vector for vector in vectors if isinstance(vector, list) and vector]
        if not found or len(found) != len(vectors):
            return Verdict(OutcomeClass.GARBLED, detail="the reply holds no embedding")
        usage: Usage | None = read_usage(tree)
        return EmbedReply([*found], text(tree.get("model")), usage, others(tree, _REPLY), ORIGIN)

    def write_reply(self, reply: EmbedReply, asked: EmbedRequest) -> dict[str, Any]:
        """As ``/api/embed`` answers."""
        tree: dict[str, Any] = {"model": reply.model or asked.model, "embeddings": reply.vectors}
        if reply.usage is not None and reply.usage.input is not None:
            tree["prompt_eval_count"] = reply.usage.input
        if reply.origin == ORIGIN:
            tree.update(reply.extra)
        return tree
