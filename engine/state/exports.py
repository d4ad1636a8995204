"""What is shut, and why, as plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .circuit import Circuit
from .gate import Gate
from .holds import Hold
from .sharing import Learnt


def gates(circuits: Mapping[str, Circuit], shut: Mapping[str, Gate], now: float) -> dict[str, Any]:
    """Breakers, holds and refused credentials with their reasons; moments are Unix seconds."""
    holds = [gate for gate in shut.values() if isinstance(gate, Hold)]
    held = [hold.export(now) for hold in holds if hold.reason == "held"]
    refused = [hold.export(now) for hold in holds if hold.reason == "credential"]
    return {
        "circuits": [circuits[id_].export(now) for id_ in sorted(circuits)]
        + [gate.export(now) for _, gate in sorted(shut.items()) if isinstance(gate, Learnt)],
        "holds": sorted(held, key=lambda row: row["target"]),
        "credentials": sorted(refused, key=lambda row: row["provider"]),
    }
