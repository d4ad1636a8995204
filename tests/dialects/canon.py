"""Canonical requests and replies at random: what every protocol can carry, for tests of round trips."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from engine.exchange.canonical import Format, Media, Message, Part, Text, Thinking, Tool, ToolCall, ToolResult

#: For properties over whole conversations, which take a while to draw.
LARGE = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

NAMES = st.from_regex(r"[a-z][a-z_]{0,7}", fullmatch=True)
IDS = st.from_regex(r"c[a-z0-9]{1,8}", fullmatch=True)
#: Text that is no JSON object, which results of tools may be read as.
WORDS = st.text(min_size=1, max_size=12).filter(lambda words: not words.startswith("{"))
NUMBERS = st.floats(0, 2, allow_nan=False).map(lambda number: round(number, 3))

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
INLINE = st.builds(
    Media,
    st.just("image"),
    st.sampled_from(["image/png", "image/jpeg"]),
    data=st.sampled_from(["aGk=", "iVBORw0KGgo="]),
)
LINKED = st.builds(Media, st.just("image"), url=st.sampled_from(["https://x.example/a.png", "https://x.example/b"]))
TEXTS = st.builds(Text, WORDS)


CALLS = st.lists(st.builds(ToolCall, IDS, NAMES, ARGUMENTS), min_size=1, max_size=3, unique_by=lambda call: call.id)


@st.composite
def answers(draw: st.DrawFn, thoughts: st.SearchStrategy[Thinking]) -> list[Part]:
    """The parts of an answer: perhaps a thought, then a text, calls, or both."""
    parts: list[Part] = draw(st.lists(thoughts, max_size=1))
    kind = draw(st.sampled_from(["text", "calls", "both"]))
    if kind != "calls":
        parts.append(draw(TEXTS))
    if kind != "text":
        parts.extend(draw(CALLS))
    return parts


@st.composite
def conversations(
    draw: st.DrawFn,
    media: st.SearchStrategy[Media],
    thoughts: st.SearchStrategy[Thinking],
    *,
    results_apart: bool,
    texts_apart: bool = True,
) -> list[Message]:
    """Instructions, then turns with results for all calls.

    ``results_apart`` is whether each result is a message of its own; ``texts_apart`` whether a message may hold several
    texts.
    """
    messages = [Message("system", [draw(TEXTS)])] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        said: list[Part] = draw(st.lists(TEXTS, min_size=1, max_size=2 if texts_apart else 1))
        messages.append(Message("user", [*said, *draw(st.lists(media, max_size=2))]))
        answer = draw(answers(thoughts))
        messages.append(Message("assistant", answer))
        called = [part for part in answer if isinstance(part, ToolCall)]
        results = [ToolResult(call.id, [draw(TEXTS)], call.name) for call in called]
        if results_apart:
            messages.extend(Message("tool", [result]) for result in results)
        elif results:
            messages.append(Message("tool", [*results]))
    return messages
