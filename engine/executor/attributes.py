"""From a ``Call`` to the attributes that routing may depend on, reading as little of its body as that takes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Raw, Struct

from engine.exchange import Call
from engine.planner import Request

from .beginning import Beginning
from .intake import SURFACES

#: Tokens that one image counts for, whatever its bytes.
IMAGE_TOKENS = 1000
#: Bytes of JSON text that count as one token.
BYTES_PER_TOKEN = 4

_NO_FIELDS: dict[str, Raw] = {}
_ABSENT = frozenset({b"null", b"[]", b"{}", b'""'})
#: What fields of a body are: a conversation, which may hold images; other text that a model reads; tools; and the form
#: that the answer shall have, in one protocol or another.
_ROLES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("messages", "input"), "talk"),
        **dict.fromkeys(("prompt", "system", "instructions", "query", "documents"), "text"),
        **dict.fromkeys(("tools", "functions"), "tools"),
        **dict.fromkeys(("response_format", "text", "output_format", "output_config"), "form"),
    }
)
#: Surfaces whose conversations an upstream may keep.
_KEPT = frozenset({"responses", "messages"})
_LONGEST = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_IMAGES = frozenset({"image_url", "input_image", "image"})
_NULL = Raw(b"null")


class _Node(Struct):
    """Of a message, of a part of one, or of a format: what it is, and what it holds."""

    type: Raw = _NULL
    content: Raw = _NULL
    format: Raw = _NULL


class _Thread(Struct):
    """Of a thread, the message that it goes on after."""

    previous_message_id: Raw = _NULL


# Each reads what it names and skips the rest: a number too large to be read, say, must not hide what stands beside it.
_items = msgspec.json.Decoder(list[Raw]).decode
_node = msgspec.json.Decoder(_Node).decode
_thread = msgspec.json.Decoder(_Thread).decode
_text = msgspec.json.Decoder(str).decode


def request_of(call: Call) -> Request:
    """The attributes of the call that conditions may read and the planner checks.

    ``input_tokens`` is one deterministic estimate: the bytes of the JSON text of what a model reads (messages, prompt,
    input, instructions, documents) and of tools, divided by 4 and rounded up, where an image counts 1,000 tokens
    instead of its bytes.
    """
    body = call.body or _NO_FIELDS
    tools = schema = remote = False
    images = size = 0
    for name in body:
        role = _ROLES.get(name)
        if role is None:
            continue
        text = bytes(body[name])
        if role == "talk":
            size += len(text)
            # Looked for at length only where a word hints at it, or an escape could hide the word.
            if b"image" in text or b"\\u00" in text:
                images, image_bytes, remote = _images(body[name])
                size -= image_bytes
        elif role == "text":
            size += len(text)
        elif role == "form":
            schema = schema or _asks_schema(body[name])
        elif text not in _ABSENT:
            tools = True
            size += len(text)
    conversation = _conversation(call.surface, body) if call.surface in _KEPT else None
    needed = SURFACES[call.path].needs or call.kind
    needs = _needs(needed, call.stream, tools, images > 0, schema)
    wire = _wire(call.kind, remote, conversation is not None)
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
        prompt_of=None if call.body is None else Beginning(call.body),
    )


@functools.cache
def _needs(needed: str, stream: bool, tools: bool, vision: bool, json_schema: bool) -> frozenset[str]:
    """What the target must support."""
    asked = {"stream": stream, "tools": tools, "vision": vision, "json_schema": json_schema}
    return frozenset({needed, *(name for name, wanted in asked.items() if wanted)})


@functools.cache
def _wire(kind: str, remote: bool, conversation: bool) -> frozenset[str]:
    """What the way to the target must be able to carry."""
    held = {"image_url": remote, "conversation": conversation}
    return frozenset({kind, *(name for name, is_held in held.items() if is_held)})


def _asks_schema(raw: Raw) -> bool:
    """Whether a field that sets the answer's form asks for a JSON Schema, at whatever depth its protocol puts it."""
    while True:
        try:
            node = _node(raw)
        except msgspec.DecodeError:
            return False
        if _string(node.type) == "json_schema":
            return True
        raw = node.format


def _max_tokens(body: Mapping[str, Raw]) -> int | None:
    for name in _LONGEST:
        text = bytes(body.get(name, b""))
        if text.isdigit():
            return int(text[:18])
    return None


def _conversation(surface: str, body: Mapping[str, Raw]) -> str | None:
    """The id of what the request goes on with, which an upstream keeps: a response, or a message of a thread."""
    raw = body.get("previous_response_id") if surface == "responses" else None
    if surface == "messages" and "thread" in body:
        try:
            raw = _thread(body["thread"]).previous_message_id
        except msgspec.DecodeError:
            return None  # no object: the upstream says more about it
    return None if raw is None else _string(raw) or None


def _string(raw: Raw) -> str | None:
    """The string, ``None`` where there is none."""
    try:
        return _text(raw)
    except msgspec.DecodeError:
        return None


def _images(messages: Raw) -> tuple[int, int, bool]:
    """How many images there are, how many bytes of JSON text these take, and whether any is given by its address."""
    count = size = 0
    remote = False
    pending = [messages]
    while pending:
        try:
            items = _items(pending.pop())
        except msgspec.DecodeError:
            continue
        for item in items:
            try:
                node = _node(item)
            except msgspec.DecodeError:
                continue
            if _string(node.type) in _IMAGES:
                text = bytes(item)
                count += 1
                size += len(text)
                remote = remote or b'"http' in text
            else:
                pending.append(node.content)
    return count, size, remote
