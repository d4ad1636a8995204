"""What came of a scenario, in figures: of all requests or of those due in a window of it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.chaos.answers import OUTPUT_TOKENS, PROMPT_TOKENS
from benchmarks.chaos.load import Record
from benchmarks.chaos.upstream import Call

#: USD of one call that came to its output: every target has this price, and a call that was cut has used it up.
CALL_USD = (PROMPT_TOKENS * 0.15 + OUTPUT_TOKENS * 0.60) / 1e6


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which this share of them lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


@dataclass(frozen=True)
class Figures:
    """Figures of some requests. Seconds; ``cost`` is USD for a thousand of them that were served."""

    offered: int
    served: float
    wrong: int
    silent: int
    p50: float
    p99: float
    worst: float
    first50: float
    first99: float
    attempts: float
    upstream: float
    cost: float
    codes: dict[str, int]


@dataclass
class Result:
    """Everything that one variant of a scenario saw. Times of records and calls are seconds of ``time.monotonic``."""

    begun: float
    seconds: float
    records: list[Record] = field(default_factory=list)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    memory: float = 0.0
    unavailable: str = ""

    def due(self, load: str = "", begin: float = 0.0, end: float = 1e9) -> list[Record]:
        """The requests of this load (or of all) due in this window of the scenario, without those that left."""
        low, high = self.begun + begin, self.begun + end
        return [r for r in self.records if load in ("", r.load) and low <= r.due < high and r.kind != "left"]

    def at(self, *targets: str, begin: float = 0.0, end: float = 1e9) -> list[Call]:
        """The calls that arrived at these targets in this window, in order."""
        low, high = self.begun + begin, self.begun + end
        found = [call for target in targets for call in self.calls[target] if low <= call.at < high]
        return sorted(found, key=lambda call: call.at)

    def figures(self, load: str = "", begin: float = 0.0, end: float = 1e9) -> Figures:
        """The figures of these requests; upstream load and cost are those of their own calls, whenever made."""
        records = self.due(load, begin, end)
        tokens = {record.token for record in records}
        calls = [call for target in self.calls.values() for call in target if call.token in tokens]
        served = [record for record in records if record.kind == "ok"]
        kinds = Counter(record.kind for record in records)
        seconds = [record.seconds for record in records]
        first = [record.first - record.due for record in served]
        return Figures(
            offered=len(records),
            served=len(served) / max(1, len(records)),
            wrong=kinds["wrong"],
            silent=kinds["silent"],
            p50=statistics.median(seconds) if seconds else 0.0,
            p99=percentile(seconds, 0.99),
            worst=max(seconds, default=0.0),
            first50=statistics.median(first) if first else 0.0,
            first99=percentile(first, 0.99),
            attempts=sum(record.attempts for record in records) / max(1, len(records)),
            upstream=len(calls) / max(1, len(records)),
            cost=1000 * CALL_USD * sum(call.output for call in calls) / max(1, len(served)),
            codes=dict(Counter(f"{r.status} {r.code}".strip() for r in records if r.kind != "ok").most_common(4)),
        )


def busiest(calls: list[Call], seconds: float) -> int:
    """The most calls that fell into any window of this length."""
    most, low = 0, 0
    for high, call in enumerate(calls):
        while call.at - calls[low].at >= seconds:
            low += 1
        most = max(most, high - low + 1)
    return most
