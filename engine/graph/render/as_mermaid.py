"""A graph as a Mermaid flowchart, which code hosts draw inside Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

from engine.graph.graph import Graph
from engine.graph.nodes import Route
from engine.graph.words import shorten

from .outline import Item, outline, wrap

_SHAPES = {
    "route": ("([", "])"),
    "target": ("[", "]"),
    "fallback": ("[/", "/]"),
    "split": ("{{", "}}"),
    "balance": ("{{", "}}"),
    "switch": ("{", "}"),
    "hedge": ("{{", "}}"),
    "mirror": ("[/", "\\]"),
    "reject": ("[[", "]]"),
    "reference": ("[[", "]]"),
}
_CLASSES = (
    "classDef route stroke-width:2px,font-weight:bold",
    "classDef target stroke:#2563eb",
    "classDef reject stroke:#dc2626",
)


def mermaid(graph: Graph, routes: tuple[Route, ...]) -> str:
    """``flowchart LR``, one tree a route."""
    lines = [f"%% graph {graph.fingerprint}", "flowchart LR"]
    names = (f"n{n}" for n in count())
    for route in routes:
        item = outline(route)
        lines += (f"  {line}" for line in _box(item, next(names), names))
    return "\n".join([*lines, *(f"  {line}" for line in _CLASSES)]) + "\n"


def _box(item: Item, name: str, names: Iterator[str]) -> Iterator[str]:
    left, right = _SHAPES[item.kind]
    text = "<br/>".join(_escape(line) for text in (item.title, *item.notes) for line in wrap(text, 60))
    style = f":::{item.kind}" if item.kind in ("route", "target", "reject") else ""
    yield f'{name}{left}"{text}"{right}{style}'
    for child in item.children:
        below = next(names)
        edge = f'|"{_escape(shorten(child.edge, 80))}"|' if child.edge else ""
        yield from _box(child, below, names)
        yield f"{name} -->{edge} {below}"


def _escape(text: str) -> str:
    """Mermaid's own character codes for everything that could be read as its syntax, as HTML or as Markdown."""
    return re.sub(r"[^\w \-./:,+=()@%…]", lambda match: f"#{ord(match[0])};", text, flags=re.ASCII)
