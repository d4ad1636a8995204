"""Live state as samples."""

from __future__ import annotations

from typing import Any

import pytest

from engine.telemetry import definitions as d
from engine.telemetry.live import live

NOW = 1_000.0
CIRCUITS = [
    {"target": "one/m", "id": "one/m#a", "state": "open", "opened": 3, "since": 990.0, "until": 1_030.0, "reason": "x"},
    {"target": "one/m", "id": "one/m#b", "state": "closed", "opened": 1, "attempts": 5, "failures": 0},
    {
        "target": "two/m",
        "id": "two/m#a",
        "state": "half_open",
        "opened": 1,
        "since": 900.0,
        "until": 999.0,
        "probes": 1,
    },
]
HOLDS = [
    {"target": "two/m", "state": "held", "since": 995.0, "until": 1_005.0, "reason": "it answered 429", "in_a_row": 1},
]
CREDENTIALS = [
    {"provider": "three", "state": "held", "since": 995.0, "until": 1_300.0, "reason": "401", "in_a_row": 1},
]
LATENCY = {"one/m": {"first_token": {"expected": 0.2, "p50": 0.2}, "total": {"expected": None, "p50": None}}}
HEADROOM = {"one/m": [{"name": "requests", "limit": 100, "remaining": 40, "resets_in": 3.0}]}
MIRRORS = [
    {"route": "chat", "to": "new/m", "copies": 3, "outcomes": {"served": 2, "timeout": 1}, "dropped": {"busy": 4}}
]
LEDGER = {"written": 5, "refused": 1, "dropped": 2, "waiting": 3, "failures": 4, "trouble": "database is locked"}
STORE = {"up": 1.0, "asked": 7, "refused": 2, "alone": 1, "aways": 1, "away_seconds": 0.5, "processes": 2}


@pytest.mark.parametrize(
    ("export", "definition", "rows"),
    [
        (
            {"circuits": CIRCUITS, "holds": HOLDS, "credentials": CREDENTIALS},
            d.CLOSED,
            {
                ("one/m", "breaker"): 30.0,
                ("two/m", "breaker"): 0.0,
                ("two/m", "held"): 5.0,
                ("three/*", "credential"): 300.0,
            },
        ),
        (
            {"circuits": CIRCUITS},
            d.CIRCUITS,
            {("one/m", "open"): 1, ("one/m", "closed"): 1, ("two/m", "half_open"): 1},
        ),
        ({"circuits": CIRCUITS}, d.OPENED, {("one/m",): 4, ("two/m",): 1}),
        ({"latency": LATENCY}, d.EXPECTED, {("one/m", "first_token"): 0.2}),
        ({"headroom": HEADROOM}, d.UPSTREAM_LIMIT, {("one/m", "requests"): 100}),
        ({"headroom": HEADROOM}, d.UPSTREAM_LEFT, {("one/m", "requests"): 40}),
        (
            {"mirrors": MIRRORS},
            d.MIRRORED,
            {("chat", "new/m", "served"): 2, ("chat", "new/m", "timeout"): 1},
        ),
        ({"mirrors": MIRRORS}, d.UNMIRRORED, {("chat", "new/m", "busy"): 4}),
        ({"store": STORE}, d.STORE_UP, {(): 1.0}),
        ({"store": STORE}, d.STORE_DECISIONS, {("asked",): 7, ("refused",): 2, ("alone",): 1}),
        ({"store": STORE}, d.STORE_AWAY, {(): 0.5}),
        ({"ledger": LEDGER}, d.LEDGER_UP, {(): 0.0}),
        ({"ledger": {**LEDGER, "trouble": ""}}, d.LEDGER_UP, {(): 1.0}),
        ({"ledger": LEDGER}, d.LEDGER_ROWS, {("written",): 5, ("refused",): 1, ("dropped",): 2}),
        ({"ledger": LEDGER}, d.LEDGER_WAITING, {(): 3}),
    ],
)
def test_what_an_export_says(export: dict[str, Any], definition: d.Definition, rows: dict[Any, float]) -> None:
    found = {one: dict(samples) for one, samples in live(export, NOW)}
    assert found[definition] == rows
    assert all(len(labels) == len(one.labels) for one, samples in found.items() for labels in samples)


def test_nothing_exported_is_nothing_said() -> None:
    assert [rows for _, rows in live({}, NOW) if rows] == []
