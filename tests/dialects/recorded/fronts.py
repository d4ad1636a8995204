"""What a client of each protocol sees of an answer: the answer itself, or as near to it as the protocol comes."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from engine.dialects.link import Link, link
from engine.dialects.registry import dialects
from engine.exchange import Call, OutcomeClass, Verdict
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Media,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    carries_output,
)

from ..play import added, events, pieces
from .facts import arguments
from .replies import cuts_of, kept_alive
from .shapes import ANTHROPIC, CHAT, FRONTS, OPENAI, RESPONSES
from .spoken import Recorded


class Seen:
    """What a client acts on: texts, calls, thoughts, why it ended, and what it cost."""

    def __init__(self, reply: ChatReply) -> None:
        parts = (reply.choices[0] if reply.choices else Choice()).parts
        self.text = "".join(part.text for part in parts if isinstance(part, Text))
        self.spoken = "".join(part.text or "" for part in parts if isinstance(part, Media))
        self.refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
        self.thoughts = "".join(part.text for part in parts if isinstance(part, Thinking))
        calls = [part for part in parts if isinstance(part, ToolCall)]
        self.calls = [(call.id, call.name, arguments(call.arguments)) for call in calls]
        self.finish = reply.choices[0].finish if reply.choices else None
        usage = reply.usage
        self.usage = None if usage is None else (usage.input, usage.output, usage.cached, usage.reasoning)

    def by(self, front: str) -> Seen:
        """The same, as far as the protocol ``front`` can say it."""
        seen = Seen(ChatReply())
        vars(seen).update(vars(self))
        if self.finish in (
            None,
            "stop",
            "error",
            "pause",
            "tool_calls",
        ):  # what it holds tells clients more than such words
            seen.finish = "tool_calls" if self.calls else "stop"
        if front == RESPONSES:  # sounds are told in words
            seen.text += self.spoken
        if front != OPENAI:
            seen.spoken = ""
        if front == ANTHROPIC:
            self._as_anthropic(seen)
        if front == RESPONSES:
            # All four counts have to be there.
            seen.usage = None if self.usage is None else tuple(count or 0 for count in self.usage)  # type: ignore[assignment]
        return seen

    def _as_anthropic(self, seen: Seen) -> None:
        """Refusals are texts, inputs of calls are objects, and both counts have to be there."""
        seen.text, seen.refusal = seen.text + self.refusal, ""
        seen.calls = [(id_, name, _object(value)) for id_, name, value in self.calls]
        seen.finish = "refusal" if seen.finish == "content_filter" else seen.finish
        into, out, cached, reasoning = self.usage or (0, 0, None, None)
        seen.usage = (into or 0, out or 0, cached, reasoning)


def _object(value: Any) -> Any:
    return value if isinstance(value, dict) else {"arguments": value} if value else {}


def check_fronts(found: Recorded, reply: ChatReply) -> None:
    """A client of every protocol gets the answer: streamed if it came so, a whole one also as the stream asked for."""
    assert found.spoken is not None
    for front in FRONTS:
        way = link(front, found.spoken.dialect, CHAT)
        assert way is not None
        for way_through in (_streamed,) if found.streams else (_whole, _replayed):
            got = way_through(way, found, front)
            if isinstance(got, Verdict):
                _nothing_to_see(reply, got)
                continue
            mine, theirs = vars(Seen(reply).by(front)), vars(Seen(got).by(front))
            wrong = [name for name in mine if mine[name] != theirs[name]]
            assert not wrong, f"{front}: {wrong[0]} is {theirs[wrong[0]]!r}, told was {mine[wrong[0]]!r}"


def _call(front: str, *, stream: bool) -> Call:
    body = {"model": Raw(b'"m"'), "stream": Raw(b"true" if stream else b"false")}
    call = Call("request-1", CHAT, "/x", "m", front=front, stream=stream, body=body, wants_usage=True)
    call.canonical = ChatRequest(model="m", stream=stream, include_usage=True)
    return call


def _whole(way: Link, found: Recorded, front: str) -> ChatReply | Verdict:
    verdict, body = way.decode(_call(front, stream=False), found.exchange.header, found.body)
    if verdict.outcome_class is not OutcomeClass.SERVED:
        return verdict
    chat = dialects()[front].chat
    assert chat is not None
    return chat.read_reply(body)


def _streamed(way: Link, found: Recorded, front: str) -> ChatReply | Verdict:
    decoder = way.stream(_call(front, stream=True), found.exchange.header)
    told = b"".join(map(decoder.feed, pieces(kept_alive(found.body), cuts_of(found))))
    tail, wrong = decoder.finish()
    return wrong if wrong is not None else _read(front, told + tail)


def _replayed(way: Link, found: Recorded, front: str) -> ChatReply | Verdict:
    verdict, told = way.replay(_call(front, stream=True), found.exchange.header, found.body)
    return _read(front, told) if verdict.outcome_class is OutcomeClass.SERVED else verdict


def _read(front: str, told: bytes) -> ChatReply:
    """The stream as a client reads it."""
    chat = dialects()[front].chat
    assert chat is not None
    sum_ = added(events(chat, [told]), front)
    assert sum_.failure is None, f"{front}: {sum_.failure}"
    assert sum_.ended, f"{front}: the stream has no end"
    return sum_.reply()


def _nothing_to_see(reply: ChatReply, got: Verdict) -> None:
    """Only an answer without any output is none: it was filtered, or it is broken."""
    assert not any(carries_output(part) for choice in reply.choices for part in choice.parts), got
    filtered = any(choice.finish in ("content_filter", "refusal") for choice in reply.choices)
    assert got.outcome_class is (OutcomeClass.CONTENT_REFUSED if filtered else OutcomeClass.GARBLED), got
