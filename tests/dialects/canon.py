"""Canonical values at random: what every protocol can carry, what some carry beyond it, and what none has to expect."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec import structs

from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Citation,
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

#: For properties over whole conversations, which take a while to draw.
LARGE = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

NAMES = st.from_regex(r"[a-z][a-z_]{0,7}", fullmatch=True)
TEXT = st.text(min_size=1, max_size=12)
#: Text that is no JSON object, which results of tools may be read as.
WORDS = TEXT.filter(lambda words: not words.startswith("{"))
#: Text of which every letter shows: some protocols leave out what is blank.
VISIBLE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12)
FLAGS = st.booleans()
COUNTS = st.integers(0, 1 << 40)
RATIOS = st.floats(0, 2, allow_nan=False)
NUMBERS = RATIOS.map(lambda number: round(number, 3))
MARKS = st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])

_LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
_TREES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2), max_leaves=4
)
OBJECTS = st.dictionaries(NAMES, _TREES, max_size=3)
ARGUMENTS = OBJECTS.map(lambda value: msgspec.json.encode(value).decode())
SCHEMAS = st.dictionaries(NAMES, st.just({"type": "string"}), max_size=2).map(
    lambda properties: {"type": "object", "properties": properties, "additionalProperties": False}
)
TOOLS = st.lists(
    st.builds(Tool, NAMES, st.none() | st.text(max_size=9), SCHEMAS), max_size=3, unique_by=lambda tool: tool.name
)
FORMATS = st.just(Format("json")) | st.builds(Format, st.just("schema"), schema=SCHEMAS)

TEXTS = st.builds(Text, WORDS)
DATA = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(data).decode())
URLS = NAMES.map("https://example.com/{}".format)
INLINE = st.builds(Media, st.just("image"), st.sampled_from(["image/png", "image/jpeg"]), data=DATA)
LINKED = st.builds(Media, st.just("image"), url=URLS)


def calls(turn: int) -> st.SearchStrategy[ToolCall]:
    """Calls whose ids no other turn of the conversation has."""
    ids = st.integers(0, 1 << 30).map(lambda number: f"call_{turn}_{number}")
    return st.builds(ToolCall, ids, NAMES, ARGUMENTS)


CALLS = st.lists(calls(0), min_size=1, max_size=3, unique_by=lambda call: call.id)


def plain(thoughts: st.SearchStrategy[Thinking]) -> Callable[[int], st.SearchStrategy[list[Part]]]:
    """Answers in the order that all protocols have: perhaps a thought, then a text, calls, or both."""

    @st.composite
    def built(draw: st.DrawFn, turn: int) -> list[Part]:
        parts: list[Part] = draw(st.lists(thoughts, max_size=1))
        kind = draw(st.sampled_from(["text", "calls", "both"]))
        if kind != "calls":
            parts.append(draw(TEXTS))
        if kind != "text":
            parts.extend(draw(st.lists(calls(turn), min_size=1, max_size=3, unique_by=lambda call: call.id)))
        return parts

    return built


def mixed(parts: st.SearchStrategy[Part]) -> Callable[[int], st.SearchStrategy[list[Part]]]:
    """Answers in which ``parts`` and calls stand in any order."""
    return lambda turn: st.lists(parts | calls(turn), min_size=1, max_size=4, unique_by=_identity)


def _identity(part: Part) -> Any:
    return part.id if isinstance(part, ToolCall) else id(part)


def results(call: ToolCall) -> st.SearchStrategy[ToolResult]:
    """One text for each call."""
    return st.builds(ToolResult, st.just(call.id), st.lists(TEXTS, min_size=1, max_size=1), st.just(call.name))


@st.composite
def conversations(
    draw: st.DrawFn,
    asked: st.SearchStrategy[list[Part]],
    answered: Callable[[int], st.SearchStrategy[list[Part]]],
    resulting: Callable[[ToolCall], st.SearchStrategy[ToolResult]] = results,
    *,
    instructions: st.SearchStrategy[list[Part]] | None = None,
    results_apart: bool,
) -> list[Message]:
    """Instructions, then turns with results for all calls, after which the model may go on by itself.

    ``results_apart`` is whether each result is a message of its own.
    """
    system = instructions if instructions is not None else st.lists(TEXTS, min_size=1, max_size=1)
    messages = [Message("system", draw(system))] if draw(FLAGS) else []
    for turn in range(draw(st.integers(1, 3))):
        if messages[-1:] == [] or messages[-1].role != "tool" or draw(FLAGS):
            messages.append(Message("user", draw(asked)))
        said = draw(answered(turn))
        messages.append(Message("assistant", said))
        found = [draw(resulting(part)) for part in said if isinstance(part, ToolCall)]
        if results_apart:
            messages.extend(Message("tool", [one]) for one in found)
        elif found:
            messages.append(Message("tool", [*found]))
    return [*messages, Message("user", draw(asked))] if draw(FLAGS) else messages


def said_with(media: st.SearchStrategy[Media], *, texts: int = 2) -> st.SearchStrategy[list[Part]]:
    """What a user says: up to so many texts, then media."""
    both = st.tuples(st.lists(TEXTS, min_size=1, max_size=texts), st.lists(media, max_size=2))
    return both.map(lambda parts: [*parts[0], *parts[1]])


@st.composite
def usages(draw: st.DrawFn, *told: str) -> Usage:
    """Usage whose parts are no more than their wholes.

    Beside input and output the fields ``told`` are told always (``cache_write_1h``: wherever ``cache_write`` is).
    """
    into, out = draw(COUNTS), draw(COUNTS)
    cached = draw(st.integers(0, into)) if "cached" in told else draw(st.none() | st.integers(0, into))
    written = draw(st.none() | st.integers(0, into - (cached or 0)))
    usage = Usage(into, out, cached, cache_write=written)
    if "cache_write_1h" in told and written is not None:
        usage = structs.replace(usage, cache_write_1h=draw(st.integers(0, written)))
    more = {name: draw(st.integers(0, out)) for name in told if name in ("reasoning", "searches")}
    return structs.replace(usage, **more)


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
    taken: list[Event] = [pieces.pop(0) for pieces in waiting]
    while waiting := [pieces for pieces in waiting if pieces]:
        taken.append(draw(st.sampled_from(waiting)).pop(0))
    return [*before, *taken, *after]


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
    reasoning=st.none() | st.builds(Reasoning, st.none() | FLAGS, st.none() | st.sampled_from(["low", "max"])),
    extra=OBJECTS,
    origin=st.just("elsewhere"),
)

# What protocols of blocks carry: marks of the cache, thoughts that are signed, parts in any order.

MARKED = st.builds(Text, VISIBLE, cache=st.none() | MARKS)
SIGNED = st.builds(Thinking, VISIBLE, st.sampled_from(["EqoB", "c2ln+/=="])) | st.builds(Thinking, redacted=VISIBLE)


def marked_requests(
    origin: str, media: st.SearchStrategy[Media], inner: st.SearchStrategy[Text | Media], **fields: Any
) -> st.SearchStrategy[ChatRequest]:
    """Requests of a protocol; ``inner`` is what results may hold, ``fields`` are strategies for its other fields."""

    def results_of(call: ToolCall) -> st.SearchStrategy[ToolResult]:
        content, marks = st.lists(inner, max_size=2), st.none() | MARKS
        return st.builds(ToolResult, st.just(call.id), content, st.just(call.name), FLAGS, marks)

    asked = st.lists(MARKED | media, min_size=1, max_size=3)
    system = st.lists(MARKED, min_size=1, max_size=2)
    return st.builds(
        ChatRequest,
        messages=conversations(asked, mixed(MARKED | SIGNED), results_of, instructions=system, results_apart=False),
        origin=st.just(origin),
        include_usage=st.just(True),
        **fields,
    )


# What OpenAI's two protocols carry beyond the others.

IMAGES = INLINE | st.builds(Media, st.just("image"), url=URLS, detail=st.none() | st.just("low"))
FILES = st.builds(Media, st.just("file"), mime=st.just("application/pdf"), data=DATA, name=NAMES.map("{}.pdf".format))
SOUNDS = st.builds(Media, st.just("audio"), mime=st.sampled_from(["audio/wav", "audio/mpeg"]), data=DATA)

_FUNCTIONS = st.builds(Tool, NAMES, st.none() | TEXT, SCHEMAS, st.none() | FLAGS)
_CHOICES = (
    st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"]))
    | st.builds(ToolChoice, st.just("named"), NAMES)
    | st.builds(ToolChoice, st.sampled_from(["auto", "required"]), allowed=st.lists(NAMES, min_size=1, max_size=2))
)
_FORMATS = st.builds(Format, st.sampled_from(["text", "json"])) | st.builds(
    Format, st.just("schema"), NAMES, SCHEMAS, st.none() | FLAGS, st.none() | TEXT
)


def openai_requests(
    origin: str,
    media: st.SearchStrategy[Media],
    thoughts: st.SearchStrategy[Thinking],
    **fields: st.SearchStrategy[Any],
) -> st.SearchStrategy[ChatRequest]:
    """Requests of a protocol; ``fields`` are those of one value that it carries, each of them said or not."""
    return st.builds(
        ChatRequest,
        model=st.just("m"),
        messages=conversations(said_with(media), plain(thoughts), results_apart=True),
        tools=st.lists(_FUNCTIONS, max_size=2),
        tool_choice=st.none() | _CHOICES,
        format=st.none() | _FORMATS,
        stream=FLAGS,
        origin=st.just(origin),
        **{name: st.none() | strategy for name, strategy in fields.items()},
    )


@st.composite
def openai_answers(draw: st.DrawFn) -> list[Part]:
    """The parts of an answer in their usual order: a thought, perhaps signed, cited words, a refusal, calls."""
    parts: list[Part] = []
    if draw(FLAGS):
        parts.append(Thinking(draw(TEXT), signature=draw(st.none() | TEXT)))
    if draw(FLAGS):
        words = draw(TEXT)
        end = draw(st.integers(1, len(words)))
        cited = st.builds(Citation, url=URLS, title=TEXT, start=st.integers(0, end), end=st.just(end))
        parts.append(Text(words, draw(st.lists(cited, max_size=2))))
    if draw(FLAGS):
        parts.append(Refusal(draw(TEXT)))
    made = draw(st.lists(st.tuples(NAMES, ARGUMENTS), max_size=2))
    return [*parts, *(ToolCall(f"call-{place}", *call) for place, call in enumerate(made))]


def finish_of(parts: list[Part]) -> Any:
    """Why an answer of these parts ended by itself."""
    if any(isinstance(part, ToolCall) for part in parts):
        return "tool_calls"
    return "refusal" if any(isinstance(part, Refusal) for part in parts) else "stop"


def bare(value: Any, *also: str) -> Any:
    """The value as JSON, without what a protocol keeps for itself (``extra``), its origin, and the fields ``also``."""
    return _without(msgspec.to_builtins(value), {"extra", "origin", *also})


def _without(tree: Any, names: set[str]) -> Any:
    if isinstance(tree, dict):
        return {name: _without(value, names) for name, value in tree.items() if name not in names}
    return [_without(item, names) for item in tree] if isinstance(tree, list) else tree
