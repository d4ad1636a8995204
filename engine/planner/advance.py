"""After an attempt: retry it, go on to another candidate, or stop. The executor, replay and simulation merely obey."""

from __future__ import annotations

from engine.exchange import RULES, OutcomeClass
from engine.graph import Reject, Retry, TargetStep

from .closing import Passed, last_resort, passed_over, start_of
from .hashing import uniform
from .model import PASSING, Facts, Go, Next, Plan, Skip, Stop, Wait

#: Outcomes that say something of the account that was asked, and nothing of the provider's others.
OF_ACCOUNT = frozenset({OutcomeClass.RATE_LIMITED, OutcomeClass.UNAUTHORIZED, OutcomeClass.QUOTA_EXHAUSTED})


def advance(plan: Plan, position: int, outcome: OutcomeClass, facts: Facts, now: float) -> Next:
    """What follows when the attempt of candidate ``position`` ended in ``outcome``.

    Pure. A delay is in seconds, has full jitter from the request's seed, has the upstream's Retry-After as its
    floor, and always fits the deadline. After ``rate_limited`` the same target is tried again only as a last resort.
    Another account of the same provider is asked at once. What a hedge has started already is gone on to before
    anything is retried. The deadline is the answer only where the request could otherwise have gone on; a ``reject``
    step is no attempt, so that it is reached also when all attempts are used up. Who is closed by ``facts`` is passed
    over, and gone back to where nobody else is left. When all have been tried, those that failed in passing get what
    is left of their tries, or one more where no policy bounds these.
    """
    step = plan.candidates[position].step
    if outcome is OutcomeClass.SERVED or plan.route is None or not isinstance(step, TargetStep):
        return Stop(outcome)
    rule = RULES[outcome]
    if facts.remaining <= 0:
        return Stop(OutcomeClass.DEADLINE if rule.fail_over else outcome)
    onward, passed = _onward(plan, position, outcome, facts, now)
    if onward is not None and onward.position in facts.under_way:
        return onward  # it costs nothing more
    if facts.other_account and outcome in OF_ACCOUNT and facts.attempts < plan.route.retry.max_attempts:
        return Wait(0.0)
    refuses = onward is not None and isinstance(plan.candidates[onward.position].step, Reject)
    if facts.attempts >= plan.route.retry.max_attempts:
        return onward if onward is not None and refuses else Stop(outcome)
    other = onward
    if (onward is None or refuses) and (passed or facts.passed):
        # Nobody is left that could serve: better those that are closed than to refuse, or to fail.
        other = _resort(plan, passed, facts, now, back=rule.fail_over) or onward
    if other is None and rule.fail_over and plan.route.retry.budget > 0:
        other = _left(plan, position, outcome, facts, now)
    again = outcome is OutcomeClass.RATE_LIMITED and other is None
    if rule.retry_same:
        closure = facts.closed(step, now)
        again = closure is None or closure.free
    if again and facts.tries < step.retry.per_target and facts.retry_allowed:
        delay = _delay(step.retry, facts, plan.request_id)
        # A target that asks for a longer pause than our longest one is left alone while another can serve.
        if delay < facts.remaining and (other is None or delay <= step.retry.max):
            return Wait(delay)
    return other if other is not None else Stop(outcome)


def beside(plan: Plan, position: int, facts: Facts, now: float) -> Go | None:
    """What to start beside candidate ``position``, which has given nothing for its hedge's delay; ``None``: nothing.

    Pure. ``facts.hedge_allowed`` says whether the hedge's share of extra requests has room. One that is closed, or too
    small for what was exceeded already, is passed over; a step that refuses is nothing to race against.
    """
    hedge = plan.candidates[position].hedge
    if hedge is None or plan.route is None or facts.remaining <= 0 or not facts.hedge_allowed:
        return None
    if facts.attempts >= plan.route.retry.max_attempts:
        return None
    for to in range(hedge.to, hedge.end):
        step = plan.candidates[to].step
        if isinstance(step, Reject):
            return None
        if _too_small(step, facts.larger_than) is None and facts.closed(step, now) is None:
            return Go(to)
    return None


def pass_over(plan: Plan, position: int, facts: Facts, now: float) -> Next:
    """What follows when candidate ``position`` turns out to be unable to take the request, before any attempt.

    Pure. It is as if the plan had skipped it: a candidate behind it takes its place. Where there are none it stops with
    ``invalid_request``, and with ``overloaded`` where those that there are must be left alone.
    """
    start, passed = start_of(plan.candidates, now, position + 1, facts.closed)
    if start is not None:
        return Go(start)
    return Stop(OutcomeClass.OVERLOADED if passed else OutcomeClass.INVALID_REQUEST)


def instead(plan: Plan, position: int, facts: Facts, now: float) -> Go | None:
    """The candidate behind ``position`` to try in its stead while there is no room at that one; ``None``: nobody.

    Pure. Who was passed over is gone back to as after a failure. Whether there is room at the other one is found out
    by trying; a step that refuses is no reason not to wait.
    """
    if position < facts.farthest:  # a candidate that was gone back to: what follows it was tried before
        return None
    for to in range(position + 1, len(plan.candidates)):
        step = plan.candidates[to].step
        if isinstance(step, Reject):
            return None
        closure = facts.closed(step, now)
        if _too_small(step, facts.larger_than) is None and (closure is None or closure.reason == "limit"):
            return Go(to, (), (position,))
    return None


def _onward(plan: Plan, position: int, outcome: OutcomeClass, facts: Facts, now: float) -> tuple[Go | None, Passed]:
    """The next candidate that ``outcome`` leads to and that may still serve; and those on the way that are closed."""
    exits = plan.candidates[position].exits
    skips: list[Skip] = []
    passed: Passed = []
    if position < facts.farthest:  # a candidate that was gone back to: what follows it was tried before
        return None, passed
    for level, way in enumerate(exits):
        if outcome not in way.on:
            continue
        # What follows the enclosing fallback is reached by the next exit only, and only after that one's classes.
        end = exits[level + 1].to if level + 1 < len(exits) else len(plan.candidates)
        for to in range(way.to, end):
            step = plan.candidates[to].step
            skip = closure = None
            if isinstance(step, TargetStep):
                skip = _too_small(step, facts.larger_than)
                # What is under way there already asks no more of a target that is to be left alone.
                if skip is None and to not in facts.under_way:
                    closure = facts.closed(step, now)
            if closure is not None and isinstance(step, TargetStep):
                passed.append((to, step, closure))
                skip = passed_over(step, closure, now)
            if skip is None:
                return Go(to, tuple(skips), tuple(to for to, _, _ in passed)), passed
            skips.append(skip)
    return None, passed


def _resort(plan: Plan, ahead: Passed, facts: Facts, now: float, *, back: bool) -> Go | None:
    """The best of those that were passed over, now or (``back``) before, if any may be tried now."""
    passed = list(ahead)
    for position in facts.passed if back else ():
        step = plan.candidates[position].step
        if not isinstance(step, TargetStep) or _too_small(step, facts.larger_than):
            continue
        closure = facts.closed(step, now)
        if closure is None:
            return Go(position)
        passed.append((position, step, closure))
    chosen = last_resort(passed, now)
    if chosen is None:
        return None
    others = [row for row in ahead if row[0] != chosen]
    skips = tuple(passed_over(step, closure, now) for _, step, closure in others)
    return Go(chosen, skips, tuple(position for position, _, _ in others))


def _left(plan: Plan, at: int, outcome: OutcomeClass, facts: Facts, now: float) -> Go | None:
    """The target that failed in passing longest ago and has tries left, now that all others were tried too."""
    left = facts.left
    if outcome in PASSING and facts.attempts > facts.tries and facts.retry_allowed:
        left = (
            *left,
            (at, facts.tries, outcome),
        )  # not at once, but after others have failed it is as good as they are
    for position, tries, last in left:
        step = plan.candidates[position].step
        if not isinstance(step, TargetStep) or _too_small(step, facts.larger_than):
            continue
        tries_left = last in PASSING and tries < step.retry.per_target
        if tries_left or (step.retry.go_back and position != at):
            closure = facts.closed(step, now)
            if closure is None or closure.free:
                return Go(position, again=position == at)
    return None


def _too_small(step: TargetStep, exceeded: int) -> Skip | None:
    window = step.target.context_window
    if not exceeded or window is None or window > exceeded:
        return None
    detail = f"its context window of {window} is not larger than the one that was exceeded"
    return Skip(step.target.id, "context", detail, step.path)


def _delay(retry: Retry, facts: Facts, seed: str) -> float:
    """Full jitter over an exponentially growing bound, never less than the upstream's Retry-After."""
    bound = min(retry.max, retry.initial * 2.0 ** min(facts.tries - 1, 32))
    jittered = bound * uniform("backoff", seed, str(facts.attempts))
    return max(jittered, facts.retry_after or 0.0)
