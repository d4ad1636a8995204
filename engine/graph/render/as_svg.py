"""A graph as an SVG picture: boxes from left to right, routes stacked; it follows the viewer's light or dark theme."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from engine.graph.graph import Graph
from engine.graph.nodes import Route
from engine.graph.words import shorten

from .outline import Item, outline, wrap

_TITLE_CHAR, _NOTE_CHAR, _EDGE_CHAR = 8.3, 6.2, 6.2  # widths of characters at the sizes below, on the generous side
_LINE, _PAD, _MARGIN = 15, 10, 24
_GAP_X, _GAP_Y, _GAP_ROUTES = 48, 12, 32
_WIDEST_NOTE, _WIDEST_TITLE, _WIDEST_EDGE = 50, 44, 60

_STYLE = """
text{font-family:ui-sans-serif,system-ui,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2937}
.title{font-size:13px;font-weight:600}.note,.edge{font-size:11px;fill:#4b5563}
.page{fill:#ffffff}.box{fill:#f8fafc;stroke:#64748b;stroke-width:1.2}
.route .box{fill:#eef2ff;stroke:#4f46e5;stroke-width:1.8}.target .box{fill:#ecfdf5;stroke:#059669}
.reject .box{fill:#fef2f2;stroke:#dc2626}.reference .box{stroke-dasharray:5 3}
.line{fill:none;stroke:#94a3b8;stroke-width:1.3}
@media (prefers-color-scheme: dark){
text{fill:#e5e7eb}.note,.edge{fill:#9ca3af}.page{fill:#0f172a}.box{fill:#1e293b;stroke:#94a3b8}
.route .box{fill:#1e1b4b;stroke:#818cf8}.target .box{fill:#052e2b;stroke:#34d399}
.reject .box{fill:#3f1212;stroke:#f87171}.line{stroke:#64748b}}
"""


@dataclass(slots=True)
class _Box:
    """An item with its place; ``x`` and ``y`` are the top left corner, lengths are pixels."""

    item: Item
    depth: int
    lines: tuple[str, ...]
    width: float
    height: float
    children: list["_Box"] = field(default_factory=list)
    x: float = 0
    y: float = 0

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def svg(graph: Graph, routes: tuple[Route, ...]) -> str:
    """One picture of all the routes; every box has a ``<title>`` with its full text for screen readers."""
    bottom, right, body = float(_MARGIN), 0.0, []
    for route in routes:
        root = _measure(outline(route), 0)
        _place_x(root)
        bottom = _place_y(root, bottom) + _GAP_ROUTES
        right = max(right, *(box.x + box.width for box in _walk(root)))
        body += [line for box in _walk(root) for line in _draw(box)]
    height = max(bottom - _GAP_ROUTES, _MARGIN) + _MARGIN
    width = max(right, 200) + _MARGIN
    what = f"Routing graph {graph.fingerprint}: {len(routes)} route{'' if len(routes) == 1 else 's'}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="graph-title" '
            f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">',
            f'<title id="graph-title">{_text(what)}</title>',
            f"<style>{_STYLE}</style>",
            '<rect class="page" width="100%" height="100%"/>',
            *body,
            "</svg>\n",
        ]
    )


def _measure(item: Item, depth: int) -> _Box:
    lines = tuple(part for note in item.notes for part in wrap(note, _WIDEST_NOTE))
    title = len(shorten(item.title, _WIDEST_TITLE)) * _TITLE_CHAR
    width = max([title, *(len(line) * _NOTE_CHAR for line in lines)]) + 2 * _PAD
    box = _Box(item, depth, lines, width, _LINE * (1 + len(lines)) + 2 * _PAD - 4)
    box.children = [_measure(child, depth + 1) for child in item.children]
    return box


def _walk(box: _Box) -> Iterator[_Box]:
    yield box
    for child in box.children:
        yield from _walk(child)


def _place_x(root: _Box) -> None:
    """A column for each depth, as wide as its widest box, with room for the words on the lines into the next."""
    boxes = list(_walk(root))
    x = float(_MARGIN)
    for depth in range(max(box.depth for box in boxes) + 1):
        column = [box for box in boxes if box.depth == depth]
        if depth:
            x += _GAP_X + max(len(shorten(box.item.edge, _WIDEST_EDGE)) for box in column) * _EDGE_CHAR
        for box in column:
            box.x = x
        x += max(box.width for box in column)


def _place_y(box: _Box, top: float) -> float:
    """Children below each other, the parent beside their middle; returns where the subtree ends."""
    if not box.children:
        box.y = top
        return top + box.height
    at = top
    for number, child in enumerate(box.children):
        at = _place_y(child, at + (_GAP_Y if number else 0))
    box.y = max(top, (box.children[0].middle + box.children[-1].middle) / 2 - box.height / 2)
    return max(at, box.y + box.height)


def _draw(box: _Box) -> Iterator[str]:
    item = box.item
    full = "\n".join([f"{item.kind}: {item.title}", *item.notes])
    yield f'<g class="{item.kind}"><title>{_text(full)}</title>'
    size = f'width="{box.width:.1f}" height="{box.height:.1f}"'
    yield f'<rect class="box" x="{box.x:.1f}" y="{box.y:.1f}" {size} rx="6"/>'
    left, line = box.x + _PAD, box.y + _PAD + 9
    yield f'<text class="title" x="{left:.1f}" y="{line:.1f}">{_text(shorten(item.title, _WIDEST_TITLE))}</text>'
    for note in box.lines:
        line += _LINE
        yield f'<text class="note" x="{left:.1f}" y="{line:.1f}">{_text(note)}</text>'
    yield "</g>"
    for child in box.children:
        yield from _edge(box, child)


def _edge(box: _Box, child: _Box) -> Iterator[str]:
    """A curve out of the box, then straight into the child, where the words stand."""
    start, end = box.x + box.width, child.x
    words = shorten(child.item.edge, _WIDEST_EDGE)
    bend = end - (len(words) * _EDGE_CHAR + 16 if words else 8)
    half = (start + bend) / 2
    above, below = f"{box.middle:.1f}", f"{child.middle:.1f}"
    curve = f"M{start:.1f},{above} C{half:.1f},{above} {half:.1f},{below} {bend:.1f},{below} L{end:.1f},{below}"
    yield f'<path class="line" d="{curve}"/>'
    if words:
        title = f"<title>{_text(child.item.edge)}</title>" if words != child.item.edge else ""
        at = f'x="{bend + 6:.1f}" y="{child.middle - 5:.1f}"'
        yield f'<text class="edge" {at}>{title}{_text(words)}</text>'


def _text(text: str) -> str:
    """Escaped, and without the control characters that XML cannot hold."""
    return escape("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text))
