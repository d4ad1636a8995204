"""Streams: server-sent events, each with its ``type``, from ``message-start`` to ``message-end``."""

from __future__ import annotations

from typing import Any

from engine.dialects.sse import Splitter, payloads
from engine.dialects.trees import count, json_tree, mapping, mappings, text
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
)

from .citations import is_of_text, read_citation
from .content import PLAN, arguments_text
from .errors import verdict_of
from .reply import FAILED, finish_of, read_logprobs
from .usage import read_usage


class Reader:
    """See :class:`engine.dialects.protocol.EventReader`."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._blocks: dict[tuple[str, int], int] = {}
        self._texts: list[int] = []
        self._waiting: list[dict[str, Any]] = []

    def feed(self, data: bytes) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return self._frames(self._splitter.feed(data))

    def finish(self) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return self._frames(self._splitter.flush())

    def _frames(self, block: bytes) -> list[Event]:
        return [event for data in payloads(block) for event in self._read(data)]

    def _read(self, data: bytes) -> list[Event]:
        tree = json_tree(data)
        if not isinstance(tree, dict):
            raise ValueError("an event of the stream is no JSON object")
        kind = text(tree.get("type"))
        delta = mapping(tree.get("delta"))
        message = mapping(delta.get("message"))
        if kind == "message-start":
            return [Began(text(tree.get("id")))]
        if kind in ("content-start", "content-delta"):
            return self._content(count(tree.get("index")) or 0, tree, message)
        if kind == "tool-plan-delta":
            plan = text(message.get("tool_plan"))
            return [ThinkingPiece(plan, 0, self._block("plan", 0), extra={PLAN: True})] if plan else []
        if kind in ("tool-call-start", "tool-call-delta"):
            return self._call(count(tree.get("index")) or 0, message.get("tool_calls"))
        if kind == "citation-start":
            raw = message.get("citations")
            return self._citations([raw] if isinstance(raw, dict) else mappings(raw))
        if kind == "message-end":
            return self._end(delta)
        if not kind and ("message" in tree or "error" in tree):
            return [Failed(verdict_of(tree, 200))]
        return []

    def _block(self, kind: str, index: int) -> int:
        return self._blocks.setdefault((kind, index), len(self._blocks))

    def _content(self, index: int, tree: dict[str, Any], message: dict[str, Any]) -> list[Event]:
        content = mapping(message.get("content"))
        words, thought = text(content.get("text")), text(content.get("thinking"))
        events: list[Event] = []
        if thought:
            events.append(ThinkingPiece(thought, 0, self._block("content", index)))
        if words:
            block = self._block("content", index)
            if block not in self._texts:
                self._texts.append(block)
            events.append(TextPiece(words, 0, block))
            if self._waiting:
                waiting, self._waiting = self._waiting, []
                events.extend(self._citations(waiting))
        tokens = read_logprobs(tree.get("logprobs"))
        return [*events, Logprobs(tokens)] if tokens else events

    def _call(self, index: int, raw: Any) -> list[Event]:
        calls = [raw] if isinstance(raw, dict) else mappings(raw)
        events: list[Event] = []
        for call in calls:
            function = mapping(call.get("function"))
            piece = ToolCallPiece(0, self._block("call", index), text(call.get("id")), text(function.get("name")))
            piece.arguments = arguments_text(function.get("arguments"))
            if piece.id or piece.name or piece.arguments:
                events.append(piece)
        return events

    def _citations(self, raws: list[dict[str, Any]]) -> list[Event]:
        """Citations hang on the text they name, else on the first; those that come before it wait."""
        events: list[Event] = []
        for raw in filter(is_of_text, raws):
            named = self._blocks.get(("content", count(raw.get("content_index")) or 0))
            if named not in self._texts:
                named = self._texts[0] if self._texts else None
            if named is None:
                self._waiting.append(raw)
            else:
                events.append(TextPiece("", 0, named, read_citation(raw)))
        return events

    def _end(self, delta: dict[str, Any]) -> list[Event]:
        usage = read_usage(delta.get("usage"))
        events: list[Event] = [Used(usage)] if usage is not None else []
        reason = text(delta.get("finish_reason")).upper()
        if reason in FAILED:
            code = text(delta.get("error_type")) or reason
            return [*events, Failed(verdict_of({"error_type": code, "message": delta.get("error")}, 200))]
        return [*events, Finished(finish_of(reason) or "stop", 0, reason or None), Ended()]
