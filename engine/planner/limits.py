"""What a request claims of the limits that apply to it, and the plan of one that they refuse."""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import structs

from engine.exchange import RULES, OutcomeClass
from engine.graph import Graph, Limit, Provider, Rate, Target, TargetStep
from engine.state import Claim, Refusal
from engine.units import format_duration

from .model import Candidate, Plan, Request, Skip, View
from .splits import text

#: Tokens that an answer is taken to have at most, where neither the request nor the model's entry says.
UNKNOWN_OUTPUT = 4096
#: Seconds by which a provider's windows are counted longer than they are, as a share of them, and at least and at most:
#: requests arrive there some time after they are counted here, the earlier ones later than others perhaps.
SHARE_OF_WINDOW, MARGIN, MOST_MARGIN = 0.02, 0.05, 1.0
#: Kinds of request whose answer is written, token by token.
_WRITTEN = frozenset({"chat", "completions"})


def reserve(request: Request, target: Target) -> int:
    """The tokens that a request may use at a target: its input, and the longest answer that may come."""
    if request.kind not in _WRITTEN:
        return request.input_tokens
    output = request.max_tokens
    if output is None or (target.max_output is not None and output > target.max_output):
        output = UNKNOWN_OUTPUT if target.max_output is None else target.max_output
    return request.input_tokens + output


def cost_of(rate: Rate, request: Request, tokens: int) -> int:
    """What a request takes of a limit, where it may use ``tokens``.

    An answer that could alone be longer than the limit takes all of it, so that it has a chance; an input that is
    longer than the limit has none, and says so by its cost.
    """
    if rate.unit != "tokens":
        return 1
    return max(min(tokens, rate.limit), request.input_tokens)


def claims_at(target: Target, account: str, request: Request) -> tuple[Claim, ...]:
    """What an attempt at a target takes of the limits of the provider's account."""
    tokens = reserve(request, target)
    return tuple(_of_account(rate, account, cost_of(rate, request, tokens)) for rate in target.provider.limits)


def least_claims(provider: Provider, account: str) -> tuple[Claim, ...]:
    """What the smallest request would take there."""
    return tuple(_of_account(rate, account, 1) for rate in provider.limits)


def _of_account(rate: Rate, account: str, cost: int) -> Claim:
    per = rate.per
    if per is not None:
        per += min(MOST_MARGIN, max(MARGIN, per * SHARE_OF_WINDOW))
    return Claim(account + rate.suffix, rate.limit, per, cost, rate.unit)


def limited(plan: Plan, graph: Graph, request: Request, view: View) -> Plan:
    """The plan with what it claims of client limits, or the one of a request that these refuse at this moment."""
    claims = _claims(graph, request, plan.candidates, view)
    if not claims:
        return plan
    refusal = view.refuses(claims)
    return structs.replace(plan, limits=claims) if refusal is None else over_limit(plan, claims, refusal)


def _claims(graph: Graph, request: Request, candidates: Iterable[Candidate], view: View) -> tuple[Claim, ...]:
    """What the request claims of each client limit that applies to it; it reserves for its most talkative target."""
    limits = graph.limits.of(request.get)
    if not limits:
        return ()
    tokens = max((reserve(request, c.step.target) for c in candidates if isinstance(c.step, TargetStep)), default=0)
    claims = []
    for limit in limits:
        head = f"limit/{limit.name}/{_bucket(limit, request, view)}"
        for rate in limit.rates:
            cost = cost_of(rate, request, tokens)
            claims.append(Claim(head + rate.suffix, rate.limit, rate.per, cost, rate.unit))
    return tuple(claims)


def _bucket(limit: Limit, request: Request, view: View) -> str:
    if limit.each is None:
        return "all"
    value = request.get(limit.each)
    return view.bucket(limit, None if value is None else text(value))


def over_limit(plan: Plan, claims: tuple[Claim, ...], refusal: Refusal) -> Plan:
    """The plan of a request that was planned as ``plan`` and is refused by a limit."""
    claim = next(claim for claim in claims if claim.key == refusal.key)
    name = claim.key.split("/", 2)[1]
    what = f"{claim.limit} {claim.unit}" if claim.per is not None else f"{claim.limit} requests at a time"
    per = "" if claim.per is None else f" in {format_duration(claim.per)}"
    if refusal.retry_after == math.inf:
        message = f'The request has about {claim.cost} input tokens; limit "{name}" allows {what}{per}.'
    else:
        message = f'Limit "{name}" of {what}{per} is used up; try again in {refusal.retry_after:.3g} seconds.'
        if claim.unit == "tokens" and refusal.left > 0:
            message += f" This request may use {claim.cost} tokens of {refusal.left}: a smaller max_tokens takes less."
    tried = [c.step for c in plan.candidates if isinstance(c.step, TargetStep)]
    detail = f'limit "{name}" is used up'
    skips = {step.target.id: Skip(step.target.id, "limit", detail, step.path) for step in tried}
    rule = RULES[OutcomeClass.OVER_LIMIT]
    return structs.replace(
        plan,
        candidates=(),
        skips=(*skips.values(), *plan.skips),
        stop=OutcomeClass.OVER_LIMIT,
        status=rule.status,
        code=rule.code,
        message=message,
        limits=claims,
        refusal=refusal,
    )
