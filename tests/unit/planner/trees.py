"""Small step trees, and plans for them; whatever a test does not care about is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import (
    Auth,
    Balance,
    Fallback,
    Graph,
    Hedge,
    Limit,
    Mirror,
    Provider,
    Reject,
    Retry,
    Route,
    Split,
    Step,
    Switch,
    Target,
    TargetStep,
    Test,
    Variant,
)
from engine.planner import Plan, Request, plan, targets_of
from engine.state import Claim, Closure, MemoryStore, Refusal
from engine.state.buckets import bucket

EVERYTHING = "chat stream tools vision json_schema embeddings"


@dataclass
class Moment:
    """A view: attempts under way by target, the providers without a credential, who keeps which conversation, how
    long targets take, what is left of their limits and what they get of their share."""

    busy: Mapping[str, int] = field(default_factory=dict)
    unset: frozenset[str] = frozenset()
    shut: Mapping[str, Closure] = field(default_factory=dict)
    holders: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    left: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    store: MemoryStore = field(default_factory=MemoryStore)
    now: float = 0.0

    def holder(self, conversation: str) -> str | None:
        return self.holders.get(conversation)

    def in_flight(self, target: str) -> int:
        return self.busy.get(target, 0)

    def credential(self, provider: str) -> bool:
        return provider not in self.unset

    def bucket(self, limit: Limit, value: str | None) -> str:
        return bucket(value)

    def refuses(self, claims: tuple[Claim, ...]) -> Refusal | None:
        return self.store.peek(claims, self.now)

    def closed(self, step: TargetStep, now: float) -> Closure | None:
        return self.shut.get(step.target.id)

    def share(self, target: str, now: float) -> float:
        return self.shares.get(target, 1.0)

    def latency(self, target: str, stream: bool, now: float) -> float:
        return self.times.get(target, 0.0)

    def headroom(self, target: str, now: float) -> float:
        return self.left.get(target, 1.0)


def target(id_: str, window: int | None = None, can: str = EVERYTHING) -> Target:
    owner, name = id_.split("/")
    provider = Provider(owner, "cloud", "openai-chat", f"https://{owner}.example/v1", "http", Auth("none"))
    return Target(id_, provider, name, name, window, None, frozenset(can.split()))


def use(id_: str, window: int | None = None, can: str = EVERYTHING, **changes: Any) -> TargetStep:
    return TargetStep(target(id_, window, can), **({"path": id_} | changes))


def fallback(*steps: Step | str, on: frozenset[OutcomeClass] = FAIL_OVER) -> Fallback:
    return Fallback(tuple(map(_step, steps)), on)


def hedge(*steps: Step | str, delay: float = 1.0, extra: float = 0.1, tools: bool = False, path: str = "h") -> Hedge:
    """A hedge."""
    return Hedge(tuple(map(_step, steps)), delay, extra, tools, path)


def mirror(to: str, of: Step | str, share: float = 1.0, *, tools: bool = False, **target: Any) -> Mirror:
    """A mirror."""
    return Mirror(use(to, **target), share, _step(of), tools)


def reject(status: int = 403, message: str = "Not here.") -> Reject:
    return Reject(status, message, "reject")


def split(variants: Mapping[str, tuple[float | str, Step | str]], key: str | None = "user", **changes: Any) -> Split:
    found = tuple(Variant(name, Decimal(str(weight)), _step(step)) for name, (weight, step) in variants.items())
    return Split(changes.pop("name", "trial"), key, found, **changes)


def balance(by: str, *members: tuple[float, Step | str] | Step | str, key: str | None = None) -> Balance:
    pairs = [member if isinstance(member, tuple) else (1, member) for member in members]
    return Balance(by, tuple((Decimal(str(weight)), _step(step)) for weight, step in pairs), key)


def switch(*cases: tuple[str, Step | str], default: Step | str | None = None) -> Switch:
    """The cases are (user, step)."""
    tests = tuple((Test("user", "eq", user), _step(step)) for user, step in cases)
    return Switch(tests, None if default is None else _step(default))


def route(step: Step | str, name: str = "chat", **changes: Any) -> Route:
    root = _step(step)
    values: dict[str, Any] = {"models": (name,), "when": None, "priority": 0, "retry": Retry(max_attempts=10)}
    return Route(name, step=root, targets=targets_of(root), **(values | changes))


def graph(*routes: Route) -> Graph:
    found = {t.id: t for r in routes for t in r.targets}
    providers = {t.provider.name: t.provider for t in found.values()}
    return Graph.build(providers=providers.values(), targets=found.values(), routes=routes)


def request(**changes: Any) -> Request:
    return Request(**({"model": "chat", "request_id": "r-1"} | changes))


def planned(step: Step | str, asked: Request | None = None, moment: Moment | None = None, **of_route: Any) -> Plan:
    """The plan for the route ``chat`` of this tree."""
    return plan(graph(route(step, **of_route)), asked or request(), moment or Moment(), 0.0)


def exits(made: Plan) -> list[list[int]]:
    """Where each candidate's exits lead, innermost first."""
    return [[way.to for way in candidate.exits] for candidate in made.candidates]


def reasons(made: Plan) -> dict[str, str]:
    return {skip.target: skip.reason for skip in made.skips}


def _step(step: Step | str) -> Step:
    return use(step) if isinstance(step, str) else step
