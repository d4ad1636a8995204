"""What is known of the providers' health: from traffic, and from asking them; and what follows from it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from msgspec import to_builtins

from engine.exchange import Outcome, OutcomeClass, Verdict
from engine.executor.probe import Probed
from engine.graph import Graph, Probe, Provider, TargetStep
from engine.graph.tree import leaves
from engine.ledger.rows import Check
from engine.state import State

from .records import Records

#: Checks of a provider that are remembered where there is no ledger.
REMEMBERED = 100
#: Of these, those that the list of providers shows.
SHOWN = 5
#: Seconds that have to pass before traffic's next news of a provider is written down.
_QUIET = 1.0
_C = OutcomeClass
#: What a list of models can tell of the way to a provider: nothing answers there, or not in time.
_NO_WAY = frozenset({_C.CONNECTION, _C.TIMEOUT})


class Checks:
    """Takes the results of probes to the live state, remembers the latest, and writes them down.

    Belongs to one event loop.
    """

    def __init__(self, state: State, records: Records) -> None:
        self._state = state
        self._records = records
        self._recent: dict[str, deque[Check]] = {}
        self._told: dict[str, tuple[bool, float]] = {}
        self._graph: Graph | None = None
        self._uses: dict[str, tuple[TargetStep, ...]] = {}

    def retain(self, graph: Graph) -> None:
        """Forget the providers that ``graph`` has not."""
        for name in self._recent.keys() - graph.providers.keys():
            del self._recent[name]
        for name in self._told.keys() - graph.providers.keys():
            del self._told[name]

    # -- from asking ---------------------------------------------------------------------------------------------

    def postpone(self, graph: Graph, provider: Provider, asked: Probe) -> bool:
        """Whether a provider is not to be asked now: it wanted to be left alone, and a question counts as a request."""
        return asked.kind != "models" and any(map(self._state.gates.held, self._of(graph, provider, None)))

    def probed(self, graph: Graph, provider: Provider, asked: Probe, probed: Probed, began: float) -> None:
        """A probe that began then (Unix seconds) has ended."""
        before = self.latest(provider.name)
        now = began + probed.latency
        row = Check(
            at=now,
            provider=provider.name,
            target=probed.target,
            kind="active",
            outcome=probed.outcome_class.value,
            latency=probed.latency,
            detail=probed.detail,
        )
        self._keep(row)
        verdict = Verdict(probed.outcome_class, detail=probed.detail, retry_after=probed.retry_after)
        health = self._state.health(provider.name)
        if probed.target is not None:
            health.note(probed.outcome_class, now)
            for step in self._of(graph, provider, probed.target):
                self._state.probed(step, verdict, began, now, sent=probed.answered)
        elif self._telling(before, row):
            health.note(probed.outcome_class, now)
            for step in self._of(graph, provider, None):
                if not self._state.gates.held(step):
                    self._state.probed(step, verdict, began, now, sent=False)

    def _telling(self, before: Check | None, row: Check) -> bool:
        """Whether a list of models says more than traffic does.

        That it cannot be had proves that the way is blocked, unless somebody was served meanwhile. That it can be had
        proves that the way is free, which is news only where it was that way that was blocked: models may fail while
        their list answers.
        """
        health = self._state.health(row.provider)
        if row.outcome == _C.SERVED:
            blocked = before is not None and before.outcome in _NO_WAY
            return health.state == "unknown" or blocked or health.failure == _C.CONNECTION
        since = 0.0 if before is None else before.at
        return row.outcome in _NO_WAY and (health.served_at is None or health.served_at <= since)

    def _of(self, graph: Graph, provider: Provider, target: str | None) -> Iterator[TargetStep]:
        """The uses of this provider's targets, or of this one, one for each circuit."""
        if graph is not self._graph:
            uses: dict[str, dict[str, TargetStep]] = {}
            self._graph = graph
            for route in graph.routes.values():
                for step in leaves(route.step):
                    uses.setdefault(step.target.id, {})[step.circuit] = step
            self._uses = {id_: tuple(by_circuit.values()) for id_, by_circuit in uses.items()}
        for id_, steps in self._uses.items():
            if id_ == target or (target is None and steps[0].target.provider.name == provider.name):
                yield from steps

    # -- from traffic --------------------------------------------------------------------------------------------

    def observe(self, outcome: Outcome) -> None:
        """An observer of requests: writes down when a provider begins to fail, and when it serves again."""
        for attempt in outcome.attempts:
            provider = attempt.target.partition("/")[0]
            failing = self._state.health(provider).row > 0
            told, at = self._told.get(provider, (False, 0.0))
            if failing is told:
                continue
            now = outcome.started_at + attempt.started + attempt.duration
            if now < at + _QUIET:
                continue  # it may be back before anybody reads of it
            self._told[provider] = (failing, now)
            self._keep(
                Check(
                    at=now,
                    provider=provider,
                    target=attempt.target,
                    kind="passive",
                    outcome=attempt.outcome_class.value,
                    latency=attempt.duration,
                    detail=attempt.detail,
                )
            )

    def _keep(self, row: Check) -> None:
        recent = self._recent.get(row.provider)
        if recent is None:
            recent = self._recent[row.provider] = deque(maxlen=REMEMBERED)
        recent.append(row)
        self._records.put(row)

    # -- for people ----------------------------------------------------------------------------------------------

    def latest(self, provider: str) -> Check | None:
        """The last time that this provider was asked."""
        return next((row for row in reversed(self._recent.get(provider, ())) if row.kind == "active"), None)

    def describe(self, graph: Graph, name: str) -> dict[str, Any]:
        """A provider's health with its reasons, as plain JSON values; times are Unix seconds, ``latency`` milliseconds.

        What does not apply is left out.
        """
        now = time.time()
        health, provider = self._state.health(name), graph.providers.get(name)
        out: dict[str, Any] = {"state": health.state}
        out |= {field: value for field, value in to_builtins(health).items() if value}
        if provider is None:
            return out
        if closed := [row for step in self._of(graph, provider, None) if (row := self._closed(step, now)) is not None]:
            out["closed"] = sorted(closed, key=lambda row: (row["target"], row["until"]))
        served = [row.latency for row in self._recent.get(name, ()) if row.outcome == _C.SERVED and row.latency]
        if served:
            out["latency"] = round(1000 * sorted(served)[len(served) // 2], 1)
        if provider.health is not None:
            out["probe"] = {"kind": provider.health.kind, "every": provider.health.every}
        if recent := self._recent.get(name):
            out["checks"] = [shown(to_builtins(row)) for row in islice(reversed(recent), SHOWN)]
        return out

    def _closed(self, step: TargetStep, now: float) -> dict[str, Any] | None:
        closure = self._state.closed(step, now)
        if closure is None:
            return None
        row = {"target": step.target.id, "reason": closure.reason, "until": closure.until, "detail": closure.detail}
        return row if closure.until > now else None

    async def history(self, provider: str, limit: int, before: float | None) -> tuple[list[dict[str, Any]], str]:
        """The latest checks of a provider, the newest first, and where they were found: ``ledger`` or ``memory``."""
        ledger = self._records.ledger
        if ledger is not None:
            from engine.ledger import LedgerError

            try:
                return [shown(row) for row in await ledger.checks(provider, limit, before)], "ledger"
            except LedgerError:
                pass  # the log has the reason; what is remembered is better than nothing
        rows = [row for row in reversed(self._recent.get(provider, ())) if before is None or row.at < before]
        return [shown(to_builtins(row)) for row in rows[:limit]], "memory"


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A check as the endpoints show it: ``latency`` in milliseconds, without what is empty."""
    out = {name: row[name] for name in ("at", "kind", "outcome", "target", "detail") if row[name]}
    if row["latency"] is not None:
        out["latency"] = round(1000 * row["latency"], 1)
    return out
