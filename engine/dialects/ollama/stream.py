"""Streams: a JSON object a line, each with more of the message; the last one is ``done``."""

from __future__ import annotations

from typing import Any

from engine.dialects.call_ids import CallIds, prefix_of
from engine.dialects.ndjson import Lines
from engine.dialects.trees import json_tree, mapping, mappings, others, seconds, text
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

from .errors import verdict_of
from .messages import ORIGIN, read_call, read_images
from .reply import KNOWN, finish_of, read_logprobs, read_usage


class Reader:
    """See :class:`engine.dialects.protocol.EventReader`."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._began = False
        self._ids = CallIds(ORIGIN)
        self._kind = ""
        self._blocks = 0
        self._called = False

    def feed(self, data: bytes) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return [event for line in self._lines.feed(data) for event in self._read(line)]

    def finish(self) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return [event for line in self._lines.flush() for event in self._read(line)]

    def _read(self, line: bytes) -> list[Event]:
        tree = json_tree(line)
        if not isinstance(tree, dict):
            raise ValueError("a line of the stream is no JSON object")
        if tree.get("error"):
            return [Failed(verdict_of(tree, 200))]
        events: list[Event] = []
        if not self._began:
            self._began = True
            self._ids.prefix = prefix_of(ORIGIN, text(tree.get("created_at")))
            events.append(Began(model=text(tree.get("model")), created=seconds(tree.get("created_at"))))
        events.extend(self._message(mapping(tree.get("message"))))
        tokens = read_logprobs(tree.get("logprobs"))
        if tokens:
            events.append(Logprobs(tokens))
        if tree.get("done") is True:
            events.extend(self._end(tree))
        return events

    def _message(self, message: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        thought, words = text(message.get("thinking")), text(message.get("content"))
        if thought:
            events.append(ThinkingPiece(thought, 0, self._block("thinking")))
        if words:
            events.append(TextPiece(words, 0, self._block("text")))
        events.extend(WholePart(image, 0, self._block("")) for image in read_images(message))
        for raw in mappings(message.get("tool_calls")):
            call = read_call(raw, self._ids)
            self._called = True
            events.append(ToolCallPiece(0, self._block(""), call.id, call.name, call.arguments, call.extra))
        return events

    def _block(self, kind: str) -> int:
        """The block for a piece of this kind: the open one if it is of the same; kinds without a name never are."""
        if not kind or kind != self._kind:
            self._kind = kind
            self._blocks += 1
        return self._blocks - 1

    def _end(self, tree: dict[str, Any]) -> list[Event]:
        usage = read_usage(tree)
        reason = text(tree.get("done_reason")) or None
        events: list[Event] = [Used(usage)] if usage is not None else []
        extra = others(tree, KNOWN)
        events.extend([Began(extra=extra)] if extra else [])
        return [*events, Finished(finish_of(reason, self._called), 0, reason), Ended()]
