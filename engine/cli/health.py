"""How providers do, as people read it: from what ``GET /api/v1/providers`` of a running server answers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from .terminal import paint, table

Row = Mapping[str, Any]
_COLORS = {"healthy": "green", "failing": "red"}


def health_table(rows: Iterable[Row], now: float, width: int, color: bool) -> str:
    """A line a provider, with the reason why it is left alone or thought to fail. ``now`` is Unix seconds."""
    cells = []
    for row in rows:
        health = row["health"]
        checks = [check for check in health.get("checks", ()) if check["kind"] == "active"]
        cells.append(
            (
                row["id"],
                health["state"] if row["configured"] or not row["declared"] else "no secret",
                _ago(health.get("served_at"), now),
                _milliseconds(health.get("latency")),
                _ago(checks[0]["at"] if checks else None, now),
                "\n".join(_reasons(health, now)),
            )
        )
    return table(("provider", "health", "served", "latency", "checked", "why"), cells, color, width)


def health_page(row: Row, now: float, width: int, color: bool) -> str:
    """One provider: how it does and why, and its latest checks. ``now`` is Unix seconds."""
    health, probe = row["health"], row["health"].get("probe")
    state = paint(health["state"], _COLORS.get(health["state"], "bold"), color)
    asked = f"{probe['kind']}, every {probe['every']:g} s" if probe else "never: its document has no `health`"
    lines = [
        f"{row['id']}  ({row['category']}, {row['source']})",
        f"  health   {state}",
        f"  served   {_ago(health.get('served_at'), now) or 'not yet'}",
        f"  latency  {_milliseconds(health.get('latency')) or 'not known'}",
        f"  asked    {asked}",
    ]
    for reason in _reasons(health, now):
        lines += textwrap.wrap(reason, width, initial_indent="  why      ", subsequent_indent=" " * 11)
    cells = [
        (
            _ago(check["at"], now),
            "asked" if check["kind"] == "active" else "traffic",
            check["outcome"],
            _milliseconds(check.get("latency")),
            check.get("target", "list of models" if check["kind"] == "active" else ""),
            check.get("detail", ""),
        )
        for check in health.get("checks", ())
    ]
    head = ("when", "by", "outcome", "took", "of", "detail")
    return "\n".join([*lines, *(["", table(head, cells, color, width)] if cells else [])])


def _reasons(health: Row, now: float) -> list[str]:
    """Why it is left alone, and what failed last if it has not served since."""
    out = [
        f"{closed['target']}: {closed['reason']}, {_span(closed['until'] - now)} more"
        + (f": {closed['detail']}" if closed["detail"] else "")
        for closed in health.get("closed", ())
    ]
    if health["state"] == "failing":
        row, when = health.get("row", 1), _ago(health.get("failed_at"), now)
        out.append(f"{health.get('failure', 'failed')} {when}" + (f", {row} in a row" if row > 1 else ""))
    return out


def _milliseconds(latency: float | None) -> str:
    if latency is None:
        return ""
    return f"{latency:.0f} ms" if latency < 1000 else f"{latency / 1000:.1f} s"


def _ago(at: float | None, now: float) -> str:
    return "" if at is None else f"{_span(now - at)} ago"


def _span(seconds: float) -> str:
    """One number and one unit, rounded down; of a time that is over, nothing."""
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= 2 * size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
