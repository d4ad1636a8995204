"""What a change of behaviour may not do: gates, and whether they are broken."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from engine.graph import Gates

from .change import Change, Comparison


class Broken(Struct, frozen=True):
    """A gate that a change breaks: its name, where (a route or a model), and what is against it."""

    gate: str
    where: str
    because: str


def broken(compared: Comparison, gates: Gates) -> list[Broken]:
    """Every gate that the changes break, each place once."""
    found: dict[Broken, None] = {}
    for change in compared.changes:
        for one in _of_change(change, gates):
            found.setdefault(one)
    if gates.max_moved_users is not None:
        for move in compared.moves:
            if move.moved > gates.max_moved_users:
                because = (
                    f"{move.moved:.1%} of the keys of split {move.split} move; {gates.max_moved_users * 100:.4g}% may"
                )
                found.setdefault(Broken("max_moved_users", f"route {move.route}", because))
    if "models" in gates.no_lost:
        for name in compared.models_lost:
            found.setdefault(Broken("no_lost: models", f"model {name}", "nobody answers to it any more"))
    return list(found)


def _of_change(change: Change, gates: Gates) -> Iterator[Broken]:
    before, after = change.before, change.after
    where = f"model {change.request.model}"
    if gates.max_cost_increase is not None and before.usd is not None:
        if after.usd is None:
            if after.ways and any(way.order for way in after.ways):
                yield Broken("max_cost_increase", where, "its cost is no longer known: a price is not declared")
        elif after.usd > before.usd * (1 + Decimal(repr(gates.max_cost_increase))):
            grown = f"from {before.usd.normalize():f} to {after.usd.normalize():f} USD a request"
            yield Broken("max_cost_increase", where, f"{grown}; {gates.max_cost_increase * 100:.4g}% more is allowed")
    longer = gates.max_seconds_increase
    if longer is not None and before.attempts and after.seconds > before.seconds * (1 + longer):
        yield Broken("max_seconds_increase", where, f"at worst {before.seconds:g}s become {after.seconds:g}s")
    for label, value in sorted(set(after.labels) - set(before.labels)):
        if label in gates.no_new:
            yield Broken(f"no_new: {label}", where, f"may now reach a target with {label} {value}")
    if "capabilities" in gates.no_lost and before.route is not None and after.route is not None:
        for name in sorted(set(before.offered) - set(after.offered)):
            yield Broken("no_lost: capabilities", where, f"{name} is lost")
