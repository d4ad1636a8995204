"""Whether the engine says that it is ready, and why not."""

from __future__ import annotations

import time

from engine.exchange import RULES, Effect, OutcomeClass
from engine.graph import Graph, Readiness
from engine.ledger.rows import Check

from . import findings
from .checks import Checks
from .live import Live
from .reloader import Candidate, Reloader


class Standing:
    """What one engine answers when it is asked whether it is ready."""

    def __init__(self, live: Live, reloader: Reloader, checks: Checks) -> None:
        self._live = live
        self._reloader = reloader
        self._checks = checks
        self._outage = Outage()
        self.draining = False
        """Whether it is about to be closed."""

    def ready(self) -> bool:
        """See :meth:`Engine.ready`."""
        return self._live.open and not self.draining and not self._down()

    def detail(self) -> str:
        """See :meth:`Engine.ready_detail`."""
        if not self._live.open:
            return "not open"
        if self.draining:
            return "shutting down: requests are served still, and should go elsewhere"
        if self._down():
            return "every provider that routes use fails its checks; see GET /api/v1/providers"
        running, candidate = self._live.current.graph.fingerprint, self._reloader.candidate
        if candidate is None:
            return f"serving {running}"
        what = "the last good configuration" if self._reloader.on_last_good else "the configuration before it"
        why = findings.count(candidate.diagnostics)
        return f"serving {running}, {what}: the files as of {seen_at(candidate)} have {why}; see GET /api/v1/status"

    def _down(self) -> bool:
        graph = self._live.current.graph
        rules = graph.settings.readiness
        down = rules.outage == "not_ready" and all_down(graph, self._checks)
        return self._outage.judge(down, rules, time.monotonic())


def seen_at(candidate: Candidate) -> str:
    """When an edit was seen, in ISO 8601 (UTC)."""
    return candidate.seen_at.isoformat(timespec="milliseconds")


class Outage:
    """Whether everything upstream is down, for long enough to say so. No clock: moments are arguments, in seconds.

    It begins once it has lasted ``after`` seconds and ends once it has been over for ``until``: what flaps faster
    changes nothing.
    """

    def __init__(self) -> None:
        self.on = False
        self._differs_since: float | None = None

    def judge(self, down: bool, rules: Readiness, now: float) -> bool:
        """Whether there is an outage, everything being ``down`` or not at this moment."""
        if down is self.on:
            self._differs_since = None
            return self.on
        if self._differs_since is None:
            self._differs_since = now
        if now - self._differs_since >= (rules.after if down else rules.until):
            self.on, self._differs_since = down, None
        return self.on


def all_down(graph: Graph, checks: Checks) -> bool:
    """Whether each provider that a route uses failed when it was asked last.

    A provider that is not asked counts as up: only asking could find out that it is back, because whoever is not ready
    gets no traffic to learn from.
    """
    used = {target.provider.name for route in graph.routes.values() for target in route.targets}
    latest = [checks.latest(name) if graph.providers[name].health is not None else None for name in used]
    return bool(latest) and all(check is not None and _down(check) for check in latest)


def _down(check: Check) -> bool:
    """A refused key, say, is no outage: the provider answers."""
    return RULES[OutcomeClass(check.outcome)].breaker is Effect.FAILURE
