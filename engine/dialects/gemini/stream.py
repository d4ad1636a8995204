"""Streams: whole chunks as server-sent events, or as one JSON array where a path leaves ``alt=sse`` out.

There is no end marker: a stream ends with the connection, after a reason to finish.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from engine.dialects.call_ids import CallIds, prefix_of
from engine.dialects.sse import Splitter, payloads
from engine.dialects.trees import count, items, json_text, json_tree, mappings, text
from engine.exchange.canonical import Citation, Media, Opaque, Part, Text, Thinking, ToolCall, carries_output
from engine.exchange.events import (
    Began,
    Ended,
    Event,
    Failed,
    Finished,
    Logprobs,
    TextPiece,
    ThinkingPiece,
    ToolCallPiece,
    Used,
    WholePart,
)

from . import partial
from .citations import read_citations
from .errors import error_in, verdict_of
from .json_array import Objects
from .names import ORIGIN, fields
from .parts import read_part
from .reply import SDK_ONLY, broken, created, finish_name, finish_of, read_logprobs, refused
from .request import tier_name
from .usage import read_usage

_CHUNK = SDK_ONLY | {
    "candidates",
    "promptFeedback",
    "usageMetadata",
    "modelVersion",
    "responseId",
    "createTime",
}
_CANDIDATE = frozenset({"content", "finishReason", "index", "logprobsResult"})


class Reader:
    """See :class:`engine.dialects.protocol.EventReader`."""

    def __init__(self) -> None:
        self._head = b""
        self._events: Splitter | None = None
        self._objects: Objects | None = None
        self._ids = CallIds(ORIGIN)
        self._began: Began | None = None
        self._usage: Any = None
        self._answers: dict[int, Answer] = {}
        self._finished = False

    def feed(self, data: bytes) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        if self._events is None and self._objects is None:
            self._head = data = (self._head + data).lstrip()
            if not data:
                return []
            if data[:1] in b"[{":
                self._objects = Objects()
            else:
                self._events = Splitter()
            self._head = b""
        if self._objects is not None:
            return [event for found in self._objects.feed(data) for event in self._read(found)]
        return self._frames(self._events.feed(data)) if self._events is not None else []

    def finish(self) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`; a close after a reason to finish is the end."""
        events = self._frames(self._events.flush()) if self._events is not None else []
        if self._objects is not None and self._objects.open:
            raise ValueError("the stream closed in the middle of a chunk")
        for index, answer in self._answers.items():
            events.extend(answer.late(index))
        if self._finished:
            events.append(Ended())
        return events

    def _frames(self, block: bytes) -> list[Event]:
        return [event for data in payloads(block) for event in self._read(data)]

    def _read(self, data: bytes) -> Iterator[Event]:
        raw = json_tree(data)
        error = error_in(raw)
        if error is not None:
            yield Failed(verdict_of(error, 200))
            return
        if not isinstance(raw, dict):
            raise ValueError("a chunk of the stream is no JSON object")
        yield from self.chunk(fields(raw))

    def chunk(self, tree: dict[str, Any]) -> Iterator[Event]:
        """The events in one chunk, whose names are in ``camelCase``."""
        yield from self._begin(tree)
        candidates = mappings(tree.get("candidates"))
        refusal = None if candidates else refused(tree)
        if refusal is not None:
            yield Failed(refusal)
            return
        for raw in candidates:
            candidate = fields(raw)
            index = count(candidate.get("index")) or 0
            answer = self._answers.setdefault(index, Answer())
            for part in items(fields(candidate.get("content")).get("parts")):
                yield from answer.part(part, index, self._ids)
            tokens = read_logprobs(candidate.get("logprobsResult"))
            if tokens:
                yield Logprobs(tokens, index)
            answer.note(candidate)
            name = finish_name(candidate.get("finishReason"))
            finish = finish_of(name, answer.called)
            if finish == "error" and not answer.told:
                yield Failed(broken(candidate, read_usage(tree.get("usageMetadata"))))
                return
            if finish is not None:
                yield from answer.late(index)
                self._finished = True
                yield Finished(finish, index, name, extra=answer.extra)
        raw_usage = tree.get("usageMetadata")
        if raw_usage is not None and raw_usage != self._usage:
            self._usage = raw_usage
            usage = read_usage(raw_usage)
            if usage is not None:
                yield Used(usage)

    def _begin(self, tree: dict[str, Any]) -> Iterator[Event]:
        extra = {name: value for name, value in tree.items() if name not in _CHUNK}
        tier = tier_name(fields(tree.get("usageMetadata")).get("serviceTier"))
        found = Began(text(tree.get("responseId")), text(tree.get("modelVersion")), created(tree), tier, extra)
        if self._began is None:
            self._ids.prefix = prefix_of(ORIGIN, found.id)
        if found != self._began:
            self._began = found
            yield found


class Call(Struct):
    """A call whose arguments come in pieces."""

    block: int
    arguments: dict[str, Any] = field(default_factory=dict)


class Answer(Struct):
    """One candidate so far: its open block, the text for its citations, and what it says beside its content."""

    blocks: int = 0
    kind: str = ""
    signed: bool = False
    told: bool = False
    called: bool = False
    call: Call | None = None
    written: dict[int, list[str]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    cites: bool = False

    def part(self, raw: Any, choice: int, ids: CallIds) -> Iterator[Event]:
        """The events of one part."""
        part = fields(raw)
        call = fields(part.get("functionCall"))
        if "functionCall" in part and (self.call is not None or "willContinue" in call or "partialArgs" in call):
            yield from self._partial(part, call, choice, ids)
            return
        found: list[Part] = []
        read_part(raw, found, ids)
        if len(found) == 2 and isinstance(found[1], Text) and self.kind == "text":
            # A signed piece of a text that has begun: the signature waits until the piece is told.
            found.reverse()
        for item in found:
            self.told = self.told or carries_output(item)
            yield from self._item(item, choice)

    def _item(self, part: Part, choice: int) -> Iterator[Event]:
        if isinstance(part, Text):
            if part.text:
                block = self._block("text")
                self.written.setdefault(block, []).append(part.text)
                yield TextPiece(part.text, choice, block)
        elif isinstance(part, Thinking):
            block = self._thinking()
            self.signed = part.signature is not None
            yield ThinkingPiece(part.text, choice, block, part.signature, extra=part.extra)
        elif isinstance(part, ToolCall):
            self.called = True
            yield ToolCallPiece(choice, self._block(""), part.id, part.name, part.arguments, part.extra)
        elif isinstance(part, Media | Opaque):
            yield WholePart(part, choice, self._block(""))

    def _block(self, kind: str) -> int:
        """The block for a piece of this kind: the open one if it is of the same; kinds without a name never are."""
        if not kind or kind != self.kind:
            self.blocks += 1
            self.kind = kind
        return self.blocks - 1

    def _thinking(self) -> int:
        if self.signed:
            self.kind = ""
        return self._block("thinking")

    def _partial(self, part: dict[str, Any], call: dict[str, Any], choice: int, ids: CallIds) -> Iterator[Event]:
        name = text(call.get("name"))
        if name:
            yield from self._close(choice)
            signature = part.get("thoughtSignature")
            if isinstance(signature, str) and signature:
                found: list[Part] = []
                read_part({"text": "", "thoughtSignature": signature}, found, ids)
                yield from self._item(found[0], choice)
            self.called = self.told = True
            self.call = Call(self._block(""))
            yield ToolCallPiece(choice, self.call.block, ids.call(text(call.get("id")), name), name)
        if self.call is None:
            return
        if isinstance(call.get("args"), dict):
            self.call.arguments.update(call["args"])
        partial.apply(self.call.arguments, call.get("partialArgs"))
        if call.get("willContinue") is not True:
            yield from self._close(choice)

    def _close(self, choice: int) -> Iterator[Event]:
        if self.call is not None:
            yield ToolCallPiece(choice, self.call.block, arguments=json_text(self.call.arguments))
            self.call = None

    def note(self, candidate: dict[str, Any]) -> None:
        """Keep what a chunk says beside its content; later chunks say more, or the same anew."""
        for name, value in candidate.items():
            if name in _CANDIDATE:
                continue
            present = self.extra.get(name)
            both = isinstance(present, dict) and isinstance(value, dict)
            self.extra[name] = {**present, **value} if both else value  # type: ignore[dict-item]
            self.cites = self.cites or name in ("groundingMetadata", "citationMetadata")

    def late(self, choice: int) -> Iterator[Event]:
        """What must wait for the whole text: its citations."""
        yield from self._close(choice)
        if not self.cites:
            return
        self.cites = False
        blocks = dict(enumerate(sorted(self.written)))
        texts = {at: Text("".join(self.written[block])) for at, block in blocks.items()}
        by_block: dict[int, list[Citation]] = {}
        for owner, citation in read_citations(self.extra, texts):
            at = next(at for at, content in texts.items() if content is owner)
            by_block.setdefault(blocks[at], []).append(citation)
        for block, citations in by_block.items():
            yield TextPiece("", choice, block, citations)
