"""After an attempt: the columns "retry same" and "fail over" of the outcome table, and what bounds them."""

from __future__ import annotations

from typing import Any

import pytest

from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import Retry, Step
from engine.planner import Facts, Go, Next, Stop, Wait, advance

from .trees import balance, fallback, planned, reject, request, use

C = OutcomeClass
RETRIED = {C.OVERLOADED, C.SERVER_ERROR, C.CONNECTION}
FAILED_OVER = RETRIED | {C.UNAUTHORIZED, C.QUOTA_EXHAUSTED, C.MODEL_GONE, C.RATE_LIMITED, C.TIMEOUT, C.GARBLED}
STOPS = set(C) - FAILED_OVER - {C.CONTEXT_EXCEEDED}

THREE = fallback("a/x", "b/x", "c/x")


def facts(**changes: Any) -> Facts:
    """The first attempt has just failed, with all the time in the world."""
    return Facts(**({"remaining": 1000.0, "attempts": 1, "tries": 1} | changes))


def after(outcome: C, step: Step = THREE, position: int = 0, max_attempts: int = 10, **changes: Any) -> Next:
    made = planned(step, retry=Retry(max_attempts=max_attempts))
    return advance(made, position, outcome, facts(**changes), 0.0)


def test_every_class_is_in_one_of_the_three_sets() -> None:
    assert FAILED_OVER | {C.CONTEXT_EXCEEDED} == FAIL_OVER
    assert FAILED_OVER | {C.CONTEXT_EXCEEDED} | STOPS == set(C)


@pytest.mark.parametrize("outcome", sorted(RETRIED))
def test_what_may_pass_is_tried_again_at_the_same_target_first(outcome: C) -> None:
    assert isinstance(after(outcome), Wait)
    assert after(outcome, tries=2) == Go(1), "as often as per_target says"
    assert after(outcome, position=2, tries=2) == Stop(outcome), "and after the last target it is over"


@pytest.mark.parametrize("outcome", sorted(FAILED_OVER - RETRIED))
def test_what_will_not_pass_goes_to_the_next_target_at_once(outcome: C) -> None:
    assert after(outcome) == Go(1)


@pytest.mark.parametrize("outcome", sorted(FAILED_OVER - RETRIED - {C.RATE_LIMITED}))
def test_and_ends_the_request_after_the_last_target(outcome: C) -> None:
    assert after(outcome, position=2) == Stop(outcome)


@pytest.mark.parametrize("outcome", sorted(STOPS))
def test_what_no_other_target_can_mend_ends_the_request(outcome: C) -> None:
    assert after(outcome) == Stop(outcome)


@pytest.mark.parametrize("outcome", [C.INVALID_REQUEST, C.CONTENT_REFUSED])
def test_unless_the_fallback_says_that_it_goes_on_after_it(outcome: C) -> None:
    assert after(outcome, fallback("a/x", "b/x", on=FAIL_OVER | {outcome})) == Go(1)


def test_only_on_replaces_the_classes_and_does_not_forbid_the_retry() -> None:
    tree = fallback("a/x", "b/x", on=frozenset({C.TIMEOUT}))
    assert after(C.TIMEOUT, tree) == Go(1)
    assert after(C.GARBLED, tree) == Stop(C.GARBLED)
    assert isinstance(after(C.SERVER_ERROR, tree), Wait)
    assert after(C.SERVER_ERROR, tree, tries=2) == Stop(C.SERVER_ERROR)


def test_a_class_the_inner_fallback_does_not_name_goes_to_the_outer_one() -> None:
    tree = fallback(fallback("a/x", "b/x", on=frozenset({C.TIMEOUT})), "c/x", on=frozenset({C.GARBLED}))
    assert after(C.TIMEOUT, tree) == Go(1)
    assert after(C.GARBLED, tree) == Go(2)
    assert after(C.TIMEOUT, tree, position=1) == Stop(C.TIMEOUT)
    assert after(C.GARBLED, tree, position=1) == Go(2)
    assert after(C.RATE_LIMITED, tree, retry_allowed=False) == Stop(C.RATE_LIMITED)


def test_a_balance_goes_on_with_the_ordinary_classes_within_a_fallback_that_does_not() -> None:
    tree = fallback(balance("least_busy", (9, "a/x"), "b/x"), "c/x", on=frozenset({C.CONTENT_REFUSED}))
    assert after(C.GARBLED, tree) == Go(1)
    assert after(C.GARBLED, tree, position=1) == Stop(C.GARBLED)
    assert after(C.CONTENT_REFUSED, tree) == Go(2)


# ---- rate limits -------------------------------------------------------------------------------------------------


def test_a_rate_limited_target_is_tried_again_only_if_nothing_else_is_left() -> None:
    assert after(C.RATE_LIMITED, retry_after=0.0) == Go(1)
    assert after(C.RATE_LIMITED, position=2, retry_after=7.0) == Wait(7.0)


def test_and_only_if_its_pause_fits_the_deadline() -> None:
    assert after(C.RATE_LIMITED, position=2, retry_after=7.0, remaining=7.1) == Wait(7.0)
    assert after(C.RATE_LIMITED, position=2, retry_after=7.0, remaining=7.0) == Stop(C.RATE_LIMITED)


def test_and_within_the_tries_of_a_target_and_the_retry_budget() -> None:
    assert after(C.RATE_LIMITED, position=2, tries=2) == Stop(C.RATE_LIMITED)
    assert after(C.RATE_LIMITED, position=2, retry_allowed=False) == Stop(C.RATE_LIMITED)


# ---- context -----------------------------------------------------------------------------------------------------


def test_a_context_that_was_exceeded_goes_to_a_larger_window_only() -> None:
    tree = fallback(use("a/x", 2000), use("b/x", 2000), use("c/x", 1000), use("d/x", 2001))
    went = after(C.CONTEXT_EXCEEDED, tree, larger_than=2000)
    assert isinstance(went, Go)
    assert (went.position, [(s.target, s.reason, s.path) for s in went.skips]) == (
        3,
        [("b/x", "context", "b/x"), ("c/x", "context", "c/x")],
    )
    assert "2000 is not larger" in went.skips[0].detail


def test_without_a_larger_window_it_ends_the_request() -> None:
    tree = fallback(use("a/x", 2000), use("b/x", 2000))
    assert after(C.CONTEXT_EXCEEDED, tree, larger_than=2000) == Stop(C.CONTEXT_EXCEEDED)


def test_a_window_nobody_declared_may_be_large_enough() -> None:
    assert after(C.CONTEXT_EXCEEDED, fallback(use("a/x", 2000), "b/x"), larger_than=2000) == Go(1)


def test_what_was_too_small_once_stays_too_small_after_another_failure() -> None:
    tree = fallback(use("a/x", 2000), use("b/x", 4000), use("c/x", 1000), use("d/x", 8000))
    went = after(C.TIMEOUT, tree, position=1, larger_than=2000)
    assert isinstance(went, Go)
    assert (went.position, [skip.target for skip in went.skips]) == (3, ["c/x"])


def test_passing_over_a_small_window_does_not_leave_the_fallback_that_handles_the_class() -> None:
    only = frozenset({C.CONTEXT_EXCEEDED})
    tree = fallback(fallback(use("a/x", 2000), use("b/x", 1000), on=only), use("c/x", 4000), on=FAIL_OVER - only)
    assert after(C.CONTEXT_EXCEEDED, tree, larger_than=2000) == Stop(C.CONTEXT_EXCEEDED)
    tree = fallback(fallback(use("a/x", 2000), use("b/x", 1000), on=only), use("c/x", 4000))
    went = after(C.CONTEXT_EXCEEDED, tree, larger_than=2000)
    assert isinstance(went, Go)
    assert went.position == 2


# ---- caps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", sorted(FAILED_OVER))
def test_the_cap_on_attempts_is_hard(outcome: C) -> None:
    assert after(outcome, max_attempts=3, attempts=3) == Stop(outcome)
    assert not isinstance(after(outcome, max_attempts=3, attempts=2), Stop)


@pytest.mark.parametrize("outcome", [C.TIMEOUT, C.SERVER_ERROR, C.RATE_LIMITED])
def test_after_the_deadline_the_answer_is_the_deadline(outcome: C) -> None:
    assert after(outcome, remaining=0.0) == Stop(C.DEADLINE)
    assert after(outcome, position=2, remaining=-0.1) == Stop(C.DEADLINE)


@pytest.mark.parametrize("outcome", [C.INVALID_REQUEST, C.CONTENT_REFUSED, C.CANCELLED, C.SERVED])
def test_but_an_outcome_that_was_final_anyway_stays_what_it_is(outcome: C) -> None:
    tree = fallback("a/x", "b/x", on=FAIL_OVER | {C.CONTENT_REFUSED})
    assert after(outcome, tree, remaining=0.0) == Stop(outcome)


def test_a_retry_that_does_not_fit_the_deadline_makes_way_for_the_next_target() -> None:
    assert after(C.OVERLOADED, retry_after=3.0, remaining=2.0) == Go(1)
    assert after(C.OVERLOADED, retry_after=3.0, remaining=2.0, position=2) == Stop(C.OVERLOADED)


def test_without_room_in_the_retry_budget_there_is_failover_but_no_retry() -> None:
    assert after(C.OVERLOADED, retry_allowed=False) == Go(1)
    assert after(C.OVERLOADED, position=2, retry_allowed=False) == Stop(C.OVERLOADED)


def test_per_target_counts_the_tries_of_the_step_itself() -> None:
    once, thrice = use("a/x", retry=Retry(per_target=1)), use("b/x", retry=Retry(per_target=3))
    assert after(C.OVERLOADED, fallback(once, thrice)) == Go(1)
    assert isinstance(after(C.OVERLOADED, fallback(once, thrice), position=1, tries=2), Wait)
    assert after(C.OVERLOADED, fallback(once, thrice), position=1, tries=3) == Stop(C.OVERLOADED)


# ---- reject steps ------------------------------------------------------------------------------------------------


def test_a_reject_is_reached_by_failover_also_when_all_attempts_are_used_up() -> None:
    tree = fallback("a/x", reject())
    assert after(C.TIMEOUT, tree) == Go(1)
    assert after(C.TIMEOUT, tree, max_attempts=1) == Go(1)
    assert after(C.TIMEOUT, fallback("a/x", "b/x", reject()), max_attempts=1) == Stop(C.TIMEOUT)
    assert after(C.INVALID_REQUEST, tree) == Stop(C.INVALID_REQUEST)


def test_nothing_follows_a_reject() -> None:
    assert after(C.TIMEOUT, fallback("a/x", reject()), position=1) == Stop(C.TIMEOUT)


# ---- pauses ------------------------------------------------------------------------------------------------------


def pauses(retry: Retry, tries: int, seeds: int = 300, **changes: Any) -> list[float]:
    found = []
    for seed in range(seeds):
        made = planned(use("a/x", retry=retry), request(request_id=f"r-{seed}"), retry=retry)
        went = advance(made, 0, C.OVERLOADED, facts(tries=tries, attempts=tries, **changes), 0.0)
        assert isinstance(went, Wait)
        found.append(went.delay)
    return found


@pytest.mark.parametrize(("tries", "bound"), [(1, 0.2), (2, 0.4), (3, 0.8), (5, 1.0), (60, 1.0)])
def test_the_pause_has_full_jitter_below_a_bound_that_doubles_up_to_the_longest(tries: int, bound: float) -> None:
    found = pauses(Retry(per_target=100, max_attempts=100, initial=0.2, max=1.0), tries, remaining=1e6)
    assert all(0 < pause < bound for pause in found)
    assert min(found) < 0.1 * bound < 0.9 * bound < max(found)


def test_the_pause_is_the_same_for_the_same_request_and_another_at_each_attempt() -> None:
    made = planned(use("a/x", retry=Retry(per_target=9, initial=1.0, max=1.0)))
    found = [advance(made, 0, C.OVERLOADED, facts(tries=n, attempts=n), 0.0) for n in (1, 2, 3)]
    assert found == [advance(made, 0, C.OVERLOADED, facts(tries=n, attempts=n), 99.0) for n in (1, 2, 3)]
    assert len(set(map(repr, found))) == 3


def test_retry_after_is_the_floor_of_the_pause() -> None:
    found = pauses(Retry(initial=2.0, max=2.0), 1, retry_after=1.0)
    assert min(found) == 1.0 < max(found) < 2.0
    assert set(pauses(Retry(initial=0.2, max=5.0), 1, retry_after=4.0)) == {4.0}


def test_a_target_that_asks_for_more_than_the_longest_pause_is_left_while_another_can_serve() -> None:
    tree = fallback(use("a/x", retry=Retry(max=5.0)), "b/x")
    assert after(C.OVERLOADED, tree, retry_after=5.0) == Wait(5.0)
    assert after(C.OVERLOADED, tree, retry_after=5.1) == Go(1)
    assert after(C.OVERLOADED, use("a/x", retry=Retry(max=5.0)), retry_after=60.0) == Wait(60.0)


def test_backoff_of_zero_is_no_pause() -> None:
    assert after(C.OVERLOADED, use("a/x", retry=Retry(initial=0.0, max=0.0))) == Wait(0.0)
