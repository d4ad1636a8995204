"""The planner against any tree, any request and any series of failures.

The walk of a plan, with ``advance`` after each attempt, is held against :mod:`planner_reference`, which runs the same
tree the slow and obvious way: recursively, with no plan and no jump table.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from engine.exchange import FAIL_OVER, RULES, OutcomeClass
from engine.graph import Balance, Fallback, Hedge, Mirror, Reject, Retry, RouteStep, Split, Step, Switch, TargetStep
from engine.planner import (
    SKIP_REASONS,
    Facts,
    Go,
    Plan,
    Request,
    Stop,
    Wait,
    advance,
    children,
    plan,
    targets_of,
)

from .planner_reference import run
from .planner_strategies import (
    FAILURES,
    TARGETS,
    TOTAL,
    Fate,
    Moment,
    fates,
    graph,
    grow,
    moments,
    requests,
    route,
    sketches,
    stormy,
    trees,
    walk,
)  # fmt: skip

caps = st.integers(1, 8)


def made(step: Step, asked: Request, moment: Moment, max_attempts: int = 100) -> Plan:
    return plan(graph(route(step, max_attempts)), asked, moment, 0.0)


def without_retries(fate: Fate) -> Fate:
    """The same outcomes, with no room in the retry budget."""
    return Fate(tuple((outcome, pause, False) for outcome, pause, _ in fate.rows))


def uses(step: Step) -> dict[str, TargetStep]:
    """Every use of a target in the tree that may serve, by its path."""
    if isinstance(step, TargetStep):
        return {step.path: step}
    if isinstance(step, Mirror):
        return uses(step.step)
    return {path: use for child in children(step) for path, use in uses(child).items()}


# ---- plans -------------------------------------------------------------------------------------------------------


@given(sketches, requests, moments)
def test_the_same_inputs_give_the_same_plan(sketch: Any, asked: Request, moment: Moment) -> None:
    one, two = (plan(graph(route(grow(sketch))), asked, moment, now) for now in (0.0, 1e9))
    assert one.to_dict() == two.to_dict()
    assert [c.exits for c in one.candidates] == [c.exits for c in two.candidates]


@given(trees, requests, moments)
def test_every_target_of_the_route_is_attempted_or_skipped_with_a_reason(
    step: Step, asked: Request, moment: Moment
) -> None:
    found = made(step, asked, moment)
    skipped = {skip.target for skip in found.skips}
    assert set(found.attempts) | set(found.mirrors) | skipped == {target.id for target in targets_of(step)}
    assert not (set(found.attempts) | set(found.mirrors)) & skipped
    assert {skip.reason for skip in found.skips} <= set(SKIP_REASONS)
    assert bool(found.attempts) is (found.stop is None)


@given(trees, requests, moments)
def test_exits_point_forward_and_outwards(step: Step, asked: Request, moment: Moment) -> None:
    candidates = made(step, asked, moment).candidates
    for position, candidate in enumerate(candidates):
        ways = [way.to for way in candidate.exits]
        assert ways == sorted(set(ways)), "an outer exit lies behind all inner ones"
        assert all(position < to < len(candidates) for to in ways)


@given(trees, requests, moments)
def test_every_candidate_can_be_reached(step: Step, asked: Request, moment: Moment) -> None:
    """By some outcome of those before it, at least where windows stand in no one's way."""
    found = made(step, asked, moment)
    assume(found.stop is None)
    reached, todo = {0}, [0]
    while todo:
        position = todo.pop()
        for outcome in FAILURES:
            went = advance(found, position, outcome, Facts(TOTAL, 1, 99, retry_allowed=False), 0.0)
            if isinstance(went, Go) and went.position not in reached:
                reached.add(went.position)
                todo.append(went.position)
    assert reached == set(range(len(found.candidates)))


@given(trees, requests, moments)
def test_only_what_can_serve_the_request_is_a_candidate(step: Step, asked: Request, moment: Moment) -> None:
    for candidate in made(step, asked, moment).candidates:
        if isinstance(candidate.step, TargetStep):
            target = candidate.step.target
            assert asked.needs <= target.supports
            assert target.context_window is None or target.context_window >= asked.input_tokens
            assert target.provider.name not in moment.unset


@given(trees, requests, moments)
def test_forbidding_failover_leaves_the_first_candidate_as_it_was(step: Step, asked: Request, moment: Moment) -> None:
    free = made(step, asked, moment)
    bound = made(step, replace_request(asked, no_fallback=True), moment)
    assert [c.step.path for c in bound.candidates] == [c.step.path for c in free.candidates[:1]]
    assert all(candidate.exits == () for candidate in bound.candidates)
    assert (bound.stop, bound.variants) == (free.stop, free.variants)
    reached = {*bound.attempts, *bound.mirrors}
    assert {s.target for s in bound.skips} | reached == {t.id for t in targets_of(step)}
    assert all(candidate.hedge is None for candidate in bound.candidates)


def replace_request(asked: Request, **changes: Any) -> Request:
    return Request(**({name: getattr(asked, name) for name in asked.__struct_fields__} | changes))


# ---- closed targets ----------------------------------------------------------------------------------------------


@given(trees, requests, stormy)
def test_every_target_is_attempted_or_skipped_also_where_some_are_closed(
    step: Step, asked: Request, moment: Moment
) -> None:
    found = made(step, asked, moment)
    skipped, reached = {skip.target for skip in found.skips}, {*found.attempts, *found.mirrors}
    assert reached | skipped == {target.id for target in targets_of(step)}
    assert not reached & skipped
    assert {skip.reason for skip in found.skips} <= set(SKIP_REASONS)


@given(trees, requests, stormy)
def test_a_closed_target_is_begun_with_only_where_nobody_else_can_serve(
    step: Step, asked: Request, moment: Moment
) -> None:
    calm = made(step, asked, Moment())
    found = made(step, asked, moment)
    before_reject = []
    for candidate in calm.candidates:
        if isinstance(candidate.step, Reject):
            break
        before_reject.append(candidate.step.target.id)
    open_ones = [target for target in before_reject if target not in moment.shut]
    if found.stop is None and found.attempts[0] in moment.shut:
        assert not open_ones
    if open_ones:
        assert found.stop is None
        assert found.attempts[0] == open_ones[0]
    elif before_reject and found.stop is not None and not any(isinstance(c.step, Reject) for c in calm.candidates):
        assert found.retry_after is not None or {moment.shut[t].reason for t in before_reject} == {"credential"}
        assert found.stop in {OutcomeClass.OVERLOADED, OutcomeClass.RATE_LIMITED, OutcomeClass.UNAUTHORIZED}


@given(trees, requests, stormy, fates, caps)
def test_a_failover_goes_to_a_closed_target_only_after_those_that_are_open(
    step: Step, asked: Request, moment: Moment, fate: Fate, cap: int
) -> None:
    found = made(step, asked, moment, cap)
    walked = walk(found, fate, closed=moment.closed)
    assert len(walked.attempts) <= cap
    known = uses(step)
    for path in set(walked.attempts):
        assert walked.attempts.count(path) <= known[path].retry.per_target
    for number, (path, position) in enumerate(zip(walked.attempts, walked.positions, strict=True)):
        if number == 0 or known[path].target.id not in moment.shut or position in walked.positions[:number]:
            continue
        before, outcome = walked.positions[number - 1], fate.at(number)[0]
        if before < max(walked.positions[:number]):
            continue
        exits = found.candidates[before].exits
        for level, way in enumerate(exits):
            end = exits[level + 1].to if level + 1 < len(exits) else len(found.candidates)
            for candidate in found.candidates[way.to : end] if outcome in way.on else ():
                if isinstance(candidate.step, Reject):
                    break
                target = candidate.step.target
                small = walked.exceeded[number] and (target.context_window or 9e9) <= walked.exceeded[number]
                assert target.id in moment.shut or small, "an open one stood on the way"


# ---- the order in which equals are written -----------------------------------------------------------------------


def reordered(step: Step) -> Step:
    """The same tree with the variants of every split and the members of every balance in reverse."""
    if isinstance(step, Split):
        return replace(step, variants=tuple(replace(v, step=reordered(v.step)) for v in reversed(step.variants)))
    if isinstance(step, Balance):
        return replace(step, members=tuple((weight, reordered(member)) for weight, member in reversed(step.members)))
    if isinstance(step, Fallback | Hedge):
        return replace(step, steps=tuple(map(reordered, step.steps)))
    if isinstance(step, Mirror):
        return replace(step, step=reordered(step.step))
    if isinstance(step, Switch):
        default = None if step.default is None else reordered(step.default)
        return replace(step, cases=tuple((when, reordered(case)) for when, case in step.cases), default=default)
    return replace(step, step=reordered(step.step)) if isinstance(step, RouteStep) else step


def unnamed(made_: Plan) -> list[Any]:
    """The candidates without their paths, which say where they were written."""
    out: list[Any] = []
    for candidate in made_.candidates:
        step = candidate.step
        known = (step.status,) if isinstance(step, Reject) else (step.target.id, step.retry)
        out.append((known, candidate.exits))
    return out


@given(trees, requests, moments)
def test_the_order_of_variants_and_members_means_nothing(step: Step, asked: Request, moment: Moment) -> None:
    one, two = made(step, asked, moment), made(reordered(step), asked, moment)
    assert unnamed(one) == unnamed(two)
    assert sorted(one.variants) == sorted(two.variants)
    assert {(s.target, s.reason) for s in one.skips} == {(s.target, s.reason) for s in two.skips}


# ---- walks -------------------------------------------------------------------------------------------------------


@given(trees, requests, moments, fates, caps)
def test_a_walk_is_what_running_the_tree_itself_gives(
    step: Step, asked: Request, moment: Moment, fate: Fate, cap: int
) -> None:
    """What ``on`` says holds at every depth of fallbacks, splits, switches, balances, routes and rejects."""
    # Without a budget for retries, nobody is tried a second time when all have failed.
    bare = route(step, retry=Retry(max_attempts=cap, budget=0.0))
    found = plan(graph(bare), asked, moment, 0.0)
    walked = walk(found, without_retries(fate))
    if found.stop is None:
        assert (walked.attempts, walked.end) == run(step, asked, moment, fate, cap)
    else:
        assert walked.attempts == run(step, asked, moment, fate, cap)[0] == []


@given(trees, requests, moments, fates, caps)
def test_no_series_of_failures_exceeds_the_caps(
    step: Step, asked: Request, moment: Moment, fate: Fate, cap: int
) -> None:
    walked = walk(made(step, asked, moment, cap), fate)
    assert len(walked.attempts) <= cap
    known = uses(step)
    for path in set(walked.attempts):
        assert walked.attempts.count(path) <= known[path].retry.per_target
    far = 0
    for number, position in enumerate(walked.positions):
        assert position >= far or position in walked.positions[:number], "back only to what failed in passing"
        far = max(far, position)


@given(trees, requests, moments, fates)
def test_the_same_failures_lead_the_same_way(step: Step, asked: Request, moment: Moment, fate: Fate) -> None:
    one, two = (walk(made(step, asked, moment), fate) for _ in range(2))
    assert one == two


@given(trees, requests, moments, fates)
def test_after_a_context_was_exceeded_only_larger_windows_are_tried(
    step: Step, asked: Request, moment: Moment, fate: Fate
) -> None:
    walked, known = walk(made(step, asked, moment), fate), uses(step)
    for number, (path, exceeded) in enumerate(zip(walked.attempts, walked.exceeded, strict=True)):
        window = known[path].target.context_window
        again = number > 0 and walked.attempts[number - 1] == path
        assert again or not exceeded or window is None or window > exceeded


@given(trees, requests, moments, fates, st.floats(0.0, 100.0))
def test_a_pause_is_at_least_what_was_asked_for_and_fits_the_deadline(
    step: Step, asked: Request, moment: Moment, fate: Fate, remaining: float
) -> None:
    walked = walk(made(step, asked, moment), fate, remaining)
    for pause, asked_for in walked.delays:
        assert pause >= (asked_for or 0.0)
    assert sum(pause for pause, _ in walked.delays) < max(remaining, 1e-9)


@given(trees, requests, moments, fates)
def test_the_end_is_what_the_last_attempt_said_or_a_reject(
    step: Step, asked: Request, moment: Moment, fate: Fate
) -> None:
    found = made(step, asked, moment)
    walked = walk(found, fate)
    if found.stop is None:
        last = fate.at(len(walked.attempts))[0]
        assert walked.end in (last, OutcomeClass.REJECTED)


# ---- single steps ------------------------------------------------------------------------------------------------

_facts = st.builds(
    Facts,
    st.sampled_from([-1.0, 0.0, 0.1, 5.0, TOTAL]),
    st.integers(1, 9),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([None, 0.0, 0.05, 3.0, 3600.0]),
    st.sampled_from([0, 1000, 4000]),
)


@given(trees, requests, moments, st.sampled_from(sorted(OutcomeClass)), _facts, st.data())
def test_one_step_on_keeps_every_rule(
    step: Step, asked: Request, moment: Moment, outcome: OutcomeClass, facts: Facts, data: st.DataObject
) -> None:
    found = made(step, asked, moment, 6)
    assume(found.stop is None)
    position = data.draw(st.integers(0, len(found.candidates) - 1))
    candidate = found.candidates[position]
    went = advance(found, position, outcome, facts, 0.0)
    if isinstance(went, Wait):
        assert RULES[outcome].retry_same or outcome is OutcomeClass.RATE_LIMITED
        assert facts.retry_allowed
        assert facts.attempts < 6
        assert (facts.retry_after or 0.0) <= went.delay < facts.remaining
    elif isinstance(went, Go):
        assert any(outcome in way.on for way in candidate.exits), "no exit, no failover"
        assert position < went.position < len(found.candidates)
        assert facts.remaining > 0
        reject = isinstance(found.candidates[went.position].step, Reject)
        assert facts.attempts < 6 or reject
        assert {skip.reason for skip in went.skips} <= {"context"}
    else:
        assert isinstance(went, Stop)
        late = facts.remaining <= 0 and RULES[outcome].fail_over and not isinstance(candidate.step, Reject)
        assert went.outcome_class is (OutcomeClass.DEADLINE if late else outcome)


ORDINARY = st.recursive(
    st.integers(0, len(TARGETS) - 1).map(lambda n: TargetStep(TARGETS[n])),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda steps: Fallback(tuple(steps), FAIL_OVER)),
    max_leaves=6,
)


@given(ORDINARY, st.sampled_from(sorted(set(FAILURES) - FAIL_OVER)))
def test_without_also_on_a_class_that_does_not_fail_over_never_does(step: Step, outcome: OutcomeClass) -> None:
    walked = walk(made(step, Request(model="chat"), Moment()), Fate(((outcome, None, True),)))
    assert (len(walked.attempts), walked.end) == (1, outcome)
