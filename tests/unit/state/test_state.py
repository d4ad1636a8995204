"""Live facts: counted exactly, kept across reloads, freed when nothing needs them."""

from __future__ import annotations

import pytest

from engine.graph import Auth, Graph, Provider, Route, Target, TargetStep
from engine.state import State


def use(id_: str) -> TargetStep:
    provider = Provider(id_.split("/")[0], "cloud", "openai-chat", "https://a.example/v1", "http", Auth("none"))
    return TargetStep(Target(id_, provider, id_.split("/")[1], "m"))


def graph_of(*names: str) -> Graph:
    provider = Provider("north", "cloud", "openai-chat", "https://north.example/v1", "http", Auth("none"))
    target = Target("north/large", provider, "large", "large")
    return Graph.build(
        providers=[provider],
        targets=[target],
        routes=[Route(name, (name,), None, 0, TargetStep(target), targets=(target,)) for name in names],
    )


def test_attempts_under_way_are_counted_by_target() -> None:
    state = State()
    assert (state.in_flight("a/x"), state.snapshot()) == (0, {})
    state.enter(use("a/x"), 0.0)
    state.enter(use("a/x"), 0.0)
    state.enter(use("b/x"), 0.0)
    assert (state.in_flight("a/x"), state.snapshot()) == (2, {"a/x": 2, "b/x": 1})
    state.leave("a/x")
    state.leave("b/x")
    assert (state.in_flight("a/x"), state.in_flight("b/x")) == (1, 0)


def test_a_target_nobody_uses_any_more_takes_no_room() -> None:
    state = State()
    for _ in range(3):
        state.enter(use("a/x"), 0.0)
    for _ in range(3):
        state.leave("a/x")
    assert state.snapshot() == {}


def test_leaving_without_having_entered_is_a_defect_that_shows() -> None:
    with pytest.raises(KeyError):
        State().leave("a/x")


def test_a_snapshot_does_not_change_afterwards() -> None:
    state = State()
    state.enter(use("a/x"), 0.0)
    taken = state.snapshot()
    state.enter(use("a/x"), 0.0)
    assert taken == {"a/x": 1}


def test_a_reload_keeps_the_retry_budget_of_a_route_that_stays_and_frees_the_others() -> None:
    state = State()
    stays, goes = state.retry_budget("chat"), state.retry_budget("old")
    state.enter(use("north/gone"), 0.0)
    state.retain(graph_of("chat", "new"))
    assert state.retry_budget("chat") is stays
    assert state.retry_budget("old") is not goes
    assert state.in_flight("north/gone") == 1, "what is under way is forgotten as it ends"
