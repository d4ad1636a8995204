"""Step trees without dice: every tree that a route's may turn out to be for a request, with its share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import product

from msgspec import Struct

from engine.exchange import FAIL_OVER
from engine.graph import Balance, Fallback, Hedge, Mirror, Reject, RouteStep, Split, Step, Switch, TargetStep, evaluate
from engine.graph.tree import leaves
from engine.planner import Request, View, children
from engine.planner.members import identity
from engine.planner.plan import unfit
from engine.planner.prices import expected_cost

#: Ways of one request that are looked at one by one; beyond them, only those of what is tried first.
MOST_WAYS = 512


class Draw(Struct, frozen=True, order=True):
    """A split or a balance on the way: its ``kind`` (``split``, or what a balance goes by), name and key, and shares.

    ``pins`` are a split's key values with a variant of their own. A balance has no name.
    """

    kind: str
    name: str
    key: str | None
    shares: tuple[tuple[str, Fraction], ...]
    pins: tuple[tuple[str, str], ...] = ()


class Fixing:
    """Step trees without dice. ``exact`` turns false where there were too many of them."""

    def __init__(self, request: Request, view: View) -> None:
        self.request, self.view, self.exact = request, view, True
        self.draws: set[Draw] = set()

    def alternatives(self, step: Step) -> list[tuple[Fraction, Step]]:
        """Every tree that ``step`` may turn out to be for the request, with its share; shares add up to 1."""
        if isinstance(step, Split):
            return self._split(step)
        if isinstance(step, Balance):
            return self._balance(step)
        if isinstance(step, Fallback):
            return [(share, replace(step, steps=steps)) for share, steps in self._sequence(step.steps)]
        if isinstance(step, Hedge):
            return [(share, replace(step, steps=steps)) for share, steps in self._sequence(step.steps)]
        if isinstance(step, Mirror):
            return [(share, replace(step, step=one)) for share, one in self.alternatives(step.step)]
        if isinstance(step, RouteStep):
            return [(share, replace(step, step=one)) for share, one in self.alternatives(step.step)]
        if isinstance(step, Switch):
            taken = next((below for when, below in step.cases if evaluate(when, self.request.get)), step.default)
            if taken is None:
                return [(Fraction(1), Switch((), None, step.path))]
            return [(share, Switch((), one, step.path)) for share, one in self.alternatives(taken)]
        return [(Fraction(1), step)]

    def _split(self, split: Split) -> list[tuple[Fraction, Step]]:
        total = sum(variant.weight for variant in split.variants)
        shares = tuple(sorted((variant.name, _share(variant.weight, total)) for variant in split.variants))
        self.draws.add(Draw("split", split.name, split.key, shares, tuple(sorted(split.pins.items()))))
        return [
            (_share(variant.weight, total) * share, one)
            for variant in split.variants
            if variant.weight > 0
            for share, one in self.alternatives(variant.step)
        ]

    def _sequence(self, steps: Sequence[Step]) -> list[tuple[Fraction, tuple[Step, ...]]]:
        parts = [self.alternatives(step) for step in steps]
        count = 1
        for at, part in enumerate(parts):
            if count * len(part) > MOST_WAYS and len(part) > 1:
                self.exact = False
                parts[at] = [(Fraction(1), max(part, key=lambda row: row[0])[1])]
            count *= len(parts[at])
        out = []
        for rows in product(*parts):
            share = Fraction(1)
            for one, _ in rows:
                share *= one
            out.append((share, tuple(step for _, step in rows)))
        return out

    def _balance(self, balance: Balance) -> list[tuple[Fraction, Step]]:
        members = [(weight, step) for weight, step in balance.members if self._serves(step)]
        whole = sum(weight for weight, _ in members) or 1
        shares = tuple(sorted((identity(step), _share(weight, whole)) for weight, step in members))
        self.draws.add(Draw(balance.by, "", balance.key, shares))
        drawn = [(weight, step) for weight, step in members if weight > 0] or members
        if balance.by == "cheapest":
            drawn = self._cheapest(drawn)
        total = sum(weight for weight, _ in drawn)
        out: list[tuple[Fraction, Step]] = []
        for weight, first in drawn:
            rest = sorted((m for m in members if m[1] is not first), key=lambda m: (-m[0], identity(m[1])))
            share = _share(weight, total) if total else Fraction(1, len(drawn))
            for below, steps in self._sequence([first, *(step for _, step in rest)]):
                out.append((share * below, Fallback(steps, FAIL_OVER, balance.path)))
        return out or [(Fraction(1), Fallback((), FAIL_OVER, balance.path))]

    def _cheapest(self, members: list[tuple[Decimal, Step]]) -> list[tuple[Decimal, Step]]:
        priced = [(self._price(step), weight, step) for weight, step in members]
        known = [price for price, _, _ in priced if price is not None]
        least = min(known, default=None)
        return [(weight, step) for price, weight, step in priced if price == least]

    def _price(self, step: Step) -> Decimal | None:
        target = next((leaf.target for leaf in leaves(step) if unfit(leaf, self.request, self.view) is None), None)
        return None if target is None else expected_cost(target, self.request)

    def _serves(self, step: Step) -> bool:
        """Whether anything below could be tried for the request."""
        if isinstance(step, Switch):
            taken = next((below for when, below in step.cases if evaluate(when, self.request.get)), step.default)
            return taken is not None and self._serves(taken)
        if isinstance(step, TargetStep):
            return unfit(step, self.request, self.view) is None
        return isinstance(step, Reject) or any(self._serves(s) for s in children(step))


def _share(weight: Decimal, total: Decimal | int) -> Fraction:
    return Fraction(weight) / Fraction(total)
