"""A graph for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from engine.graph.graph import Graph
from engine.graph.nodes import Route
from engine.graph.words import shorten

from .outline import Item, outline, wrap

_STYLES = {
    "route": 'shape=box, style="rounded,bold"',
    "target": "shape=box",
    "fallback": "shape=cds",
    "split": "shape=hexagon",
    "balance": "shape=hexagon",
    "switch": "shape=diamond",
    "hedge": "shape=hexagon",
    "mirror": "shape=trapezium",
    "reject": "shape=octagon",
    "reference": 'shape=box, style="rounded,dashed"',
}


def dot(graph: Graph, routes: tuple[Route, ...]) -> str:
    """A ``digraph`` from left to right, one tree a route."""
    lines = [
        "digraph interlock {",
        f'  graph [rankdir=LR, label="graph {graph.fingerprint}", fontname="Helvetica"];',
        '  node [fontname="Helvetica", fontsize=11];',
        '  edge [fontname="Helvetica", fontsize=10];',
    ]
    names = (f"n{n}" for n in count())
    for route in routes:
        lines += (f"  {line}" for line in _box(outline(route), next(names), names))
    return "\n".join([*lines, "}"]) + "\n"


def _box(item: Item, name: str, names: Iterator[str]) -> Iterator[str]:
    label = r"\n".join(_escape(line) for text in (item.title, *item.notes) for line in wrap(text, 60))
    yield f'{name} [label="{label}", {_STYLES[item.kind]}];'
    for child in item.children:
        below = next(names)
        yield from _box(child, below, names)
        yield (
            f'{name} -> {below} [label="{_escape(shorten(child.edge, 80))}"];' if child.edge else f"{name} -> {below};"
        )


def _escape(text: str) -> str:
    flat = "".join(c if c.isprintable() else " " for c in text)
    return flat.replace("\\", "\\\\").replace('"', '\\"')
