"""One request from its plan to its end, without a network: the executor's walk on a clock that is an argument.

Where to go is the planner's alone; what an attempt comes to is declared. An attempt takes no time, unless its fault
says otherwise; one that times out takes as long as its limit. Nothing else is under way meanwhile, so that a hedge
starts only beside what takes longer than its delay, and is then what answers.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from engine.exchange import RULES, OutcomeClass, Verdict
from engine.graph import Graph, Reject, Route, Target, TargetStep
from engine.planner import Facts, Go, Plan, Request, Skip, Wait, advance, claims_at, instead, over_limit, plan
from engine.state import Grant, Refusal

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
    mirrors: tuple[str, ...] = ()
    """The targets that get a copy, because what serves stands behind a mirror."""

    @property
    def attempts(self) -> tuple[str, ...]:
        """The targets tried, in order."""
        return tuple(one.target for one in self.tries)


def drive(
    graph: Graph, request: Request, world: World, faults: Faults, now: float, output_tokens: int | None = None
) -> Course:
    """The course of ``request`` in ``world`` at ``now`` (Unix seconds). The world's state learns of every attempt."""
    world.moment = now
    made = plan(graph, request, world, now)
    held: Grant | None = None
    if made.limits and made.stop is None:
        answer = world.state.store.take(made.limits, now)
        if isinstance(answer, Refusal):
            made = over_limit(made, made.limits, answer)
        elif isinstance(answer, Grant):
            held = answer
    if made.route is None or made.stop is not None:
        stop = made.stop or _C.UNROUTABLE
        return Course(made, (), stop, made.status if made.status is not None else RULES[stop].status)
    driven = _Drive(graph, made, made.route, request, world, faults, now)
    outcome, status, served = driven.go()
    if held is not None:
        world.state.store.release(held)
    usd = None if served is None else cost(served, request, output_tokens)
    last = driven.tries[-1].target if driven.tries else None
    code = RULES[outcome].status if status is None else status
    copies = made.candidates[driven.facts.position].mirrors if served is not None else ()
    return Course(
        made,
        tuple(driven.tries),
        outcome,
        code,
        tuple(driven.passed),
        last,
        round(driven.clock - now, 6),
        usd,
        tuple(to.target.id for to in copies),
    )


_End = tuple[OutcomeClass, int | None, Target | None]


class _Drive:
    """One request under way."""

    def __init__(
        self, graph: Graph, made: Plan, route: Route, request: Request, world: World, faults: Faults, now: float
    ) -> None:
        self.plan, self.route, self.request, self.world, self.faults = made, route, request, world, faults
        self.begun = self.clock = now
        self.deadline = now + route.timeouts.total
        self.queue_wait = graph.settings.queue_wait
        self.tries: list[Try] = []
        self.passed: list[Skip] = []
        self.budget = world.state.retry_budget(route.name)
        self.budget.request(now)
        self.facts = Facts(0.0, closed=world.closed, passed=made.passed, position=made.start, farthest=made.start)

    def go(self) -> _End:
        """Attempt candidates as the planner says: the class it ends with, its status where it is not the class's own,
        and who served."""
        facts = self.facts
        while True:
            step = self.plan.candidates[facts.position].step
            if isinstance(step, Reject):
                return _C.REJECTED, step.status, None
            if step.target.provider.limits:
                room = self._room()
                if room is None:
                    return _C.RATE_LIMITED, None, None
                step = room
            ended = self._attempt(step)
            if ended is not None:
                return ended

    def _attempt(self, step: TargetStep) -> _End | None:
        """One attempt, and where it leads: how the request ends, or ``None`` where it goes on."""
        facts, world = self.facts, self.world
        facts.attempts += 1
        facts.tries += 1
        fault = self.faults.next(step.target.id)
        outcome = _C.SERVED if fault is None else fault.outcome
        took = _duration(step, fault, self.request, self.deadline - self.clock)
        verdict = Verdict(outcome, retry_after=None if fault is None else fault.retry_after)
        began, self.clock = self.clock, self.clock + took
        self.tries.append(
            Try(step.target.id, step.path, facts.position, outcome, began - self.begun, took, verdict.retry_after)
        )
        world.state.enter(step, began)
        world.state.leave(step.target.id)
        noted = Verdict(_C.DEADLINE) if outcome is _C.TIMEOUT and self.clock >= self.deadline else verdict
        sent = None if outcome in (_C.CONNECTION, _C.TIMEOUT) else _no_header
        world.state.note(step, noted, began, self.clock, None, sent, self.request.stream)
        if outcome is _C.SERVED:
            return outcome, None, step.target
        if fault is not None and fault.after_output and self.request.stream:
            # The stream had begun: its status is sent, and nothing is replayed.
            return _C.DEADLINE if self.clock >= self.deadline else outcome, 200, None
        return self._onward(step, outcome, verdict.retry_after)

    def _onward(self, step: TargetStep, outcome: OutcomeClass, retry_after: float | None) -> _End | None:
        facts = self.facts
        facts.remaining = self.deadline - self.clock
        facts.retry_after = retry_after
        facts.retry_allowed = self.budget.allows(self.route.retry.budget, self.clock)
        if outcome is _C.CONTEXT_EXCEEDED:
            facts.larger_than = max(facts.larger_than, step.target.context_window or 0)
        following = advance(self.plan, facts.position, outcome, facts, self.clock)
        if isinstance(following, Go):
            self.passed += following.skips
            facts.follow(following, outcome)
            if following.again:
                self.budget.retry(self.clock)
        elif isinstance(following, Wait):
            self.budget.retry(self.clock)
            self.clock += following.delay
        else:
            return following.outcome_class, None, None
        return None

    def _room(self) -> TargetStep | None:
        """The step to attempt with its room taken: this one, or one behind it that has room, or the first to have."""
        facts = self.facts
        waits: dict[int, float] = {}
        while (wait := self._take(self._step(facts.position))) is not None:
            waits[facts.position] = wait
            go = instead(self.plan, facts.position, facts, self.clock)
            if go is None:
                return self._waited(waits)
            facts.follow(go)
        return self._step(facts.position)

    def _waited(self, waits: dict[int, float]) -> TargetStep | None:
        """Nobody has room: the step that will have it first, then; ``None`` where that is too late."""
        first = min(waits, key=lambda position: (waits[position], position))
        if waits[first] > min(self.deadline - self.clock, self.queue_wait):
            return None
        self.clock += waits[first]
        if first != self.facts.position:
            self.facts.follow(Go(first))
        step = self._step(first)
        return step if self._take(step) is None else None

    def _step(self, position: int) -> TargetStep:
        step = self.plan.candidates[position].step
        assert isinstance(step, TargetStep)  # noqa: S101  - a step that refuses asks for no room
        return step

    def _take(self, step: TargetStep) -> float | None:
        """Take what an attempt claims of the provider's limits; the seconds until there is room where there is none."""
        store, provider = self.world.state.store, step.target.provider
        wait: float | None = None
        for account in provider.accounts:
            answer = store.take(claims_at(step.target, account, self.request), self.clock)
            if isinstance(answer, Grant):
                store.release(answer)  # an attempt ends before anything else begins
                return None
            if isinstance(answer, Refusal):
                wait = answer.retry_after if wait is None else min(wait, answer.retry_after)
        return wait


def _no_header(name: str) -> str | None:
    """A reply without headers."""
    return None


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
