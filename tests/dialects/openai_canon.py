"""Canonical requests and replies at random, with what OpenAI's two protocols can carry beyond the others."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from hypothesis import strategies as st

from engine.exchange import Usage
from engine.exchange.canonical import (
    ChatRequest,
    Citation,
    Format,
    Media,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
)

from .canon import ARGUMENTS, NAMES, SCHEMAS, conversations

WORDS = st.text(min_size=1, max_size=12)
FLAGS = st.booleans()
COUNTS = st.integers(0, 1 << 40)
RATIOS = st.floats(0, 2, allow_nan=False)
BASE64 = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(data).decode())
URLS = NAMES.map("https://example.com/{}".format)

IMAGES = st.builds(Media, st.just("image"), mime=st.just("image/png"), data=BASE64) | st.builds(
    Media, st.just("image"), url=URLS, detail=st.none() | st.just("low")
)
FILES = st.builds(Media, st.just("file"), mime=st.just("application/pdf"), data=BASE64, name=NAMES.map("{}.pdf".format))
SOUNDS = st.builds(Media, st.just("audio"), mime=st.sampled_from(["audio/wav", "audio/mpeg"]), data=BASE64)

FUNCTIONS = st.builds(Tool, NAMES, st.none() | WORDS, SCHEMAS, st.none() | FLAGS)
CHOICES = (
    st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"]))
    | st.builds(ToolChoice, st.just("named"), NAMES)
    | st.builds(ToolChoice, st.sampled_from(["auto", "required"]), allowed=st.lists(NAMES, min_size=1, max_size=2))
)
FORMATS = st.builds(Format, st.sampled_from(["text", "json"])) | st.builds(
    Format, st.just("schema"), NAMES, SCHEMAS, st.none() | FLAGS, st.none() | WORDS
)


def requests(
    origin: str,
    media: st.SearchStrategy[Media],
    thoughts: st.SearchStrategy[Thinking],
    **fields: st.SearchStrategy[Any],
) -> st.SearchStrategy[ChatRequest]:
    """Requests of a protocol; ``fields`` are those of one value that it carries, each of them said or not."""
    return st.builds(
        ChatRequest,
        model=st.just("m"),
        messages=conversations(media, thoughts, results_apart=True),
        tools=st.lists(FUNCTIONS, max_size=2),
        tool_choice=st.none() | CHOICES,
        format=st.none() | FORMATS,
        stream=FLAGS,
        origin=st.just(origin),
        **{name: st.none() | strategy for name, strategy in fields.items()},
    )


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Usage whose parts are no more than their wholes."""
    into, out = draw(COUNTS), draw(COUNTS)
    cached = draw(st.integers(0, into))
    return Usage(
        input=into,
        output=out,
        cached=cached,
        reasoning=draw(st.integers(0, out)),
        cache_write=draw(st.none() | st.integers(0, into - cached)),
    )


@st.composite
def answers(draw: st.DrawFn) -> list[Part]:
    """The parts of an answer in their usual order: a thought, perhaps signed, cited words, a refusal, calls."""
    parts: list[Part] = []
    if draw(FLAGS):
        parts.append(Thinking(draw(WORDS), signature=draw(st.none() | WORDS)))
    if draw(FLAGS):
        words = draw(WORDS)
        end = draw(st.integers(1, len(words)))
        cited = st.builds(Citation, url=URLS, title=WORDS, start=st.integers(0, end), end=st.just(end))
        parts.append(Text(words, draw(st.lists(cited, max_size=2))))
    if draw(FLAGS):
        parts.append(Refusal(draw(WORDS)))
    calls = draw(st.lists(st.tuples(NAMES, ARGUMENTS), max_size=2))
    return [*parts, *(ToolCall(f"call-{place}", *call) for place, call in enumerate(calls))]


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
