"""What ``plan`` found, as text for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.proof.behaviour import encoded
from engine.proof.change import money

from .planned_words import alike, moved, percent, rows, summary, told, witness
from .terminal import paint

if TYPE_CHECKING:
    from engine.graph import Graph
    from engine.proof.change import Comparison
    from engine.proof.gates import Broken
    from engine.proof.traffic import Traffic


class Planned(NamedTuple):
    """A comparison, the configurations it is of, what it breaks, and what it does to recorded traffic."""

    base: str
    head: str
    before: Graph
    after: Graph
    compared: Comparison
    broken: tuple[Broken, ...]
    traffic: Traffic | None


def render(planned: Planned, format_: str, *, color: bool) -> str:
    """The comparison in one of the formats of ``plan``."""
    if format_ == "json":
        return json.dumps(_json(planned), indent=2, ensure_ascii=False)
    if format_ == "human":
        return "\n\n".join("\n".join(block) for block in _human(planned, color))
    from .planned_page import html, markdown

    return markdown(planned) if format_ == "markdown" else html(planned)


def _human(planned: Planned, color: bool) -> Iterator[list[str]]:
    compared = planned.compared
    yield [f"{planned.base} -> {planned.head}"]
    for head, group in told(compared).items():
        yield [paint(head, "bold", color)]
        for one in group:
            lines = [f"  interlock explain {witness(one.change.request)}{alike(one.kinds)}"]
            width = min(max(len(row.what) for row in one.rows), 24)
            for row in one.rows:
                lines.append(f"    {row.what:{width}}  {row.before}")
                lines.append(f"    {'':{width}}  {paint('->', 'yellow', color)} {row.after}")
            yield lines
    if compared.moves:
        yield [paint("who moves", "bold", color), *(f"  {move.route}: {moved(move)}" for move in compared.moves)]
    if planned.traffic is not None:
        yield [paint("recorded requests", "bold", color), *(f"  {line}" for line in traffic_lines(planned.traffic))]
    others = other_lines(compared)
    if others:
        yield [paint("what is written otherwise", "bold", color), *(f"  {line}" for line in others)]
    for model in compared.unread:
        yield [f'of model "{model}" there are more kinds of request than were looked at: only the plainest were']
    if planned.broken:
        yield [
            f"{paint('gate broken', 'red', color)}: {one.gate}, {one.where}: {one.because}" for one in planned.broken
        ]
    yield [summary(compared)]


def other_lines(compared: Comparison) -> list[str]:
    """The differences between documents, a line each."""
    out = []
    for node, details in compared.other:
        out += [f"{node}: {detail}" for detail in details] or [node]
    return out


def traffic_lines(traffic: Traffic) -> list[str]:
    """What becomes of the recorded requests."""
    total = traffic.requests
    if not total:
        return ["there are none"]
    out = [
        f"{total} requests: {_of(traffic.moved, total)} begin at another target, {_of(traffic.rerouted, total)} take "
        f"another route, {_of(traffic.reassigned, total)} another variant"
    ]
    if traffic.lost or traffic.gained:
        out.append(f"{_of(traffic.lost, total)} are no longer sent to anybody, {_of(traffic.gained, total)} now are")
    for (before, after), count in sorted(traffic.ways.items(), key=lambda row: (-row[1], row[0]))[:10]:
        out.append(f"{count}: {before} -> {after}")
    if traffic.priced:
        before_usd, after_usd = traffic.usd_before, traffic.usd_after
        change = f" ({percent(float(after_usd / before_usd) - 1)})" if before_usd else ""
        out.append(
            f"cost of the {traffic.priced} that both can price: {money(before_usd)} -> {money(after_usd)}{change}"
        )
    return out


def _of(part: int, total: int) -> str:
    return f"{part} ({percent(part / total)})"


def _json(planned: Planned) -> dict[str, Any]:
    compared, traffic = planned.compared, planned.traffic
    return {
        "base": {"name": planned.base, "graph": compared.base},
        "head": {"name": planned.head, "graph": compared.head},
        "behaviour_changes": not compared.empty,
        "changes": [
            {
                "witness": {
                    "explain": witness(change.request),
                    "model": change.request.model,
                    "surface": change.request.surface,
                },
                "kinds": change.kinds,
                "differences": [row._asdict() for row in rows(change)],
                "before": encoded(change.before),
                "after": encoded(change.after),
            }
            for change in compared.changes
        ],
        "moves": [
            {
                "route": move.route, "split": move.split, "key": move.key, "moved": round(move.moved, 9),
                "shares": {name: {"before": old, "after": new} for name, old, new in move.shares},
                "pins": [{"value": value, "before": old, "after": new} for value, old, new in move.pins],
            }
            for move in compared.moves
        ],
        "models": {"gained": compared.models_gained, "lost": compared.models_lost},
        "rerouted": [{"model": m, "before": old, "after": new} for m, old, new in compared.rerouted],
        "documents": [{"change": node, "details": details} for node, details in compared.other],
        "not_all_kinds": compared.unread,
        "gates_broken": [{"gate": one.gate, "where": one.where, "because": one.because} for one in planned.broken],
        "traffic": None if traffic is None else {
            "requests": traffic.requests, "rerouted": traffic.rerouted, "reassigned": traffic.reassigned,
            "moved": traffic.moved, "lost": traffic.lost, "gained": traffic.gained, "priced": traffic.priced,
            "usd_before": f"{traffic.usd_before:f}", "usd_after": f"{traffic.usd_after:f}",
            "ways": [{"before": a, "after": b, "requests": n} for (a, b), n in sorted(traffic.ways.items())],
        },
    }  # fmt: skip
