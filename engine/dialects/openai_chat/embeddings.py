"""Embeddings in this dialect, both ways. Vectors are lists of numbers, or base64 of little-endian 32-bit floats."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import Any

from engine.dialects.protocol import Written
from engine.dialects.statuses import unreadable
from engine.dialects.trees import count, json_tree, mapping, mappings, number, others, text
from engine.exchange import OutcomeClass, Shape, UncarriedError, Usage, Verdict
from engine.exchange.vectors import EmbedReply, EmbedRequest

from .errors import read_object
from .messages_read import NAME
from .reply import inner_error
from .usage import read_usage

_REQUEST = frozenset({"model", "input", "dimensions", "encoding_format", "input_type", "user"})
_REPLY = frozenset({"object", "data", "model", "usage", "error"})
_FLOAT = 4


class Embeddings:
    """The :class:`engine.dialects.protocol.Codec` of ``/embeddings``."""

    def read_request(self, body: dict[str, Any]) -> EmbedRequest:
        """The request. ``input`` may be one text or one list of tokens, or a list of either."""
        request = EmbedRequest(origin=NAME, extra=others(body, _REQUEST))
        request.model = text(body.get("model"))
        request.input = _inputs(body.get("input"))
        request.dimensions = count(body.get("dimensions"))
        request.encoding = text(body.get("encoding_format")) or None
        request.purpose = text(body.get("input_type")) or None
        request.user = text(body.get("user")) or None
        return request

    def write_request(self, request: EmbedRequest, shape: Shape) -> Written:
        """The body; ``input_type`` is no field of OpenAI's, and written where the client says the vectors' purpose."""
        body: dict[str, Any] = {"model": shape.name or request.model, "input": request.input}
        told = {
            "dimensions": request.dimensions,
            "encoding_format": request.encoding,
            "input_type": request.purpose,
            "user": request.user,
        }
        body.update((name, value) for name, value in told.items() if value is not None)
        if request.origin == NAME:
            body.update(request.extra)
            return Written(body)
        return Written(body, list(request.extra))

    def read_reply(self, body: bytes) -> EmbedReply | Verdict:
        """The vectors in the order of the inputs, or the verdict on what stands there instead."""
        tree = read_tree(body)
        if isinstance(tree, Verdict):
            return tree
        rows = mappings(tree.get("data"))
        if not rows:
            return _not_there(tree, "embedding")
        rows.sort(key=lambda row: count(row.get("index")) or 0)
        vectors: list[list[float] | str] = []
        for row in rows:
            vector = row.get("embedding")
            if isinstance(vector, str) or (isinstance(vector, list) and all(number(x) is not None for x in vector)):
                vectors.append(vector)
            else:
                return Verdict(OutcomeClass.GARBLED, detail="an embedding is neither a list of numbers nor base64")
        reply = EmbedReply(vectors, text(tree.get("model")), read_vector_usage(tree.get("usage")), origin=NAME)
        reply.extra = others(tree, _REPLY)
        return reply

    def write_reply(self, reply: EmbedReply, asked: EmbedRequest) -> dict[str, Any]:
        """The reply, its vectors in the form that the client asked for."""
        inline = asked.encoding == "base64"
        data = [
            {"object": "embedding", "index": place, "embedding": _packed(vector) if inline else _unpacked(vector)}
            for place, vector in enumerate(reply.vectors)
        ]
        body: dict[str, Any] = {"object": "list", "data": data, "model": reply.model}
        usage = write_vector_usage(reply.usage)
        if usage:
            body["usage"] = usage
        if reply.origin == NAME:
            body.update(reply.extra)
        return body


def _inputs(value: Any) -> list[str | list[int]]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(_is_token(item) for item in value):
            return [value]
        if all(isinstance(item, str) or (isinstance(item, list) and all(map(_is_token, item))) for item in value):
            return value
    raise UncarriedError("input", "`input` must be a text, a list of texts, a list of tokens, or a list of such lists.")


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _packed(vector: list[float] | str) -> list[float] | str:
    """The vector in base64; one that came so, or whose numbers single precision has no room for, stays as it is."""
    if isinstance(vector, str):
        return vector
    try:
        packed = struct.pack(f"<{len(vector)}f", *vector)
    except OverflowError:
        return vector
    return base64.b64encode(packed).decode()


def _unpacked(vector: list[float] | str) -> list[float] | str:
    """The vector as numbers; text that is no base64 of such floats stays as it is."""
    if not isinstance(vector, str):
        return vector
    try:
        data = base64.b64decode(vector, validate=True)
    except (binascii.Error, ValueError):
        return vector
    if len(data) % _FLOAT:
        return vector
    numbers = list(struct.unpack(f"<{len(data) // _FLOAT}f", data))
    return numbers if all(map(math.isfinite, numbers)) else vector


def read_tree(body: bytes) -> dict[str, Any] | Verdict:
    """The object in a reply of success, or the verdict on what is none and on an error in it."""
    try:
        json_tree(body)
    except ValueError:
        return unreadable(body)
    tree = read_object(body)
    if tree is None:
        return Verdict(OutcomeClass.GARBLED, detail="the reply is no JSON object")
    return tree


def _not_there(tree: dict[str, Any], what: str) -> Verdict:
    if tree.get("error") or tree.get("object") == "error":
        return inner_error(tree.get("error") or tree)
    return Verdict(OutcomeClass.GARBLED, detail=f"the reply holds no {what}")


def read_vector_usage(tree: Any) -> Usage | None:
    """The usage of what produces no text: where only a total is told, all of it is input."""
    usage = read_usage(tree)
    total = count(mapping(tree).get("total_tokens"))
    if usage is None:
        return Usage(input=total) if total is not None else None
    return usage


def write_vector_usage(usage: Usage | None) -> dict[str, int]:
    """What is known of the usage, in OpenAI's words."""
    if usage is None or usage.input is None:
        return {}
    return {"prompt_tokens": usage.input, "total_tokens": usage.input}
