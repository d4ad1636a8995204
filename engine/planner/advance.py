"""After an attempt: retry it, go on to another candidate, or stop. The executor, replay and simulation merely obey."""

from __future__ import annotations

from engine.exchange import RULES, OutcomeClass
from engine.graph import Retry, TargetStep

from .hashing import uniform
from .model import Facts, Go, Next, Plan, Skip, Stop, Wait


def advance(plan: Plan, position: int, outcome: OutcomeClass, facts: Facts, now: float) -> Next:
    """What follows when the attempt of candidate ``position`` ended in ``outcome``.

    Pure. A delay is in seconds, has full jitter from the request's seed, has the upstream's Retry-After as its
    floor, and always fits the deadline. After ``rate_limited`` the same target is tried again only as a last resort.
    """
    step = plan.candidates[position].step
    if outcome is OutcomeClass.SERVED or plan.route is None or not isinstance(step, TargetStep):
        return Stop(outcome)
    if facts.remaining <= 0:
        return Stop(OutcomeClass.DEADLINE)
    if facts.attempts >= plan.route.retry.max_attempts:
        return Stop(outcome)
    onward = _onward(plan, position, outcome, facts)
    rule = RULES[outcome]
    last_resort = outcome is OutcomeClass.RATE_LIMITED and onward is None
    if (rule.retry_same or last_resort) and facts.tries < step.retry.per_target and facts.retry_allowed:
        delay = _delay(step.retry, facts, plan.request_id)
        # A target that asks for a longer pause than our longest one is left alone while another can serve.
        if delay < facts.remaining and (onward is None or delay <= step.retry.max):
            return Wait(delay)
    return onward if onward is not None else Stop(outcome)


def _onward(plan: Plan, position: int, outcome: OutcomeClass, facts: Facts) -> Go | None:
    """The next candidate that ``outcome`` leads to and that may still serve, with those passed over."""
    start = next((way.to for way in plan.candidates[position].exits if outcome in way.on), None)
    if start is None:
        return None
    skips: list[Skip] = []
    for to in range(start, len(plan.candidates)):
        step = plan.candidates[to].step
        if not isinstance(step, TargetStep):
            return Go(to, tuple(skips))
        window = step.target.context_window
        if facts.larger_than and window is not None and window <= facts.larger_than:
            detail = f"its context window of {window} is not larger than the one that was exceeded"
            skips.append(Skip(step.target.id, "context", detail, step.path))
            continue
        return Go(to, tuple(skips))
    return None


def _delay(retry: Retry, facts: Facts, seed: str) -> float:
    """Full jitter over an exponentially growing bound, never less than the upstream's Retry-After."""
    bound = min(retry.max, retry.initial * 2.0 ** min(facts.tries - 1, 32))
    jittered = bound * uniform("backoff", seed, str(facts.attempts))
    return max(jittered, facts.retry_after or 0.0)
