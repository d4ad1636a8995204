"""What tests reach of a configuration: routes, uses of targets, variants, failovers and cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from msgspec import Struct

from engine.graph import Fallback, Graph, Reject, Route, Split, Step, Switch, TargetStep, evaluate
from engine.graph.tree import children, leaves
from engine.planner import Request

from .drive import Course


class Item(Struct, frozen=True, order=True):
    """Something that a test can reach. ``kind`` is route, step, variant, failover or case; ``path`` is its place."""

    route: str
    path: str
    kind: str


class Coverage:
    """Collects what courses reach of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.items: frozenset[Item] = frozenset(coverable(graph))
        self.reached: set[Item] = set()

    def add(self, request: Request, course: Course) -> None:
        """What this course reached counts."""
        route = course.plan.route
        if route is None:
            return
        self.reached.add(Item(route.name, "", "route"))
        for tried in course.tries:
            self.reached.add(Item(route.name, tried.path, "step"))
        if course.tries or course.plan.candidates:
            last = course.plan.candidates[course.tries[-1].position if course.tries else 0].step
            ended = course.plan.candidates[-1].step if course.outcome.value == "rejected" else last
            if isinstance(ended, Reject):
                self.reached.add(Item(route.name, ended.path, "step"))
        for split, variant in course.plan.variants:
            self.reached.update(
                item for item in self.items if item.kind == "variant" and item.route == route.name
                and item.path.endswith(f"split({split}).{variant}")
            )  # fmt: skip
        paths = [tried.path for tried in course.tries]
        self.reached.update(Item(route.name, way, "failover") for way in _ways(route.step, paths))
        self.reached.update(Item(route.name, path, "case") for path in _cases(route.step, request))
        self.reached &= self.items

    @property
    def share(self) -> float:
        """The share reached, 0..1; 1 where there is nothing to reach."""
        return len(self.reached) / len(self.items) if self.items else 1.0

    def missing(self) -> list[Item]:
        """What no course reached, in order."""
        return sorted(self.items - self.reached)


def coverable(graph: Graph) -> Iterator[Item]:
    """Everything in a graph that a test can reach."""
    for route in graph.routes.values():
        yield Item(route.name, "", "route")
        yield from _of(route, route.step)


def _of(route: Route, step: Step) -> Iterator[Item]:
    if isinstance(step, TargetStep | Reject):
        yield Item(route.name, step.path, "step")
    elif isinstance(step, Split):
        yield from (Item(route.name, f"{step.path}.{variant.name}", "variant") for variant in step.variants)
    elif isinstance(step, Fallback):
        yield from (Item(route.name, f"{step.path}[{at}]", "failover") for at in range(1, len(step.steps)))
    elif isinstance(step, Switch):
        yield from (Item(route.name, _case(step, at), "case") for at in range(_branches(step)))
    for child in children(step):
        yield from _of(route, child)


def _branches(switch: Switch) -> int:
    return len(switch.cases) + (switch.default is not None)


def _case(switch: Switch, at: int) -> str:
    return f"{switch.path}.cases[{at}]" if at < len(switch.cases) else f"{switch.path}.default"


def _ways(step: Step, paths: list[str]) -> Iterator[str]:
    """Places in fallbacks that an attempt reached after one at an earlier place had failed."""
    if isinstance(step, Fallback):
        places = [{below.path for below in leaves(part)} for part in step.steps]
        found = [next((at for at, below in enumerate(places) if path in below), None) for path in paths]
        for before, after in pairwise(found):
            if before is not None and after is not None and after > before:
                yield f"{step.path}[{after}]"
    for child in children(step):
        yield from _ways(child, paths)


def _cases(step: Step, request: Request) -> Iterator[str]:
    """The cases that the request takes, of switches that it comes to."""
    below: Iterable[Step] = children(step)
    if isinstance(step, Switch):
        at = next((i for i, (when, _) in enumerate(step.cases) if evaluate(when, request.get)), len(step.cases))
        if at == _branches(step):
            return
        yield _case(step, at)
        below = (children(step)[at],)
    for child in below:
        yield from _cases(child, request)
