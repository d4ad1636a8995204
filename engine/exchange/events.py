"""The canonical form of a stream: events in order, and the two ways between a stream and a whole reply.

Pieces of one part share ``choice`` and ``block``. Readers number the blocks of a choice from 0, in the order in which
they begin; pieces of different blocks may alternate (parallel tool calls do), writers sort that out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field, structs

from .canonical import (
    ChatReply,
    Choice,
    Citation,
    Finish,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from .usage import Usage
from .wire import Verdict


class Began(Struct):
    """The stream's first facts; may come again with more of them."""

    id: str = ""
    model: str = ""
    created: int | None = None
    service_tier: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class TextPiece(Struct):
    """More text. ``citations`` belong to the block as a whole."""

    text: str = ""
    choice: int = 0
    block: int = 0
    citations: list[Citation] = field(default_factory=list)


class ThinkingPiece(Struct):
    """More thought; ``signature`` and ``redacted`` come once, whole."""

    text: str = ""
    choice: int = 0
    block: int = 0
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class RefusalPiece(Struct):
    """More of a refusal."""

    text: str
    choice: int = 0
    block: int = 0


class ToolCallPiece(Struct):
    """More of a tool call: ``id`` and ``name`` come with its first piece, ``arguments`` piece by piece."""

    choice: int = 0
    block: int = 0
    id: str = ""
    name: str = ""
    arguments: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


class WholePart(Struct):
    """A part that comes in one piece: media, or something that only one protocol knows."""

    part: Media | Opaque
    choice: int = 0
    block: int = 0


class Logprobs(Struct):
    """Log probabilities of tokens that came just before or come next, in OpenAI's shape."""

    tokens: list[dict[str, Any]]
    choice: int = 0


class Finished(Struct):
    """A choice has ended. ``extra`` is what else the protocol says of it."""

    finish: Finish
    choice: int = 0
    raw: str | None = None
    stop_sequence: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Used(Struct):
    """The usage so far; a later one replaces the fields it knows."""

    usage: Usage


class Failed(Struct):
    """The upstream says inside its stream that it failed."""

    verdict: Verdict


class Ended(Struct):
    """The end marker: the stream is complete, nothing follows."""


Event = (
    Began
    | TextPiece
    | ThinkingPiece
    | RefusalPiece
    | ToolCallPiece
    | WholePart
    | Logprobs
    | Finished
    | Used
    | Failed
    | Ended
)


def is_output(event: Event) -> bool:
    """Whether the event carries output that a client could show or act on: the commit point of a stream."""
    if isinstance(event, TextPiece | RefusalPiece):
        return bool(event.text)
    if isinstance(event, ThinkingPiece):
        return bool(event.text or event.redacted)
    return isinstance(event, ToolCallPiece | WholePart)


class Accumulator:
    """Adds events up to the whole reply that they stream."""

    def __init__(self, origin: str = "") -> None:
        self.failure: Verdict | None = None
        self.ended = False
        self._reply = ChatReply(origin=origin)
        self._choices: dict[int, Choice] = {}
        self._parts: dict[tuple[int, int], Part] = {}
        self._arguments: dict[tuple[int, int], list[str]] = {}

    def add(self, event: Event) -> None:
        """Take one event in."""
        if isinstance(event, TextPiece | ThinkingPiece | RefusalPiece | ToolCallPiece | WholePart):
            self._piece(event)
        elif isinstance(event, Began):
            self._begin(event)
        elif isinstance(event, Used):
            self._reply.usage = merged(self._reply.usage, event.usage)
        elif isinstance(event, Logprobs):
            choice = self._choice(event.choice)
            choice.logprobs = [*(choice.logprobs or ()), *event.tokens]
        elif isinstance(event, Finished):
            choice = self._choice(event.choice)
            choice.finish, choice.finish_raw = event.finish, event.raw
            choice.stop_sequence = event.stop_sequence
            choice.extra.update(event.extra)
        elif isinstance(event, Failed):
            self.failure = event.verdict
        else:
            self.ended = True

    def reply(self) -> ChatReply:
        """What the events so far amount to."""
        for place, pieces in self._arguments.items():
            part = self._parts[place]
            if isinstance(part, ToolCall):
                part.arguments = "".join(pieces) or "{}"
        for index in sorted(self._choices):
            self._choices[index].parts = [self._parts[place] for place in sorted(self._parts) if place[0] == index]
        self._reply.choices = [self._choices[index] for index in sorted(self._choices)]
        return self._reply

    def _begin(self, event: Began) -> None:
        reply = self._reply
        reply.id = event.id or reply.id
        reply.model = event.model or reply.model
        reply.created = event.created if event.created is not None else reply.created
        reply.service_tier = event.service_tier or reply.service_tier
        reply.extra.update(event.extra)

    def _choice(self, index: int) -> Choice:
        found = self._choices.get(index)
        if found is None:
            found = self._choices[index] = Choice()
        return found

    def _piece(self, event: TextPiece | ThinkingPiece | RefusalPiece | ToolCallPiece | WholePart) -> None:
        self._choice(event.choice)
        place = (event.choice, event.block)
        part = self._parts.get(place)
        if isinstance(event, WholePart):
            self._parts[place] = event.part
        elif isinstance(event, TextPiece):
            if not isinstance(part, Text):
                part = self._parts[place] = Text("")
            part.text += event.text
            part.citations.extend(event.citations)
        elif isinstance(event, RefusalPiece):
            if not isinstance(part, Refusal):
                part = self._parts[place] = Refusal("")
            part.text += event.text
        elif isinstance(event, ThinkingPiece):
            self._thought(place, part, event)
        else:
            if not isinstance(part, ToolCall):
                part = self._parts[place] = ToolCall("", "")
            part.id = event.id or part.id
            part.name = event.name or part.name
            part.extra.update(event.extra)
            self._arguments.setdefault(place, []).append(event.arguments)

    def _thought(self, place: tuple[int, int], part: Part | None, event: ThinkingPiece) -> None:
        if not isinstance(part, Thinking):
            part = self._parts[place] = Thinking()
        part.text += event.text
        part.signature = event.signature if event.signature is not None else part.signature
        part.redacted = event.redacted if event.redacted is not None else part.redacted
        part.id = event.id if event.id is not None else part.id
        part.extra.update(event.extra)


def merged(old: Usage | None, new: Usage) -> Usage:
    """``new`` over ``old``: what it does not know stays."""
    if old is None:
        return new
    known = {name: value for name, value in structs.asdict(new).items() if value is not None}
    return structs.replace(old, **known)


def events_of(reply: ChatReply) -> Iterator[Event]:
    """The events that stream a whole reply, one piece a part: for a client that streams from what does not."""
    yield Began(reply.id, reply.model, reply.created, reply.service_tier, reply.extra)
    for index, choice in enumerate(reply.choices):
        if choice.logprobs is not None:
            yield Logprobs(choice.logprobs, index)
        for block, part in enumerate(choice.parts):
            yield _piece_of(part, index, block)
        if choice.finish is not None:
            yield Finished(choice.finish, index, choice.finish_raw, choice.stop_sequence, choice.extra)
    if reply.usage is not None:
        yield Used(reply.usage)
    yield Ended()


def _piece_of(part: Part, choice: int, block: int) -> Event:
    if isinstance(part, Text):
        return TextPiece(part.text, choice, block, part.citations)
    if isinstance(part, Thinking):
        return ThinkingPiece(part.text, choice, block, part.signature, part.redacted, part.id, part.extra)
    if isinstance(part, Refusal):
        return RefusalPiece(part.text, choice, block)
    if isinstance(part, ToolCall):
        return ToolCallPiece(choice, block, part.id, part.name, part.arguments, part.extra)
    if isinstance(part, Media | Opaque):
        return WholePart(part, choice, block)
    raise TypeError(f"a {type(part).__name__} is no part of a reply")
