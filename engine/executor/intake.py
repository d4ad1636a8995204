"""From the bytes that a client sent to a ``Call``."""

from __future__ import annotations

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
_TALKS = frozenset({"chat", "messages", "count_tokens"})
_EMPTY: Mapping[str, str] = MappingProxyType({})
_STEPS: Mapping[int, int] = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NOT_BRACKETS = bytes(set(range(256)) - _STEPS.keys())
_NULL = Raw(b"null")


class _Options(Struct):
    """Of a stream's options, whether they ask for usage."""

    include_usage: Raw = _NULL


# Each reads what it names and skips the rest: a number too large to be read, say, must not hide what stands beside it.
_fields = msgspec.json.Decoder(dict[str, Raw]).decode
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
    """The deepest nesting of a valid JSON text, in one pass, whatever the text is."""
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b"".join(unescaped.split(b'"')[::2])
    brackets = outside_strings.translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


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
