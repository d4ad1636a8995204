"""Live facts that outlive graphs, keyed by stable ids."""

from __future__ import annotations

from collections.abc import Mapping

from engine.exchange import Header, Verdict
from engine.graph import Graph, TargetStep

from .buckets import Buckets
from .closure import Closure
from .conversations import Conversations
from .desk import Desk
from .health import Health
from .hedge_budget import HedgeBudget
from .retry_budget import RetryBudget
from .store import MemoryStore, Store


class State:
    """What the engine knows of the moment: requests under way by target id, retry budgets by route name, who keeps
    which conversation, how the latest attempts at each provider went, and what counts against which limit.

    It belongs to one event loop. It survives reloads: a typo's correction must not forget what is under way.
    """

    __slots__ = ("_budgets", "_desks", "_health", "_hedges", "_in_flight", "buckets", "conversations", "store")

    def __init__(self) -> None:
        self.store: Store = MemoryStore()
        self.buckets = Buckets()
        self._desks: dict[str, Desk] = {}
        self.conversations = Conversations()
        self._health: dict[str, Health] = {}
        self._in_flight: dict[str, int] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._hedges: dict[tuple[str, str], HedgeBudget] = {}

    def in_flight(self, target: str) -> int:
        """Attempts under way at this target."""
        return self._in_flight.get(target, 0)

    def enter(self, target: str) -> None:
        """An attempt at this target begins; :meth:`leave` must follow."""
        self._in_flight[target] = self._in_flight.get(target, 0) + 1

    def leave(self, target: str) -> None:
        """An attempt at this target ended."""
        left = self._in_flight[target] - 1
        if left:
            self._in_flight[target] = left
        else:
            del self._in_flight[target]

    def health(self, provider: str) -> Health:
        """How the latest attempts at this provider went."""
        found = self._health.get(provider)
        if found is None:
            found = self._health[provider] = Health()
        return found

    def closed(self, step: TargetStep, now: float) -> Closure | None:
        """Why this use of a target is to be passed over at ``now`` (Unix seconds), ``None`` if it is not."""
        return None

    def share(self, target: str, now: float) -> float:
        """What a balance gives it of its share (above 0, up to 1): it grows while the target is new to traffic."""
        return 1.0

    def note(
        self,
        step: TargetStep,
        verdict: Verdict,
        began: float,
        ended: float,
        first_token: float | None = None,
        header: Header | None = None,
    ) -> None:
        """An attempt ended: the one call by which live facts learn of it.

        ``began`` and ``ended`` are Unix seconds, ``first_token`` seconds after ``began`` (streams only), ``header``
        looks a header of the reply up by its lower-case name (``None``: there was no reply).
        """
        self.health(step.target.provider.name).note(verdict.outcome_class, ended)

    def desk(self, provider: str) -> Desk:
        """Who waits for this provider's accounts, made when somebody first asks."""
        found = self._desks.get(provider)
        if found is None:
            found = self._desks[provider] = Desk()
        return found

    def waiting(self) -> Mapping[str, int]:
        """Requests that wait for the limits of a provider, by its name."""
        return {name: len(desk.line) for name, desk in self._desks.items() if len(desk.line)}

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

    def retain(self, graph: Graph) -> None:
        """Forget the routes that ``graph`` does not have; attempts under way are forgotten as they end."""
        for name in self._budgets.keys() - graph.routes.keys():
            del self._budgets[name]
        for key in [key for key in self._hedges if key[0] not in graph.routes]:
            del self._hedges[key]
        for name in self._health.keys() - graph.providers.keys():
            del self._health[name]
        self.buckets.retain(graph.limits.all)
        for name in [name for name in self._desks.keys() - graph.providers.keys() if not len(self._desks[name].line)]:
            del self._desks[name]

    def snapshot(self) -> Mapping[str, int]:
        """Attempts under way by target id, at this moment."""
        return dict(self._in_flight)
