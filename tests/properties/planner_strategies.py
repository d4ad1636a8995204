"""Random step trees over a few targets, requests, moments and series of failures; and the walk an executor does.

Trees are made in two parts: a strategy draws a nested tuple, and :func:`grow` turns it into nodes whose paths and split
names are unique, so that tests can tell two uses of a target apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

from hypothesis import strategies as st

from engine.exchange import ATTEMPT_CLASSES, FAIL_OVER, OutcomeClass
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
    RouteStep,
    Split,
    Step,
    Switch,
    Target,
    TargetStep,
    Test,
    Timeouts,
    Variant,
)
from engine.planner import Closed, Facts, Go, Plan, Request, Wait, advance, targets_of
from engine.planner.model import nobody_closed
from engine.state import Claim, Closure, MemoryStore, Refusal
from engine.state.buckets import bucket

PROVIDERS = [
    Provider(name, "cloud", "openai-chat", f"https://{name}.example/v1", "http", Auth("none")) for name in "nsw"
]
#: (model, context window, what it supports); each at every provider would be more than a test can tell apart.
_MODELS = [
    ("small", 1000, "chat"),
    ("middle", 2000, "chat tools"),
    ("large", 4000, "chat tools stream"),
    ("huge", 8000, "chat stream"),
    ("any", None, "chat tools stream"),
    ("twin", 2000, "chat tools stream"),
]
TARGETS = [
    Target(f"{PROVIDERS[n % 3].name}/{name}", PROVIDERS[n % 3], name, name, window, None, frozenset(can.split()))
    for n, (name, window, can) in enumerate(_MODELS)
]
BALANCES = ["weighted", "hash", "least_busy", "latency", "usage", "cheapest"]
FAILURES = sorted(ATTEMPT_CLASSES - {OutcomeClass.SERVED})
TOTAL = 10_000.0

_targets = st.integers(0, len(TARGETS) - 1)
_weights = st.sampled_from([Decimal(0), Decimal(1), Decimal("2.5"), Decimal(7)])
_on = st.one_of(
    st.just(FAIL_OVER),
    st.frozensets(st.sampled_from(FAILURES), min_size=1, max_size=4),
    st.frozensets(st.sampled_from(FAILURES), max_size=2).map(FAIL_OVER.union),
)


def _branches(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(inner, min_size=1, max_size=4)
    weighted = st.lists(st.tuples(_weights, inner), min_size=1, max_size=3)
    cases = st.lists(st.tuples(st.sampled_from("uv"), inner), min_size=1, max_size=2)
    return (
        st.tuples(st.just("fallback"), few, _on)
        | st.tuples(st.just("split"), weighted, st.sampled_from(["user", None]))
        | st.tuples(st.just("balance"), weighted, st.sampled_from(BALANCES))
        | st.tuples(st.just("switch"), cases, inner | st.none())
        | st.tuples(st.just("route"), inner)
        | st.tuples(st.just("hedge"), st.lists(inner, min_size=2, max_size=3), st.booleans())
        | st.tuples(st.just("mirror"), _targets, st.sampled_from([0.0, 0.5, 1.0]), inner)
    )


_leaves = st.tuples(st.just("target"), _targets, st.integers(1, 3))
_refusals = st.tuples(st.just("reject"), st.integers(400, 499))
sketches = st.recursive(st.one_of(_leaves, _leaves, _leaves, _leaves, _refusals), _branches, max_leaves=9)


def grow(sketch: Any, numbers: Iterator[int] | None = None) -> Step:
    """The step tree that a sketch describes; every node has a path, and every split a name, of its own."""
    numbers = count() if numbers is None else numbers
    path, (kind, *rest) = f"#{next(numbers)}", sketch
    if kind == "target":
        return TargetStep(TARGETS[rest[0]], retry=Retry(per_target=rest[1]), path=path)
    if kind == "reject":
        return Reject(rest[0], "no", path)
    if kind == "fallback":
        return Fallback(tuple(grow(step, numbers) for step in rest[0]), rest[1], path)
    if kind == "split":
        variants = [Variant(f"v{n}", weight, grow(step, numbers)) for n, (weight, step) in enumerate(rest[0])]
        return Split(f"split {path}", rest[1], tuple(variants), path=path)
    if kind == "balance":
        members = tuple((weight, grow(step, numbers)) for weight, step in rest[0])
        return Balance(rest[1], members, "user", path)
    if kind == "hedge":
        return Hedge(tuple(grow(step, numbers) for step in rest[0]), 1.0, 0.1, rest[1], path)
    if kind == "mirror":
        to = TargetStep(TARGETS[rest[0]], path=f"{path}.to")
        return Mirror(to, rest[1], grow(rest[2], numbers), path=path)
    if kind == "switch":
        cases = tuple((Test("user", "eq", user), grow(step, numbers)) for user, step in rest[0])
        return Switch(cases, None if rest[1] is None else grow(rest[1], numbers), path)
    return RouteStep("other", grow(rest[0], numbers), path)


trees = sketches.map(grow)
requests = st.builds(
    Request,
    model=st.just("chat"),
    user=st.sampled_from(["u", "v", "w", None]),
    input_tokens=st.sampled_from([0, 1500, 3000]),
    request_id=st.integers(0, 99).map("r-{}".format),
    needs=st.sampled_from([frozenset({"chat"}), frozenset({"chat"}), frozenset({"chat", "tools"})]),
    tools=st.booleans(),
)


@dataclass
class Moment:
    """A view: attempts under way by target, the providers without a credential, and what balances go by."""

    busy: dict[str, int] = field(default_factory=dict)
    unset: frozenset[str] = frozenset()
    store: MemoryStore = field(default_factory=MemoryStore)
    now: float = 0.0
    shut: dict[str, Closure] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)

    def holder(self, conversation: str) -> str | None:
        return None

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


_ids = st.sampled_from([target.id for target in TARGETS])
closures = st.builds(
    Closure,
    until=st.floats(1.0, 100.0),
    reason=st.sampled_from(["breaker", "held", "credential", "limit"]),
    tried=st.sampled_from([0.0, -0.1, -1000.0]),
    free=st.booleans(),
)
moments = st.builds(
    Moment,
    st.dictionaries(st.sampled_from([target.id for target in TARGETS]), st.integers(1, 5), max_size=3),
    st.frozensets(st.sampled_from("nsw"), max_size=1),
    times=st.dictionaries(_ids, st.sampled_from([0.1, 1.0, 9.0])),
    left=st.dictionaries(_ids, st.sampled_from([0.0, 0.2, 1.0])),
    shares=st.dictionaries(_ids, st.sampled_from([0.1, 1.0])),
)

stormy = st.builds(
    Moment,
    shut=st.dictionaries(st.sampled_from([target.id for target in TARGETS]), closures, min_size=1),
)


def route(step: Step, max_attempts: int = 100, **changes: Any) -> Route:
    """The route ``chat`` of this tree."""
    values: dict[str, Any] = {"retry": Retry(max_attempts=max_attempts), "timeouts": Timeouts(total=TOTAL)}
    return Route("chat", ("chat",), None, 0, step, targets=targets_of(step), **(values | changes))


def graph(*routes: Route) -> Graph:
    """The graph of these routes over all of :data:`TARGETS`."""
    return Graph.build(providers=PROVIDERS, targets=TARGETS, routes=routes)


@dataclass(frozen=True)
class Fate:
    """What happens at the n-th attempt of a request: its outcome, the Retry-After, whether the budget has room."""

    rows: tuple[tuple[OutcomeClass, float | None, bool], ...]

    def at(self, attempt: int) -> tuple[OutcomeClass, float | None, bool]:
        """Attempts are counted from 1; the rows begin again after the last."""
        return self.rows[(attempt - 1) % len(self.rows)]


_rows = st.tuples(
    st.sampled_from([*FAILURES, OutcomeClass.CONTEXT_EXCEEDED, OutcomeClass.RATE_LIMITED]) | st.sampled_from(FAILURES),
    st.sampled_from([None, None, 0.5, 60.0]),
    st.sampled_from([True, True, True, False]),
)
fates = st.lists(_rows, min_size=1, max_size=6).map(tuple).map(Fate)


@dataclass
class Walked:
    """What came of a walk: the paths attempted, every delay, the positions, and how it ended."""

    end: OutcomeClass
    attempts: list[str] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    delays: list[tuple[float, float | None]] = field(default_factory=list)
    exceeded: list[int] = field(default_factory=list)
    """The largest window exceeded before each attempt."""


def walk(plan: Plan, fate: Fate, remaining: float = TOTAL, closed: Closed | None = None) -> Walked:
    """Do what the plan and ``advance`` say, as an executor does, with each attempt ending as ``fate`` has it."""
    if plan.stop is not None:
        return Walked(plan.stop)
    walked, position = Walked(OutcomeClass.SERVED), plan.start
    facts = Facts(remaining, passed=plan.passed, position=position, farthest=position, closed=closed or nobody_closed)
    while True:
        step = plan.candidates[position].step
        if isinstance(step, Reject):
            walked.end = OutcomeClass.REJECTED
            return walked
        walked.attempts.append(step.path)
        walked.positions.append(position)
        walked.exceeded.append(facts.larger_than)
        facts.attempts += 1
        facts.tries += 1
        outcome, facts.retry_after, facts.retry_allowed = fate.at(facts.attempts)
        if outcome is OutcomeClass.CONTEXT_EXCEEDED:
            facts.larger_than = max(facts.larger_than, step.target.context_window or 0)
        following = advance(plan, position, outcome, facts, 0.0)
        if isinstance(following, Go):
            position = facts.follow(following, outcome)
        elif isinstance(following, Wait):
            walked.delays.append((following.delay, facts.retry_after))
            facts.remaining -= following.delay
        else:
            walked.end = following.outcome_class
            return walked
