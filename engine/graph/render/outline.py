"""A route as a tree of words: the one intermediate form of all drawings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from engine.exchange import FAIL_OVER
from engine.graph.beside import Hedge, Mirror
from engine.graph.conditions import describe
from engine.graph.nodes import (
    Balance,
    Fallback,
    Params,
    Reject,
    Retry,
    Route,
    RouteStep,
    Split,
    Step,
    Switch,
    TargetStep,
    Timeouts,
)
from engine.graph.tree import children, leaves
from engine.graph.words import HIDDEN, is_secret_name, percent, request_policy, shorten, show, target_policy
from engine.units import format_duration

_Usual = tuple[Retry, Timeouts]


@dataclass(frozen=True, slots=True)
class Item:
    """One box of a drawing: what it is, what to know of it, and what is written on the line that leads to it."""

    kind: str
    title: str
    notes: tuple[str, ...] = ()
    edge: str = ""
    children: tuple["Item", ...] = ()


def outline(route: Route) -> Item:
    """The route and its steps. Policy that all its targets share is noted once, at the route."""
    usual = _usual(route.step)
    notes = []
    if route.models != (route.name,):
        notes.append(f"model {' or '.join(sorted(route.models))}")
    if route.when is not None:
        notes.append(f"when {describe(route.when)}")
    if route.priority:
        notes.append(f"priority {route.priority}")
    notes.append(", ".join(request_policy(route.retry, route.timeouts)))
    if usual is not None:
        notes.append(f"each target: {', '.join(target_policy(*usual))}")
    return Item("route", route.name, tuple(notes), children=(_step(route.step, "", usual),))


def wrap(note: str, width: int) -> list[str]:
    """The note in at most three lines, broken at spaces; what does not fit is cut with an ellipsis."""
    out = [""]
    for word in note.split():
        if out[-1] and len(out[-1]) + 1 + len(word) > width:
            out.append("")
        out[-1] = f"{out[-1]} {word}".strip()
    return [shorten(line, width) for line in (*out[:2], *([" ".join(out[2:])] if out[2:] else []))]


def _usual(step: Step) -> _Usual | None:
    """The policy that most targets have; the first of them where two are as common."""
    counts = Counter((use.retry, use.timeouts) for use in leaves(step))
    return max(counts, key=lambda policy: counts[policy]) if counts else None


def _step(step: Step, edge: str, usual: _Usual | None) -> Item:
    if isinstance(step, TargetStep):
        notes = [*target_policy(step.retry, step.timeouts, usual), *_params(step.params)]
        if step.unsupported == "error":
            notes.append("unsupported parameters are an error")
        return Item("target", step.target.id, tuple(notes), edge)
    if isinstance(step, Reject):
        return Item("reject", f"reject {step.status}", (step.message,) if step.message else (), edge)
    title, notes, edges = _inner(step)
    below = tuple(_step(child, word, usual) for child, word in zip(children(step), edges, strict=True))
    return Item(_kind(step), title, tuple(notes), edge, below)


def _kind(step: Step) -> str:
    return "reference" if isinstance(step, RouteStep) else type(step).__name__.lower()


def _inner(step: Step) -> tuple[str, list[str], list[str]]:
    """Title, notes and the words on the lines to the children."""
    if isinstance(step, Fallback):
        return "fallback", _on(step), [str(n + 1) for n in range(len(step.steps))]
    if isinstance(step, Split):
        notes = [f"by {step.key}" if step.key else "by request"]
        if step.pins:
            notes.append(f"{len(step.pins)} pinned")
        total = sum((v.weight for v in step.variants), Decimal(0))
        return f"split {step.name}", notes, [f"{v.name} {percent(v.weight, total)}" for v in step.variants]
    if isinstance(step, Balance):
        total = sum((weight for weight, _ in step.members), Decimal(0))
        even = len({weight for weight, _ in step.members}) == 1 and step.by != "weighted"
        edges = ["" if even else percent(weight, total) for weight, _ in step.members]
        return f"balance {step.by.replace('_', ' ')}", [f"by {step.key}"] if step.key else [], edges
    if isinstance(step, Switch):
        edges = [f"when {describe(condition)}" for condition, _ in step.cases]
        return (
            "switch",
            [] if step.default else ["nothing otherwise"],
            [*edges, *(["otherwise"] if step.default else [])],
        )
    if isinstance(step, Hedge):
        notes = [
            f"next after {format_duration(step.delay)}",
            f"at most {_share(step.extra)} extra",
            *_tools(step.tools),
        ]
        return "hedge", notes, [str(n + 1) for n in range(len(step.steps))]
    if isinstance(step, Mirror):
        return "mirror", _tools(step.tools), ["serves", f"gets a copy of {_share(step.share)}"]
    assert isinstance(step, RouteStep)  # noqa: S101  - the leaves do not come here; tells the type checker
    return f"route {step.route}", [], [""]


def _share(share: float) -> str:
    return percent(Decimal(repr(share)), Decimal(1))


def _tools(allowed: bool) -> list[str]:
    return ["also with tools"] if allowed else []


def _on(step: Fallback) -> list[str]:
    """How the classes it moves on after differ from the ordinary ones."""
    if step.on == FAIL_OVER:
        return []
    if step.on > FAIL_OVER:
        return [f"also on {show(step.on - FAIL_OVER)}"]
    return [f"only on {show(step.on)}"]


def _params(params: Params) -> list[str]:
    return [
        f"{word} {name}={HIDDEN if is_secret_name(name) else shorten(show(text), 40)}"
        for word, pairs in (("set", params.set), ("default", params.default))
        for name, text in pairs
    ]
