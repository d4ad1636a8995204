"""Live facts that outlive graphs, keyed by stable ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.dialects.rate_limits import rate_limits
from engine.exchange import Header, OutcomeClass, Verdict
from engine.graph import Graph, TargetStep

from .buckets import Buckets
from .conversations import Conversations
from .desk import Desks
from .gates import Gates
from .headroom import Headroom
from .health import Health
from .hedge_budget import HedgeBudget
from .latency import Latency
from .mirrors import MirrorTallies
from .retry_budget import RetryBudget
from .store import MemoryStore, Store

#: What a balance gives at first to a target whose breaker has just closed.
FIRST_SHARE = 0.1

_SERVED = OutcomeClass.SERVED


class State:
    """What the engine knows of the moment: requests under way by target id, breakers by circuit id, holds by target id,
    refused credentials by provider, budgets of retries and hedges by route, who keeps which conversation, how the
    latest attempts at each provider went and how long they took, and what counts against which limit.

    It belongs to one event loop. It survives reloads: a typo's correction must not forget what is under way. Moments
    are arguments, in Unix seconds.
    """

    __slots__ = (
        "_budgets",
        "_graphs",
        "_health",
        "_hedges",
        "_in_flight",
        "_metered",
        "buckets",
        "closed",
        "conversations",
        "desks",
        "gates",
        "headroom",
        "latency",
        "learn",
        "mirrors",
        "renew",
        "share",
        "store",
    )

    def __init__(self) -> None:
        self.buckets = Buckets()
        self.desks = Desks()
        self.conversations = Conversations()
        self.headroom = Headroom()
        self.latency = Latency()
        self.mirrors = MirrorTallies()
        self.store: Store = MemoryStore()
        self._metered: frozenset[str] = frozenset()
        self._health: dict[str, Health] = {}
        self._in_flight: dict[str, int] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._hedges: dict[tuple[str, str], HedgeBudget] = {}
        self._graphs: list[Graph] = []
        """The graphs that serve, the latest last; what none of them has is forgotten."""
        self.gates = Gates()
        self.closed = self.gates.closed
        self.share = self.gates.share
        self.learn = self.gates.learn
        self.renew = self.gates.renew

    # -- who is under way ----------------------------------------------------------------------------------------

    def in_flight(self, target: str) -> int:
        """Attempts under way at this target."""
        return self._in_flight.get(target, 0)

    def enter(self, step: TargetStep, now: float) -> None:
        """An attempt at this target begins; :meth:`leave` must follow, and :meth:`note` with the same ``began``."""
        target = step.target.id
        self._in_flight[target] = self._in_flight.get(target, 0) + 1
        self.gates.enter(step, now)

    def leave(self, target: str) -> None:
        """An attempt at this target ended."""
        left = self._in_flight[target] - 1
        if left:
            self._in_flight[target] = left
        else:
            del self._in_flight[target]

    # -- what attempts tell --------------------------------------------------------------------------------------

    def answered(self, step: TargetStep, began: float, now: float, header: Header) -> None:
        """A stream has begun to answer: that counts now and not at its end, which may be far.

        The reply's ``header`` is as old as this, so what it says of limits is read here.
        """
        target = step.target.id
        self.latency.output(target, now - began, now)
        if target in self._metered:
            self.headroom.note(target, rate_limits(header, now), now)
        self.gates.answered(step, began, now)
        self.gates.tell(step, self.store)

    def note(
        self,
        step: TargetStep,
        verdict: Verdict,
        began: float,
        ended: float,
        first_token: float | None = None,
        header: Header | None = None,
        streamed: bool = False,
    ) -> None:
        """An attempt ended: the one call by which live facts learn of it.

        ``began`` and ``ended`` are Unix seconds, ``first_token`` seconds after ``began`` (streams only), ``header``
        looks a header of the reply up by its lower-case name (``None``: there was no reply), ``streamed`` is whether
        a stream was asked for.
        """
        target, outcome = step.target, verdict.outcome_class
        health = self.health(target.provider.name)
        health.note(outcome, ended)
        self.latency.note(target.id, outcome, ended - began, first_token, ended, streamed)
        if header is not None and first_token is None and target.id in self._metered:
            self.headroom.note(target.id, rate_limits(header, ended), ended)
        under_way, sent = self.in_flight(target.id), header is not None
        self.gates.judge(step, verdict, began, ended, first_token, sent=sent, under_way=under_way, health=health)
        self.gates.tell(step, self.store)

    def probed(self, step: TargetStep, verdict: Verdict, began: float, ended: float, *, sent: bool) -> None:
        """A probe, which is nobody's request, ended; otherwise as :meth:`note`. ``sent``: there was a reply to it."""
        target = step.target
        under_way, health = self.in_flight(target.id), self.health(target.provider.name)
        self.gates.judge(step, verdict, began, ended, None, sent=sent, under_way=under_way, health=health)
        self.gates.tell(step, self.store)

    # -- the rest ------------------------------------------------------------------------------------------------

    def health(self, provider: str) -> Health:
        """How the latest attempts at this provider went."""
        found = self._health.get(provider)
        if found is None:
            found = self._health[provider] = Health()
        return found

    def retry_budget(self, route: str) -> RetryBudget:
        """The retry budget of this route, made at its first request."""
        budget = self._budgets.get(route)
        if budget is None:
            budget = self._budgets[route] = RetryBudget()
        return budget

    def hedge_budget(self, route: str, hedge: str) -> HedgeBudget:
        """The budget of the hedge at this place in the route, made at its first request."""
        budget = self._hedges.get((route, hedge))
        if budget is None:
            budget = self._hedges[route, hedge] = HedgeBudget()
        return budget

    # -- what is kept --------------------------------------------------------------------------------------------

    def retain(self, graph: Graph) -> None:
        """``graph`` serves from here on, beside those that requests still hold; :meth:`let_go` ends it.

        Rate-limit headers are read from here on for the targets that one of its balances by ``usage`` holds.
        """
        self._graphs.append(graph)
        for name in self._budgets.keys() - graph.routes.keys():
            del self._budgets[name]
        for key in [key for key in self._hedges if key[0] not in graph.routes]:
            del self._hedges[key]
        self.mirrors.retain(graph.routes)
        self.buckets.retain(graph.limits.all)
        self._metered = graph.metered
        self.headroom.retain(self._metered)
        self._forget()

    def let_go(self, graph: Graph) -> None:
        """Nobody holds ``graph`` any more: what no other graph has is forgotten."""
        if graph in self._graphs:
            self._graphs.remove(graph)
            self._forget()

    def _forget(self) -> None:
        graphs = self._graphs
        self.gates.retain(graphs)
        self.latency.retain({target for graph in graphs for target in graph.targets})
        for name in list(self._health):
            if not any(name in graph.providers for graph in graphs):
                del self._health[name]
        self.desks.retain({name for graph in graphs for name in graph.providers})

    def snapshot(self) -> Mapping[str, int]:
        """Attempts under way by target id, at this moment."""
        return dict(self._in_flight)

    def export(self, now: float) -> dict[str, Any]:
        """Breakers, holds and refused credentials with their reasons, tallies of mirrors, how long targets take, and
        what is left of the limits that replies told of, as plain JSON values; moments are Unix seconds.
        """
        return {
            **self.gates.export(now),
            "mirrors": self.mirrors.export(),
            "latency": self.latency.export(now),
            "headroom": self.headroom.export(now),
            "waiting": self.desks.lengths(),
            "store": self.store.export(),
        }
