"""Horizontal bar charts as SVG, written by hand: no dependency, readable without a legend, light background."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH = 860
LABEL = 190
BAR = 22
GAP = 8
PANEL_HEAD = 46
PANEL_GAP = 26
COLOURS = {"interlock": "#1f6f54", "bare": "#8aa69b", "tensorzero": "#b5673a", "litellm": "#7a6aa8", "nginx": "#9aa3ad"}


@dataclass(frozen=True)
class Bar:
    """One bar: who (chooses the colour), its label and its value."""

    name: str
    label: str
    value: float
    text: str


@dataclass(frozen=True)
class Panel:
    """One chart: a title, a line under it, and its bars in order."""

    title: str
    note: str
    bars: tuple[Bar, ...]


def _bars(panel: Panel, top: float) -> list[str]:
    longest = max((bar.value for bar in panel.bars), default=1.0) or 1.0
    room = WIDTH - LABEL - 130
    lines = []
    for index, bar in enumerate(panel.bars):
        y = top + index * (BAR + GAP)
        width = max(1.5, bar.value / longest * room)
        weight = ' font-weight="600"' if bar.name == "interlock" else ""
        lines += [
            f'<text x="{LABEL - 10}" y="{y + 15.5}" text-anchor="end"{weight}>{escape(bar.label)}</text>',
            f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" '
            f'fill="{COLOURS.get(bar.name, "#9aa3ad")}"/>',
            f'<text x="{LABEL + width + 8:.1f}" y="{y + 15.5}"{weight}>{escape(bar.text)}</text>',
        ]
    return lines


def write(file: Path, title: str, footer: str, panels: list[Panel]) -> None:
    """Writes the panels one under the other."""
    body: list[str] = []
    y = 64.0
    for panel in panels:
        body.append(f'<text x="24" y="{y}" font-size="15" font-weight="600">{escape(panel.title)}</text>')
        body.append(f'<text x="24" y="{y + 19}" fill="#5b6670" font-size="12">{escape(panel.note)}</text>')
        body += _bars(panel, y + PANEL_HEAD - 14)
        y += PANEL_HEAD + len(panel.bars) * (BAR + GAP) + PANEL_GAP
    height = y + 16
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="system-ui, sans-serif" font-size="13" fill="#1d2429" '
        f'role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fbfbf9"/>',
        f'<text x="24" y="34" font-size="19" font-weight="700">{escape(title)}</text>',
    ]
    foot = f'<text x="24" y="{height - 14:.0f}" fill="#5b6670" font-size="11">{escape(footer)}</text>'
    file.write_text("\n".join([*head, *body, foot, "</svg>", ""]))
