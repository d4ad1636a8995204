"""What a configuration does with a request, whatever its dice: each way it may go, its share, and its bounds.

Ways are found by fixing every draw (the variant of each split, the first of each balance) and asking the planner for
the plan of the tree that is left: the planner decides everything else. Shares of splits are exact, and so are those of
balances by ``weighted``, ``hash``, ``usage`` and ``cheapest``, among members that can serve the request; by ``latency``
and ``least_busy`` they are those of members that are equally fast and busy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import msgspec
from msgspec import Struct

from engine.exchange import ATTEMPT_CLASSES, OutcomeClass
from engine.graph import (
    Graph,
    Mirror,
    Reject,
    Route,
    RouteIndex,
    Step,
    Target,
    TargetStep,
    digest,
)
from engine.planner import Facts, Go, Plan, Request, advance, children, find_route, plan
from engine.planner.prices import expected_cost
from engine.state import State

from .fixing import Draw, Fixing
from .world import World

#: Tokens of the request that costs are told of.
REFERENCE_INPUT, REFERENCE_OUTPUT = 1_000, 500
_FAILURES = tuple(sorted(ATTEMPT_CLASSES - {OutcomeClass.SERVED}))
_FOREVER = 1e12
_NO_RETRY = 1 << 30


class Way(Struct, frozen=True):
    """One way a request may go: its ``share`` of such requests, and who is tried in which order after which outcome.

    ``order`` is the order where every failure moves on; ``after`` has the classes whose order is another.
    """

    share: Fraction
    order: tuple[str, ...]
    after: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Behaviour(Struct, frozen=True):
    """What becomes of one class of requests. ``usd`` is for a request of 1,000 tokens and an answer of 500.

    ``offered`` are capabilities that somebody on the way has, ``kept`` those that everybody has. ``sent`` and
    ``guarded`` stand for what targets are sent (parameters, address, model) and for their retries, timeouts and
    breakers, and their provider's limits. ``seconds`` and ``attempts`` are bounds that nothing exceeds.
    """

    route: str | None
    ways: tuple[Way, ...] = ()
    ends: str = ""
    attempts: int = 0
    seconds: float = 0.0
    usd: Decimal | None = None
    most_usd: Decimal | None = None
    offered: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    mirrors: tuple[tuple[str, float], ...] = ()
    hedges: tuple[tuple[str, str, float], ...] = ()
    limits: tuple[str, ...] = ()
    draws: tuple[Draw, ...] = ()
    sent: tuple[tuple[str, str], ...] = ()
    guarded: tuple[tuple[str, str], ...] = ()
    exact: bool = True
    """Whether every way was looked at."""

    def first(self) -> dict[str, Fraction]:
        """The share of each target in first attempts; ``nobody`` is what ends without any."""
        shares: dict[str, Fraction] = {}
        for way in self.ways:
            name = way.order[0] if way.order else "nobody"
            shares[name] = shares.get(name, Fraction()) + way.share
        return shares

    def targets(self) -> frozenset[str]:
        """Every target that may be tried."""
        return frozenset(
            name for way in self.ways for names in (way.order, *(n for _, n in way.after)) for name in names
        )


class Observer:
    """Tells what a graph does, with every target healthy and idle and every secret set."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        state = State()
        state.retain(graph)
        self.view = World(state)

    def of(self, request: Request) -> Behaviour:
        """The behaviour of the class of requests that ``request`` stands for."""
        route = find_route(self.graph, request)
        if route is None:
            return Behaviour(None, ends="unroutable")
        fixing = Fixing(request, self.view)
        rows = [(share, step, self._plan(route, step, request)) for share, step in fixing.alternatives(route.step)]
        return _told(route, request, rows, fixing)

    def _plan(self, route: Route, step: Step, request: Request) -> Plan:
        alone = replace(route, models=(request.model or "",), when=None, step=step)
        return plan(replace(self.graph, index=RouteIndex.build((alone,))), request, self.view, 0.0)


def _told(route: Route, request: Request, rows: list[tuple[Fraction, Step, Plan]], fixing: Fixing) -> Behaviour:
    ways: dict[tuple[object, ...], Way] = {}
    for share, _, made in rows:
        order, after = _orders(made)
        seen = ways.get((order, after))
        ways[order, after] = Way(share if seen is None else seen.share + share, order, after)
    plans = [made for _, _, made in rows]
    uses = {step.path + step.target.id: step for made in plans for step in _uses(made)}
    mirrors = [mirror for _, step, _ in rows for mirror in _mirrors(step)]
    copies = {mirror.to.target.id: mirror.to for mirror in mirrors}
    reached = {step.target.id: step.target for step in (*uses.values(), *copies.values())}
    tried = {step.target.id: step.target for step in uses.values()}
    attempts, seconds = _bounds(route, request, plans)
    offered, kept = _capabilities(tried.values())
    return Behaviour(
        route.name,
        tuple(sorted(ways.values(), key=lambda way: (-way.share, way.order, way.after))),
        ends=_end(plans),
        attempts=attempts,
        seconds=seconds,
        usd=_expected(ways.values(), tried, request.kind),
        most_usd=_dearest(tried, request.kind),
        offered=offered,
        kept=kept,
        labels=tuple(sorted({(str(k), _word(v)) for t in reached.values() for k, v in t.labels.items()})),
        mirrors=tuple(sorted({(m.to.target.id, m.share) for m in mirrors})),
        hedges=tuple(sorted(set(_hedges(plans)))),
        limits=tuple(sorted({f"{c.key} {c.limit} {c.unit} {c.per or 0:g}" for made in plans for c in made.limits})),
        sent=tuple(sorted({(s.target.id, _sent(s)) for s in (*uses.values(), *copies.values())})),
        guarded=tuple(sorted({(s.target.id, _guard(s)) for s in uses.values()})),
        draws=tuple(sorted(fixing.draws, key=repr)) if tried else (),
        exact=fixing.exact,
    )


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _end(plans: Sequence[Plan]) -> str:
    """How requests end of which nobody is asked, if there are such."""
    ends = {f"{made.stop.value} {made.status or ''}".strip() for made in plans if made.stop is not None}
    return ", ".join(sorted(ends))


def _uses(made: Plan) -> list[TargetStep]:
    return [c.step for c in made.candidates if isinstance(c.step, TargetStep)]


def _mirrors(step: Step) -> Iterator[Mirror]:
    if isinstance(step, Mirror):
        yield step
    for child in children(step):
        yield from _mirrors(child)


def _hedges(plans: Sequence[Plan]) -> Iterator[tuple[str, str, float]]:
    for made in plans:
        for candidate in made.candidates:
            if candidate.hedge is not None:
                to = made.candidates[candidate.hedge.to]
                yield _tried(candidate.step), _tried(to.step), candidate.hedge.delay


def _tried(step: TargetStep | Reject) -> str:
    return step.target.id if isinstance(step, TargetStep) else f"reject {step.status}"


def _sent(step: TargetStep) -> str:
    target, provider = step.target, step.target.provider
    wire = (
        provider.dialect,
        provider.base_url,
        provider.transport,
        provider.headers,
        provider.quirks,
        provider.command,
    )
    return digest((step.params, step.unsupported, target.model, wire))


def _guard(step: TargetStep) -> str:
    rates = tuple(sorted(digest(rate) for rate in step.target.provider.limits))
    return digest((step.retry, step.timeouts, step.breaker, rates))


def _orders(made: Plan) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """The order after what most failures have in common, and that of every class that differs."""
    if made.stop is not None or not made.candidates:
        return (), ()
    chains = {cls: _chain(made, cls) for cls in _FAILURES}
    usual = chains[OutcomeClass.SERVER_ERROR]
    return usual, tuple((cls.value, chain) for cls, chain in chains.items() if chain != usual)


def _chain(made: Plan, outcome: OutcomeClass) -> tuple[str, ...]:
    """Who is tried if every attempt ends in ``outcome`` and none is repeated: as the planner says."""
    facts = Facts(_FOREVER, tries=_NO_RETRY, retry_allowed=False, position=made.start, farthest=made.start)
    out: list[str] = []
    while True:
        step = made.candidates[facts.position].step
        out.append(_tried(step))
        if not isinstance(step, TargetStep):
            return tuple(out)
        facts.attempts += 1
        if outcome is OutcomeClass.CONTEXT_EXCEEDED:
            facts.larger_than = max(facts.larger_than, step.target.context_window or 0)
        following = advance(made, facts.position, outcome, facts, 0.0)
        if not isinstance(following, Go):
            return tuple(out)
        facts.position = following.position
        facts.farthest = max(facts.farthest, following.position)


def _bounds(route: Route, request: Request, plans: Sequence[Plan]) -> tuple[int, float]:
    """Attempts and seconds that no request exceeds: exact caps, where failures cannot use them up sums of limits."""
    most, longest = 0, 0.0
    for made in plans:
        uses = _uses(made)
        again = route.retry.budget > 0
        tries = [step.retry.per_target + (step.retry.go_back and len(uses) > 1) if again else 1 for step in uses]
        attempts = min(route.retry.max_attempts, sum(tries))
        patient = request.stream or sum(tries) > len(tries) or any(s.target.provider.limited for s in uses)
        limits = sorted((step.timeouts.attempt for step in uses), reverse=True)[:attempts]
        seconds = route.timeouts.total if patient else min(route.timeouts.total, sum(limits))
        most, longest = max(most, attempts), max(longest, seconds)
    return most, longest


def _capabilities(targets: Iterable[Target]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    sets = [target.supports for target in targets]
    if not sets:
        return (), ()
    return tuple(sorted(frozenset().union(*sets))), tuple(sorted(frozenset.intersection(*sets)))


def reference_cost(target: Target, kind: str) -> Decimal | None:
    """USD for 1,000 tokens in and 500 out, or what the model can if that is less; ``None`` where a price is unknown.

    Kinds of request whose answers are not paid by tokens cost their input.
    """
    return expected_cost(target, Request(input_tokens=REFERENCE_INPUT, max_tokens=REFERENCE_OUTPUT, kind=kind))


def _expected(ways: Iterable[Way], targets: dict[str, Target], kind: str) -> Decimal | None:
    """What such a request costs on average where it is served and everybody healthy; ``None``: a price is unknown."""
    total = served = Fraction()
    for way in ways:
        if not way.order or way.order[0] not in targets:
            continue
        usd = reference_cost(targets[way.order[0]], kind)
        if usd is None:
            return None
        total += way.share * Fraction(usd)
        served += way.share
    mean = total / served if served else Fraction()
    return Decimal(mean.numerator) / Decimal(mean.denominator) if served else None


def _dearest(targets: dict[str, Target], kind: str) -> Decimal | None:
    prices = [reference_cost(target, kind) for target in targets.values()]
    known = [price for price in prices if price is not None]
    return max(known) if known and len(known) == len(prices) else None


def encoded(behaviour: Behaviour) -> dict[str, object]:
    """The behaviour as plain JSON values."""
    ways = [
        {"share": float(way.share), "order": list(way.order), "after": {k: list(v) for k, v in way.after}}
        for way in behaviour.ways
    ]
    row: dict[str, object] = msgspec.to_builtins(
        {
            "route": behaviour.route, "ways": ways, "ends": behaviour.ends, "worst_attempts": behaviour.attempts,
            "worst_seconds": behaviour.seconds,
            "usd": None if behaviour.usd is None else f"{behaviour.usd:f}",
            "most_usd": None if behaviour.most_usd is None else f"{behaviour.most_usd:f}",
            "offered": behaviour.offered, "kept": behaviour.kept, "labels": behaviour.labels,
            "mirrors": behaviour.mirrors, "hedges": behaviour.hedges, "limits": behaviour.limits,
            "exact": behaviour.exact,
        }
    )  # fmt: skip
    return row
