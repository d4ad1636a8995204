"""One recorded exchange, examined in every way, and what it shows."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from msgspec import Struct, field

from engine.exchange import UncarriedError, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Media, Message, Thinking, ToolCall, ToolResult

from ..recordings import corpus, rows
from .fronts import check_fronts
from .judged import check_error, check_inner
from .listed import LISTED
from .replies import check_facts, check_own_form, check_splits, read
from .requests import check_elsewhere, check_request, codec_of
from .shapes import CHAT, COUNT, EMBED, SPOKEN
from .spoken import Recorded
from .vectors import check_vectors

SCENARIOS = (
    "chat",
    "stream",
    "tools",
    "parallel tools",
    "structured",
    "vision",
    "reasoning",
    "caching",
    "embeddings",
    "rerank",
    "errors",
)


class Examined(Struct):
    """What an exchange of the file ``name`` shows; ``skipped`` is why it was not examined, ``wrong`` what failed.

    ``ours`` is whether it speaks a protocol of this product and asks for something that the product translates.
    """

    name: str
    ours: bool
    scenarios: set[str] = field(default_factory=set)
    skipped: str = ""
    wrong: str = ""


def providers() -> list[str]:
    """All providers of the corpus; none where it is absent."""
    return sorted({row["provider"] for row in rows()})


def recorded(provider: str) -> Iterator[Recorded]:
    """The exchanges of a provider, of all kinds."""
    return (Recorded(exchange, provider) for exchange in corpus(provider))


@functools.cache
def examined(provider: str) -> tuple[Examined, ...]:
    """All exchanges of a provider, examined once."""
    return tuple(_tried(found) for found in recorded(provider))


def _tried(found: Recorded) -> Examined:
    try:
        return examine(found)
    except (AssertionError, ValueError, TypeError, LookupError) as problem:
        return Examined(found.name, ours=True, wrong=f"{type(problem).__name__}: {problem}"[:1000])


def examine(found: Recorded) -> Examined:
    """Check the exchange; raises ``AssertionError`` where anything is not as it was recorded."""
    shown = Examined(found.name, found.spoken is not None)
    if found.spoken is None:
        shown.skipped = found.other
        assert shown.skipped, f"nobody knows what {found.path!r} is"
        return shown
    shown.scenarios = scenarios_asked(found)
    if found.name in LISTED:
        shown.skipped = LISTED[found.name]
        return shown
    check_request(found)
    check_elsewhere(found, [name for name in SPOKEN if name != found.spoken.dialect])
    if found.status >= 300:
        check_error(found)
        shown.scenarios = {"errors"}
    elif found.spoken.kind == CHAT:
        _examine_chat(found, shown)
    elif found.spoken.kind != COUNT:
        check_vectors(found)
    return shown


def _examine_chat(found: Recorded, shown: Examined) -> None:
    reply = read(found)
    if found.streams:
        check_splits(found, reply)
    if isinstance(reply, Verdict):
        check_inner(found, reply)
        shown.scenarios = {"errors"}
        return
    check_facts(found, reply)
    check_own_form(found, reply)
    check_fronts(found, reply)
    shown.scenarios |= scenarios_answered(reply)


def scenarios_asked(found: Recorded) -> set[str]:
    """What the request, or the form of the reply, shows."""
    assert found.spoken is not None
    if found.spoken.kind != CHAT:
        return set() if found.spoken.kind == COUNT else {"embeddings" if found.spoken.kind == EMBED else "rerank"}
    shown = {"stream"} if found.streams else {"chat"}
    try:
        asked: ChatRequest = codec_of(found).read_request(found.request or {})
    except UncarriedError:
        return shown
    if asked.format is not None and asked.format.kind != "text":
        shown.add("structured")
    if any(part.kind == "image" for message in asked.messages for part in _media(message)):
        shown.add("vision")
    return shown


def _media(message: Message) -> Iterator[Media]:
    for part in message.parts:
        for inner in part.content if isinstance(part, ToolResult) else [part]:
            if isinstance(inner, Media):
                yield inner


def scenarios_answered(reply: ChatReply) -> set[str]:
    """What the reply shows."""
    shown = set()
    calls = [[part for part in choice.parts if isinstance(part, ToolCall)] for choice in reply.choices]
    if any(calls):
        shown.add("tools")
    if any(len(some) > 1 for some in calls):
        shown.add("parallel tools")
    usage = reply.usage
    thought = any(isinstance(part, Thinking) for choice in reply.choices for part in choice.parts)
    if thought or (usage is not None and usage.reasoning):
        shown.add("reasoning")
    if usage is not None and (usage.cached or usage.cache_write):
        shown.add("caching")
    return shown
