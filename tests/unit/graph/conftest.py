"""Builders of small graphs."""

from __future__ import annotations

from typing import Any

import pytest

from engine.exchange import FAIL_OVER
from engine.graph import Auth, Fallback, Graph, Provider, Route, SecretRef, Step, Target, TargetStep


class Make:
    """Nodes with everything filled in that a test does not care about."""

    def provider(self, name: str = "north", **changes: Any) -> Provider:
        values: dict[str, Any] = {
            "category": "cloud",
            "dialect": "openai-chat",
            "base_url": f"https://{name}.example/v1",
            "transport": "http",
            "auth": Auth("bearer", SecretRef("env", "NORTH_API_KEY")),
        }
        return Provider(name, **(values | changes))

    def target(self, id_: str = "north/large", provider: Provider | None = None, **changes: Any) -> Target:
        owner, name = id_.split("/")
        values: dict[str, Any] = {"model": name, "supports": frozenset({"chat"})}
        return Target(id_, provider or self.provider(owner), name, **(values | changes))

    def use(self, id_: str = "north/large", **changes: Any) -> TargetStep:
        return TargetStep(self.target(id_), **changes)

    def fallback(self, *steps: Step) -> Fallback:
        return Fallback(steps, FAIL_OVER)

    def route(self, name: str = "chat", step: Step | None = None, **changes: Any) -> Route:
        step = step or self.use()
        values: dict[str, Any] = {"models": (name,), "when": None, "priority": 0}
        return Route(name, step=step, **(values | changes))

    def graph(self, *routes: Route, **others: Any) -> Graph:
        targets = {t.id: t for r in routes for t in r.targets} | {t.id: t for t in others.pop("targets", ())}
        providers = {t.provider.name: t.provider for t in targets.values()}
        return Graph.build(providers=providers.values(), targets=targets.values(), routes=routes, **others)


@pytest.fixture
def make() -> Make:
    return Make()
