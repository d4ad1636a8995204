"""A graph for terminals: one indented line a step."""

from __future__ import annotations

from collections.abc import Iterator, Sized

from engine.graph.graph import Graph
from engine.graph.nodes import Route

from .outline import Item, outline


def tree(graph: Graph, routes: tuple[Route, ...]) -> str:
    """The routes, one below the other, below a line on the whole graph."""
    counts = [_count(graph.routes, "route"), _count(graph.targets, "target"), _count(graph.providers, "provider")]
    lines = [f"graph {graph.fingerprint}: {', '.join(counts)}"]
    for route in routes:
        lines += ["", *_route(outline(route), graph.documents.get(("route", route.name), ""))]
    return "\n".join(map(_printable, lines)) + "\n"


def _count(nodes: Sized, word: str) -> str:
    return f"{len(nodes)} {word}{'' if len(nodes) == 1 else 's'}"


def _printable(line: str) -> str:
    """The line without anything that could steer a terminal."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in line)


def _route(item: Item, file: str) -> Iterator[str]:
    yield f"{item.title}   ({file})" if file else item.title
    for note in item.notes:
        yield f"│ {note}"
    yield from _children(item, "")


def _children(item: Item, indent: str) -> Iterator[str]:
    width = max((len(child.edge) for child in item.children if len(child.edge) <= 24), default=0)
    for child in item.children:
        last = child is item.children[-1]
        edge = f"{child.edge:<{width}}  " if child.edge or width else ""
        notes = f"   ({'; '.join(child.notes)})" if child.notes else ""
        yield f"{indent}{'└─' if last else '├─'} {edge}{child.title}{notes}"
        yield from _children(child, indent + ("   " if last else "│  "))
