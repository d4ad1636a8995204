"""Where in a file a value was written.

Positions are wanted for the few documents that have a finding, so that a source map is no more than the text: it is
parsed once more when somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from yaml import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    YAMLError,
)

from engine.documents.parser import events

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file: lines and columns from 1, columns in characters, ``end_column`` exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Source(Protocol):
    """Answers for the places of one document's values."""

    def span(self, path: Path, key: bool = False) -> Span:
        """Where the value at ``path`` (with ``key``, its key) is written; its nearest ancestor, if unknown."""

    def file_of(self, path: Path) -> str:
        """The file, relative to the configuration folder, in which the value at ``path`` is written."""

    def excerpt(self, line: int, path: Path = ()) -> str:
        """The text of a line of the file that ``path`` is in, or "" where the document has no such line."""


@dataclass(slots=True)
class Node:
    """The place of a value, and of what it contains, by key or by position."""

    start: tuple[int, int]
    end: tuple[int, int]
    children: dict[str | int, Node] = field(default_factory=dict)
    keys: dict[str | int, Span] = field(default_factory=dict)


class _Places:
    """Builds the tree of places from events, by the rules by which the loader builds the tree of values."""

    def __init__(self, first_line: int) -> None:
        self.first_line = first_line
        self.root = Node((first_line, 1), (first_line, 1))
        self.stack: list[tuple[Node, bool]] = []
        self.keys: list[tuple[str, Span] | None] = []
        self.anchors: dict[str, Node] = {}

    def open(self, event: Any) -> None:
        node = self.node(event)
        node.end = node.start
        self.stack.append((node, type(event) is MappingStartEvent))
        self.keys.append(None)

    def close(self, event: Any) -> None:
        node, _ = self.stack.pop()
        self.keys.pop()
        # The end of a block collection has no width and lies after the blank lines and comments that follow it.
        if event.end_mark.index > event.start_mark.index:
            node.end = self.place(event.end_mark)
        self.attach(node)

    def scalar(self, event: Any) -> None:
        node = self.node(event)
        if self.stack and self.stack[-1][1] and self.keys[-1] is None:
            self.keys[-1] = (event.value, Span(*node.start, *node.end))
        else:
            self.attach(node)

    def alias(self, event: Any) -> None:
        node = Node(self.place(event.start_mark), self.place(event.end_mark))
        known = self.anchors.get(event.anchor)
        if known is not None:
            node.children, node.keys = known.children, known.keys
        self.attach(node)

    def node(self, event: Any) -> Node:
        node = Node(self.place(event.start_mark), self.place(event.end_mark))
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def place(self, mark: Any) -> tuple[int, int]:
        return self.first_line + mark.line, mark.column + 1

    def attach(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        parent, mapping = self.stack[-1]
        parent.end = max(parent.end, node.end)
        if not mapping:
            parent.children[len(parent.children)] = node
            return
        key = self.keys[-1]
        if key is None:
            # A collection as a key: what belongs to it has no path.
            self.keys[-1] = ("\0", Span(*node.start, *node.end))
            return
        self.keys[-1] = None
        parent.children.setdefault(key[0], node)
        parent.keys.setdefault(*key)


def positions(text: str, first_line: int) -> Node:
    """The places of all values of the one document in ``text``, whose first line is line ``first_line`` of the file."""
    places = _Places(first_line)
    act = {
        ScalarEvent: places.scalar,
        AliasEvent: places.alias,
        MappingStartEvent: places.open,
        SequenceStartEvent: places.open,
        MappingEndEvent: places.close,
        SequenceEndEvent: places.close,
    }
    next_event = events(text)
    try:
        while type(event := next_event()) is not StreamEndEvent:
            handle = act.get(type(event))
            if handle is not None:
                handle(event)
    except YAMLError:
        # A document whose text ends in a syntax error has places up to there.
        return places.root
    return places.root


class SourceMap:
    """The places of one document's values, from the text it was written in."""

    __slots__ = ("_lines", "_places", "file", "first_line", "text")

    def __init__(self, file: str, text: str, first_line: int) -> None:
        self.file = file
        self.text = text
        self.first_line = first_line
        self._places: Node | None = None
        self._lines: list[str] | None = None

    def span(self, path: Path, key: bool = False) -> Span:
        if self._places is None:
            self._places = positions(self.text, self.first_line)
        node = self._places
        where = Span(*node.start, *node.end)
        for part in path:
            inner = node.children.get(part)
            if inner is None:
                return where
            where = node.keys[part] if key and part in node.keys else Span(*inner.start, *inner.end)
            node = inner
        return where

    def file_of(self, path: Path) -> str:
        return self.file

    def excerpt(self, line: int, path: Path = ()) -> str:
        if self._lines is None:
            self._lines = self.text.split("\n")
        at = line - self.first_line
        return self._lines[at] if 0 <= at < len(self._lines) else ""


class MergedSource:
    """The places of the values of a document that overlays were merged into: each value's own layer answers."""

    __slots__ = ("_layers",)

    def __init__(self, layers: Sequence[tuple[Mapping[str, Any], Source]]) -> None:
        """``layers`` are the trees and sources from the base to the last overlay."""
        self._layers = tuple(layers)

    def span(self, path: Path, key: bool = False) -> Span:
        return self._of(path).span(path, key)

    def file_of(self, path: Path) -> str:
        return self._of(path).file_of(path)

    def excerpt(self, line: int, path: Path = ()) -> str:
        return self._of(path).excerpt(line, path)

    def _of(self, path: Path) -> Source:
        """The source of the layer that wrote the value at ``path``; of what several wrote together, the lowest."""
        live: list[tuple[Any, Source]] = list(self._layers)
        if path and path[0] in ("kind", "name"):
            # Every layer repeats them; it is the lowest that declares them.
            return live[0][1]
        for part in path:
            below: list[tuple[Any, Source]] = []
            for value, source in reversed(live):
                held, inner = child(value, part)
                if held:
                    below.insert(0, (inner, source))
                    if not isinstance(inner, dict):
                        break
            if not below:
                break
            # A layer that is no mapping hides the ones under it, and is hidden by any mapping over it.
            live = below if isinstance(below[0][0], dict) or len(below) == 1 else below[1:]
        return live[0][1]


def child(value: Any, part: str | int) -> tuple[bool, Any]:
    """Whether ``value`` has ``part``, and what it has there."""
    if isinstance(value, dict) and part in value:
        return True, value[part]
    if isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
        return True, value[part]
    return False, None
