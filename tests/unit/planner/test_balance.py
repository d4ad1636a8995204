"""Balances: who comes first, and that all are tried."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import permutations
from math import sqrt

import pytest

from engine.graph import Params, Retry, RouteStep, Step
from engine.planner import Plan, Request, plan

from .trees import Moment, balance, fallback, graph, planned, reject, request, route, split, switch, use

IDS = [f"r-{n}" for n in range(4000)]


def plans(step: Step, ids: list[str]) -> list[Plan]:
    """The plans for requests of these ids, of one graph."""
    made, moment = graph(route(step)), Moment()
    return [plan(made, request(request_id=id_), moment, 0.0) for id_ in ids]


def firsts(step: Step, ids: list[str]) -> Counter[str]:
    return Counter(made.attempts[0] for made in plans(step, ids))


def test_every_member_is_tried_the_ones_without_weight_last() -> None:
    tree = balance("weighted", (0, "a/x"), (3, "b/x"), (1, "c/x"))
    for id_ in IDS[:100]:
        tried = planned(tree, request(request_id=id_)).attempts
        assert sorted(tried) == ["a/x", "b/x", "c/x"]
        assert tried[2] == "a/x"


def test_weighted_gives_each_member_its_share_of_the_first_tries() -> None:
    counts = firsts(balance("weighted", (3, "a/x"), (1, "b/x")), IDS)
    assert abs(counts["a/x"] / len(IDS) - 0.75) < 5 * sqrt(0.75 * 0.25 / len(IDS))


@pytest.mark.parametrize("by", ["weighted", "hash", "least_busy"])
def test_the_order_of_members_does_not_matter(by: str) -> None:
    members = [(3, "a/x"), (1, fallback("b/x", "c/x")), (1, "d/x")]
    for id_ in IDS[:30]:
        asked, moment = request(request_id=id_, user="u"), Moment({"a/x": 2})
        assert (
            len({planned(balance(by, *order, key="user"), asked, moment).attempts for order in permutations(members)})
            == 1
        )


def test_hash_keeps_a_key_together_and_spreads_the_keys() -> None:
    tree = balance("hash", "a/x", "b/x", key="user")
    by_user = {}
    for user in map(str, range(200)):
        found = {planned(tree, request(user=user, request_id=id_)).attempts for id_ in IDS[:5]}
        assert len(found) == 1
        by_user[user] = found.pop()[0]
    assert abs(Counter(by_user.values())["a/x"] / 200 - 0.5) < 5 * sqrt(0.25 / 200)


def test_hash_without_the_key_spreads_requests() -> None:
    assert set(firsts(balance("hash", "a/x", "b/x", key="user"), IDS[:50])) == {"a/x", "b/x"}


def test_a_key_stays_with_its_member_when_another_one_leaves() -> None:
    whole, less = balance("hash", "a/x", "b/x", "c/x", key="user"), balance("hash", "a/x", "b/x", key="user")
    for user in map(str, range(200)):
        first = planned(whole, request(user=user)).attempts[0]
        assert first == "c/x" or planned(less, request(user=user)).attempts[0] == first


def test_least_busy_tries_the_one_with_the_least_under_way_first() -> None:
    tree = balance("least_busy", "a/x", "b/x", "c/x")
    moment = Moment({"a/x": 2, "b/x": 1, "c/x": 3})
    assert planned(tree, moment=moment).attempts == ("b/x", "a/x", "c/x")


def test_least_busy_counts_what_is_under_way_by_weight() -> None:
    tree = balance("least_busy", (3, "a/x"), (1, "b/x"))
    assert planned(tree, moment=Moment({"a/x": 4, "b/x": 1})).attempts == ("a/x", "b/x")
    assert planned(tree, moment=Moment({"a/x": 6, "b/x": 1})).attempts == ("b/x", "a/x")
    assert planned(balance("least_busy", (0, "a/x"), "b/x"), moment=Moment({"b/x": 99})).attempts == ("b/x", "a/x")


def test_least_busy_counts_all_that_stands_below_a_member() -> None:
    tree = balance("least_busy", fallback("a/x", "b/x"), "c/x")
    assert planned(tree, moment=Moment({"b/x": 2, "c/x": 1})).attempts == ("c/x", "a/x", "b/x")


def test_least_busy_spreads_what_is_equally_busy() -> None:
    counts = firsts(balance("least_busy", "a/x", "b/x"), IDS[:400])
    assert abs(counts["a/x"] / 400 - 0.5) < 5 * sqrt(0.25 / 400)


def _params(text: bytes) -> Params:
    return Params(set=(("temperature", text),))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (use("a/x", params=_params(b"0"), path="one"), use("a/x", params=_params(b"1"), path="two")),
        (use("a/x", retry=Retry(per_target=1), path="one"), use("a/x", path="two")),
        (fallback(use("a/x", params=_params(b"0"), path="one"), "b/x"), fallback(use("a/x", path="two"), "b/x")),
    ],
)
@pytest.mark.parametrize("weights", [(1, 1), (3, 1)])
def test_members_alike_each_get_their_share_whatever_their_order(
    one: Step, two: Step, weights: tuple[int, int]
) -> None:
    pairs = list(zip(weights, (one, two), strict=True))
    paths = []
    for members in (pairs, pairs[::-1]):
        tree = balance("weighted", *members)
        paths.append([made.candidates[0].step.path for made in plans(tree, IDS[:1000])])
    assert paths[0] == paths[1]
    share = weights[0] / sum(weights)
    assert abs(paths[0].count("one") / 1000 - share) < 5 * sqrt(share * (1 - share) / 1000)


def test_members_of_every_kind_have_a_name_that_their_order_does_not_change() -> None:
    members: list[Step] = [
        use("a/x"),
        RouteStep("other", use("b/x")),
        fallback("a/x", "b/x"),
        fallback("b/x", "a/x"),
        split({"one": (1, "c/x"), "two": (1, "d/x")}),
        switch(("u", "e/x")),
        balance("weighted", "f/x", "g/x"),
        reject(),
    ]
    asked = request(user="u")
    orders = [
        planned(balance("weighted", *order), asked) for order in (members, members[::-1], members[3:] + members[:3])
    ]
    assert len({tuple(c.step.path for c in made.candidates) for made in orders}) == 1


def test_weights_of_any_size_are_weights() -> None:
    tree = balance("weighted", "a/x", (float(Decimal("1e9")), "b/x"))
    assert firsts(tree, IDS[:200])["b/x"] == 200


def test_two_requests_of_one_id_are_balanced_alike() -> None:
    tree = balance("weighted", "a/x", "b/x", "c/x")
    asked: list[Request] = [request(request_id="r-7", user=user) for user in ("u", "v")]
    assert planned(tree, asked[0]).attempts == planned(tree, asked[1]).attempts
