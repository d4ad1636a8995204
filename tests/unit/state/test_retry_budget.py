"""The retry budget: a share of the recent requests, with a floor for routes of little traffic."""

from __future__ import annotations

from engine.state import RetryBudget
from engine.state.retry_budget import FLOOR, WINDOW


def spent(budget: RetryBudget, share: float, now: float, most: int = 10_000) -> int:
    """How many retries the budget grants at this moment, all of them taken."""
    taken = 0
    while taken < most and budget.allows(share, now):
        budget.retry(now)
        taken += 1
    return taken


def test_a_route_of_little_traffic_may_retry_up_to_the_floor() -> None:
    budget = RetryBudget()
    budget.request(100.0)
    assert spent(budget, 0.2, 100.0) == FLOOR


def test_beyond_the_floor_the_share_of_requests_bounds_retries() -> None:
    for share in (0.1, 0.2, 1.0):
        budget = RetryBudget()
        for _ in range(1000):
            budget.request(100.0)
        assert spent(budget, share, 100.0) == share * 1000


def test_a_share_of_zero_is_no_retry_at_all() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.request(100.0)
    assert spent(budget, 0.0, 100.0) == 0


def test_what_happened_counts_for_at_least_half_a_window_and_at_most_a_whole_one() -> None:
    for moment in (0.0, 1.0, WINDOW / 2 - 0.01, 1234.5):
        budget = RetryBudget()
        budget.request(moment)
        assert spent(budget, 0.2, moment) == FLOOR
        assert not budget.allows(0.2, moment + WINDOW / 2)
        assert spent(budget, 0.2, moment + WINDOW) == FLOOR


def test_requests_of_the_half_before_still_count() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.request(WINDOW / 2 - 0.1)
    assert spent(budget, 0.2, WINDOW / 2 + 0.1) == 200


def test_after_a_long_silence_nothing_of_the_past_counts() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.request(0.0)
    assert spent(budget, 0.2, 50 * WINDOW) == FLOOR


def test_asking_takes_nothing() -> None:
    budget = RetryBudget()
    assert all(budget.allows(0.2, 1.0) for _ in range(100))
