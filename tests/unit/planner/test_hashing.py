"""Choices by hash: the same everywhere, spread by weight, and stable under change."""

from __future__ import annotations

from math import sqrt

from engine.planner.hashing import ranked, score, uniform


def test_the_hash_is_pinned_so_that_no_version_moves_anybody() -> None:
    assert uniform("split", "trial", "key u-17", "control") == 0.3299640830185431
    assert uniform() == 0.8931675160897388


def test_numbers_lie_strictly_between_zero_and_one_and_spread_evenly() -> None:
    numbers = [uniform("seed", str(n)) for n in range(10_000)]
    assert all(0 < number < 1 for number in numbers)
    assert len(set(numbers)) == len(numbers)
    for tenth in range(10):
        share = sum(tenth <= number * 10 < tenth + 1 for number in numbers) / len(numbers)
        assert abs(share - 0.1) < 5 * sqrt(0.1 * 0.9 / len(numbers))


def test_parts_are_told_apart_wherever_they_are_cut() -> None:
    assert len({uniform("ab", "c"), uniform("a", "bc"), uniform("abc"), uniform("a", "b", "c")}) == 4


def test_any_text_has_a_hash_also_half_a_surrogate_pair() -> None:
    assert 0 < uniform("\ud800", "é", "") < 1


def test_no_weight_never_wins_over_any_weight() -> None:
    assert score(0.0, "x") < 0 < score(1e-9, "x")
    assert score(-1.0, "x") == score(0.0, "y")


def test_the_score_grows_with_the_weight_alone() -> None:
    assert score(2.0, "seed", "a") == 2 * score(1.0, "seed", "a")


def test_ranking_does_not_depend_on_the_order_given() -> None:
    members = [(1.0, "a", "A"), (5.0, "b", "B"), (0.0, "d", "D"), (2.0, "c", "C"), (0.0, "e", "E")]
    for seed in map(str, range(50)):
        order = ranked(members, "balance", seed)
        assert order == ranked(reversed(members), "balance", seed)
        assert order[3:] == ["D", "E"], "members without weight come last, by name"


def test_a_removed_member_leaves_the_others_in_order() -> None:
    members = [(1.0, name, name) for name in "abcdef"]
    for seed in map(str, range(50)):
        assert [m for m in ranked(members, seed) if m != "c"] == ranked([m for m in members if m[1] != "c"], seed)
