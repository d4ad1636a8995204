"""The order in which the members of a balance are tried; every one of them is tried, whatever the order."""

from __future__ import annotations

from engine.graph import Balance, Fallback, Hedge, Mirror, Reject, RouteStep, Split, Step, Switch, TargetStep, describe

from .hashing import ranked, score
from .model import Request, View
from .tree import children, targets_of


def ordered(balance: Balance, request: Request, view: View) -> list[Step]:
    """The members in the order to try them; its inputs are the request's seed or key, the weights and the view."""
    members = _distinct([(float(weight), identity(step), step) for weight, step in balance.members])
    seed = request.request_id
    if balance.by == "hash":
        key = request.get(balance.key) if balance.key else None
        seed = f"key {text(key)}" if key is not None else seed
    if balance.by != "least_busy":
        return ranked(members, "balance", seed)
    rows = []
    for weight, name, step in members:
        busy = sum(view.in_flight(target.id) for target in targets_of(step))
        # +1: of two idle members the heavier one comes first; the hash breaks what ties are left.
        load = (busy + 1) / weight if weight > 0 else float("inf")
        rows.append((load, -score(1.0, "balance", seed, name), name, step))
    rows.sort(key=lambda row: row[:3])
    return [row[3] for row in rows]


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
