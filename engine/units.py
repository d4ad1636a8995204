"""Durations, shares and money as people write them in YAML, turned into numbers once, at compile time."""

from __future__ import annotations

import re
from decimal import Decimal

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}

#: The JSON Schema patterns of the two notations, so that editors refuse what the compiler refuses.
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"
PERCENT_PATTERN = r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%$"


def parse_duration(text: str) -> float:
    """Seconds for ``200ms``, ``5s``, ``1m30s``, ``24h``, ``7d``. Raises ``ValueError`` for anything else."""
    if not re.fullmatch(DURATION_PATTERN[1:-1], text, re.ASCII):
        raise ValueError(f"{text!r} is not a duration; write for example 200ms, 5s, 1m30s or 24h")
    return float(sum((Decimal(n) * _SECONDS[u] for n, u in _DURATION.findall(text)), Decimal(0)))


def format_duration(seconds: float) -> str:
    """The shortest notation that :func:`parse_duration` reads back to the same number of milliseconds."""
    ms = round(seconds * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{Decimal(ms) / 1000:f}s" if ms > 1000 else f"{ms}ms"


def parse_percent(text: str) -> float:
    """The share in 0..1 for ``20%``. Raises ``ValueError`` for anything else."""
    if not re.fullmatch(PERCENT_PATTERN[1:-1], text, re.ASCII):
        raise ValueError(f"{text!r} is not a percentage from 0% to 100%; write for example 20%")
    return float(Decimal(text[:-1]) / 100)
