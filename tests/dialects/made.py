"""Canonical values to send through a codec and back: requests and replies, of all kinds of parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st

from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Format,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from engine.exchange.events import Event, ToolCallPiece, events_of
from engine.exchange.usage import Usage

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12)
NAMES = st.text("abcxyz_", min_size=1, max_size=6)
OBJECTS = st.dictionaries(
    NAMES, st.integers(-9, 9) | WORDS | st.none() | st.lists(st.booleans(), max_size=2), max_size=3
)
SCHEMAS = st.fixed_dictionaries({"type": st.just("object")}, optional={"title": WORDS})
DATA = st.sampled_from(["AAAA", "/9j/4AAQ", "SGk="])
SIGNATURES = st.sampled_from(["EqoB", "c2ln+/=="])
MARKS = st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])

texts = st.builds(Text, WORDS, cache=st.none() | MARKS)
thoughts = st.builds(Thinking, WORDS, SIGNATURES) | st.builds(Thinking, redacted=WORDS)


def calls(first: int) -> st.SearchStrategy[ToolCall]:
    """Calls whose ids no other part of the conversation has, if ``first`` differs."""
    ids = st.integers(0, 1 << 30).map(lambda number: f"call_{first}_{number}")
    arguments = OBJECTS.map(lambda value: msgspec.json.encode(value).decode())
    return st.builds(ToolCall, ids, NAMES, arguments)


@st.composite
def requests(
    draw: st.DrawFn, origin: str, media: st.SearchStrategy[Media], inner: st.SearchStrategy[Text | Media], **fields: Any
) -> ChatRequest:
    """A conversation in which the sides take turns; results name the functions they come from.

    ``inner`` is what results may hold, ``fields`` are strategies for the request's other fields.
    """
    messages = [Message("system", draw(st.lists(texts, min_size=1, max_size=2)))] if draw(st.booleans()) else []
    asked = st.lists(texts | media, min_size=1, max_size=3)
    messages.append(Message("user", draw(asked)))
    for turn in range(draw(st.integers(0, 2))):
        said = draw(st.lists(texts | thoughts | calls(turn), min_size=1, max_size=4, unique_by=_identity))
        messages.append(Message("assistant", said))
        called = [part for part in said if isinstance(part, ToolCall)]
        content = st.lists(inner, max_size=2)
        results: list[Part] = [
            ToolResult(call.id, draw(content), call.name, draw(st.booleans()), draw(st.none() | MARKS))
            for call in called
        ]
        if results:
            messages.append(Message("tool", results))
        if not results or draw(st.booleans()):
            messages.append(Message("user", draw(asked)))
    request = ChatRequest(messages=messages, origin=origin, include_usage=True)
    for name, values in fields.items():
        setattr(request, name, draw(values))
    return request


def _identity(part: Part) -> Any:
    return part.id if isinstance(part, ToolCall) else id(part)


def usages(*more: str) -> st.SearchStrategy[Usage]:
    """Usage whose parts are no more than their wholes; ``more`` are further fields that the protocol has."""
    small = st.integers(0, 50)

    def whole(fresh: int, output: int, cached: int | None, written: tuple[int, int] | None, other: int) -> Usage:
        total = fresh + (cached or 0) + (sum(written) if written else 0)
        usage = Usage(total, output, cached, cache_write=sum(written) if written else None)
        if written:
            usage = msgspec.structs.replace(usage, cache_write_1h=written[1])
        return msgspec.structs.replace(usage, **dict.fromkeys(more, min(other, output)))

    return st.builds(whole, small, small, st.none() | small, st.none() | st.tuples(small, small), small)


@st.composite
def replies(
    draw: st.DrawFn,
    origin: str,
    finishes: dict[str, Any],
    parts: st.SearchStrategy[Part],
    usage: st.SearchStrategy[Usage],
) -> ChatReply:
    """An answer; ``finishes`` are the protocol's words for why it ended with their canonical form."""
    said = draw(st.lists(parts, min_size=1, max_size=5, unique_by=_identity))
    called = any(isinstance(part, ToolCall) for part in said)
    words = [word for word in finishes if (finishes[word] == "tool_calls") == called]
    raw = draw(st.sampled_from(words))
    return ChatReply(choices=[Choice(said, finishes[raw], raw)], usage=draw(usage), origin=origin)


@st.composite
def turn_taking(draw: st.DrawFn, reply: ChatReply) -> list[Event]:
    """The reply as events in which the pieces of tool calls take turns, each call beginning in its order."""
    before: list[Event] = []
    after: list[Event] = []
    waiting: list[list[ToolCallPiece]] = []
    for event in events_of(reply):
        if not isinstance(event, ToolCallPiece):
            (after if waiting else before).append(event)
            continue
        cut = draw(st.integers(0, len(event.arguments)))
        names = ToolCallPiece(0, event.block, event.id, event.name)
        halves = (event.arguments[:cut], event.arguments[cut:])
        waiting.append([names, *(ToolCallPiece(0, event.block, arguments=half) for half in halves)])
    mixed: list[Event] = [pieces.pop(0) for pieces in waiting]
    while waiting := [pieces for pieces in waiting if pieces]:
        mixed.append(draw(st.sampled_from(waiting)).pop(0))
    return [*before, *mixed, *after]


#: Requests of any protocol's clients, good or bad.
ANY_PART: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, st.text(max_size=3)),
    st.builds(Thinking, st.text(max_size=3), st.none() | st.text(max_size=3)),
    st.builds(ToolCall, st.text(max_size=3), st.text(max_size=3), st.text(max_size=4)),
    st.builds(ToolResult, st.text(max_size=3), st.lists(st.builds(Text, st.text(max_size=3)), max_size=2)),
    st.builds(Refusal, st.text(max_size=3)),
    st.builds(Opaque, st.just("elsewhere"), OBJECTS),
    st.builds(Media, st.sampled_from(["image", "file"]), st.none() | st.just("text/plain"), st.none() | DATA),
)
ANY_MESSAGE = st.builds(
    Message, st.sampled_from(["system", "developer", "user", "assistant", "tool"]), st.lists(ANY_PART, max_size=3)
)
ANY_REQUEST: st.SearchStrategy[ChatRequest] = st.builds(
    ChatRequest,
    messages=st.lists(ANY_MESSAGE, max_size=5),
    tools=st.lists(st.builds(Tool, NAMES, st.none() | st.text(max_size=3), st.none() | SCHEMAS), max_size=2),
    tool_choice=st.none() | st.builds(ToolChoice, st.sampled_from(["auto", "none", "required", "named"]), NAMES),
    max_tokens=st.none() | st.integers(1, 9000),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    format=st.none() | st.builds(Format, st.sampled_from(["text", "json", "schema"]), schema=SCHEMAS),
    reasoning=st.none() | st.builds(Reasoning, st.none() | st.booleans(), st.none() | st.sampled_from(["low", "max"])),
    extra=OBJECTS,
    origin=st.just("elsewhere"),
)

Check = Callable[[ChatRequest], None]
