"""The request that ``explain`` asks about: a body as it would be sent, options, or options over a body.

Both go through the server's own reading of requests, so that keys, metadata and estimates mean the same here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from engine.executor.attributes import request_of
from engine.executor.intake import PATHS, BadRequestError, make_call
from engine.graph import Graph, Key, Limit, TargetStep
from engine.planner import Request
from engine.state import Claim, Closure, MemoryStore, Refusal
from engine.state.buckets import bucket

from .terminal import Problem, nearest

Fields = dict[str, Raw]
_CAPABILITIES = ("tools", "vision", "json_schema")


class Neutral:
    """A view of the world before anything happened: nobody is busy, every credential is there."""

    def in_flight(self, target: str) -> int:
        """Always 0."""
        return 0

    def credential(self, provider: str) -> bool:
        """Always true."""
        return True

    def holder(self, conversation: str) -> str | None:
        """Nobody is known to keep anything."""
        return None

    def bucket(self, limit: Limit, value: str | None) -> str:
        """Each value's own."""
        return bucket(value)

    def refuses(self, claims: tuple[Claim, ...]) -> Refusal | None:
        """Nothing counts against any limit yet."""
        return MemoryStore().peek(claims, 0.0)

    def closed(self, step: TargetStep, now: float) -> Closure | None:
        """Nobody is passed over."""
        return None

    def latency(self, target: str, stream: bool, now: float) -> float:
        """Nothing is known yet."""
        return 0.0

    def headroom(self, target: str, now: float) -> float:
        """Always 1."""
        return 1.0

    def share(self, target: str, now: float) -> float:
        """Always 1."""
        return 1.0


def read_fields(file: str) -> Fields:
    """The top-level fields of the JSON object in ``file`` (``-``: standard input). Raises :class:`Problem`."""
    where = "standard input" if file == "-" else f'"{file}"'
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Problem(
            f"cannot read {where}: {error.strerror}", "--request wants a file, or - for standard input"
        ) from error
    example = 'a request\'s body looks like {"model": "chat", "messages": [...]}'
    try:
        return msgspec.json.decode(data, type=Fields)
    except msgspec.ValidationError as error:
        raise Problem(f"{where} is not a JSON object", example) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{where} is not JSON: {error}", example) from error
    except RecursionError as error:
        raise Problem(f"{where} is nested too deeply to be a request", example) from error


def request_from(
    graph: Graph,
    fields: Fields | None,
    *,
    surface: str | None,
    headers: Mapping[str, str],
    key: str | None,
    request_id: str,
    input_tokens: int | None,
    tools: bool,
    vision: bool,
    json_schema: bool,
    **options: Any,
) -> Request:
    """The request's attributes. An option wins over the body's field; capabilities add up.

    Raises :class:`Problem` for a body that the server would refuse and for a key that is not declared.
    """
    body = _with_options(fields or {"messages": Raw(b"[]")}, **options)
    lower = {name.lower(): value for name, value in headers.items()}
    found = None if key is None else find_key(graph, key)
    try:
        call = make_call(
            PATHS[surface or "chat"],
            msgspec.json.encode(body),
            lower,
            id_="-",
            key=found,
            max_depth=graph.settings.max_depth,
        )
    except BadRequestError as error:
        raise Problem(f"the server would refuse this request: {error.message}") from error
    request = request_of(call)
    request.request_id = request_id
    if fields is None or input_tokens is not None:
        request.input_tokens = input_tokens or 0
    wanted = {name for name, on in zip(_CAPABILITIES, (tools, vision, json_schema), strict=True) if on}
    request.needs |= wanted
    for name in wanted:
        setattr(request, name, True)
    return request


def find_key(graph: Graph, name: str) -> Key:
    """The key declared under this name. Raises :class:`Problem` if there is none."""
    by_name = {key.name: key for key in graph.keys.values()}
    if name not in by_name:
        raise Problem(
            f'there is no key "{name}" in this configuration',
            nearest(name, by_name) or "a key is declared by a document of kind: key; --key takes its name",
        )
    return by_name[name]


def _with_options(
    fields: Fields,
    *,
    model: str | None,
    user: str | None,
    stream: bool,
    max_tokens: int | None,
    metadata: Mapping[str, str],
) -> Fields:
    """A copy of the fields with what the options say in place of them."""
    said: dict[str, Any] = {"model": model, "user": user, "stream": stream or None, "max_completion_tokens": max_tokens}
    body = dict(fields)
    if metadata:
        said["metadata"] = {**_object(body.get("metadata")), **metadata}
    body.update({name: Raw(msgspec.json.encode(value)) for name, value in said.items() if value is not None})
    return body


def _object(raw: Raw | None) -> dict[str, Any]:
    tree = msgspec.json.decode(raw) if raw is not None else None
    return tree if isinstance(tree, dict) else {}
