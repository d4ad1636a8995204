"""A plan and its reasons, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.exchange import ATTEMPT_CLASSES, RULES, OutcomeClass
from engine.graph import Reject, Split, Step, TargetStep, attributes, describe, evaluate, matches
from engine.graph.words import percent, request_policy
from engine.planner import children, order_dict
from engine.units import format_duration

from .terminal import paint, plural

if TYPE_CHECKING:
    from engine.graph import Graph, Route
    from engine.planner import Candidate, Plan, Request

#: Leaving out this many of all failures is said shorter than naming the rest.
_FEW = 4
_FAILURES = tuple(sorted(c.value for c in ATTEMPT_CLASSES - {OutcomeClass.SERVED}))


def explained_dict(graph: Graph, request: Request, plan: Plan) -> dict[str, Any]:
    """The plan as JSON values, with ``considered`` (the routes looked at, in order) and ``splits`` (every share)."""
    splits = [
        {
            "split": split.name,
            "path": split.path,
            "key": split.key,
            "assigned": dict(plan.variants).get(split.name),
            "shares": _shares(split),
        }
        for split in _splits_of(plan.route)
    ]
    considered = [{"route": route.name, "because": why} for route, why in _considered(graph, request, plan)]
    return {**plan.to_dict(), "considered": considered, "splits": splits}


def explained_text(graph: Graph, request: Request, plan: Plan, color: bool) -> str:
    """The plan for people: route and why, candidates with their jump tables, skips, shares."""
    blocks = [_route_block(graph, request, plan, color)]
    if plan.stop is None and plan.route is not None:
        bounds = ", ".join(request_policy(plan.route.retry, plan.route.timeouts))
        lines = [f"{paint('would try', 'bold', color)}  ({bounds})"]
        for position, candidate in enumerate(plan.candidates):
            lines += _candidate_lines(plan, position, candidate)
        blocks.append(lines)
    if plan.stop is not None:
        blocks.append(_stop_block(plan, color))
    if plan.skips:
        width = max(len(skip.target) for skip in plan.skips)
        reason = max(len(skip.reason) for skip in plan.skips)
        rows = [f"  {skip.target:{width}}  {skip.reason:{reason}}  {skip.detail}".rstrip() for skip in plan.skips]
        blocks.append([paint("would not try", "bold", color), *rows])
    for order in plan.orders:
        told = order_dict(order)
        head = paint(f"balance by {order.by.replace('_', ' ')}", "bold", color)
        width = max(len(row["member"]) for row in told["members"])
        rows = [f"  {row['member']:{width}}  {row['because']}".rstrip() for row in told["members"]]
        blocks.append([f"{head}  {told['how']}" + (f"  ({order.path})" if order.path else ""), *rows])
    shares = [_split_line(request, plan, split) for split in _splits_of(plan.route)]
    if shares:
        blocks.append([paint("splits", "bold", color), *shares])
    return "\n\n".join("\n".join(block) for block in blocks)


def _route_block(graph: Graph, request: Request, plan: Plan, color: bool) -> list[str]:
    if plan.route is None:
        head = f"no route answers to model {_value(request.model)}"
    else:
        place = graph.documents.get(("route", plan.route.name), "")
        head = f'route "{plan.route.name}"' + (f"  {place}" if place else "")
    lines = [f"{paint(head, 'bold', color)}  (graph {plan.fingerprint})"]
    for route, why in _considered(graph, request, plan):
        chosen = plan.route is not None and route.name == plan.route.name
        lines.append(f"  {'chosen' if chosen else 'passed over'}: {'' if chosen else route.name + ', '}{why}")
    return lines


def _considered(graph: Graph, request: Request, plan: Plan) -> Iterator[tuple[Route, str]]:
    """The routes whose names match, in deciding order up to the chosen one, each with why (not)."""
    for route in graph.index.find(request.model or ""):
        why = f"model {_value(request.model)} {_matching(route, request.model or '')}"
        if route.priority:
            why += f", priority {route.priority}"
        if route.when is not None:
            holds = evaluate(route.when, request.get)
            why += f", and its condition {'holds' if holds else 'does not hold'}: {describe(route.when)}"
            if not holds:
                why += f" (here {_facts(route, request)})"
        yield route, why
        if plan.route is not None and route.name == plan.route.name:
            return


def _matching(route: Route, model: str) -> str:
    if model in route.models:
        return "is its exact name"
    return "matches " + " and ".join(_value(pattern) for pattern in route.models if matches(pattern, model))


def _facts(route: Route, request: Request) -> str:
    names = sorted(attributes(route.when)) if route.when is not None else []
    return ", ".join(f"{name} is {_value(request.get(name))}" for name in names)


def _candidate_lines(plan: Plan, position: int, candidate: Candidate) -> list[str]:
    step = candidate.step
    number = f"{position + 1}."
    if candidate.closure is not None and isinstance(step, TargetStep):
        resort = position == plan.start
        why = "nobody else is left" if resort else "only if nobody else is left"
        return [f"  {number:3} {step.target.id}  ({why}; {candidate.closure.reason}: {candidate.closure.detail})"]
    if isinstance(step, Reject):
        return [f"  {number:3} reject with {step.status}: {step.message}  ({step.path})"]
    # A route that is one target has no tree worth a path.
    lines = [f"  {number:3} {step.target.id}" + (f"  ({step.path})" if "[" in step.path or "(" in step.path else "")]
    by_goal = _jumps(candidate)
    if step.retry.per_target > 1:
        again = [c for c in _FAILURES if RULES[OutcomeClass(c)].retry_same]
        # With nowhere else to go, a target that is rate limited is waited for.
        again += [c for c in ("rate_limited",) if not any(c in classes for classes in by_goal.values())]
        lines.append(
            f"        again, up to {plural(step.retry.per_target, 'attempt')} in all, after {', '.join(again)}"
        )
    if step.retry.go_back and len(plan.candidates) > 1:
        lines.append("        and once all others have failed too, while attempts are left")
    for goal, classes in sorted(by_goal.items()):
        where = " (reject)" if isinstance(plan.candidates[goal].step, Reject) else ""
        lines.append(f"        then {goal + 1}{where} after {_class_words(classes, moves=True)}")
    hedge = candidate.hedge
    if hedge is not None:
        extra = percent(Decimal(repr(hedge.extra)), Decimal(1))
        after = f"when nothing has come after {format_duration(hedge.delay)} (at most {extra} extra)"
        lines.append(f"        beside it {hedge.to + 1} {after}")
    lines += [f"        if it serves, a copy to {to.target.id}" for to in candidate.mirrors]
    left = [c for c in _FAILURES if not any(c in classes for classes in by_goal.values())]
    if left:
        lines.append(f"        ends after {_class_words(left)}")
    return lines


def _jumps(candidate: Candidate) -> dict[int, list[str]]:
    """Where each outcome class goes, by destination: the innermost exit that names the class wins."""
    goals: dict[int, list[str]] = {}
    for name in _FAILURES:
        goal = next((way.to for way in candidate.exits if OutcomeClass(name) in way.on), None)
        if goal is not None:
            goals.setdefault(goal, []).append(name)
    return goals


def _class_words(classes: Sequence[str], *, moves: bool = False) -> str:
    """The classes, or which few of all failures they are not. ``moves``: they lead on, one of them conditionally."""
    others = [name for name in _FAILURES if name not in classes]
    words = f"any failure but {', '.join(others)}" if len(others) <= _FEW else ", ".join(classes)
    words = words if others else "any failure"
    larger = f" ({OutcomeClass.CONTEXT_EXCEEDED}: only to a larger context window)"
    return words + (larger if moves and OutcomeClass.CONTEXT_EXCEEDED.value in classes else "")


def _stop_block(plan: Plan, color: bool) -> list[str]:
    assert plan.stop is not None  # noqa: S101  - narrows for the type checker; callers ask only then
    status = plan.status or RULES[plan.stop].status
    code = plan.code or RULES[plan.stop].code
    return [paint("would not reach any target", "bold", color), f"  the client gets {status} {code}: {plan.message}"]


def _split_line(request: Request, plan: Plan, split: Split) -> str:
    assigned = dict(plan.variants).get(split.name)
    value = request.get(split.key) if split.key else None
    if value is not None:
        key = f"by {split.key} {_value(value)}"
    else:
        key = (f"by {split.key}, absent here: " if split.key else "") + "by request id"
        # Without --request-id the id is empty; a real request gets a fresh one and may be assigned otherwise.
        key += f" {_value(request.request_id)}" if request.request_id else " (--request-id tries one)"
    total = sum((variant.weight for variant in split.variants), Decimal())
    shares = ", ".join(
        f"{variant.name} {percent(variant.weight, total)}" + (" (this request)" if variant.name == assigned else "")
        for variant in split.variants
    )
    return f"  {split.name}, {key}: {shares}"


def _shares(split: Split) -> dict[str, float]:
    """Each variant's share of the split's requests, 0..1."""
    total = float(sum(variant.weight for variant in split.variants)) or 1.0
    return {variant.name: round(float(variant.weight) / total, 6) for variant in split.variants}


def _splits_of(route: Route | None) -> list[Split]:
    """Every split of the route's tree, in tree order."""
    found: list[Split] = []
    todo: list[Step] = [route.step] if route else []
    while todo:
        step = todo.pop()
        if isinstance(step, Split):
            found.append(step)
        todo += reversed(children(step))
    return found


def _value(value: object) -> str:
    """A value as people write it; texts in double quotes."""
    if value is None:
        return "absent"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
