"""One request from its plan to its end, without a network: the executor's loop on a clock that is an argument.

Where to go is the planner's alone; what an attempt comes to is declared. An attempt takes no time, unless its fault says
otherwise; one that times out takes as long as its limit.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from engine.exchange import RULES, OutcomeClass, Verdict
from engine.graph import Graph, Reject, Target, TargetStep
from engine.planner import Facts, Go, Plan, Request, Skip, Wait, advance, plan

from .world import Fault, Faults, World

_C = OutcomeClass
_MILLION = Decimal(1_000_000)
#: Tokens of an answer of which nothing is known.
USUAL_OUTPUT = 1_000


class Try(Struct, frozen=True):
    """One attempt: ``position`` in the plan, ``began`` and ``took`` in seconds from the request's start."""

    target: str
    path: str
    position: int
    outcome: OutcomeClass
    began: float = 0.0
    took: float = 0.0
    retry_after: float | None = None


class Course(Struct, frozen=True):
    """How a request went: its plan, its attempts, who was passed over between them, and how it ended.

    ``usd`` is what the answer costs (``None``: unknown), ``seconds`` how long it all took, pauses included.
    """

    plan: Plan
    tries: tuple[Try, ...]
    outcome: OutcomeClass
    status: int
    passed: tuple[Skip, ...] = ()
    target: str | None = None
    seconds: float = 0.0
    usd: Decimal | None = None

    @property
    def attempts(self) -> tuple[str, ...]:
        """The targets tried, in order."""
        return tuple(one.target for one in self.tries)


def drive(
    graph: Graph, request: Request, world: World, faults: Faults, now: float, output_tokens: int | None = None
) -> Course:
    """The course of ``request`` in ``world`` at ``now`` (Unix seconds). The world's state learns of every attempt."""
    made = plan(graph, request, world, now)
    if made.route is None or made.stop is not None:
        stop = made.stop or _C.UNROUTABLE
        return Course(made, (), stop, made.status if made.status is not None else RULES[stop].status)
    route = made.route
    deadline = now + route.timeouts.total
    budget = world.state.retry_budget(route.name)
    budget.request(now)
    facts = Facts(0.0, closed=world.closed)
    tries: list[Try] = []
    passed: list[Skip] = []
    clock, position = now, 0

    def end(outcome: OutcomeClass, status: int | None = None, target: Target | None = None) -> Course:
        usd = None if target is None else cost(target, request, output_tokens)
        last = tries[-1].target if tries else None
        code = RULES[outcome].status if status is None else status
        return Course(made, tuple(tries), outcome, code, tuple(passed), last, clock - now, usd)

    while True:
        step = made.candidates[position].step
        if isinstance(step, Reject):
            return end(_C.REJECTED, step.status)
        facts.attempts += 1
        facts.tries += 1
        fault = faults.next(step.target.id)
        outcome, took = _C.SERVED if fault is None else fault.outcome, _duration(step, fault, request, deadline - clock)
        verdict = Verdict(outcome, retry_after=None if fault is None else fault.retry_after)
        tries.append(Try(step.target.id, step.path, position, outcome, clock - now, took, verdict.retry_after))
        world.state.enter(step.target.id)
        clock += took
        world.state.leave(step.target.id)
        world.state.note(step, verdict, clock - took, clock)
        if outcome is _C.SERVED:
            return end(outcome, target=step.target)
        if fault is not None and fault.after_output and request.stream:
            # The stream had begun: its status is sent, and nothing is replayed.
            return end(_C.DEADLINE if clock >= deadline else outcome, 200)
        facts.remaining = deadline - clock
        facts.retry_after = verdict.retry_after
        facts.retry_allowed = budget.allows(route.retry.budget, clock)
        if outcome is _C.CONTEXT_EXCEEDED:
            facts.larger_than = max(facts.larger_than, step.target.context_window or 0)
        following = advance(made, position, outcome, facts, clock)
        if isinstance(following, Go):
            passed += following.skips
            position = following.position
            facts.tries = 0
        elif isinstance(following, Wait):
            budget.retry(clock)
            clock += following.delay
        else:
            return end(following.outcome_class)


def _duration(step: TargetStep, fault: Fault | None, request: Request, remaining: float) -> float:
    if fault is None:
        return 0.0
    if fault.outcome is not _C.TIMEOUT:
        return min(fault.after or 0.0, remaining)
    limits = step.timeouts
    limit = limits.attempt if not request.stream else limits.idle if fault.after_output else limits.first_token
    return min((fault.after or 0.0) + limit if fault.after_output else fault.after or limit, remaining)


def cost(target: Target, request: Request, output_tokens: int | None = None) -> Decimal | None:
    """USD for an answer of ``output_tokens`` (default: ``max_tokens``, else 1000 or what the model can, if less).

    ``None`` where a price that counts is not declared: unknown, never zero.
    """
    price = target.price
    if price is None:
        return None
    for above, tier in reversed(price.tiers):
        if request.input_tokens > above:
            price = tier
            break
    if price.input is None or price.output is None:
        return None
    expected = output_tokens or request.max_tokens or min(USUAL_OUTPUT, target.max_output or USUAL_OUTPUT)
    tokens = request.input_tokens * price.input + expected * price.output
    return tokens / _MILLION + (price.request or Decimal())
