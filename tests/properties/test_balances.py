"""What holds for every balance, whatever it goes by."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Balance, Price, Step, Target, TargetStep
from engine.planner import Order, Request, order_dict
from engine.planner.balance import ordered

from .planner_strategies import BALANCES, TARGETS, Moment, grow, moments, requests, sketches

_prices = st.none() | st.builds(
    Price, st.none() | st.sampled_from([Decimal(0), Decimal(2)]), st.none() | st.sampled_from([Decimal(0), Decimal(5)])
)
_weights = st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(1), Decimal(3)])
_open = st.sets(st.sampled_from([target.id for target in TARGETS]))


def _priced(target: Target, price: Price | None) -> TargetStep:
    made = Target(target.id, target.provider, target.name, target.model, None, None, target.supports, price)
    return TargetStep(made, path=target.id)


members = st.lists(
    st.tuples(st.sampled_from(TARGETS), _prices, _weights), min_size=1, max_size=6, unique_by=lambda m: m[0].id
)
balances = st.sampled_from(BALANCES)


def order(by: str, found: list[tuple[Decimal, Step]], asked: Request, moment: Moment, closed: set[str]) -> Order:
    return ordered(Balance(by, tuple(found), "user"), asked, moment, 0.0, lambda step: step.target.id not in closed)


@settings(max_examples=300)
@given(balances, members, st.randoms(use_true_random=False), requests, moments, _open)
def test_the_order_in_which_members_are_written_does_not_matter(by, rows, dice, asked, moment, closed) -> None:  # type: ignore[no-untyped-def]
    found: list[tuple[Decimal, Step]] = [(weight, _priced(target, price)) for target, price, weight in rows]
    mixed = list(found)
    dice.shuffle(mixed)
    one, two = order(by, found, asked, moment, closed), order(by, mixed, asked, moment, closed)
    assert [m.name for m in one.members] == [m.name for m in two.members]
    assert order_dict(one) == order_dict(two)


@settings(max_examples=300)
@given(balances, members, requests, moments, _open)
def test_every_member_is_there_once_and_those_without_weight_last(by, rows, asked, moment, closed) -> None:  # type: ignore[no-untyped-def]
    found: list[tuple[Decimal, Step]] = [(weight, _priced(target, price)) for target, price, weight in rows]
    got = order(by, found, asked, moment, closed)
    assert sorted(m.name for m in got.members) == sorted(target.id for target, _, _ in rows)
    weights = [m.weight > 0 for m in got.members]
    assert weights == sorted(weights, reverse=True)
    assert all(row["because"] for row in order_dict(got)["members"] if by in ("latency", "least_busy", "hash"))


@settings(max_examples=150)
@given(balances, st.lists(sketches, min_size=1, max_size=3), requests, moments)
def test_members_of_every_kind_can_be_ordered(by, trees, asked, moment) -> None:  # type: ignore[no-untyped-def]
    found = [(Decimal(1), grow(sketch)) for sketch in trees]
    one, two = order(by, found, asked, moment, set()), order(by, found, asked, moment, set())
    assert [m.step for m in one.members] == [m.step for m in two.members]
    assert {id(m.step) for m in one.members} == {id(step) for _, step in found}
