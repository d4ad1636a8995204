"""Drawings of a graph: for terminals, for Markdown, for Graphviz, for programs, for browsers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from engine.graph.graph import Graph
from engine.graph.nodes import Route

from .as_dot import dot
from .as_json import to_json
from .as_mermaid import mermaid
from .as_svg import svg
from .as_tree import tree

#: Format -> its renderer.
FORMATS: Mapping[str, Callable[[Graph, tuple[Route, ...]], str]] = MappingProxyType(
    {"tree": tree, "mermaid": mermaid, "dot": dot, "json": to_json, "svg": svg}
)


def render(graph: Graph, format: str, route: str | None = None) -> str:  # noqa: A002  - the option's own name
    """The graph as ``tree``, ``mermaid``, ``dot``, ``json`` or ``svg`` text, ending in one newline.

    With ``route`` only that route and what it reaches. The same graph always gives the same text; secrets are never in
    it. Raises ``ValueError`` for an unknown format, ``KeyError`` for an unknown route.
    """
    renderer = FORMATS.get(format)
    if renderer is None:
        raise ValueError(f"unknown format {format!r}; known are {', '.join(FORMATS)}")
    chosen = (graph.routes[route],) if route is not None else tuple(graph.routes[name] for name in sorted(graph.routes))
    return renderer(graph, chosen)


__all__ = ["FORMATS", "render"]
