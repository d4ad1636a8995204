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
    Target,
    TargetStep,
    describe,
    evaluate,
    matches,
)

from .closing import admit, passed_over, start_of
from .endings import everybody_closed, nobody, stopped, unroutable
from .hashing import ranked, score
from .model import Candidate, Exit, Plan, Request, Skip, View


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
            bounds = self._sequence(self._balanced(step), FAIL_OVER)
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

    def _balanced(self, balance: Balance) -> list[Step]:
        """The members in the order to try them; its inputs are the request's seed or key, the weights and the view."""
        members = _distinct([(float(weight), identity(step), step) for weight, step in balance.members])
        seed = self.request.request_id
        if balance.by == "hash":
            key = self.request.get(balance.key) if balance.key else None
            seed = f"key {text(key)}" if key is not None else seed
        if balance.by != "least_busy":
            return ranked(members, "balance", seed)
        rows = []
        for weight, name, step in members:
            busy = sum(self.view.in_flight(target.id) for target in targets_of(step))
            # +1: of two idle members the heavier one comes first; the hash breaks what ties are left.
            load = (busy + 1) / weight if weight > 0 else float("inf")
            rows.append((load, -score(1.0, "balance", seed, name), name, step))
        rows.sort(key=lambda row: row[:3])
        return [row[3] for row in rows]

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


def targets_of(step: Step) -> tuple[Target, ...]:
    """Every target in the tree below ``step``, in tree order, each once."""
    if isinstance(step, TargetStep):
        return (step.target,)
    found: dict[str, Target] = {}
    for child in children(step):
        for target in targets_of(child):
            found.setdefault(target.id, target)
    return tuple(found.values())


def children(step: Step) -> tuple[Step, ...]:
    """The direct sub-steps of ``step``."""
    if isinstance(step, Fallback):
        return step.steps
    if isinstance(step, Split):
        return tuple(variant.step for variant in step.variants)
    if isinstance(step, Balance):
        return tuple(member for _, member in step.members)
    if isinstance(step, Switch):
        cases = tuple(case for _, case in step.cases)
        return cases if step.default is None else (*cases, step.default)
    if isinstance(step, RouteStep):
        return (step.step,)
    return ()


def identity(step: Step) -> str:
    """A name for a member of a balance that does not depend on its position: its targets, in the order they matter."""
    if isinstance(step, TargetStep):
        return step.target.id
    if isinstance(step, RouteStep):
        return identity(step.step)
    parts = [identity(child) for child in children(step)]
    if isinstance(step, Fallback | Switch):
        return f"({'>'.join(parts)})"
    return f"({'+'.join(sorted(parts))})" if parts else type(step).__name__


def text(value: object) -> str:
    """An attribute's value as a key: a boolean as YAML and headers spell it, so that both mean the same key."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _distinct(members: list[tuple[float, str, Step]]) -> list[tuple[float, str, Step]]:
    """The members with a number added to names that come again, so that each has a chance of its own.

    Which number is whose depends on their weights and policies, not on their order.
    """
    if len({name for _, name, _ in members}) == len(members):
        return members
    seen: dict[str, int] = {}
    out = []
    for weight, name, step in sorted(members, key=lambda member: (*member[:2], _use(member[2]))):
        seen[name] = again = seen.get(name, 0) + 1
        out.append((weight, name if again == 1 else f"{name}#{again}", step))
    return out


def _use(step: Step) -> str:
    """What tells two uses of the same targets apart, whatever the order in which equals stand."""
    below = [_use(child) for child in children(step)]
    own: object = None
    if isinstance(step, TargetStep):
        own = (step.params.set, step.params.default, step.unsupported, step.retry, step.timeouts)
    elif isinstance(step, Reject):
        own = (step.status, step.message)
    elif isinstance(step, Fallback):
        own = sorted(step.on)
    elif isinstance(step, Switch):
        own = [describe(condition) for condition, _ in step.cases]
    elif isinstance(step, Split):
        own = (step.name, step.key, sorted(step.pins.items()))
        below = sorted(f"{v.name} {v.weight} {use}" for v, use in zip(step.variants, below, strict=True))
    elif isinstance(step, Balance):
        own = (step.by, step.key)
        below = sorted(f"{weight} {use}" for (weight, _), use in zip(step.members, below, strict=True))
    return repr((own, below))
