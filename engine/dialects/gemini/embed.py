"""Embeddings. Three methods of the service have three bodies; the path says which is meant.

``:batchEmbedContents`` is the usual one. A provider's own path (``paths: {embeddings: ...}``) that ends in ``:predict``
asks for the body of older models on Vertex AI, one that ends in ``:embedContent`` for that of a single text.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.protocol import Written
from engine.dialects.statuses import unreadable
from engine.dialects.trees import count, items, json_tree, mappings, others, text, total
from engine.exchange import OutcomeClass, Shape, UncarriedError, Usage, Verdict
from engine.exchange.vectors import EmbedReply, EmbedRequest

from .errors import error_in, verdict_of
from .names import ORIGIN, fields
from .usage import read_usage, write_usage

_TASKS = {
    "search_document": "RETRIEVAL_DOCUMENT",
    "search_query": "RETRIEVAL_QUERY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "document": "RETRIEVAL_DOCUMENT",
    "query": "RETRIEVAL_QUERY",
}
_PURPOSES = {
    "RETRIEVAL_DOCUMENT": "search_document",
    "RETRIEVAL_QUERY": "search_query",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
}
#: Purposes that only this service knows, each by its own name in lower case.
_OWN = frozenset({"semantic_similarity", "question_answering", "fact_verification", "code_retrieval_query"})


class Embeddings:
    """See :class:`engine.dialects.protocol.Codec`."""

    def read_request(self, body: dict[str, Any]) -> EmbedRequest:
        """All three bodies. What is no plain text (an image) stays as it came."""
        tree = fields(body)
        request = EmbedRequest(text(tree.get("model")), origin=ORIGIN)
        if "instances" in tree:
            _read_predict(tree, request)
            return request
        raws = mappings(tree["requests"]) if "requests" in tree else [body]
        for raw in raws:
            _read_one(fields(raw), request)
        if len(request.input) != len(raws):
            request.input = []
            request.extra["requests"] = raws
        if "requests" in tree:
            request.extra.update(others(tree, ("requests", "model")))
        return request

    def write_request(self, request: EmbedRequest, shape: Shape) -> Written:
        """The body that the path asks for. Raises ``UncarriedError`` for tokens in the place of text."""
        dropped = [name for name in ("user",) if getattr(request, name) is not None]
        own = request.origin == ORIGIN
        extra = dict(request.extra) if own else {}
        dropped.extend([] if own else request.extra)
        raws = extra.pop("requests", None)
        if raws is not None:
            return Written({"requests": raws, **extra}, dropped)
        if not all(isinstance(item, str) for item in request.input):
            raise UncarriedError("input", "This service embeds texts only, not lists of tokens.")
        task = _task(request, dropped)
        path = shape.paths.get("embeddings", "")
        if path.endswith(":predict"):
            instances = [{"content": item, **({"task_type": task} if task else {})} for item in request.input]
            parameters = {} if request.dimensions is None else {"outputDimensionality": request.dimensions}
            body = {"instances": instances, **({"parameters": parameters} if parameters else {}), **extra}
            return Written(body, dropped)
        single = path.endswith(":embedContent")
        if single and len(request.input) != 1:
            raise UncarriedError("input", "This model embeds one text a request.")
        bodies = [_one(item, request, task) for item in request.input]
        if single:
            return Written({**bodies[0], **extra}, dropped)
        name = shape.name if "/" in shape.name else f"models/{shape.name}"
        return Written({"requests": [{"model": name, **one} for one in bodies], **extra}, dropped)

    def read_reply(self, body: bytes) -> EmbedReply | Verdict:
        """The vectors of all three kinds of reply."""
        try:
            raw = json_tree(body)
        except ValueError as problem:
            return unreadable(body, problem)
        error = error_in(raw)
        if error is not None:
            return verdict_of(error, 200)
        tree = fields(raw)
        usage = read_usage(tree.get("usageMetadata"))
        if "predictions" in tree:
            found = [fields(fields(item).get("embeddings")) for item in mappings(tree["predictions"])]
            tokens = total(*(count(fields(item.get("statistics")).get("tokenCount")) for item in found))
            usage = Usage(input=tokens) if tokens is not None else usage
        elif "embedding" in tree:
            found = [fields(tree["embedding"])]
        else:
            found = [fields(item) for item in mappings(tree.get("embeddings"))]
        vectors = [items(item.get("values")) for item in found]
        if not vectors or not all(vectors):
            return Verdict(OutcomeClass.GARBLED, detail="the reply holds no embedding")
        rest = others(tree, ("predictions", "embedding", "embeddings", "usageMetadata"))
        return EmbedReply(list(vectors), usage=usage, extra=rest, origin=ORIGIN)

    def write_reply(self, reply: EmbedReply, asked: EmbedRequest) -> dict[str, Any]:
        """As ``:batchEmbedContents`` answers."""
        tree: dict[str, Any] = {"embeddings": [{"values": vector} for vector in reply.vectors]}
        usage = write_usage(reply.usage)
        if usage:
            tree["usageMetadata"] = usage
        if reply.origin == ORIGIN:
            tree.update(reply.extra)
        return tree


def _read_one(tree: dict[str, Any], request: EmbedRequest) -> None:
    parts = mappings(fields(tree.get("content")).get("parts"))
    if parts and all(isinstance(part.get("text"), str) for part in parts):
        request.input.append("".join(part["text"] for part in parts))
    request.model = request.model or text(tree.get("model"))
    dimensions = count(tree.get("outputDimensionality"))
    request.dimensions = dimensions if dimensions is not None else request.dimensions
    request.purpose = _purpose(tree.get("taskType")) or request.purpose


def _read_predict(tree: dict[str, Any], request: EmbedRequest) -> None:
    for raw in mappings(tree["instances"]):
        instance = fields(raw)
        request.input.append(text(instance.get("content")))
        request.purpose = _purpose(instance.get("taskType")) or request.purpose
    request.dimensions = count(fields(tree.get("parameters")).get("outputDimensionality"))


def _purpose(value: Any) -> str | None:
    task = text(value).upper()
    return _PURPOSES.get(task, task.lower()) or None


def _task(request: EmbedRequest, dropped: list[str]) -> str | None:
    if request.purpose is None:
        return None
    task = _TASKS.get(request.purpose) or (request.purpose.upper() if request.purpose in _OWN else None)
    if task is None:
        dropped.append("input_type")
    return task


def _one(item: str | list[int], request: EmbedRequest, task: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {"content": {"parts": [{"text": item}]}}
    if task:
        body["taskType"] = task
    if request.dimensions is not None:
        body["outputDimensionality"] = request.dimensions
    return body
