"""What live state exports, as samples: circuits, holds, latency, limits of providers, mirrors, the shared store,
the ledger.

Each part of the export that is missing has no samples; so has each number that is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import definitions as d
from .definitions import Definition

_Row = tuple[tuple[str, ...], float]
_Rows = Iterable[Mapping[str, Any]]


def live(export: Mapping[str, Any], now: float) -> Iterator[tuple[Definition, list[_Row]]]:
    """The samples of an export that was made at ``now``, Unix seconds."""
    circuits = export.get("circuits", ())
    yield d.CLOSED, _closed(circuits, export.get("holds", ()), export.get("credentials", ()), now)
    yield d.CIRCUITS, _summed(((row["target"], row["state"]), 1) for row in circuits)
    yield d.OPENED, _summed(((row["target"],), row["opened"]) for row in circuits)
    yield from _expected(export.get("latency", {}))
    yield from _limits(export.get("headroom", {}))
    yield d.WAITING, [((provider,), waiting) for provider, waiting in export.get("waiting", {}).items()]
    yield from _mirrors(export.get("mirrors", ()))
    yield from _store(export.get("store", {}))
    yield from _ledger(export.get("ledger", {}))


def _closed(circuits: _Rows, holds: _Rows, credentials: _Rows, now: float) -> list[_Row]:
    """The longest time of each target and reason; a refused credential is that of all targets of its provider."""
    out: dict[tuple[str, ...], float] = {}
    shut = [(row["target"], "breaker", row["until"]) for row in circuits if row["state"] != "closed"]
    shut += [(row["target"], "held", row["until"]) for row in holds]
    shut += [(f"{row['provider']}/*", "credential", row["until"]) for row in credentials]
    for target, reason, until in shut:
        out[target, reason] = max(out.get((target, reason), 0.0), until - now)
    return list(out.items())


def _expected(latency: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[tuple[Definition, list[_Row]]]:
    rows = [((target, phase), row["expected"]) for target, phases in latency.items() for phase, row in phases.items()]
    yield d.EXPECTED, [(labels, seconds) for labels, seconds in rows if seconds is not None]


def _limits(headroom: Mapping[str, Iterable[Mapping[str, Any]]]) -> Iterator[tuple[Definition, list[_Row]]]:
    rows = [(target, row) for target, limits in headroom.items() for row in limits]
    for definition, key in ((d.UPSTREAM_LIMIT, "limit"), (d.UPSTREAM_LEFT, "remaining")):
        yield definition, [((target, row["name"]), row[key]) for target, row in rows if row[key] is not None]


def _mirrors(mirrors: _Rows) -> Iterator[tuple[Definition, list[_Row]]]:
    for definition, key in ((d.MIRRORED, "outcomes"), (d.UNMIRRORED, "dropped")):
        yield definition, [((row["route"], row["to"], why), n) for row in mirrors for why, n in row[key].items()]


def _store(store: Mapping[str, float]) -> Iterator[tuple[Definition, list[_Row]]]:
    if store:
        yield d.STORE_UP, [((), store["up"])]
        yield d.STORE_DECISIONS, [((result,), store[result]) for result in ("asked", "refused", "alone")]
        yield d.STORE_AWAY, [((), store["away_seconds"])]


def _ledger(ledger: Mapping[str, Any]) -> Iterator[tuple[Definition, list[_Row]]]:
    if ledger:
        yield d.LEDGER_UP, [((), 0.0 if ledger["trouble"] else 1.0)]
        yield d.LEDGER_ROWS, [((result,), ledger[result]) for result in ("written", "refused", "dropped")]
        yield d.LEDGER_WAITING, [((), ledger["waiting"])]


def _summed(rows: Iterable[_Row]) -> list[_Row]:
    out: dict[tuple[str, ...], float] = {}
    for labels, number in rows:
        out[labels] = out.get(labels, 0) + number
    return list(out.items())
