"""From the bytes a client sent to a ``Call``, and from a ``Call`` to the attributes that routing may depend on."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from itertools import accumulate
from types import MappingProxyType

import msgspec
from msgspec import Raw, Struct

from engine.errors import EngineError
from engine.exchange import Call
from engine.exchange.multipart import read_field
from engine.graph import Key
from engine.planner import Request

#: Every endpoint below ``/v1`` that takes a model, and the surface it belongs to.
SURFACES: Mapping[str, str] = MappingProxyType(
    {
        "/chat/completions": "chat",
        "/completions": "completions",
        "/embeddings": "embeddings",
        "/moderations": "moderations",
        "/images/generations": "images",
        "/images/edits": "images",
        "/images/variations": "images",
        "/audio/speech": "audio",
        "/audio/transcriptions": "audio",
        "/audio/translations": "audio",
    }
)
_STREAMED = frozenset({"chat", "completions"})
#: Tokens that one image counts for, whatever its bytes.
IMAGE_TOKENS = 1000
#: Bytes of JSON text that count as one token.
BYTES_PER_TOKEN = 4
_EMPTY: Mapping[str, str] = MappingProxyType({})
_NO_FIELDS: dict[str, Raw] = {}
_STEPS: Mapping[int, int] = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NOT_BRACKETS = bytes(set(range(256)) - _STEPS.keys())
_ABSENT = frozenset({b"null", b"[]", b"{}", b'""'})

_IMAGES = frozenset({"image_url", "input_image", "image"})
_NULL = Raw(b"null")


class _Message(Struct):
    """Of a message, what may hold images."""

    content: Raw = _NULL


class _Typed(Struct):
    """Of a part of a message, or of a response format, what it is."""

    type: Raw = _NULL


class _Options(Struct):
    """Of a stream's options, whether they ask for usage."""

    include_usage: Raw = _NULL


# Each reads what it names and skips the rest: a number too large to be read, say, must not hide what stands beside it.
_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_message = msgspec.json.Decoder(_Message).decode
_typed = msgspec.json.Decoder(_Typed).decode
_options = msgspec.json.Decoder(_Options).decode
_text = msgspec.json.Decoder(str).decode
_scalar = msgspec.json.Decoder(str | int | float | bool).decode
_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
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


def request_id(given: str | None = None) -> str:
    """The client's own id if it can be printed anywhere without harm, else a fresh one, unique for all purposes."""
    if given and len(given) <= 128 and _ID_CHARACTERS.issuperset(given):
        return given
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
    if content_type.lower().startswith("multipart/form-data"):
        model = read_field(body, content_type, "model")
        if not model:
            raise BadRequestError("The form has no field 'model'.", param="model")
        fields: dict[str, Raw] | None = None
        raw = body
    else:
        fields = _parse(body, max_depth)
        model = _string(fields, "model", required=True) or ""
        raw = b""
    call = Call(id_ or request_id(), surface, path, model, body=fields, raw=raw, content_type=content_type)
    call.headers = headers
    if fields is not None:
        if surface == "chat" and bytes(fields.get("messages", b""))[:1] != b"[":
            raise BadRequestError("'messages' must be an array of messages.", param="messages")
        _read_fields(call, fields)
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
    """The deepest nesting of a valid JSON text, in one pass, whatever the text is."""
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b"".join(unescaped.split(b'"')[::2])
    brackets = outside_strings.translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _read_fields(call: Call, fields: dict[str, Raw]) -> None:
    stream = fields.get("stream")
    if stream is not None and call.surface in _STREAMED:
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


def _wants_usage(raw: Raw) -> bool:
    try:
        return bytes(_options(raw).include_usage) == b"true"
    except msgspec.DecodeError:
        return False  # no object: the upstream says more about it


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
    """The strings, numbers and booleans of the body's metadata; what is more than that is the upstream's to judge."""
    try:
        fields = _fields(raw)
    except msgspec.DecodeError:
        return {}
    found = {}
    for name, value in fields.items():
        text = bytes(value)
        if text[:1] in (b"[", b"{") or text == b"null":
            continue
        try:
            found[name] = _plain(_scalar(value))
        except msgspec.DecodeError:
            found[name] = text.decode()  # a number beyond all bounds, as it was written
    return found


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
    tools = schema = False
    images = size = 0
    messages = get("messages")
    if messages is not None:
        text = bytes(messages)
        size = len(text)
        # Looked for at length only where a word hints at it, or an escape could hide the word.
        if b'image_url"' in text or b'image"' in text or b"\\u00" in text:
            images, image_bytes = _images(messages)
            size -= image_bytes
    for name in ("prompt", "input"):
        if name in body:
            size += len(bytes(body[name]))
    for name in ("tools", "functions"):
        if name in body and bytes(body[name]) not in _ABSENT:
            tools = True
            size += len(bytes(body[name]))
    if "response_format" in body:
        schema = _asks_schema(body["response_format"])
    surface = call.surface
    return Request(
        model=call.model,
        surface=surface,
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
        needs=_needs(surface, call.stream, tools, images > 0, schema),
        key_routes=call.key_routes,
        no_fallback=call.no_fallback,
    )


@functools.cache
def _needs(surface: str, stream: bool, tools: bool, vision: bool, json_schema: bool) -> frozenset[str]:
    asked = {"stream": stream, "tools": tools, "vision": vision, "json_schema": json_schema}
    return frozenset({surface, *(name for name, wanted in asked.items() if wanted)})


def _asks_schema(raw: Raw) -> bool:
    return _type(raw) == "json_schema"


def _max_tokens(body: Mapping[str, Raw]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        text = bytes(body.get(name, b""))
        if text.isdigit():
            return int(text[:18])
    return None


def _type(raw: Raw) -> str | None:
    """The ``type`` of an object; ``None`` where it has none."""
    try:
        return _text(_typed(raw).type)
    except msgspec.DecodeError:
        return None


def _images(messages: Raw) -> tuple[int, int]:
    """How many images the messages hold, and how many bytes of their JSON text these are."""
    count = size = 0
    for message in _list(messages):
        try:
            content = _message(message).content
        except msgspec.DecodeError:
            continue
        for part in _list(content):
            if _type(part) in _IMAGES:
                count += 1
                size += len(bytes(part))
    return count, size


def _list(raw: Raw) -> list[Raw]:
    try:
        return _items(raw)
    except msgspec.DecodeError:
        return []
