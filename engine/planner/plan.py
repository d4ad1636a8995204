"""From (graph, request, view, time) to a plan: the one place that decides where a request may go.

The step tree is walked depth first into a flat list of candidates. A step that cannot serve this request is skipped
with a reason; where a ``fallback`` has more steps to try, its candidates get an exit to the first one of the next.
"""

from __future__ import annotations

from itertools import pairwise

from msgspec.structs import replace

from engine.dialects import COUNT_TOKENS, lacks
from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import (
    Balance,
    Fallback,
    Graph,
    Hedge,
    Mirror,
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

from .balance import ordered
from .closing import admit, passed_over, start_of
from .endings import everybody_closed, nobody, stopped, unroutable
from .hashing import uniform
from .limits import limited
from .model import Beside, Candidate, Exit, Order, Plan, Request, Skip, View
from .splits import assign
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
    skips = walk.all_skips(start) if walk.closed or walk.skips else ()
    first = walk.candidates[start].step if walk.candidates else None
    if first is None:
        return nobody(graph, request, route, skips, tuple(walk.variants))
    rejects = isinstance(first, Reject)
    made = Plan(
        route=route,
        candidates=tuple(walk.candidates),
        skips=skips,
        variants=tuple(walk.variants),
        orders=tuple(walk.orders),
        stop=OutcomeClass.REJECTED if rejects else None,
        status=first.status if isinstance(first, Reject) else None,
        message=first.message if isinstance(first, Reject) else "",
        request_id=request.request_id,
        fingerprint=graph.fingerprint,
        start=start,
    )
    return limited(made, graph, request, view) if graph.limits and not rejects else made


def find_route(graph: Graph, request: Request) -> Route | None:
    """The route that answers to this request: the first in deciding order whose condition holds, if any."""
    for route in graph.index.find(request.model or ""):
        if route.when is None or evaluate(route.when, request.get):
            return route
    return None


class _Walk:
    """One depth-first walk of a step tree, collecting candidates, skips and assignments."""

    __slots__ = ("candidates", "closed", "moment", "orders", "request", "skips", "variants", "view")

    def __init__(self, request: Request, view: View, moment: float = 0.0) -> None:
        self.request = request
        self.view = view
        self.moment = moment
        self.closed = False
        """Whether any candidate is to be passed over."""
        self.orders: list[Order] = []
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
                self.candidates.append(Candidate(step, closure=closure))
        elif isinstance(step, Fallback):
            self._sequence(step.steps, step.on)
        elif isinstance(step, Balance):
            order = ordered(step, self.request, self.view, self.moment, self.usable)
            self.orders.append(order)
            bounds = self._sequence([member.step for member in order.members], FAIL_OVER)
            if self.closed:
                admit(self.candidates, bounds, len(step.members))
        elif isinstance(step, Hedge):
            self._hedge(step)
        elif isinstance(step, Mirror):
            self._mirror(step)
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

        The answer is where each step's candidates begin and end, without the steps that have none.
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
                candidates[i] = replace(candidate, exits=(*candidate.exits, way))
        return bounds

    def _hedge(self, hedge: Hedge) -> None:
        """A fallback whose steps are also started beside each other; of hedges in each other the innermost counts."""
        bounds = self._sequence(hedge.steps, FAIL_OVER)
        if self.request.tools and not hedge.tools:
            return
        candidates = self.candidates
        for (start, end), (to, _) in pairwise(bounds):
            if isinstance(candidates[to].step, TargetStep):
                beside = Beside(to, bounds[-1][1], hedge.delay, hedge.extra, hedge.path)
                for i in range(start, end):
                    if candidates[i].hedge is None:
                        candidates[i] = replace(candidates[i], hedge=beside)

    def _mirror(self, mirror: Mirror) -> None:
        candidates, to = self.candidates, mirror.to
        start = len(candidates)
        self.step(mirror.step)
        skip = not_copied(mirror, self.request, self.view)
        private = to.target.provider.auth.scheme == "caller"
        taken = False
        for i in range(start, len(candidates)) if skip is None else ():
            step = candidates[i].step
            # The caller's own key goes to the provider that it was sent for, and to nobody else.
            if isinstance(step, TargetStep) and (not private or step.target.provider is to.target.provider):
                candidates[i] = replace(candidates[i], mirrors=(*candidates[i].mirrors, to))
                taken = True
        if not taken:
            detail = "the caller's own key is for another provider" if private else "nothing that it copies can serve"
            self.skips.append(skip or Skip(to.target.id, "not_mirrored", detail, to.path))

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

    def usable(self, step: TargetStep) -> bool:
        """Whether this use of a target can serve the request, and is not to be passed over at this moment."""
        return unfit(step, self.request, self.view) is None and self.view.closed(step, self.moment) is None

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
                for one in (step, *candidate.mirrors):
                    if closure is not None and one is step:
                        self.skips.append(passed_over(step, closure, self.moment))
                    else:
                        self.skips.append(Skip(one.target.id, "no_fallback", detail, one.path))
        first = self.candidates[start]
        self.candidates = [Candidate(first.step, mirrors=first.mirrors)]

    def all_skips(self, start: int | None) -> tuple[Skip, ...]:
        """The skips of targets that are not attempted in another place of the tree; ``start``: nobody is attempted."""
        tried = set()
        skips = self.skips
        for position, candidate in enumerate(self.candidates):
            step = candidate.step
            if not isinstance(step, TargetStep):
                continue
            if candidate.closure is not None and position != start:
                skips.append(passed_over(step, candidate.closure, self.moment))
            elif start is not None and position >= start:
                tried.add(step.target.id)
                tried.update(to.target.id for to in candidate.mirrors)
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


def not_copied(mirror: Mirror, request: Request, view: View) -> Skip | None:
    """Why no copy of this request is sent to the mirror's target, or ``None`` if one is. Copies are never streamed."""
    to = mirror.to
    if request.kind == COUNT_TOKENS:
        return Skip(to.target.id, "not_mirrored", "nothing is answered that could be compared", to.path)
    if request.tools and not mirror.tools:
        return Skip(
            to.target.id, "not_mirrored", "the request has tools, and the mirror does not say `tools: true`", to.path
        )
    if uniform("mirror", request.request_id, to.target.id) >= mirror.share:
        return Skip(to.target.id, "not_mirrored", f"it gets a copy of {mirror.share:.4g} of the requests", to.path)
    return unfit(to, replace(request, needs=request.needs - {"stream"}), view)


def _lacking(provider: Provider) -> str:
    if provider.transport == "process":
        return f"the program {provider.command[0]!r} of provider {provider.name!r} is not installed"
    return f"the secret of provider {provider.name!r} is not set"
