"""What a request would cost at a target, before it is sent: enough to compare targets, and no bill."""

from __future__ import annotations

from decimal import Decimal

from engine.graph import Price, Target

from .model import Request

#: Tokens that an answer is taken to have, where neither the request nor the target allows fewer.
EXPECTED_OUTPUT = 500
#: Kinds of request whose answers have no tokens that are paid for.
_NO_OUTPUT = frozenset({"embeddings", "rerank", "moderations"})
_MILLION = Decimal(1_000_000)


def expected_cost(target: Target, request: Request) -> Decimal | None:
    """USD for the estimated input and an answer of usual length; ``None`` where a price that it needs is unknown."""
    price = target.price
    if price is None:
        return None
    price = _tier(price, request.input_tokens)
    if price.input is None:
        return None
    cost = price.input * request.input_tokens
    if request.kind not in _NO_OUTPUT:
        if price.output is None:
            return None
        output = min(EXPECTED_OUTPUT, request.max_tokens or EXPECTED_OUTPUT, target.max_output or EXPECTED_OUTPUT)
        cost += price.output * output
    return cost / _MILLION + (price.request or 0)


def _tier(price: Price, size: int) -> Price:
    """The prices that apply to an input of this many tokens."""
    found = price
    for above, tier in price.tiers:
        if size > above:
            found = tier
    return found
