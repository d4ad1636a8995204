"""The few fields of OpenAI's replies that routing must read; everything else travels as it came.

Field names are those of OpenAI's API reference (chat completions, completions, embeddings) and of services that extend
it: ``reasoning_content`` and ``reasoning`` for visible reasoning, ``x_groq.usage`` for usage in streams.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

_NULL = Raw(b"null")


class Message(Struct):
    """A message of a reply or the delta of a stream, reduced to the fields that may carry output."""

    content: Raw = _NULL
    tool_calls: Raw = _NULL
    refusal: Raw = _NULL
    reasoning_content: Raw = _NULL
    reasoning: Raw = _NULL
    function_call: Raw = _NULL
    audio: Raw = _NULL
    images: Raw = _NULL


class Choice(Struct):
    """A choice of a reply or of a stream's event; ``text`` is that of the older completions.

    ``error`` is where some gateways tell of a choice that broke off.
    """

    index: Any = 0
    message: Message | None = None
    delta: Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    error: Any = None


class Extension(Struct):
    """Where one service puts the usage of a stream."""

    usage: Any = None


class Body(Struct):
    """A reply or one event of a stream."""

    choices: list[Choice] | None = None
    data: list[Raw] | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    x_groq: Extension | None = None


decode_body = msgspec.json.Decoder(Body).decode


def check_text(data: bytes) -> None:
    """Raises ``UnicodeDecodeError`` where ``data`` is not UTF-8, which decoding only the fields above can miss."""
    if not data.isascii():
        data.decode()


_EMPTY = (b"null", b'""', b"[]", b"{}")


def carries_output(message: Message) -> bool:
    """Whether any part of the message is something a client could show: text, reasoning, a tool call, a refusal."""
    return (
        bytes(message.content) not in _EMPTY
        or bytes(message.tool_calls) not in _EMPTY
        or bytes(message.reasoning_content) not in _EMPTY
        or bytes(message.refusal) not in _EMPTY
        or bytes(message.reasoning) not in _EMPTY
        or bytes(message.function_call) not in _EMPTY
        or bytes(message.audio) not in _EMPTY
        or bytes(message.images) not in _EMPTY
    )
