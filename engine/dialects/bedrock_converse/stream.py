"""Reading a stream: AWS's binary event stream, decoded by botocore, to canonical events."""

from __future__ import annotations

import struct
from typing import Any

from engine.dialects.mime import text_of
from engine.dialects.trees import json_text, json_tree, mapping, mappings, text
from engine.exchange.canonical import Opaque
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

from .content import read_citation
from .errors import verdict_of
from .names import NAME
from .reply import FINISHES
from .usage import read_usage

MISSING = "streams of this provider need the extra bedrock: pip install 'interlock[bedrock]'"


class _Block:
    """An open block: its place among the blocks of the answer, its kind, and what is only told when it is whole."""

    __slots__ = ("arguments", "kind", "place", "value")

    def __init__(self, place: int, kind: str, value: dict[str, Any]) -> None:
        self.place = place
        self.kind = kind
        self.value = value
        self.arguments = ""


class Reader:
    """Reads one stream. Blocks are numbered in the order in which they begin, whatever their index on the wire."""

    __slots__ = ("_blocks", "_buffer", "_ended", "_open", "_stopped", "_told")

    def __init__(self) -> None:
        self._buffer: Any = None
        self._open: dict[int, _Block] = {}
        self._blocks = 0
        self._stopped = False
        self._told = False
        self._ended = False

    def feed(self, data: bytes) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`.

        Raises ``ValueError`` with the remedy where botocore is not installed.
        """
        if self._buffer is None:
            self._buffer = _new_buffer()
        found: list[Event] = []
        for headers, payload in _messages(self._buffer, data):
            if self._ended:
                break
            found += self._message(headers, payload)
        return found

    def finish(self) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`. An answer that has ended is whole without its usage."""
        return self._end()

    def _message(self, headers: dict[str, Any], payload: bytes) -> list[Event]:
        kind = headers.get(":message-type")
        if kind == "error":
            told = {"message": headers.get(":error-message")}
            return [Failed(verdict_of(text(headers.get(":error-code")), told, 200))]
        tree = json_tree(payload) if payload else {}
        if kind == "exception":
            return [Failed(verdict_of(text(headers.get(":exception-type")), mapping(tree), 200))]
        return self.event(text(headers.get(":event-type")), mapping(tree))

    def event(self, name: str, tree: dict[str, Any]) -> list[Event]:
        """What one event means."""
        if name == "contentBlockDelta":
            return self._delta(tree)
        if name == "contentBlockStart":
            return self._begin_block(tree)
        if name == "contentBlockStop":
            return self._end_block(tree)
        if name == "messageStart":
            return [Began()]
        if name == "messageStop":
            self._stopped = True
            return [*self._stop(tree), *(self._end() if self._told else ())]
        return self._metadata(tree) if name == "metadata" else []

    def _stop(self, tree: dict[str, Any]) -> list[Event]:
        reason = text(tree.get("stopReason"))
        finished = Finished(FINISHES.get(reason, "stop"), raw=reason or None)
        more = tree.get("additionalModelResponseFields")
        if more is None:
            return [finished]
        return [finished, Began(extra={"additionalModelResponseFields": more})]

    def _metadata(self, tree: dict[str, Any]) -> list[Event]:
        """Usage, as a rule in the last event."""
        found: list[Event] = []
        began = Began(service_tier=text(mapping(tree.get("serviceTier")).get("type")) or None)
        began.extra = {name: tree[name] for name in ("metrics", "trace", "performanceConfig") if name in tree}
        if began.extra or began.service_tier:
            found.append(began)
        usage = read_usage(tree.get("usage"))
        if usage is not None:
            found.append(Used(usage))
        self._told = True
        return [*found, *self._end()]

    def _end(self) -> list[Event]:
        if not self._stopped or self._ended:
            return []
        self._ended = True
        return [Ended()]

    def _add(self, tree: dict[str, Any], kind: str, value: dict[str, Any]) -> _Block:
        block = self._open[_index(tree)] = _Block(self._blocks, kind, value)
        self._blocks += 1
        return block

    def _begin_block(self, tree: dict[str, Any]) -> list[Event]:
        start = mapping(tree.get("start"))
        use = start.get("toolUse")
        if isinstance(use, dict) and use.get("type") != "server_tool_use":
            block = self._add(tree, "toolUse", use)
            return [ToolCallPiece(0, block.place, text(use.get("toolUseId")), text(use.get("name")))]
        if start:
            # What only this protocol knows comes as one part, when it is whole.
            name = next(iter(start))
            self._add(tree, "", {name: dict(mapping(start[name]))})
        return []

    def _delta(self, tree: dict[str, Any]) -> list[Event]:
        delta = mapping(tree.get("delta"))
        block = self._open.get(_index(tree))
        if block is None:
            # Texts and thoughts begin unannounced.
            block = self._add(tree, "thought" if "reasoningContent" in delta else "text", {})
        if block.kind == "":
            _grow(block, delta)
            return []
        if block.kind == "toolUse":
            more = text(mapping(delta.get("toolUse")).get("input"))
            block.arguments = more or block.arguments
            return [ToolCallPiece(0, block.place, arguments=more)]
        if block.kind == "thought":
            return [_thought(mapping(delta.get("reasoningContent")), block.place)]
        if isinstance(delta.get("citation"), dict):
            return [TextPiece("", 0, block.place, [read_citation(delta["citation"])])]
        return [TextPiece(text(delta.get("text")), 0, block.place)] if "text" in delta else []

    def _end_block(self, tree: dict[str, Any]) -> list[Event]:
        block = self._open.pop(_index(tree), None)
        if block is None:
            return []
        if block.kind == "":
            return [WholePart(Opaque(NAME, _whole(block)), 0, block.place)]
        if block.kind == "toolUse" and not block.arguments:
            return [ToolCallPiece(0, block.place, arguments=json_text({}))]
        return []


def _thought(inner: dict[str, Any], place: int) -> Event:
    sealed = text(inner.get("redactedContent"))
    redacted = text_of(sealed) if sealed else None
    if sealed and redacted is None:
        return WholePart(Opaque(NAME, {"reasoningContent": {"redactedContent": sealed}}), 0, place)
    return ThinkingPiece(text(inner.get("text")), 0, place, text(inner.get("signature")) or None, redacted)


def _new_buffer() -> Any:
    try:
        from botocore.eventstream import EventStreamBuffer
    except ImportError:
        raise ValueError(MISSING) from None
    return EventStreamBuffer()


def _messages(buffer: Any, data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """The messages that these bytes complete: their headers and payloads."""
    from botocore.eventstream import ParserError

    try:
        buffer.add_data(data)
        return [(message.headers, message.payload) for message in buffer]
    except (ParserError, struct.error, LookupError) as problem:
        raise ValueError(f"the stream is no event stream: {problem}") from None


def _grow(block: _Block, delta: dict[str, Any]) -> None:
    value = next(iter(block.value.values()))
    block.arguments += text(mapping(delta.get("toolUse")).get("input"))
    value.setdefault("content", []).extend(mappings(delta.get("toolResult")))
    value.update(mapping(delta.get("image")))


def _whole(block: _Block) -> dict[str, Any]:
    value = next(iter(block.value.values()))
    if not value.get("content"):
        value.pop("content", None)
    if "toolUse" in block.value:
        try:
            value["input"] = json_tree(block.arguments or "{}")
        except ValueError:
            value["input"] = {"arguments": block.arguments}
    return block.value


def _index(tree: dict[str, Any]) -> int:
    index = tree.get("contentBlockIndex")
    return index if isinstance(index, int) else 0
