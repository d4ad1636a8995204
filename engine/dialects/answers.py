"""What an answer says, read from the bytes that a client gets: for comparing two answers, not for passing them on."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from engine.exchange import Verdict
from engine.exchange.canonical import ChatReply, Refusal, Text, ToolCall
from engine.exchange.events import Accumulator

from .registry import dialects


class Said(Struct, frozen=True):
    """The text of the first choice with its tool calls, and why it ended. ``text`` is ``None`` where none is known."""

    text: str | None = None
    finish: str = ""


NOTHING = Said()


def said(front: str, kind: str, body: bytes, *, streamed: bool) -> Said:
    """What a served answer to a client of dialect ``front`` says; nothing for kinds without text. Never raises."""
    try:
        if kind == "chat":
            return _chat(front, body, streamed)
        if kind == "completions" and not streamed:
            return _completion(msgspec.json.decode(body))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        pass  # not in a form that is known: nothing is known of it
    return NOTHING


def _chat(front: str, body: bytes, streamed: bool) -> Said:
    codec = dialects()[front].chat
    if codec is None:
        return NOTHING
    reply: ChatReply | Verdict
    if streamed:
        reader, whole = codec.reader(), Accumulator(front)
        for event in (*reader.feed(body), *reader.finish()):
            whole.add(event)
        reply = whole.reply()
    else:
        reply = codec.read_reply(body)
    if isinstance(reply, Verdict) or not reply.choices:
        return NOTHING
    first = reply.choices[0]
    parts = []
    for part in first.parts:
        if isinstance(part, Text | Refusal):
            parts.append(part.text)
        elif isinstance(part, ToolCall):
            parts.append(f"\n{part.name} {part.arguments}\n")
    return Said("".join(parts), first.finish or "")


def _completion(body: Any) -> Said:
    first = body["choices"][0]
    return Said(str(first["text"]), str(first.get("finish_reason") or ""))
