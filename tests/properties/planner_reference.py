"""The slow and obvious way to run a step tree: recursion, one step after the other, with no plan and no jump table.

It shares with the planner what has rules of its own and tests of its own: who is unfit, who is assigned, the order of
a balance.
"""

from __future__ import annotations

from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import Balance, Fallback, Hedge, Mirror, Reject, RouteStep, Split, Step, Switch, TargetStep, evaluate
from engine.planner import Request, assign
from engine.planner.balance import ordered
from engine.planner.plan import unfit

from .planner_strategies import Fate, Moment


class EndedError(Exception):
    """The request is over, whatever steps are left."""

    def __init__(self, outcome: OutcomeClass) -> None:
        self.outcome = outcome


class _Run:
    def __init__(self, asked: Request, moment: Moment, fate: Fate, max_attempts: int) -> None:
        self.asked, self.moment, self.fate, self.max_attempts = asked, moment, fate, max_attempts
        self.attempts: list[str] = []
        self.exceeded = 0
        self.last = OutcomeClass.UNROUTABLE

    def step(self, step: Step) -> OutcomeClass | None:
        """How it failed; ``None`` if nothing in it was attempted."""
        if isinstance(step, TargetStep):
            return self.target(step)
        if isinstance(step, Reject):
            raise EndedError(OutcomeClass.REJECTED)
        if isinstance(step, Fallback):
            return self.in_turn(step.steps, step.on)
        if isinstance(step, Hedge):
            return self.in_turn(step.steps, FAIL_OVER)  # nobody is slow here
        if isinstance(step, Mirror):
            return self.step(step.step)
        if isinstance(step, Balance):
            return self.in_turn(self.balanced(step), FAIL_OVER)
        if isinstance(step, Split):
            chosen = assign(step, self.asked)
            return self.step(next(v.step for v in step.variants if v.name == chosen))
        if isinstance(step, Switch):
            fitting = [case for when, case in step.cases if evaluate(when, self.asked.get)]
            branch = fitting[0] if fitting else step.default
            return None if branch is None else self.step(branch)
        assert isinstance(step, RouteStep)
        return self.step(step.step)

    def in_turn(self, steps: tuple[Step, ...], on: frozenset[OutcomeClass]) -> OutcomeClass | None:
        failed = None
        for step in steps:
            if failed is not None and failed not in on:
                break
            failed = self.step(step) or failed
        return failed

    def balanced(self, balance: Balance) -> tuple[Step, ...]:
        def usable(step: TargetStep) -> bool:
            return unfit(step, self.asked, self.moment) is None and self.moment.closed(step, 0.0) is None

        return tuple(member.step for member in ordered(balance, self.asked, self.moment, 0.0, usable).members)

    def target(self, step: TargetStep) -> OutcomeClass | None:
        window = step.target.context_window
        if unfit(step, self.asked, self.moment) or (self.exceeded and window and window <= self.exceeded):
            return None
        if len(self.attempts) == self.max_attempts:
            raise EndedError(self.last)
        self.attempts.append(step.path)
        self.last = self.fate.at(len(self.attempts))[0]
        if self.last is OutcomeClass.CONTEXT_EXCEEDED:
            self.exceeded = max(self.exceeded, window or 0)
        return self.last


def run(step: Step, asked: Request, moment: Moment, fate: Fate, max_attempts: int) -> tuple[list[str], OutcomeClass]:
    """The paths attempted, and how the request ends, with no retries of the same target."""
    running = _Run(asked, moment, fate, max_attempts)
    try:
        return running.attempts, running.step(step) or OutcomeClass.UNROUTABLE
    except EndedError as end:
        return running.attempts, end.outcome
