"""Calls of the library, made of the dicts that programs pass."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from engine.exchange import Call
from engine.executor.intake import BadRequestError, make_call, request_id
from engine.graph import Graph, Key

from .replies import refusal

_encode = msgspec.json.Encoder().encode
_PATHS: Mapping[str, str] = MappingProxyType(
    {"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"}
)
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def make(
    graph: Graph,
    surface: str,
    body: Mapping[str, Any],
    headers: Mapping[str, str] | None,
    metadata: Mapping[str, str] | None,
    deadline: float | None,
    key: Key | None = None,
) -> Call:
    """The call of this surface; see :meth:`Engine.chat` for the arguments. Raises :class:`RequestError`."""
    names = {name.lower(): value for name, value in headers.items()} if headers else _NO_HEADERS
    id_ = request_id(names.get("x-request-id"))
    try:
        call = make_call(_PATHS[surface], _encode(body), names, id_=id_, key=key)
    except BadRequestError as problem:
        raise refusal(problem, surface, graph.fingerprint, id_) from None
    if metadata:
        call.metadata = {**call.metadata, **metadata, **call.trusted}
    if deadline is not None:
        call.deadline = deadline if call.deadline is None else min(deadline, call.deadline)
    return call


def surface_of(body: Mapping[str, Any]) -> str:
    """What a body without an endpoint asks for: a chat, unless it can only be something else."""
    if "messages" not in body and "prompt" in body:
        return "completions"
    return "embeddings" if "messages" not in body and "input" in body else "chat"
