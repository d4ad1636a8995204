"""From (graph, request, view, time) to a plan: the one place that decides where a request may go.

The step tree is walked depth first into a flat list of candidates. A step that cannot serve this request is skipped
with a reason; where a ``fallback`` has more steps to try, its candidates get an exit to the first one of the next.
"""

from __future__ import annotations

from engine.dialects import lacks
from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import (
    Balance,
    Fallback,
    Graph,
    Provider,
    Reject,
    Route,
    RouteStep,
    Split,
    Step,
    Switch,
    TargetStep,
    evaluate,
    matches,
)

from .balance import ordered, text
from .closing import admit, passed_over, start_of
from .endings import everybody_closed, nobody, stopped, unroutable
from .hashing import score
from .model import Candidate, Exit, Plan, Request, Skip, View
from .tree import targets_of


def plan(graph: Graph, request: Request, view: View, now: float) -> Plan:
    """The plan for ``request``: every target of its route is either a candidate or skipped with a reason.

    Pure: it reads its arguments only. ``now`` is Unix time in seconds; what depends on time is decided with it.
    """
    route = find_route(graph, request)
    if route is None:
        return unroutable(graph, request)
    if request.key_routes and not any(matches(pattern, route.name) for pattern in request.key_routes):
        message = f"This key may not use route {route.name!r}; ask for a key that names it under routes."
        stop = OutcomeClass.REJECTED
        return stopped(graph, request, route, stop, status=403, code="route_forbidden", message=message)
    walk = _Walk(request, view, now)
    walk.step(route.step)
    start, passed = start_of(walk.candidates, now) if walk.closed else (0, [])
    if start is None:
        return everybody_closed(graph, request, route, walk.all_skips(None), passed, tuple(walk.variants), now)
    if request.no_fallback and len(walk.candidates) > 1:
        walk.forbid_failover(start)
        start = 0
    skips = walk.all_skips(start)
    first = walk.candidates[start].step if walk.candidates else None
    if first is None:
        return nobody(graph, request, route, skips, tuple(walk.variants))
    rejects = isinstance(first, Reject)
    return Plan(
        route=route,
        candidates=tuple(walk.candidates),
        skips=skips,
        variants=tuple(walk.variants),
        stop=OutcomeClass.REJECTED if rejects else None,
        status=first.status if isinstance(first, Reject) else None,
        message=first.message if isinstance(first, Reject) else "",
        request_id=request.request_id,
        fingerprint=graph.fingerprint,
        start=start,
    )


def find_route(graph: Graph, request: Request) -> Route | None:
    """The route that answers to this request: the first in deciding order whose condition holds, if any."""
    for route in graph.index.find(request.model or ""):
        if route.when is None or evaluate(route.when, request.get):
            return route
    return None


class _Walk:
    """One depth-first walk of a step tree, collecting candidates, skips and assignments."""

    __slots__ = ("candidates", "closed", "moment", "request", "skips", "variants", "view")

    def __init__(self, request: Request, view: View, moment: float = 0.0) -> None:
        self.request = request
        self.view = view
        self.moment = moment
        self.closed = False
        """Whether any candidate is to be passed over."""
        self.candidates: list[Candidate] = []
        self.skips: list[Skip] = []
        self.variants: list[tuple[str, str]] = []

    def step(self, step: Step) -> None:
        """Append what ``step`` contributes."""
        if isinstance(step, TargetStep):
            skip = unfit(step, self.request, self.view)
            if skip is not None:
                self.skips.append(skip)
            elif (closure := self.view.closed(step, self.moment)) is None:
                self.candidates.append(Candidate(step))
            else:
                self.closed = True
                self.candidates.append(Candidate(step, (), closure))
        elif isinstance(step, Fallback):
            self._sequence(step.steps, step.on)
        elif isinstance(step, Balance):
            bounds = self._sequence(ordered(step, self.request, self.view), FAIL_OVER)
            if self.closed:
                admit(self.candidates, bounds, len(step.members))
        elif isinstance(step, Split):
            self._split(step)
        elif isinstance(step, Switch):
            self._switch(step)
        elif isinstance(step, RouteStep):
            self.step(step.step)
        else:
            self.candidates.append(Candidate(step))

    def _sequence(self, steps: tuple[Step, ...] | list[Step], on: frozenset[OutcomeClass]) -> list[tuple[int, int]]:
        """Several steps in order; the candidates of all but the last get an exit to the next step's first candidate.

        Returns the ranges of the candidates of the steps that have any.
        """
        candidates = self.candidates
        bounds: list[tuple[int, int]] = []
        for at, step in enumerate(steps):
            start = len(candidates)
            self.step(step)
            if len(candidates) > start:
                bounds.append((start, len(candidates)))
                if self._ends(start, on):
                    for later in steps[at + 1 :]:
                        self._skip_all(later, "rejected", "it stands behind a reject step")
                    break
        for start, end in bounds[:-1]:
            way = Exit(on, end)
            for i in range(start, end):
                candidate = candidates[i]
                candidates[i] = Candidate(candidate.step, (*candidate.exits, way), candidate.closure)
        return bounds

    def _ends(self, start: int, on: frozenset[OutcomeClass]) -> bool:
        """Whether all that ``on`` names ends at a reject among the candidates from ``start``: none follows them."""
        candidates = self.candidates
        if not isinstance(candidates[-1].step, Reject):
            return False
        return all(
            isinstance(candidate.step, Reject) or on <= frozenset().union(*(way.on for way in candidate.exits))
            for candidate in candidates[start:]
        )

    def _split(self, split: Split) -> None:
        variant = assign(split, self.request)
        self.variants.append((split.name, variant))
        for other in split.variants:
            if other.name == variant:
                self.step(other.step)
            else:
                self._skip_all(other.step, "not_assigned", f"split {split.name!r} assigned {variant!r}")

    def _switch(self, switch: Switch) -> None:
        branches = [step for _, step in switch.cases]
        chosen = next((i for i, case in enumerate(switch.cases) if evaluate(case[0], self.request.get)), None)
        if switch.default is not None:
            branches.append(switch.default)
            chosen = len(switch.cases) if chosen is None else chosen
        detail = "no case of the switch applies" if chosen is None else "another case of the switch applies"
        for i, step in enumerate(branches):
            if i == chosen:
                self.step(step)
            else:
                self._skip_all(step, "not_selected", detail)

    def _skip_all(self, step: Step, reason: str, detail: str) -> None:
        for target in targets_of(step):
            self.skips.append(Skip(target.id, reason, detail, step.path))

    def forbid_failover(self, start: int) -> None:
        """Keep the candidate to begin with only, as the client asked."""
        for candidate in self.candidates:
            step = candidate.step
            if isinstance(step, TargetStep) and candidate is not self.candidates[start]:
                detail = "the client sent x-interlock-no-fallback"
                closure = candidate.closure
                fallback = Skip(step.target.id, "no_fallback", detail, step.path)
                self.skips.append(fallback if closure is None else passed_over(step, closure, self.moment))
        self.candidates = [Candidate(self.candidates[start].step)]

    def all_skips(self, start: int | None) -> tuple[Skip, ...]:
        """The skips of targets that are not attempted in another place of the tree; ``start``: nobody is attempted."""
        tried = set()
        skips = self.skips
        for position, candidate in enumerate(self.candidates if self.closed or skips else ()):
            step = candidate.step
            if not isinstance(step, TargetStep):
                continue
            if candidate.closure is not None and position != start:
                skips.append(passed_over(step, candidate.closure, self.moment))
            elif start is not None and position >= start:
                tried.add(step.target.id)
        return tuple(s for s in skips if s.target not in tried)


def unfit(step: TargetStep, request: Request, view: View) -> Skip | None:
    """Why this target cannot serve this request, or ``None`` if it can."""
    target = step.target
    if not request.needs <= target.supports:
        lacking = ", ".join(sorted(request.needs - target.supports))
        return Skip(target.id, "capability", f"does not support {lacking}", step.path)
    provider = target.provider
    spoken, asked = provider.dialect, request.front
    if spoken != asked and (uncarried := request.wire & lacks(asked, spoken, provider.also_speaks, request.kind)):
        lacking = ", ".join(sorted(uncarried))
        return Skip(target.id, "capability", f"its protocol cannot carry {lacking}", step.path)
    if request.conversation is not None:
        holder = view.holder(request.conversation)
        if holder is not None and holder != target.id:
            return Skip(target.id, "conversation", f"target {holder!r} keeps this conversation", step.path)
    if target.context_window is not None and request.input_tokens > target.context_window:
        detail = f"about {request.input_tokens} input tokens; its context window is {target.context_window}"
        return Skip(target.id, "context", detail, step.path)
    if not view.credential(target.provider.name):
        return Skip(target.id, "credential", _lacking(target.provider), step.path)
    return None


def _lacking(provider: Provider) -> str:
    if provider.transport == "process":
        return f"the program {provider.command[0]!r} of provider {provider.name!r} is not installed"
    return f"the secret of provider {provider.name!r} is not set"


def assign(split: Split, request: Request) -> str:
    """The variant for this request: its pin, else weighted rendezvous over (split name, key value).

    Sticky across reloads and machines, and independent of the order of variants. Without a key value the request's id
    decides.
    """
    value = request.get(split.key) if split.key else None
    if value is not None:
        value = text(value)
        pinned = split.pins.get(value)
        if pinned is not None:
            return pinned
    seed = f"key {value}" if value is not None else f"id {request.request_id}"
    best = max(split.variants, key=lambda v: (score(float(v.weight), "split", split.name, seed, v.name), v.name))
    return best.name
