"""Which routes a model may mean, and in which order."""

from __future__ import annotations

from typing import Any

from engine.graph import RouteIndex, Test

WHEN = Test("user", "exists", True)


def names(index: RouteIndex, model: str) -> list[str]:
    return [route.name for route in index.find(model)]


def test_exact_before_glob_and_longer_prefix_before_shorter(make: Any) -> None:
    index = RouteIndex.build(
        [
            make.route("any", models=("*",)),
            make.route("big", models=("big-*",)),
            make.route("big4", models=("big-4*",)),
            make.route("tail", models=("*-mini",)),
            make.route("exact", models=("big-4-mini",)),
        ]
    )
    assert names(index, "big-4-mini") == ["exact", "big4", "big", "any", "tail"]
    assert names(index, "big-4") == ["big4", "big", "any"]
    assert names(index, "big-5-mini") == ["big", "any", "tail"]
    assert names(index, "") == ["any"]


def test_priority_comes_before_everything(make: Any) -> None:
    index = RouteIndex.build(
        [
            make.route("exact", models=("m",)),
            make.route("glob", models=("*",), priority=1),
            make.route("low", models=("m*",), priority=-1),
        ]
    )
    assert names(index, "m") == ["glob", "exact", "low"]


def test_with_when_before_without_and_then_by_name(make: Any) -> None:
    index = RouteIndex.build(
        [
            make.route("a", models=("m",)),
            make.route("z", models=("m",), when=WHEN),
            make.route("y", models=("m",), when=WHEN),
        ]
    )
    assert names(index, "m") == ["y", "z", "a"]


def test_a_route_is_found_once_by_its_best_pattern(make: Any) -> None:
    index = RouteIndex.build(
        [make.route("many", models=("m*", "*", "m1", "m1")), make.route("other", models=("m?",))],
    )
    assert names(index, "m1") == ["many", "other"]
    assert names(index, "m2") == ["many", "other"]


def test_a_question_mark_is_a_wildcard(make: Any) -> None:
    index = RouteIndex.build([make.route("one", models=("v?",)), make.route("exact", models=("v1",))])
    assert names(index, "v1") == ["exact", "one"]
    assert names(index, "v12") == []
    assert index.names() == ("v1",)


def test_ends_of_a_pattern_may_not_share_characters(make: Any) -> None:
    index = RouteIndex.build([make.route("both", models=("chat*chat",))])
    assert names(index, "chat") == []
    assert names(index, "chatchat") == ["both"]


def test_names_are_the_exact_ones_sorted(make: Any) -> None:
    index = RouteIndex.build([make.route("b", models=("b", "x*")), make.route("a", models=("a", "b"))])
    assert index.names() == ("a", "b")
    assert RouteIndex.build([]).names() == ()
    assert RouteIndex.build([]).find("a") == ()


def test_finding_touches_only_the_patterns_that_can_match(make: Any) -> None:
    """The cost of a glob lookup is bounded by the patterns that share both ends with the model, not by the routes."""
    tried: list[str] = []
    routes = [make.route(f"r{n}", models=(f"family-{n:05}-*e-*", f"*-s*-size-{n:05}")) for n in range(2000)]
    index = RouteIndex.build(routes)

    class Spy(str):
        def startswith(self, *args: Any) -> bool:
            tried.append("start")
            return super().startswith(*args)

    assert [route.name for route in index.find(Spy("family-00007-some-size-00009"))] == ["r7", "r9"]
    assert len(tried) == 2
