"""What ``plan`` found, as Markdown for a pull request and as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from engine.graph import Graph, render

from .planned import other_lines, traffic_lines
from .planned_words import Row, alike, moved, percent, summary, told, witness

if TYPE_CHECKING:
    from engine.proof.change import Change

    from .planned import Planned

#: Characters that a code host takes in a comment, with room to spare (GitHub: 65,536).
_ROOM = 60_000
_BAR, _HEIGHT = 300, 14

_STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.5rem 0 1rem}td,th{border:1px solid #8885;padding:.25rem .6rem;text-align:left}
td{vertical-align:top}code,pre{font-family:ui-monospace,monospace;font-size:.9em}.bad{color:#dc2626;font-weight:600}
svg{max-width:100%}.was{fill:#94a3b8}.is{fill:#4f46e5}svg text{fill:currentColor;font-size:12px}
"""


def markdown(planned: Planned) -> str:
    """For a pull request's comment: what is broken, a table a change, and a picture of each route that changed."""
    compared = planned.compared
    blocks = [f"### Interlock plan: {_md(planned.base)} → {_md(planned.head)}", f"**{summary(compared)}**"]
    if planned.broken:
        blocks.append("\n".join(f"- ❌ `{one.gate}`, {_md(one.where)}: {_md(one.because)}" for one in planned.broken))
    for head, group in told(compared).items():
        blocks.append(f"#### {_md(head)}")
        for one in group:
            blocks.append(f"`interlock explain {_code(witness(one.change.request))}`{alike(one.kinds)}")
            lines = ["| | before | after |", "|---|---|---|"]
            lines += [f"| {_md(row.what)} | {_md(row.before)} | {_md(row.after)} |" for row in one.rows]
            blocks.append("\n".join(lines))
    if compared.moves:
        blocks += ["#### Who moves", "\n".join(f"- {_md(move.route)}: {_md(moved(move))}" for move in compared.moves)]
    if planned.traffic is not None:
        blocks += ["#### Recorded requests", "\n".join(f"- {_md(line)}" for line in traffic_lines(planned.traffic))]
    for model in compared.unread:
        blocks.append(f"Of model {_md(model)} there are more kinds of request than were looked at.")
    if others := other_lines(compared):
        body = "\n".join(f"- {_md(line)}" for line in others)
        blocks.append(f"<details><summary>What is written otherwise</summary>\n\n{body}\n\n</details>")
    for name, graph in _pictured(planned):
        picture = "\n".join(render(graph, "mermaid", name).splitlines()[1:])
        blocks.append(f"<details><summary>Route {_md(name)}</summary>\n\n```mermaid\n{picture}\n```\n\n</details>")
    return _fitting(blocks)


def _fitting(blocks: list[str]) -> str:
    """As many of the blocks as there is room for; what is left out is said."""
    out, size = [], 0
    for at, block in enumerate(blocks):
        size += len(block) + 2
        if size > _ROOM:
            out.append(f"{len(blocks) - at} more parts do not fit here; `--format html` shows them all.")
            break
        out.append(block)
    return "\n\n".join(out)


def _pictured(planned: Planned) -> Iterator[tuple[str, Graph]]:
    """The changed routes as they are in HEAD."""
    for name in planned.compared.routes:
        if name in planned.after.routes:
            yield name, planned.after


def _md(text: str) -> str:
    """Text that Markdown shows as it is, also in a cell of a table."""
    for char in "\\`*_[]|<>":
        text = text.replace(char, f"\\{char}")
    return " ".join(text.split())


def _code(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")


def html(planned: Planned) -> str:
    """One page, with the shares as bars and the routes as pictures, all inside it."""
    compared = planned.compared
    parts = [f"<h1>{escape(planned.base)} → {escape(planned.head)}</h1>", f"<p><b>{escape(summary(compared))}</b></p>"]
    parts += [
        f'<p class="bad">Gate broken: <code>{escape(one.gate)}</code>, {escape(one.where)}: {escape(one.because)}</p>'
        for one in planned.broken
    ]
    for head, group in told(compared).items():
        parts.append(f"<h2>{escape(head)}</h2>")
        for one in group:
            shown = escape(f"interlock explain {witness(one.change.request)}")
            parts += [f"<p><code>{shown}</code>{escape(alike(one.kinds))}</p>", _bars(one.change), _table(one.rows)]
    for head, lines in (
        ("Who moves", [f"{move.route}: {moved(move)}" for move in compared.moves]),
        ("Recorded requests", [] if planned.traffic is None else traffic_lines(planned.traffic)),
        ("Models of which not all kinds of request were looked at", list(compared.unread)),
        ("What is written otherwise", other_lines(compared)),
    ):
        if lines:
            parts.append(f"<h2>{head}</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>")
    for name in compared.routes:
        for word, graph in (("before", planned.before), ("after", planned.after)):
            if name in graph.routes:
                parts += [f"<h2>Route {escape(name)}, {word}</h2>", _picture(graph, name)]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Interlock plan</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>"
    )


def _table(rows: list[Row]) -> str:
    cells = "".join(
        f"<tr><th>{escape(row.what)}</th><td>{escape(row.before)}</td><td>{escape(row.after)}</td></tr>" for row in rows
    )
    return f"<table><tr><th></th><th>before</th><th>after</th></tr>{cells}</table>"


def _picture(graph: Graph, name: str) -> str:
    """The route's drawing; without what an XML file begins with."""
    svg = render(graph, "svg", name)
    return svg[svg.index("<svg") :]


def _bars(change: Change) -> str:
    """First attempts before and after, as bars of their shares."""
    before, after = change.before.first(), change.after.first()
    names = sorted(before.keys() | after.keys())
    if before == after or not names:
        return ""
    out = []
    for at, name in enumerate(names):
        y = at * 3 * _HEIGHT
        out.append(f'<text x="0" y="{y + _HEIGHT + 4}">{escape(name)}</text>')
        for line, (css, shares) in enumerate((("was", before), ("is", after))):
            share, top = float(shares.get(name, 0)), y + line * _HEIGHT
            out.append(f'<rect class="{css}" x="260" y="{top}" width="{share * _BAR:.1f}" height="{_HEIGHT - 2}"/>')
            out.append(f'<text x="{265 + share * _BAR:.1f}" y="{top + _HEIGHT - 3}">{percent(share)}</text>')
    height = len(names) * 3 * _HEIGHT
    return f'<svg role="img" width="640" height="{height}" viewBox="0 0 640 {height}">{"".join(out)}</svg>'
