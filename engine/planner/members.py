"""The members of a balance: names that do not depend on their order, and what a request would try of each first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.graph import (
    Balance,
    Fallback,
    Hedge,
    Mirror,
    Reject,
    RouteStep,
    Split,
    Step,
    Switch,
    TargetStep,
    describe,
    evaluate,
)
from engine.graph.tree import children

from .model import Request
from .splits import assign

Usable = Callable[[TargetStep], bool]
"""Whether this use of a target can serve the request at this moment."""


def identity(step: Step) -> str:
    """A name for a member of a balance that does not depend on its position: its targets, in the order they matter."""
    if isinstance(step, TargetStep):
        return step.target.id
    if isinstance(step, RouteStep | Mirror):
        return identity(step.step)
    parts = [identity(child) for child in children(step)]
    if isinstance(step, Fallback | Hedge | Switch):
        return f"({'>'.join(parts)})"
    return f"({'+'.join(sorted(parts))})" if parts else type(step).__name__


def distinct(members: list[tuple[float, str, Step]]) -> list[tuple[float, str, Step]]:
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
    elif isinstance(step, Hedge):
        own = (step.delay, step.extra, step.tools)
    elif isinstance(step, Mirror):
        own = (step.share, step.tools)
    elif isinstance(step, Switch):
        own = [describe(condition) for condition, _ in step.cases]
    elif isinstance(step, Split):
        own = (step.name, step.key, sorted(step.pins.items()))
        below = sorted(f"{v.name} {v.weight} {use}" for v, use in zip(step.variants, below, strict=True))
    elif isinstance(step, Balance):
        own = (step.by, step.key)
        below = sorted(f"{weight} {use}" for (weight, _), use in zip(step.members, below, strict=True))
    return repr((own, below))


def leading(step: Step, request: Request, usable: Usable) -> TargetStep | None:
    """The use of a target that this request would try first of all below ``step``; ``None`` where it would try none.

    Below another balance it is the first by name: which one comes first there is not known before its own turn.
    """
    if isinstance(step, TargetStep):
        return step if usable(step) else None
    for child in _ways(step, request):
        found = leading(child, request, usable)
        if found is not None:
            return found
    return None


def _ways(step: Step, request: Request) -> Iterable[Step]:
    """The steps directly below that are for this request, in the order in which it would try them."""
    if isinstance(step, Split):
        assigned = assign(step, request)
        return [variant.step for variant in step.variants if variant.name == assigned]
    if isinstance(step, Switch):
        chosen = next((way for condition, way in step.cases if evaluate(condition, request.get)), step.default)
        return [] if chosen is None else [chosen]
    if isinstance(step, Balance):
        return sorted(children(step), key=identity)
    if isinstance(step, Mirror):
        return [step.step]
    return children(step)
