"""Recorded replies, whole or streamed, are read as what they say."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from msgspec import structs

from engine.dialects.protocol import ChatCodec
from engine.exchange import Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Part, Refusal, Text, ToolCall

from ..play import added, encode, events, pieces
from .facts import arguments, facts_of
from .requests import codec_of
from .shapes import ANTHROPIC, COHERE, CONVERSE
from .spoken import Recorded

#: Bytes up to which a stream is also read byte by byte.
SMALL = 3000
#: How often a longer one is cut, at random places.
CUTS = 12

_ENDS = {
    "stop": {"stop", "eos", "end_turn", "stop_sequence", "complete", "completed", "1", ""},
    "length": {"length", "max_tokens", "max_output_tokens", "incomplete", "2"},
    "tool_calls": {"tool_calls", "tool_call", "tool_use", "function_call"},
    "content_filter": {"content_filter", "safety", "guardrail_intervened", "model_armor"},
    "pause": {"pause_turn"},
    "refusal": {"refusal"},
    "error": {"unexpected_tool_call", "malformed_function_call"},
}


def read(found: Recorded, cuts: Iterable[int] = (), *, noise: bool = False) -> ChatReply | Verdict:
    """The reply as the codec reads it; a stream in the pieces that ``cuts`` make of it, with ``noise`` in between."""
    codec: ChatCodec = codec_of(found)
    if not found.streams:
        return codec.read_reply(found.body)
    body = kept_alive(found.body) if noise else found.body
    sum_ = added(events(codec, pieces(body, cuts)), found.spoken.dialect if found.spoken else "")
    return sum_.reply() if sum_.failure is None else sum_.failure


def cuts_of(found: Recorded) -> list[int]:
    """Where to cut a stream: at random, and always in the same places."""
    dice = random.Random(found.name)
    return [dice.randrange(1 << 30) for _ in range(CUTS)]


def kept_alive(body: bytes) -> bytes:
    """The stream with blank lines and comments between its events, by which some services keep a connection."""
    sent = body.startswith((b"data:", b"event:"))
    return body.replace(b"\n\n", b"\n\n\n: still here\n\n\n") if sent else body


def check_splits(found: Recorded, whole: ChatReply | Verdict) -> None:
    """A stream means the same however its bytes arrive."""
    assert read(found, cuts_of(found), noise=True) == whole, "another reply when cut"
    if len(found.body) <= SMALL:
        assert read(found, range(len(found.body))) == whole, "another reply byte by byte"


def check_facts(found: Recorded, reply: ChatReply) -> None:
    """The text, the calls, the ends and the usage are those that the recording's JSON says."""
    assert found.spoken is not None
    facts = facts_of(found.spoken.dialect, found.tree, found.chunks)
    parts = [part for choice in reply.choices for part in choice.parts]
    text = "".join(part.text for part in parts if isinstance(part, Text))
    assert text == facts.text, f"the text is {text[:99]!r}, told was {facts.text[:99]!r}"
    calls = [(part.name, arguments(part.arguments)) for part in parts if isinstance(part, ToolCall)]
    assert calls == facts.calls, f"the calls are {calls}, told were {facts.calls}"
    usage = reply.usage
    counts = (usage.input, usage.output, usage.cached) if usage is not None else (None, None, None)
    told = (facts.input, facts.output, facts.cached)
    assert counts == told, f"the usage is {counts}, told was {told}"
    for choice, word in zip(reply.choices, facts.ends, strict=False):
        wanted = _end(choice.parts, str(word).lower(), exact=found.spoken.dialect in _EXACT)
        assert choice.finish == wanted, f"{choice.finish} for {word!r}, which means {wanted}"


#: Dialects whose word for an end is always meant as it stands.
_EXACT = (ANTHROPIC, CONVERSE, COHERE)


def _end(parts: list[Part], word: str, *, exact: bool) -> str | None:
    """Why an answer ended, by the protocol's word, or by what the answer holds where the word says less."""
    if word in ("", "queued", "in_progress"):
        return None
    meant = next((finish for finish, words in _ENDS.items() if word in words), "stop")
    if meant == "stop" and not exact and any(isinstance(part, ToolCall) for part in parts):
        return "tool_calls"
    refused = meant in ("stop", "content_filter") and any(isinstance(part, Refusal) for part in parts)
    return "refusal" if refused else meant


def check_own_form(found: Recorded, reply: ChatReply) -> None:
    """Written in its own protocol and read again, a reply has the same parts and the same usage."""
    codec: Any = codec_of(found)
    again = codec.read_reply(encode(codec.write_reply(reply, ChatRequest())))
    assert isinstance(again, ChatReply), f"written again it is {again}"
    assert again.text == reply.text, "written again it has another text"
    usage = reply.usage if reply.usage is None else structs.replace(reply.usage, output=reply.usage.output or 0)
    told = again.usage if again.usage is None else structs.replace(again.usage, output=again.usage.output or 0)
    assert told == usage, f"written again it has the usage {told}, not {usage}"
    kinds = [[type(part) for part in choice.parts] for choice in reply.choices]
    assert [[type(part) for part in choice.parts] for choice in again.choices] == kinds, (
        "written again it has other parts"
    )
