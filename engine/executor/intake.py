"""From the bytes a client sent to a ``Call``, and from a ``Call`` to the attributes that routing may depend on."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

from engine.errors import EngineError
from engine.exchange import Call
from engine.exchange.multipart import read_field
from engine.graph import Key
from engine.planner import Request


class Surface(msgspec.Struct, frozen=True):
    """One endpoint: its name in conditions and records, the kind of answer it wants, the dialect its clients speak."""

    name: str
    kind: str
    front: str = "openai-chat"
    streams: bool = False
    needs: str = ""
    """The capability a target must have; by default the kind."""


#: Every endpoint below ``/v1`` that takes a model.
SURFACES: Mapping[str, Surface] = MappingProxyType(
    {
        "/chat/completions": Surface("chat", "chat", streams=True),
        "/responses": Surface("responses", "chat", "openai-responses", streams=True),
        "/messages": Surface("messages", "chat", "anthropic-messages", streams=True),
        "/messages/count_tokens": Surface("count_tokens", "count_tokens", "anthropic-messages", needs="chat"),
        "/completions": Surface("completions", "completions", streams=True),
        "/embeddings": Surface("embeddings", "embeddings"),
        "/rerank": Surface("rerank", "rerank", "cohere"),
        "/moderations": Surface("moderations", "moderations"),
        "/images/generations": Surface("images", "images"),
        "/images/edits": Surface("images", "images"),
        "/images/variations": Surface("images", "images"),
        "/audio/speech": Surface("audio", "audio"),
        "/audio/transcriptions": Surface("audio", "audio"),
        "/audio/translations": Surface("audio", "audio"),
    }
)
#: A path for each surface, the first one.
PATHS: Mapping[str, str] = MappingProxyType({s.name: path for path, s in reversed(list(SURFACES.items()))})
_FORMATS = ("response_format", "text", "output_format", "output_config")
_TALKS = frozenset({"chat", "messages", "count_tokens"})
#: Fields whose text a model reads.
_READ = ("prompt", "input", "system", "instructions", "query", "documents")
_IMAGES = frozenset({"image_url", "input_image", "image"})
#: Tokens that one image counts for, whatever its bytes.
IMAGE_TOKENS = 1000
#: Bytes of JSON text that count as one token.
BYTES_PER_TOKEN = 4
_EMPTY: Mapping[str, str] = MappingProxyType({})
_NO_FIELDS: dict[str, Raw] = {}
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ABSENT = frozenset({b"null", b"[]", b"{}", b'""'})

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_text = msgspec.json.Decoder(str).decode
# Ids must be unique, not secret; asking the system for each would cost more than all the rest of reading a request.
_getrandbits = random.Random(random.SystemRandom().getrandbits(256)).getrandbits  # noqa: S311


class BadRequestError(EngineError):
    """The request cannot be understood, and so was never routed. ``param`` names the field that is to blame."""

    def __init__(self, message: str, *, param: str | None = None, status: int = 400, code: str = "invalid_request"):
        self.message = message
        self.param = param
        self.status = status
        self.code = code
        super().__init__(message)


def request_id() -> str:
    """A fresh id, unique for all practical purposes."""
    return f"req_{_getrandbits(96):024x}"


def make_call(
    path: str,
    body: bytes,
    headers: Mapping[str, str] = _EMPTY,
    *,
    id_: str | None = None,
    key: Key | None = None,
    max_depth: int = 100,
) -> Call:
    """The call that ``body`` asks for at ``path`` (one of :data:`SURFACES`). Raises :class:`BadRequestError`.

    ``headers`` have lower-case names. Only what must be known is decoded; the rest stays JSON text.
    """
    surface = SURFACES[path]
    content_type = headers.get("content-type") or "application/json"
    if content_type.startswith("multipart/form-data"):
        model = read_field(body, content_type, "model")
        if not model:
            raise BadRequestError("The form has no field 'model'.", param="model")
        fields: dict[str, Raw] | None = None
        raw = body
    else:
        fields = _parse(body, max_depth)
        model = _string(fields, "model", required=True) or ""
        raw = b""
    call = Call(id_ or request_id(), surface.name, path, model, surface.kind, surface.front)
    call.body, call.raw, call.content_type = fields, raw, content_type
    call.headers = headers
    if fields is not None:
        if surface.name in _TALKS and bytes(fields.get("messages", b""))[:1] != b"[":
            raise BadRequestError("'messages' must be an array of messages.", param="messages")
        _read_fields(call, fields, surface)
    _read_headers(call, headers)
    if key is not None:
        call.key = key.name
        call.key_routes = key.routes
        call.trusted = key.metadata
    if call.trusted:
        call.metadata = {**call.metadata, **call.trusted}
    return call


def _parse(body: bytes, max_depth: int) -> dict[str, Raw]:
    try:
        if not body.isascii():
            body.decode()  # the decoder looks at no text that it skips
        fields = _fields(body)
    except RecursionError:
        raise BadRequestError(f"The body is nested too deeply; at most {max_depth} levels are accepted.") from None
    except UnicodeDecodeError as problem:
        raise BadRequestError(f"The body is not valid UTF-8: {problem}.") from None
    except msgspec.ValidationError:
        raise BadRequestError("The body must be a JSON object.") from None
    except msgspec.DecodeError as problem:
        if not body:
            raise BadRequestError("The body is empty; send a JSON object.") from None
        raise BadRequestError(f"The body is not valid JSON: {problem}.") from None
    # Counting is cheap and enough for nearly every body; only then is the depth measured.
    if body.count(b"[") + body.count(b"{") > max_depth and _depth(body) > max_depth:
        raise BadRequestError(f"The body is nested too deeply; at most {max_depth} levels are accepted.")
    return fields


def _depth(body: bytes) -> int:
    """The deepest nesting of a valid JSON text."""
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    depth = 0
    while brackets:
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        depth += 1
    return depth


def _read_fields(call: Call, fields: dict[str, Raw], surface: Surface) -> None:
    stream = fields.get("stream")
    if stream is not None and surface.streams:
        text = bytes(stream)
        if text not in (b"true", b"false", b"null"):
            raise BadRequestError("'stream' must be true or false.", param="stream")
        call.stream = text == b"true"
        if call.stream and "stream_options" in fields:
            call.wants_usage = _wants_usage(fields["stream_options"])
    if "user" in fields:
        call.user = _string(fields, "user")
    if "metadata" in fields:
        call.metadata = _metadata(fields["metadata"])
        if surface.front == "anthropic-messages":
            call.user = call.metadata.get("user_id")


def _wants_usage(raw: Raw) -> bool:
    options = _tree(raw)
    return isinstance(options, dict) and options.get("include_usage") is True


def _read_headers(call: Call, headers: Mapping[str, str]) -> None:
    text = headers.get("x-interlock-metadata")
    if text:
        try:
            extra = msgspec.json.decode(text, type=dict[str, str | int | float | bool])
        except msgspec.DecodeError:
            message = "The header x-interlock-metadata must be a JSON object of strings, numbers and booleans."
            raise BadRequestError(message, param="x-interlock-metadata") from None
        call.metadata = {**call.metadata, **{name: _plain(value) for name, value in extra.items()}}
    deadline = headers.get("x-interlock-deadline")
    if deadline:
        call.deadline = parse_deadline(deadline)
    call.no_fallback = headers.get("x-interlock-no-fallback", "").lower() in ("1", "true", "yes")


def parse_deadline(text: str) -> float:
    """Seconds from ``2.5``, ``2500ms`` or ``30s``. Raises :class:`BadRequestError`."""
    for suffix, scale in (("ms", 0.001), ("s", 1.0), ("", 1.0)):
        if text.endswith(suffix):
            number = text.removesuffix(suffix)
            if number.replace(".", "", 1).isdecimal() and number.isascii() and float(number) > 0:
                return float(number) * scale
            break
    message = f"The header x-interlock-deadline must be seconds, such as 30 or 2500ms, not {text[:40]!r}."
    raise BadRequestError(message, param="x-interlock-deadline")


def _metadata(raw: Raw) -> dict[str, str]:
    tree = _tree(raw)
    if not isinstance(tree, dict):
        return {}
    return {name: _plain(value) for name, value in tree.items() if isinstance(value, str | int | float | bool)}


def _plain(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _string(fields: dict[str, Raw], name: str, *, required: bool = False) -> str | None:
    raw = fields.get(name)
    if raw is None or (not required and bytes(raw) == b"null"):
        if required:
            raise BadRequestError(f"You must provide a {name!r} parameter.", param=name)
        return None
    try:
        return _text(raw)
    except msgspec.DecodeError:
        raise BadRequestError(f"{name!r} must be a string.", param=name) from None


def request_of(call: Call) -> Request:
    """The attributes of the call that conditions may read and the planner checks.

    ``input_tokens`` is one deterministic estimate: the bytes of the JSON text of messages, prompt or input, and tools,
    divided by 4 and rounded up, where an image counts 1,000 tokens instead of its bytes.
    """
    body = call.body or _NO_FIELDS
    get = body.get
    tools = schema = remote = False
    images = size = 0
    for name in ("messages", "input"):
        raw = get(name)
        if raw is not None:
            text = bytes(raw)
            size += len(text)
            if b"image" in text:
                images, image_bytes, remote = _images(raw)
                size -= image_bytes
    for name in _READ:
        if name in body and name != "input":
            size += len(bytes(body[name]))
    for name in ("tools", "functions"):
        if name in body and bytes(body[name]) not in _ABSENT:
            tools = True
            size += len(bytes(body[name]))
    for name in _FORMATS:
        if name in body:
            schema = schema or _asks_schema(body[name])
    surface = SURFACES[call.path]
    held = get("previous_response_id") if call.surface == "responses" else None
    conversation = _string_or_none(held)
    needs, wire = _needs(
        surface.needs or call.kind, call.stream, tools, images > 0, schema, remote, conversation is not None
    )
    return Request(
        model=call.model,
        surface=call.surface,
        stream=call.stream,
        user=call.user,
        key=call.key,
        metadata=call.metadata,
        headers=call.headers,
        team=call.trusted.get("team"),
        input_tokens=-(-size // BYTES_PER_TOKEN) + images * IMAGE_TOKENS,
        max_tokens=_max_tokens(body),
        tools=tools,
        vision=images > 0,
        json_schema=schema,
        request_id=call.request_id,
        needs=needs,
        wire=wire,
        key_routes=call.key_routes,
        no_fallback=call.no_fallback,
        kind=call.kind,
        front=call.front,
        conversation=conversation,
    )


@functools.cache
def _needs(
    kind: str, stream: bool, tools: bool, vision: bool, json_schema: bool, remote: bool, conversation: bool
) -> tuple[frozenset[str], frozenset[str]]:
    """What the target must support, and what the way to it must be able to carry besides."""
    asked = {"stream": stream, "tools": tools, "vision": vision, "json_schema": json_schema}
    wire = {"image_url": remote, "conversation": conversation}
    return (
        frozenset({kind, *(name for name, wanted in asked.items() if wanted)}),
        frozenset({kind, *(name for name, wanted in wire.items() if wanted)}),
    )


def _asks_schema(raw: Raw) -> bool:
    """Whether a field that sets the answer's form asks for a JSON Schema, at whatever depth its protocol puts it."""
    if b"json_schema" not in bytes(raw):
        return False
    tree = _tree(raw)
    while isinstance(tree, dict):
        if tree.get("type") == "json_schema":
            return True
        tree = tree.get("format")
    return False


def _max_tokens(body: Mapping[str, Raw]) -> int | None:
    raw = body.get("max_completion_tokens") or body.get("max_tokens") or body.get("max_output_tokens")
    if raw is None:
        return None
    text = bytes(raw)
    return int(text[:18]) if text.isdigit() else None


def _string_or_none(raw: Raw | None) -> str | None:
    value = None if raw is None else _tree(raw)
    return value if isinstance(value, str) and value else None


def _tree(raw: Raw) -> Any:
    """The value; ``None`` where it cannot be decoded (half a surrogate pair, say), of which the upstream says more."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _images(messages: Raw) -> tuple[int, int, bool]:
    """How many images there are, how many bytes of JSON text these take, and whether any is given by its address."""
    count = size = 0
    remote = False
    pending: list[Any] = [_tree(messages)]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict) and node.get("type") in _IMAGES:
            count += 1
            text = msgspec.json.encode(node)
            size += len(text)
            remote = remote or b'"http://' in text or b'"https://' in text
        elif isinstance(node, dict) and "content" in node:
            pending.append(node["content"])
    return count, size, remote
