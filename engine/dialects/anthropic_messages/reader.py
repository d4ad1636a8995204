"""Reading a stream: from server-sent events to canonical ones."""

from __future__ import annotations

from typing import Any

from engine.dialects.splice import json_object
from engine.dialects.sse import Splitter, payload
from engine.dialects.trees import json_text, json_tree, mapping, mappings, others, text
from engine.exchange import OutcomeClass, Verdict
from engine.exchange.canonical import Opaque, Text, Thinking, ToolCall
from engine.exchange.events import (
    Began,
    Ended,
    Event,
    Failed,
    Finished,
    TextPiece,
    ThinkingPiece,
    ToolCallPiece,
    Used,
    WholePart,
)

from .citations import read_citation
from .content import NAME, read_block
from .errors import inner_error, is_error
from .reply import FINISHES, KNOWN, read_tier
from .usage import read_usage, unread


class _Block:
    """An open block: its place among the blocks of the answer, and what is known of it."""

    __slots__ = ("arguments", "given", "kind", "place", "value")

    def __init__(self, place: int, kind: str, value: dict[str, Any], given: object) -> None:
        self.place = place
        self.kind = kind
        self.value = value
        self.given = given
        """Arguments that stood in the block's beginning: they count where no pieces follow."""
        self.arguments = ""
        """Arguments so far: of tool calls only whether there were any."""


class Reader:
    """Reads one stream. Blocks are numbered in the order in which they begin, whatever their index on the wire."""

    __slots__ = ("_blocks", "_ended", "_id", "_open", "_splitter", "_started", "_usage")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._open: dict[int, _Block] = {}
        self._blocks = 0
        self._usage: dict[str, Any] = {}
        self._started = self._ended = False
        self._id = ""

    def feed(self, data: bytes) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return self._events(self._splitter.feed(data))

    def finish(self) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return self._events(self._splitter.flush())

    def _events(self, block: bytes) -> list[Event]:
        found: list[Event] = []
        for event in block.split(b"\n\n") if block else ():
            data = payload(event)
            if data:
                found += self.frame("error" if event.lstrip(b"\n").startswith(_ERROR) else "", data)
        return found

    def frame(self, name: str, data: bytes) -> list[Event]:
        """See :class:`engine.dialects.splice.FrameReader`. What an event is stands in its data."""
        if self._ended or data == b"[DONE]":  # other protocols' end marker, which some services add
            return []
        tree = json_object(data)
        kind = tree.get("type")
        if kind == "content_block_delta":
            return self._delta(tree)
        if kind == "content_block_start":
            return self._begin_block(tree)
        if kind == "content_block_stop":
            return self._end_block(tree)
        if kind == "message_start":
            return self._begin(tree)
        if kind == "message_delta":
            return self._end(tree)
        if kind == "message_stop":
            self._ended = True
            return [Ended()]
        if name == "error" or is_error(tree):
            return [Failed(inner_error(tree))]
        return []

    def _begin(self, tree: dict[str, Any]) -> list[Event]:
        message = mapping(tree.get("message"))
        began = Began(text(message.get("id")), text(message.get("model")))
        if self._started:
            if began.id == self._id:
                return []
            # Some intermediary lost its upstream and tried again: two answers in one stream are none.
            detail = f"the stream began another message ({began.id}) before the first had ended"
            return [Failed(Verdict(OutcomeClass.GARBLED, detail=detail))]
        self._started, self._id = True, began.id
        began.extra = others(message, KNOWN)
        usage = message.get("usage")
        if isinstance(usage, dict):
            began.service_tier = read_tier(usage.get("service_tier"))
        return [began, *self._used(usage), *self._begun_with(message)]

    def _begun_with(self, message: dict[str, Any]) -> list[Event]:
        """What the message holds from its beginning, and its end: calls by a program that the service runs come so."""
        found: list[Event] = []
        for value in mappings(message.get("content")):
            whole = {"index": _WHOLE, "content_block": value}
            found += [*self._begin_block(whole), *self._end_block(whole)]
        ended = {name: message[name] for name in _ENDINGS if message.get(name) is not None}
        return [*found, *self._end({"delta": ended})] if "stop_reason" in ended else found

    def _used(self, usage: object) -> list[Event]:
        """Later usage replaces what it names; the sum of input is made anew from all that is known."""
        if not isinstance(usage, dict):
            return []
        self._usage.update((name, value) for name, value in usage.items() if value is not None)
        read = read_usage(self._usage)
        return [] if read is None else [Used(read)]

    def _begin_block(self, tree: dict[str, Any]) -> list[Event]:
        value = mapping(tree.get("content_block"))
        kind = text(value.get("type"))
        block = self._add(tree, kind, value)
        part = read_block(value)
        if isinstance(part, Text):
            if part.text or part.citations:
                return [TextPiece(part.text, 0, block.place, part.citations)]
            return []
        if isinstance(part, Thinking):
            if part.text or part.signature or part.redacted is not None:
                return [ThinkingPiece(part.text, 0, block.place, part.signature or None, part.redacted)]
            return []
        if isinstance(part, ToolCall):
            block.given = value.get("input")
            return [ToolCallPiece(0, block.place, part.id, part.name, "", part.extra)]
        block.kind, block.value = "", dict(value)
        return []

    def _add(self, tree: dict[str, Any], kind: str, value: dict[str, Any]) -> _Block:
        block = self._open[_index(tree)] = _Block(self._blocks, kind, value, None)
        self._blocks += 1
        return block

    def _delta(self, tree: dict[str, Any]) -> list[Event]:
        delta = mapping(tree.get("delta"))
        kind = delta.get("type")
        block = self._open.get(_index(tree))
        if block is None:
            # A service that announces no blocks.
            block = self._add(tree, _IMPLIED.get(text(kind), ""), {"type": "text"})
        if block.kind == "text" and kind == "text_delta":
            return [TextPiece(text(delta.get("text")), 0, block.place)]
        if block.kind == "tool_use" and kind == "input_json_delta":
            block.arguments = text(delta.get("partial_json")) or block.arguments
            return [ToolCallPiece(0, block.place, arguments=text(delta.get("partial_json")))]
        if block.kind == "thinking" and kind == "thinking_delta":
            return [ThinkingPiece(text(delta.get("thinking")), 0, block.place)]
        if block.kind == "thinking" and kind == "signature_delta":
            return [ThinkingPiece("", 0, block.place, text(delta.get("signature")))]
        if block.kind == "text" and kind == "citations_delta":
            return [TextPiece("", 0, block.place, [read_citation(mapping(delta.get("citation")))])]
        if block.kind == "":
            _grow(block, delta)
        return []

    def _end_block(self, tree: dict[str, Any]) -> list[Event]:
        block = self._open.pop(_index(tree), None)
        if block is None:
            return []
        if block.kind == "":
            if block.arguments:
                block.value["input"] = _parsed(block.arguments)
            return [WholePart(Opaque(NAME, block.value), 0, block.place)]
        if block.kind == "tool_use" and not block.arguments:
            return [ToolCallPiece(0, block.place, arguments=json_text(block.given or {}))]
        return []

    def _end(self, tree: dict[str, Any]) -> list[Event]:
        delta = mapping(tree.get("delta"))
        usage = tree.get("usage")
        found = self._used(usage)
        reason = delta.get("stop_reason")
        if not isinstance(reason, str):
            return found
        sequence = delta.get("stop_sequence")
        extra = others(delta, _ENDS)
        finished = Finished(FINISHES.get(reason, "stop"), 0, reason)
        finished.stop_sequence = sequence if isinstance(sequence, str) else None
        if "stop_details" in extra:
            finished.extra["stop_details"] = extra.pop("stop_details")
        extra.update((name, value) for name, value in tree.items() if name not in ("type", "delta", "usage"))
        if other := unread(self._usage):
            extra["usage"] = other
        if extra:
            found.append(Began(extra=extra))
        return [finished, *found]


#: The one name of an event that says something where its data may not.
_ERROR = (b"event: error", b"event:error")
_ENDS = frozenset({"stop_reason", "stop_sequence"})
_ENDINGS = (*_ENDS, "stop_details")
#: The index of blocks that come whole, which no block that comes in pieces has.
_WHOLE = -1
_IMPLIED = {
    "text_delta": "text",
    "citations_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
}


def _grow(block: _Block, delta: dict[str, Any]) -> None:
    """A block that only this protocol knows grows by the texts of its deltas."""
    for name, value in delta.items():
        if name == "partial_json" and isinstance(value, str):
            block.arguments += value
        elif name != "type" and isinstance(value, str):
            block.value[name] = text(block.value.get(name)) + value


def _parsed(arguments: str) -> Any:
    try:
        return json_tree(arguments)
    except ValueError:
        return arguments


def _index(tree: dict[str, Any]) -> int:
    index = tree.get("index")
    return index if isinstance(index, int) else 0
