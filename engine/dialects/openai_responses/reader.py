"""Reading a stream of a response as canonical events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.dialects.openai_chat.citations import read_annotations
from engine.dialects.openai_chat.ids import made_id
from engine.dialects.openai_chat.usage import read_usage
from engine.dialects.splice import json_object, name_of
from engine.dialects.sse import Splitter, payload
from engine.dialects.trees import count, mapping, mappings, others, text
from engine.exchange.canonical import Citation, Media, Opaque, Part, Refusal, Text
from engine.exchange.events import (
    Began,
    Ended,
    Event,
    Failed,
    Finished,
    Logprobs,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    ToolCallPiece,
    Used,
    WholePart,
)

from .errors import failed_verdict, inner_verdict
from .items_read import CALL, read_item, read_thought
from .reply_read import created_of, finish_of

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


class _Item:
    """What has been told of one item of the output."""

    __slots__ = ("blocks", "called", "cited", "id", "said", "summarised", "thought")

    def __init__(self) -> None:
        #: Blocks by the number of the content part; a thought and a call have one, under 0.
        self.blocks: dict[int, int] = {}
        self.id = ""
        self.said: set[int] = set()
        self.cited: dict[int, int] = {}
        self.called = False
        self.summarised = -1
        #: The kind of text that tells a thought: the thought itself or its summary.
        self.thought = ""


class ResponsesReader:
    """Reads one stream. Only ``response.completed`` or ``response.incomplete`` is an end."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._items: dict[int, _Item] = {}
        self._blocks = 0
        self._began: Began | None = None
        self._called = self._refused = self._over = False

    def feed(self, data: bytes) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return self._events(self._splitter.feed(data))

    def finish(self) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return self._events(self._splitter.flush())

    def _events(self, block: bytes) -> list[Event]:
        events: list[Event] = []
        for event in block.split(b"\n\n"):
            data = payload(event) if event else b""
            if data:
                events.extend(self.frame(name_of(event), data))
        return events

    def frame(self, name: str, data: bytes) -> list[Event]:
        """See :class:`engine.dialects.splice.FrameReader`. What follows the end (some services say so) is nothing."""
        if self._over or data == b"[DONE]":
            return []
        tree = json_object(data)
        kind = text(tree.get("type")) or name
        if kind == "error" or (tree.get("error") and not kind.startswith("response.")):
            self._over = True
            return [Failed(inner_verdict(tree.get("error") or tree))]
        response = tree.get("response")
        if isinstance(response, dict) and kind.startswith("response."):
            return self._whole(kind, response)
        read = _READ.get(kind)
        return read(self, tree) if read is not None else []

    def _whole(self, kind: str, response: dict[str, Any]) -> list[Event]:
        """An event about the response as a whole."""
        failure = failed_verdict(response)
        if failure is not None or kind in ("response.failed", "response.cancelled"):
            self._over = True
            return [Failed(failure or inner_verdict(None))]
        events: list[Event] = []
        tier = text(response.get("service_tier")) or None
        began = Began(text(response.get("id")), text(response.get("model")), created_of(response), tier)
        if began != self._began:
            self._began = began
            events.append(began)
        if kind not in _LAST:
            return events
        self._over = True
        if not self._items:
            for place, item in enumerate(mappings(response.get("output"))):
                events.extend(self._done({"output_index": place, "item": item}))
        usage = read_usage(response.get("usage"))
        if usage is not None:
            events.append(Used(usage))
        finish, raw = finish_of(response, called=self._called, refused=self._refused)
        events.append(Finished(finish or "stop", raw=raw))
        events.append(Ended())
        return events

    def _item(self, tree: dict[str, Any]) -> _Item:
        index = count(tree.get("output_index")) or 0
        found = self._items.get(index)
        if found is None:
            found = self._items[index] = _Item()
        return found

    def _block(self, item: _Item, part: int = 0) -> int:
        found = item.blocks.get(part)
        if found is None:
            found = item.blocks[part] = self._blocks
            self._blocks += 1
        return found

    def _added(self, tree: dict[str, Any]) -> list[Event]:
        told = mapping(tree.get("item"))
        index = count(tree.get("output_index")) or 0
        known = self._items.get(index)
        if known is not None and text(told.get("id")) not in ("", known.id):
            del self._items[index]  # services have given two items the same number
        item = self._item(tree)
        item.id = text(told.get("id"))
        if told.get("type") != "function_call":
            return []
        return self._call(item, told, {})

    def _call(self, item: _Item, told: dict[str, Any], extra: dict[str, Any]) -> list[Event]:
        self._called = True
        seed = self._began.id if self._began is not None else ""
        fresh = not item.blocks
        block = self._block(item)
        id_ = text(told.get("call_id")) or text(told.get("id")) or made_id("call", seed, block)
        arguments = "" if item.called else text(told.get("arguments"))
        item.called = item.called or bool(arguments)
        if fresh:
            return [ToolCallPiece(0, block, id_, text(told.get("name")), arguments, extra)]
        return [ToolCallPiece(0, block, arguments=arguments, extra=extra)]

    def _arguments(self, tree: dict[str, Any]) -> list[Event]:
        item, piece = self._item(tree), text(tree.get("delta"))
        item.called = item.called or bool(piece)
        return [ToolCallPiece(0, self._block(item), arguments=piece)] if piece else []

    def _text(self, tree: dict[str, Any]) -> list[Event]:
        item, part = self._item(tree), count(tree.get("content_index")) or 0
        item.said.add(part)
        piece, tokens = text(tree.get("delta")), mappings(tree.get("logprobs"))
        events: list[Event] = [TextPiece(piece, 0, self._block(item, part))] if piece else []
        if tokens:
            events.append(Logprobs(tokens))
        return events

    def _refusal(self, tree: dict[str, Any]) -> list[Event]:
        item, part = self._item(tree), count(tree.get("content_index")) or 0
        item.said.add(part)
        self._refused = True
        piece = text(tree.get("delta"))
        return [RefusalPiece(piece, 0, self._block(item, part))] if piece else []

    def _annotation(self, tree: dict[str, Any]) -> list[Event]:
        item, part = self._item(tree), count(tree.get("content_index")) or 0
        found = read_annotations([tree.get("annotation")])
        item.cited[part] = item.cited.get(part, 0) + len(found)
        return self._cite(item, part, found)

    def _cite(self, item: _Item, part: int, citations: list[Citation]) -> list[Event]:
        return [TextPiece("", 0, self._block(item, part), citations)] if citations else []

    def _think(self, tree: dict[str, Any]) -> list[Event]:
        item, piece = self._item(tree), text(tree.get("delta"))
        kind = "summary" if "summary_index" in tree else "content"
        if item.thought not in ("", kind) or not piece:
            return []
        item.thought = kind
        place = count(tree.get("summary_index")) or 0
        between = "\n\n" if kind == "summary" and 0 <= item.summarised < place else ""
        item.summarised = place
        return [ThinkingPiece(between + piece, 0, self._block(item))]

    def _done(self, tree: dict[str, Any]) -> list[Event]:
        """A whole item: what of it no piece has told yet."""
        item, told = self._item(tree), mapping(tree.get("item"))
        kind = told.get("type")
        if kind == "message":
            return self._said(item, told)
        if kind == "function_call":
            return self._call(item, told, others(told, CALL))
        if kind == "reasoning":
            thought = read_thought(told)
            rest = "" if item.thought else thought.text
            sealed = thought.signature, thought.redacted
            return [ThinkingPiece(rest, 0, self._block(item), *sealed, thought.id, thought.extra)]
        parts = read_item(told, "")
        return [WholePart(part, 0, self._block(item)) for part in parts if isinstance(part, Media | Opaque)]

    def _said(self, item: _Item, told: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        said = sorted(item.said | item.cited.keys())  # their numbers are not always those of the parts
        for place, content in enumerate(filter(_says_something, read_item(told, ""))):
            part, fresh = (said[place], False) if place < len(said) else (place, True)
            if isinstance(content, Media | Opaque):
                events.append(WholePart(content, 0, self._block(item, part)))
            elif isinstance(content, Text):
                if fresh and content.text:
                    events.append(TextPiece(content.text, 0, self._block(item, part)))
                events.extend(self._cite(item, part, content.citations[item.cited.get(part, 0) :]))
            elif isinstance(content, Refusal) and fresh:
                self._refused = True
                events.append(RefusalPiece(content.text, 0, self._block(item, part)))
        return events


def _says_something(part: Part) -> bool:
    """Whether pieces of the part were told, or would have been."""
    return not isinstance(part, Text | Refusal) or bool(part.text or (isinstance(part, Text) and part.citations))


_READ: dict[str, Callable[[ResponsesReader, dict[str, Any]], list[Event]]] = {
    "response.output_item.added": ResponsesReader._added,
    "response.output_item.done": ResponsesReader._done,
    "response.output_text.delta": ResponsesReader._text,
    "response.output_text.annotation.added": ResponsesReader._annotation,
    "response.refusal.delta": ResponsesReader._refusal,
    "response.reasoning_text.delta": ResponsesReader._think,
    "response.reasoning_summary_text.delta": ResponsesReader._think,
    "response.function_call_arguments.delta": ResponsesReader._arguments,
}
