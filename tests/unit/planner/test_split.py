"""Splits: sticky, weighted, and moved by nothing but weights."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from typing import Any

import pytest

from engine.graph import Split
from engine.planner import assign

from .trees import request, split

KEYS = 10_000


def assigned(made: Split, keys: int = KEYS) -> list[str]:
    return [assign(made, request(user=f"u-{n}")) for n in range(keys)]


def weighted(**weights: float) -> Split:
    return split({name: (weight, "a/x") for name, weight in weights.items()})


def test_assignments_are_pinned_so_that_no_version_moves_anybody() -> None:
    found = [n for n, variant in enumerate(assigned(weighted(control=90, haiku=10), 50)) if variant == "haiku"]
    assert found == [1, 3, 7, 9, 28, 40]


@pytest.mark.parametrize("weights", [{"a": 1, "b": 1}, {"a": 90, "b": 9, "c": 1}, {"a": 0.5, "b": 2.5}])
def test_shares_follow_the_weights(weights: dict[str, float]) -> None:
    counts = Counter(assigned(weighted(**weights)))
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        assert abs(counts[name] / KEYS - share) < 5 * sqrt(share * (1 - share) / KEYS)


def test_a_variant_without_weight_is_never_drawn() -> None:
    assert set(assigned(weighted(a=0, b=1, c=0), 2000)) == {"b"}


def test_the_order_of_variants_does_not_matter() -> None:
    assert assigned(weighted(a=3, b=2, c=1), 2000) == assigned(weighted(c=1, a=3, b=2), 2000)


def test_adding_a_variant_moves_keys_only_into_it() -> None:
    before, after = assigned(weighted(a=80, b=10)), assigned(weighted(a=80, b=10, c=10))
    moved = [new for old, new in zip(before, after, strict=True) if new != old]
    assert set(moved) == {"c"}
    assert abs(len(moved) / KEYS - 0.1) < 5 * sqrt(0.1 * 0.9 / KEYS)


def test_raising_a_weight_moves_keys_only_into_that_variant_and_lowering_it_only_out() -> None:
    low, high = assigned(weighted(a=80, b=20)), assigned(weighted(a=80, b=40))
    assert {pair for pair in zip(low, high, strict=True) if pair[0] != pair[1]} == {("a", "b")}


def test_splits_of_other_names_are_drawn_independently() -> None:
    one, two = (assigned(split({"a": (1, "a/x"), "b": (1, "a/x")}, name=name), 5000) for name in ("one", "two"))
    together = sum(x == y for x, y in zip(one, two, strict=True)) / 5000
    assert abs(together - 0.5) < 5 * sqrt(0.25 / 5000)


def test_a_pin_decides_whatever_the_weights_are() -> None:
    made = split({"a": (1, "a/x"), "b": (0, "a/x")}, pins={"u-1": "b"})
    assert assign(made, request(user="u-1")) == "b"
    assert assign(made, request(user="u-2")) == "a"


def test_without_a_key_or_its_value_the_request_id_decides() -> None:
    for key in (None, "user", "metadata.team", "header.x-team"):
        made = split({"a": (1, "a/x"), "b": (1, "a/x")}, key=key)
        drawn = {id_: assign(made, request(request_id=id_)) for id_ in map(str, range(100))}
        assert set(drawn.values()) == {"a", "b"}
        assert drawn == {id_: assign(made, request(request_id=id_)) for id_ in drawn}


def test_with_a_key_the_request_id_does_not_matter() -> None:
    made = split({"a": (1, "a/x"), "b": (1, "a/x")}, key="header.X-Team")
    for team in map(str, range(20)):
        assert len({assign(made, request(request_id=str(n), headers={"x-team": team})) for n in range(20)}) == 1


def test_a_key_and_a_request_id_of_the_same_text_are_not_the_same_seed() -> None:
    made = split({"a": (1, "a/x"), "b": (1, "a/x")})
    names = [str(n) for n in range(200)]
    by_key = [assign(made, request(user=name)) for name in names]
    assert by_key != [assign(made, request(request_id=name)) for name in names]


@pytest.mark.parametrize(("value", "spelled"), [(True, "true"), (False, "false"), (5, "5")])
def test_a_value_and_the_text_that_spells_it_are_one_key(value: Any, spelled: str) -> None:
    for name in ("one", "two", "three", "four", "five"):
        made = split({"a": (1, "a/x"), "b": (1, "a/x")}, key="metadata.flag", name=name)
        found = {assign(made, request(metadata={"flag": flag})) for flag in (value, spelled)}
        assert len(found) == 1
    pinned = split({"a": (1, "a/x"), "b": (0, "a/x")}, key="metadata.flag", pins={spelled: "b"})
    assert assign(pinned, request(metadata={"flag": value})) == "b"
