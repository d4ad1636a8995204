"""The hedge budget: a share of requests that is never exceeded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.state import HedgeBudget
from engine.state.hedge_budget import RECENT


def spent(budget: HedgeBudget) -> int:
    """How many hedges it grants at this moment, all of them taken."""
    taken = 0
    while budget.allows():
        budget.hedge()
        taken += 1
    return taken


def test_one_in_ten_is_one_in_ten_also_where_there_is_little_traffic() -> None:
    budget, granted = HedgeBudget(), []
    for _ in range(30):
        budget.request(0.1)
        granted.append(spent(budget))
    assert granted == ([0] * 9 + [1]) * 3


def test_what_is_not_used_is_kept_for_a_while_and_not_for_ever() -> None:
    budget = HedgeBudget()
    for _ in range(100_000):
        budget.request(0.1)
    assert spent(budget) == 0.1 * RECENT
    for _ in range(100_000):
        budget.request(0.001)
    assert spent(budget) == 1, "however small the share: one is granted in the end"


def test_nothing_is_nothing_and_all_is_all() -> None:
    budget = HedgeBudget()
    for _ in range(1000):
        budget.request(0.0)
    assert spent(budget) == 0
    budget.request(1.0)
    assert spent(budget) == 1


@given(st.lists(st.sampled_from([0.01, 0.05, 0.1, 0.3, 1.0]), max_size=300), st.lists(st.booleans(), max_size=300))
def test_no_order_of_events_grants_more_than_the_share(shares: list[float], asks: list[bool]) -> None:
    budget, granted = HedgeBudget(), 0
    for n, share in enumerate(shares):
        budget.request(share)
        if n >= len(asks) or asks[n]:
            granted += spent(budget)
        assert granted <= sum(shares[: n + 1]) + 1e-6
