"""Splits of any weights: sticky whatever the order, and moved by weights alone, into what gained."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from math import sqrt
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Split, TargetStep, Variant
from engine.planner import Request, assign

from .planner_strategies import TARGETS

STEP = TargetStep(TARGETS[0])
KEYS = 150
#: Standard deviations; at one test in 10^9 the share of a fair draw lies further out.
SIGMAS = 6

_names = st.sampled_from(["control", "haiku", "a", "b", "c", "é"])
_weights = st.decimals("0.01", 1000, places=2)
variants = st.dictionaries(_names, _weights, min_size=1, max_size=4)


def split(weights: dict[str, Decimal], name: str = "trial") -> Split:
    return Split(name, "user", tuple(Variant(variant, weight, STEP) for variant, weight in weights.items()))


def drawn(made: Split, keys: int = KEYS) -> list[str]:
    return [assign(made, Request(user=f"u-{n}")) for n in range(keys)]


@given(variants, st.randoms(use_true_random=False), st.text(max_size=5))
def test_the_order_of_variants_moves_nobody(weights: dict[str, Decimal], random: Random, name: str) -> None:
    shuffled = list(weights.items())
    random.shuffle(shuffled)
    assert drawn(split(weights, name)) == drawn(split(dict(shuffled), name))


@given(variants, _weights)
def test_a_new_variant_takes_keys_and_moves_no_other(weights: dict[str, Decimal], weight: Decimal) -> None:
    pairs = zip(drawn(split(weights)), drawn(split(weights | {"new": weight})), strict=True)
    assert {after for before, after in pairs if after != before} <= {"new"}


@given(variants, _weights, st.data())
def test_a_raised_weight_takes_keys_and_moves_no_other(
    weights: dict[str, Decimal], more: Decimal, data: st.DataObject
) -> None:
    raised = data.draw(st.sampled_from(sorted(weights)))
    pairs = zip(drawn(split(weights)), drawn(split(weights | {raised: weights[raised] + more})), strict=True)
    assert {after for before, after in pairs if after != before} <= {raised}


@settings(max_examples=25)
@given(variants, st.text(max_size=5))
def test_shares_lie_within_binomial_bounds(weights: dict[str, Decimal], name: str) -> None:
    counts, total = Counter(drawn(split(weights, name), 2000)), float(sum(weights.values()))
    for variant, weight in weights.items():
        share = float(weight) / total
        assert abs(counts[variant] - 2000 * share) <= SIGMAS * sqrt(2000 * share * (1 - share)) + 1


@given(variants, st.text(max_size=8), st.text(max_size=8))
def test_whoever_the_user_is_some_variant_of_the_split_is_drawn(
    weights: dict[str, Decimal], user: str, id_: str
) -> None:
    assert assign(split(weights), Request(user=user, request_id=id_)) in weights
    pinned = Split("trial", "user", split(weights).variants, {user: max(weights)})
    assert assign(pinned, Request(user=user, request_id=id_)) == max(weights)
