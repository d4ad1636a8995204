"""Events of one YAML document to a plain tree, applying every rule that libyaml leaves open."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from yaml import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    YAMLError,
)

from engine.documents.limits import LIMITS
from engine.documents.parser import events
from engine.documents.scalars import NumberError, resolve
from engine.documents.syntax import explain_syntax


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a piece of text; places count from 0 within the piece."""

    code: str
    line: int
    column: int
    end_column: int | None
    summary: str
    label: str = ""
    detail: str = ""
    hint: str = ""
    related: tuple[int, int, str] | None = None


#: What escapes can put into a text and no reader of JSON or UTF-8 takes back.
_UNREADABLE = re.compile("[\0\ud800-\udfff]")


class _Stop(Exception):  # noqa: N818 - leaves the loop, reports nothing
    """The rest of the document is not worth reading, or not safe to read."""


class _Absent:
    """The tree of a document without content, and the key of an entry that is not kept."""


ABSENT = _Absent()


@dataclass(slots=True)
class Spent:
    """What the aliases of a file have stood for so far, and how much may still be reported."""

    nodes: int = 0
    chars: int = 0
    findings: int = 0


@dataclass(slots=True)
class _Frame:
    """A collection that is being read. ``key`` is the key whose value comes next, None before a key."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    nodes: int
    chars: int
    key: str | _Absent | None = None
    places: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Anchor:
    value: Any
    nodes: int
    chars: int


class Builder:
    """Reads one document. ``tree`` is its value, or ``ABSENT``; ``whole`` says that it was read to its end."""

    def __init__(self, spent: Spent) -> None:
        self.tree: Any = ABSENT
        self.whole = False
        self.findings: list[Finding] = []
        self.spent = spent
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchor | None] = {}
        self._nodes = 0
        self._chars = 0

    def read(self, text: str) -> None:
        """Reads the document in ``text``; never raises for its content."""
        try:
            next_event = events(text)
            while True:
                event = next_event()
                kind = type(event)
                if kind is ScalarEvent:
                    self._scalar(event)
                elif kind is MappingStartEvent:
                    self._open(event, {})
                elif kind is SequenceStartEvent:
                    self._open(event, [])
                elif kind is MappingEndEvent or kind is SequenceEndEvent:
                    self._close(event)
                elif kind is AliasEvent:
                    self._alias(event)
                elif kind is StreamEndEvent:
                    self.whole = True
                    return
        except MarkedYAMLError as error:
            self.findings.append(syntax_finding(error, text))
            self.spent.findings += 1
        except YAMLError as error:
            self.findings.append(
                Finding("D101", 0, 0, None, f"not YAML: {error}", hint="check the quotes and indentation")
            )
            self.spent.findings += 1
        except _Stop:
            return

    # -- events

    def _scalar(self, event: Any) -> None:
        value: str = event.value
        self._nodes += 1
        if self._nodes > LIMITS.values:
            self._too_many(event)
        self._chars += len(value)
        if len(value) > LIMITS.scalar_chars:
            self._find(
                "D110",
                event,
                f"a text of {len(value):,} characters; the limit is {LIMITS.scalar_chars:,}",
                hint="shorten it, or keep it outside of the configuration",
            )
            value = value[: LIMITS.scalar_chars]
        if event.tag is not None:
            self._tag(event)
        plain = event.style is None or event.style == ""
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.key is None and type(frame.value) is dict:
            self._key(event, frame, value, plain)
            return
        resolved: Any = value
        if plain and event.tag is None:
            try:
                resolved = resolve(value)
            except NumberError as error:
                self._find("D114", event, str(error), hint="quote it if it is a text; else write a finite number")
        elif event.style == '"' and _UNREADABLE.search(value):
            self._find(
                "D106",
                event,
                "an escape puts a NUL or half a character into a text",
                hint="remove it, or write the character itself",
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(resolved, 1, len(value))
        if frame is None and plain and value == "" and event.tag is None:
            return
        self._attach(resolved)

    def _key(self, event: Any, frame: _Frame, text: str, plain: bool) -> None:
        frame.key = text
        shown = text if len(text) <= 60 else text[:57] + "..."
        if plain and text == "<<":
            self._find(
                "D105",
                event,
                "merge keys (<<) are not part of YAML 1.2",
                hint="write the keys out, or share them with a policy that applies to several routes",
            )
            frame.key = ABSENT
        elif plain and event.tag is None and not _is_text(text):
            self._find("D103", event, f"the key {shown or '(empty)'} is not a text", hint=f'quote it: "{shown}"')
        elif event.style == '"' and _UNREADABLE.search(text):
            self._find(
                "D106",
                event,
                "an escape puts a NUL or half a character into a key",
                hint="remove it, or write the character itself",
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(text, 1, len(text))
        first = frame.places.get(text)
        if first is None:
            frame.places[text] = event.start_mark
        elif frame.key is not ABSENT:
            self._find(
                "D102",
                event,
                f'the key "{shown}" is here twice',
                label="the second one",
                hint="remove one of the two: neither silently wins",
                related=(first.line, first.column, "the first one"),
            )
            frame.key = ABSENT

    def _open(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        if event.tag is not None:
            self._tag(event)
        if len(self._stack) >= LIMITS.depth:
            self._find("D111", event, _DEEP, hint=_FLATTER)
            raise _Stop
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._nodes += 1
        if self._nodes > LIMITS.values:
            self._too_many(event)
        self._stack.append(_Frame(value, event.anchor, self._nodes, self._chars))

    def _close(self, event: Any) -> None:
        frame = self._stack.pop()
        if frame.anchor is not None:
            self._anchors[frame.anchor] = _Anchor(frame.value, self._nodes - frame.nodes + 1, self._chars - frame.chars)
        parent = self._stack[-1] if self._stack else None
        if parent is not None and parent.key is None and type(parent.value) is dict:
            self._find(
                "D103", event, "a list or a mapping is used as a key", hint="keys are texts; check for a stray ? or {"
            )
            parent.key = ABSENT
            return
        self._attach(frame.value)

    def _alias(self, event: Any) -> None:
        name: str = event.anchor
        if name not in self._anchors:
            self._find("D113", event, f"the alias *{name} has no anchor &{name} before it", hint=_ALIAS_HINT)
            self._attach(None)
            return
        anchor = self._anchors[name]
        if anchor is None:
            self._find("D113", event, f"the alias *{name} contains itself", hint="write the values out")
            self._attach(None)
            return
        self.spent.nodes += anchor.nodes
        self.spent.chars += anchor.chars
        self._nodes += anchor.nodes
        self._chars += anchor.chars
        if self.spent.nodes > LIMITS.alias_nodes or self.spent.chars > LIMITS.alias_chars:
            self._find(
                "D112",
                event,
                f"the aliases of this file stand for more than {LIMITS.alias_nodes:,} values "
                f"or {LIMITS.alias_chars:,} characters",
                hint="write the values out, or share them with a policy",
            )
            raise _Stop
        if len(self._stack) + _height(anchor.value) > LIMITS.depth:
            self._find(
                "D111", event, f"nested deeper than {LIMITS.depth} levels through an alias", hint="write it flatter"
            )
            raise _Stop
        parent = self._stack[-1] if self._stack else None
        if parent is not None and parent.key is None and type(parent.value) is dict:
            self._find("D103", event, f"the alias *{name} is used as a key", hint="write the key out")
            parent.key = ABSENT
            return
        self._attach(anchor.value)

    # -- helpers

    def _too_many(self, event: Any) -> NoReturn:
        summary = f"more than {LIMITS.values:,} values in one document"
        self._find("D116", event, summary, hint="divide it into several documents")
        raise _Stop

    def _attach(self, value: Any) -> None:
        if not self._stack:
            self.tree = value
            return
        frame = self._stack[-1]
        if type(frame.value) is list:
            frame.value.append(value)
        elif frame.key is None:
            frame.key = ABSENT
        else:
            if isinstance(frame.key, str) and isinstance(frame.value, dict):
                frame.value[frame.key] = value
            frame.key = None

    def _tag(self, event: Any) -> None:
        shown = str(event.tag).replace("tag:yaml.org,2002:", "!!")[:60]
        self._find("D104", event, f"the tag {shown} is not allowed", hint="remove it: quotes alone make a text")

    def _find(
        self,
        code: str,
        event: Any,
        summary: str,
        *,
        label: str = "",
        hint: str = "",
        related: tuple[int, int, str] | None = None,
    ) -> None:
        start, end = event.start_mark, event.end_mark
        end_column = end.column if end.line == start.line else None
        self.findings.append(Finding(code, start.line, start.column, end_column, summary, label, "", hint, related))
        self.spent.findings += 1
        if self.spent.findings >= LIMITS.findings:
            raise _Stop


_DEEP = f"nested deeper than {LIMITS.depth} levels"
_FLATTER = "split the tree: a step can refer to another route with {route: NAME}"
#: What newer parsers say of a text that is nested deeper than they go; it comes before we count.
_PARSERS_DEPTH = "maximum nesting depth"
_ALIAS_HINT = 'anchors last for one document; quote a text that begins with "*"'


def _is_text(text: str) -> bool:
    try:
        return isinstance(resolve(text), str)
    except NumberError:
        return False


def _height(value: Any) -> int:
    """How many collections are nested in ``value``, itself included; the limits above bound the work."""
    height, level = 0, [value]
    while level := [node for node in level if isinstance(node, dict | list)]:
        height += 1
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
    return height


def syntax_finding(error: MarkedYAMLError, text: str) -> Finding:
    """What the parser refused, in words for the person who wrote the text."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    if _PARSERS_DEPTH in (error.problem or ""):
        return Finding("D111", line, column, column + 1, _DEEP, hint=_FLATTER)
    summary, hint = explain_syntax(error.problem or "", error.context or "")
    related = None
    if error.context_mark is not None and mark is not None and error.context_mark.line != line:
        related = (error.context_mark.line, error.context_mark.column, "it begins here")
    return Finding("D101", line, column, column + 1, summary, hint=hint, related=related)
