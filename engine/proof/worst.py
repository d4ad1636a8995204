"""The most that one request of a route can come to: attempts, seconds and dollars. Bounds, never too small."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from engine.graph import Mirror, Route, Step, Target, TargetStep
from engine.planner import children

_MILLION = Decimal(1_000_000)


class Worst(Struct, frozen=True):
    """Bounds of one request. ``seconds`` is until an answer begins or the request has failed; ``copies`` is how many
    mirrors may get one. ``usd`` is ``None`` where a price or a size that counts is not declared."""

    route: str
    attempts: int
    seconds: float
    usd: Decimal | None
    copies: int = 0


def worst(route: Route) -> Worst:
    """The bounds of the route.

    A request that goes back and forth between failing targets is only bounded by ``max_attempts``. With a single use
    of a target there is nowhere to go, and ``per_target`` bounds it, unless the provider has several accounts.
    """
    copies = [mirror.to for mirror in _steps(route.step) if isinstance(mirror, Mirror)]
    uses = [step for step in _steps(route.step) if isinstance(step, TargetStep) and step not in copies]
    attempts = route.retry.max_attempts if uses else 0
    if len(uses) == 1 and len(uses[0].target.provider.accounts) == 1:
        attempts = min(attempts, uses[0].retry.per_target)
    longest = max((max(use.timeouts.attempt, use.timeouts.first_token) for use in uses), default=0.0)
    seconds = route.timeouts.total if uses else 0.0
    if attempts == 1 and not uses[0].target.provider.limited:
        seconds = min(seconds, longest)
    prices = [_most(use.target) for use in uses]
    known = [price for price in prices if price is not None]
    usd = max(known) * attempts if known and len(known) == len(prices) else None
    if usd is not None:
        for copy in copies:
            price = _most(copy.target)
            usd = None if usd is None or price is None else usd + price
    return Worst(route.name, attempts, seconds, usd, len(copies))


def _steps(step: Step) -> Iterator[Step]:
    yield step
    for child in children(step):
        yield from _steps(child)


def _most(target: Target) -> Decimal | None:
    """USD for an attempt with a full context and the longest answer, of text."""
    price, window, longest = target.price, target.context_window, target.max_output
    if price is None or window is None or longest is None:
        return None
    costs: list[Decimal] = [
        (max(tier.input, tier.cache_write or 0) * window + max(tier.output, tier.reasoning or 0) * longest) / _MILLION
        + (tier.request or 0)
        for tier in (price, *(tier for _, tier in price.tiers))
        if tier.input is not None and tier.output is not None
    ]
    return max(costs, default=None)
