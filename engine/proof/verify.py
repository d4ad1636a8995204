"""``interlock verify``: what holds for every request and every failure, and what the configuration promises by itself.

"Proved" is an over-approximation's word: no way that a request could take breaks the statement. "Refuted" is the
planner's own: a request and a moment were found in which it does the forbidden thing. What is neither is "unknown".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from engine.compiler.conditions import lower
from engine.graph import All, Condition, Graph, Route, Target, TargetStep, evaluate, matches
from engine.planner import Request, children, find_route
from engine.schema import InvariantDoc

from .examples import Asked
from .solver import Solver
from .ways import ALWAYS, NEVER, Surface, Way, Ways, about, both, either, every, negated, of_target
from .witness import Example, fields_of, in_words, realise

State = Literal["proved", "refuted", "unknown"]
#: How many proposals that the planner does not follow are looked at before a statement is given up as unknown.
_MOST_UNREAL = 24


class Verdict(Struct, frozen=True):
    """What came of one invariant. ``ways`` is how many uses of targets had to be looked at."""

    name: str
    state: State
    ways: int = 0
    example: Example | None = None


class Loose(Struct, frozen=True):
    """A finding that needs no invariant; ``name`` is what a waiver calls it, ``words`` a request that it is about."""

    name: Literal["one_provider", "unreachable"]
    route: str
    path: str = ""
    target: str = ""
    provider: str = ""
    words: str = ""


class Verifier:
    """Proves statements about one configuration. Pure: dates and the reading of requests are arguments."""

    def __init__(self, graph: Graph, surfaces: Iterable[Surface], asked: Asked) -> None:
        self.graph = graph
        self.asked = asked
        self.ways = Ways(graph, surfaces)
        keys = graph.keys.values()
        able = [key for key in keys if {"use", "admin"} & key.scopes] or list(keys)
        self.solver = Solver(
            sorted(able, key=lambda key: key.name), self.ways.lots, open_keys=bool(graph.settings.issuers)
        )

    def invariant(self, document: InvariantDoc) -> Verdict:
        """Whether the statement holds for all requests and all failures, with an example where it does not."""
        when = ALWAYS if document.when is None else lower(document.when)
        wrong = lower(document.never) if document.never is not None else negated(lower(document.always or {}))
        broken: dict[str, Condition] = {}
        ways: list[Way] = []
        for route in self.graph.routes.values():
            for target in route.targets:
                if target.id not in broken:
                    broken[target.id] = about(target, wrong)
            if any(broken[target.id] != NEVER for target in route.targets):
                ways += [way for way in self.ways.of(route) if broken[way.step.target.id] != NEVER]
        alternatives = [
            All((when, broken[way.step.target.id], self.ways.selected(way.route), way.condition)) for way in ways
        ]
        unreal = 0
        for proposal in self.solver.proposals(alternatives) if ways else ():
            if proposal.values is not None:
                way = ways[proposal.at]

                def wanted(request: Request, way: Way = way) -> bool:
                    return self._breaks(request, way, when, wrong)

                name = f"{document.name} does not hold"
                example = realise(self.graph, way, proposal.values, wanted, self.asked, name)
                if example is not None:
                    return Verdict(document.name, "refuted", len(ways), example)
            unreal += 1
            if unreal >= _MOST_UNREAL:
                break
        return Verdict(document.name, "unknown" if unreal else "proved", len(ways))

    def _breaks(self, request: Request, way: Way, when: Condition, wrong: Condition) -> bool:
        """Whether this very request is the route's, and one that must not come to the target."""
        target = of_target(way.step.target)
        return (
            evaluate(when, request.get)
            and evaluate(wrong, lambda name: target(name) if name.startswith("target.") else request.get(name))
            and find_route(self.graph, request) is way.route
        )

    def loose_ends(self) -> Iterator[Loose]:
        """Uses of targets that no request comes to, and requests that one provider alone can serve."""
        for route in self.graph.routes.values():
            ways = self.ways.of(route)
            found = [way for way in ways if not self._possible(route, way.condition)]
            uses = {way.step.path for way in ways}
            lost = [Loose("unreachable", route.name, way.step.path, way.step.target.id) for way in found]
            lost += [
                Loose("unreachable", route.name, path, target.id) for path, target in _uses(route) if path not in uses
            ]
            if uses and len(found) == len(ways):
                yield Loose("unreachable", route.name)
                continue
            yield from lost
            yield from self._alone(route, [way for way in ways if not way.copy])

    def _possible(self, route: Route, condition: Condition) -> bool:
        return condition != NEVER and self.solver.possible(both(self.ways.selected(route), condition))

    def _alone(self, route: Route, ways: Sequence[Way]) -> Iterator[Loose]:
        """The providers that some request of the route depends on: it comes to them, and to nobody else's targets."""
        for provider in dict.fromkeys(way.step.target.provider.name for way in ways):
            own = either(way.path for way in ways if way.step.target.provider.name == provider)
            others = either(way.path for way in ways if way.step.target.provider.name != provider)
            condition = every((self.ways.selected(route), own, negated(others)))
            if condition == NEVER:
                continue
            proposal = next(self.solver.proposals([condition]), None)
            if proposal is None:
                continue
            fields = fields_of(proposal.values) if proposal.values is not None else None
            words = in_words(fields) if fields else ""
            yield Loose("one_provider", route.name, provider=provider, words=words)


def _uses(route: Route) -> Iterator[tuple[str, Target]]:
    """Every use of a target in the route's tree, whether anything leads to it or not."""

    todo = [route.step]
    while todo:
        step = todo.pop()
        if isinstance(step, TargetStep):
            yield step.path, step.target
        todo += reversed(children(step))


def excuse(documents: Iterable[InvariantDoc], loose: Loose) -> InvariantDoc | None:
    """The document that puts up with a finding, if there is one."""
    for document in documents:
        if document.finding == loose.name and any(matches(name, loose.route) for name in document.routes or ()):
            return document
    return None


__all__ = ["Loose", "Verdict", "Verifier", "excuse"]
