"""By latency: the slow are left alone and found again, the failing do not look fast, nobody herds, nobody starves."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from .trees import Moment, balance, fallback, planned, request
from .world import World, around

THREE = balance("latency", "a/x", "b/x", "c/x")
TWO = balance("latency", "a/x", "b/x")
EVEN = {name: around(1.0) for name in ("a/x", "b/x", "c/x")}
SLOW = {**EVEN, "c/x": around(10.0)}


def orders(times: dict[str, float], busy: dict[str, int] | None = None, count: int = 600) -> list[tuple[str, ...]]:
    """The orders for so many requests at one moment."""
    moment = Moment(busy or {}, times=times)
    return [planned(THREE, request(request_id=f"r-{n}"), moment).attempts for n in range(count)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("rate", "seconds"), [(0.5, 8000), (5, 1500), (40, 250)])
def test_one_of_three_ten_times_slower_costs_the_slowest_hundredth_little(
    rate: float, seconds: float, stream: bool
) -> None:
    three = World(SLOW, stream=stream).run(THREE, rate, seconds)
    two = World(SLOW, stream=stream).run(TWO, rate, seconds)
    warm = 20 / rate
    assert three.quantile(0.99, after=warm) <= 1.5 * two.quantile(0.99, after=warm)
    assert 0 < three.part("c/x", after=warm) < 0.01


def test_of_two_that_are_drawn_the_sooner_comes_first() -> None:
    found = orders({"a/x": 1.0, "b/x": 2.0, "c/x": 3.0})
    firsts = [order[0] for order in found]
    # c/x is in two pairs of three and wins none of them; one request in 256 does not look at times.
    assert firsts.count("c/x") <= 6
    assert abs(firsts.count("a/x") / len(firsts) - 2 / 3) < 0.07


def test_what_is_under_way_counts_as_often_as_it_takes() -> None:
    found = orders({"a/x": 1.0, "b/x": 1.5, "c/x": 1.5}, {"a/x": 3, "b/x": 1, "c/x": 1})
    assert [order[0] for order in found].count("a/x") <= 6


def test_one_that_takes_far_longer_is_passed_over_whatever_the_other_has_under_way() -> None:
    found = orders({"a/x": 1.0, "b/x": 1.0, "c/x": 5.0}, {"a/x": 40, "b/x": 40})
    assert [order[0] for order in found].count("c/x") <= 6


def test_the_others_follow_by_the_same_measure() -> None:
    for order in orders({"a/x": 1.0, "b/x": 2.0, "c/x": 3.0}, count=50):
        if order[0] == "a/x":
            assert order == ("a/x", "b/x", "c/x")


def test_a_target_that_nobody_knows_gets_one_request_at_a_time() -> None:
    world = World(EVEN)
    world.run(TWO, 20, 30)
    world.firsts.clear()
    world.busiest.clear()
    world.burst(THREE, 300)
    # One to learn how it does; of 300 another one or two are placed without looking.
    assert 1 <= world.firsts["c/x"] <= 4
    assert world.firsts["a/x"] > 100
    assert world.firsts["b/x"] > 100


def test_a_start_with_nothing_known_is_even() -> None:
    world = World(EVEN).burst(THREE, 300)
    assert max(world.busiest.values()) - min(world.busiest.values()) <= 2


def _times(before: float, after: float, when: float) -> Callable[[random.Random, float], float]:
    return lambda dice, at: (before if at < when else after) * dice.lognormvariate(0.0, 0.3)


def test_a_slow_target_that_recovers_is_found_again() -> None:
    world = World({**EVEN, "c/x": _times(10.0, 1.0, 100.0)}).run(THREE, 20, 300)
    assert world.part("c/x", after=40, until=100) < 0.01
    assert world.part("c/x", after=220) > 0.25


def test_a_target_that_becomes_slow_is_left_within_a_few_answers() -> None:
    world = World({**EVEN, "c/x": _times(1.0, 10.0, 100.0)}).run(THREE, 20, 200)
    assert world.part("c/x", after=50, until=100) > 0.25
    assert world.part("c/x", after=115) < 0.01


@pytest.mark.parametrize("usual", [0.05, 1.0])
def test_an_error_that_comes_at_once_attracts_nothing(usual: float) -> None:
    times = {"a/x": around(usual), "b/x": around(usual)}
    world = World(times, fails={"a/x": lambda dice, at: 0.001 if at < 60 else None}).run(TWO, 20, 200)
    assert world.part("a/x", after=5, until=60) < 0.02
    assert world.part("a/x", after=120) > 0.35


def test_a_target_that_fails_now_and_then_is_not_starved() -> None:
    world = World(EVEN, fails={"a/x": lambda dice, at: 0.01 if dice.random() < 0.02 else None}).run(TWO, 20, 200)
    assert 0.1 < world.part("a/x", after=20) < 0.5


def test_equals_get_equal_parts_and_none_is_overrun() -> None:
    world = World(EVEN).run(THREE, 40, 200)
    assert all(abs(world.part(name) - 1 / 3) < 0.04 for name in EVEN)
    assert max(world.busiest.values()) < 2 * 40 / 3 * 1.1 + 10


@pytest.mark.parametrize("heavy", [2, 3])
def test_weights_are_respected_under_load(heavy: int) -> None:
    world = World(EVEN).run(balance("latency", (heavy, "a/x"), "b/x"), 40, 200)
    assert abs(world.part("a/x", after=10) - heavy / (heavy + 1)) < 0.06


def test_a_heavy_one_among_many_gets_its_part() -> None:
    names = [f"n{n}/x" for n in range(8)]
    world = World({"a/x": around(1.0), **{name: around(1.0) for name in names}})
    world.run(balance("latency", (8, "a/x"), *names), 60, 120)
    assert abs(world.part("a/x", after=10) - 0.5) < 0.1


def test_two_are_drawn_among_those_that_can_serve() -> None:
    world = World(SLOW, shut=lambda target, at: target == "a/x").run(THREE, 20, 300)
    # Were a/x drawn too, every third pair would be a/x and c/x, and c/x would get what a/x may not.
    assert world.part("c/x", after=20) < 0.01


def test_a_member_counts_by_what_it_would_try_first() -> None:
    tree = balance("latency", fallback("a/x", "b/x"), fallback("c/x", "b/x"))
    moment = Moment(times={"a/x": 1.0, "b/x": 9.0, "c/x": 2.0})
    firsts = [planned(tree, request(request_id=f"r-{n}"), moment).attempts[0] for n in range(100)]
    assert firsts.count("a/x") >= 97
    tools = Moment(times={"a/x": 1.0, "b/x": 9.0, "c/x": 2.0}, unset=frozenset({"a"}))
    firsts = [planned(tree, request(request_id=f"r-{n}"), tools).attempts[0] for n in range(100)]
    assert firsts.count("c/x") >= 97


def test_what_returns_gets_its_share_slowly() -> None:
    world = World(EVEN, shares=lambda target, at: 0.1 if target == "a/x" else 1.0).run(TWO, 40, 100)
    assert world.part("a/x", after=10) < 0.2


@pytest.mark.parametrize("rate", [5, 40])
def test_the_load_is_even_again_soon_after_an_outage_of_all(rate: float) -> None:
    down = {name: lambda dice, at: 0.01 if at < 60 else None for name in EVEN}
    world = World(EVEN, fails=down).run(THREE, rate, 100)
    assert all(0.15 < world.part(name, after=70, until=80) < 0.55 for name in EVEN)
    assert all(0.2 < world.part(name, after=80) < 0.5 for name in EVEN)
