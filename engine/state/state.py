"""Live facts that outlive graphs, keyed by stable ids."""

from __future__ import annotations

from collections.abc import Mapping

from engine.graph import Graph

from .buckets import Buckets
from .conversations import Conversations
from .health import Health
from .retry_budget import RetryBudget
from .store import MemoryStore, Store


class State:
    """What the engine knows of the moment: requests under way by target id, retry budgets by route name, who keeps
    which conversation, how the latest attempts at each provider went, and what counts against which limit.

    It belongs to one event loop. It survives reloads: a typo's correction must not forget what is under way.
    """

    __slots__ = ("_budgets", "_health", "_in_flight", "buckets", "conversations", "store")

    def __init__(self) -> None:
        self.store: Store = MemoryStore()
        self.buckets = Buckets()
        self.conversations = Conversations()
        self._health: dict[str, Health] = {}
        self._in_flight: dict[str, int] = {}
        self._budgets: dict[str, RetryBudget] = {}

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

    def retry_budget(self, route: str) -> RetryBudget:
        """The retry budget of this route, made at its first request."""
        budget = self._budgets.get(route)
        if budget is None:
            budget = self._budgets[route] = RetryBudget()
        return budget

    def retain(self, graph: Graph) -> None:
        """Forget the routes that ``graph`` does not have; attempts under way are forgotten as they end."""
        for name in self._budgets.keys() - graph.routes.keys():
            del self._budgets[name]
        for name in self._health.keys() - graph.providers.keys():
            del self._health[name]
        self.buckets.retain(graph.limits.all)

    def snapshot(self) -> Mapping[str, int]:
        """Attempts under way by target id, at this moment."""
        return dict(self._in_flight)
