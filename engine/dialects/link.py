"""Between a client's dialect and a provider's: the same is spliced, two are translated through the canonical form."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Protocol, cast
from urllib.parse import quote

import msgspec
from msgspec import Raw

from engine.exchange import Call, Header, Shape, StreamDecoder, Verdict, WireRequest

from .protocol import Front
from .registry import dialects

JSON = (("content-type", "application/json"),)
_encode = msgspec.json.encode


class Link(Protocol):
    """How requests of one kind of client reach one kind of provider, and how the answers come back."""

    def encode(self, call: Call, shape: Shape) -> WireRequest:
        """The request as the upstream is to receive it. Raises ``UncarriedError``."""

    def decode(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """What a reply with a status of success means, and the body for the client."""

    def stream(self, call: Call, header: Header) -> StreamDecoder:
        """A decoder for one stream that answers ``call``; what it gives back is for the client."""

    def replay(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """A whole reply as the stream that the client asked for."""

    def content_type(self, call: Call, header: Header) -> str:
        """Of the client's reply."""


@functools.cache
def link(front: str, back: str, kind: str) -> Link | None:
    """The link for requests of ``kind`` from clients that speak ``front`` to a provider that speaks ``back``.

    ``None`` where the kind has no form in one of them.
    """
    from .bridge import Bridge, CodecBridge
    from .splice import Splice

    known = dialects()
    client, provider = known[front], known[back]
    if front == back:
        return Splice(cast(Any, client))
    if kind == "chat":
        return Bridge(client, provider) if client.chat and provider.chat else None
    if kind in client.codecs and kind in provider.codecs:
        return CodecBridge(client, provider, kind)
    return None


#: The kind of request that every target can answer: with an estimate, if its protocol does not count.
COUNT_TOKENS = "count_tokens"
_NOTHING: frozenset[str] = frozenset()


@functools.cache
def lacks(client: str, dialect: str, also_speaks: tuple[str, ...], kind: str) -> frozenset[str]:
    """What requests of ``kind`` from clients that speak ``client`` may hold and no way to such a provider can carry."""
    if client == dialect or client in also_speaks or kind == COUNT_TOKENS:
        return _NOTHING
    if link(client, dialect, kind) is None:
        return frozenset({kind})
    return dialects()[dialect].lacks | {"conversation"}


def front(name: str) -> Front:
    """The dialect as its clients know it."""
    return cast(Front, dialects()[name])


def path_of(usual: str, kind: str, shape: Shape, stream: bool) -> str:
    """Where the request goes: the provider's own template for it, else the ``usual`` path."""
    if not shape.paths:
        return usual
    template = shape.paths.get("stream") if stream and kind == "chat" else None
    template = template or shape.paths.get(kind)
    return usual if template is None else template.replace("{model}", quote(shape.name, safe=""))


def apply_quirks(body: dict[str, Any], shape: Shape) -> tuple[str, ...]:
    """Rename and drop top-level fields as the provider wants it; the names of those dropped."""
    for old, new in shape.rename:
        if old in body:
            body[new] = body.pop(old)
    dropped = sorted(shape.drop & body.keys())
    for name in dropped:
        del body[name]
    # Where the model's name goes is the protocol's affair: it is not lost to the client.
    return tuple(name for name in dropped if name != "model")


Pairs = tuple[tuple[str, Raw], ...]
#: Kinds of request that write text, and the fields that mean nothing to any other.
_WRITING = frozenset({"chat", "completions", "count_tokens"})
_OF_WRITING = frozenset(
    {
        "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_output_tokens", "max_tokens",
        "min_p", "parallel_tool_calls", "presence_penalty", "reasoning", "reasoning_effort", "response_format", "seed",
        "stop", "stop_sequences", "temperature", "thinking", "tool_choice", "tools", "top_k", "top_logprobs", "top_p",
        "verbosity",
    }
)  # fmt: skip


def overrides(call: Call, shape: Shape) -> tuple[Pairs, Pairs]:
    """The defaults and the fixed fields that concern such a request: a policy for all must not spoil embeddings."""
    if call.kind in _WRITING:
        return shape.default, shape.set
    return (
        tuple(pair for pair in shape.default if pair[0] not in _OF_WRITING),
        tuple(pair for pair in shape.set if pair[0] not in _OF_WRITING),
    )


#: Fields that hold messages, in one protocol or another.
_CONVERSATIONS = frozenset({"messages", "input"})


def spliced(call: Call, shape: Shape, aliases: Mapping[str, str | None]) -> tuple[dict[str, Raw], tuple[str, ...]]:
    """The client's top-level fields with the overrides, the quirks and the model's name; and what was dropped."""
    body = dict(call.body or ())
    default, fixed = overrides(call, shape)
    unknown: tuple[str, ...] = ()
    if aliases:
        for name, value in default:
            known = aliases.get(name, name)
            if known is not None:
                body.setdefault(known, value)
        for name, value in fixed:
            known = aliases.get(name, name)
            if known is not None:
                body[known] = value
        unknown = tuple(name for name, _ in (*default, *fixed) if aliases.get(name, name) is None)
    else:
        for name, value in default:
            body.setdefault(name, value)
        body.update(fixed)
    if shape.roles:
        for name in _CONVERSATIONS & body.keys():
            body[name] = _recast(body[name], shape.roles)
    body["model"] = shape.model
    dropped = apply_quirks(body, shape) if shape.rename or shape.drop else ()
    return body, (*unknown, *dropped)


def _recast(messages: Raw, roles: Mapping[str, str]) -> Raw:
    """The messages with some roles under another name; untouched where they cannot be read."""
    try:
        tree = msgspec.json.decode(messages, type=list[dict[str, Raw]])
    except msgspec.DecodeError:
        return messages
    names = {_encode(old): Raw(_encode(new)) for old, new in roles.items()}
    for message in tree:
        new = names.get(bytes(message.get("role", b"")))
        if new is not None:
            message["role"] = new
    return Raw(_encode(tree))
