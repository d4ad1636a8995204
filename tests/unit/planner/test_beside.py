"""Hedges and mirrors in plans: what is started beside what, and who gets a copy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import Auth, RouteStep
from engine.planner import Beside, Facts, Go, Plan, advance, beside, targets_of
from engine.state import Closure

from .trees import balance, exits, fallback, hedge, mirror, planned, reasons, reject, request, switch, use


def hedges(made: Plan) -> list[tuple[int, int] | None]:
    """Where each candidate's hedge begins and ends."""
    return [None if c.hedge is None else (c.hedge.to, c.hedge.end) for c in made.candidates]


def copies(made: Plan) -> list[list[str]]:
    return [[to.target.id for to in candidate.mirrors] for candidate in made.candidates]


def facts(**changes: object) -> Facts:
    return Facts(**({"remaining": 1000.0, "attempts": 1, "tries": 1} | changes))  # type: ignore[arg-type]


def test_each_step_has_the_next_beside_it() -> None:
    made = planned(hedge("a/x", "b/x", "c/x", delay=0.5, extra=0.2, path="here"))
    assert (made.attempts, exits(made), hedges(made)) == (("a/x", "b/x", "c/x"), [[1], [2], []], [(1, 3), (2, 3), None])
    assert made.candidates[0].hedge == Beside(1, 3, 0.5, 0.2, "here")
    assert {way.on for candidate in made.candidates for way in candidate.exits} == {FAIL_OVER}


def test_all_candidates_of_a_step_have_the_next_step_beside_them() -> None:
    made = planned(fallback(hedge(fallback("a/x", "b/x"), RouteStep("r", fallback("c/x", "d/x"))), "e/x"))
    assert hedges(made) == [(2, 4), (2, 4), None, None, None], "what stands behind a hedge is for failures only"
    assert exits(made) == [[1, 2, 4], [2, 4], [3, 4], [4], []]


def test_of_hedges_in_each_other_the_innermost_counts() -> None:
    assert hedges(planned(hedge(hedge("a/x", "b/x"), "c/x"))) == [(1, 2), (2, 3), None]


def test_a_step_that_contributes_nothing_is_nobody_to_start() -> None:
    assert hedges(planned(hedge("a/x", switch(("somebody", "b/x")), "c/x"))) == [(1, 2), None]
    assert hedges(planned(hedge("a/x", switch(("somebody", "b/x"))))) == [None]
    assert hedges(planned(hedge("a/x", reject()))) == [None, None]


def test_tools_are_hedged_where_that_is_said() -> None:
    asked = request(tools=True, needs=frozenset({"chat", "tools"}))
    assert hedges(planned(hedge("a/x", "b/x"), asked)) == [None, None]
    assert hedges(planned(hedge("a/x", "b/x", tools=True), asked)) == [(1, 2), None]


def test_who_forbids_failover_has_nobody_beside() -> None:
    made = planned(mirror("m/x", hedge("a/x", "b/x")), request(no_fallback=True))
    assert (hedges(made), copies(made), reasons(made)) == ([None], [["m/x"]], {"b/x": "no_fallback"})


def test_what_is_started() -> None:
    made = planned(hedge("a/x", "b/x", use("c/x", window=50)))
    assert beside(made, 0, facts(), 0.0) == Go(1)
    assert beside(made, 2, facts(), 0.0) is None, "there is nobody behind the last"
    assert beside(made, 0, facts(hedge_allowed=False), 0.0) is None
    assert beside(made, 0, facts(attempts=10), 0.0) is None
    assert beside(made, 0, facts(remaining=0.0), 0.0) is None
    shut = {"b/x"}
    closed = lambda step, now: Closure(9.0, "breaker") if step.target.id in shut else None  # noqa: E731
    assert beside(made, 0, facts(closed=closed), 0.0) == Go(2)
    assert beside(made, 0, facts(closed=closed, larger_than=50), 0.0) is None
    shut.add("c/x")
    assert beside(made, 0, facts(closed=closed), 0.0) is None


@pytest.mark.parametrize("outcome", sorted(FAIL_OVER - {OutcomeClass.CONTEXT_EXCEEDED}))
def test_what_is_under_way_is_gone_on_to_before_any_retry_and_whatever_the_cap(outcome: OutcomeClass) -> None:
    made = planned(hedge("a/x", "b/x"))
    assert advance(made, 0, outcome, facts(under_way=(1,), attempts=10), 0.0) == Go(1)
    assert advance(made, 0, outcome, facts(under_way=(1,)), 0.0) == Go(1)


def test_a_share_of_requests_is_copied() -> None:
    made = [planned(mirror("m/x", "a/x", 0.25), request(request_id=f"r-{n}")) for n in range(1000)]
    copied = sum(plan.mirrors == ("m/x",) for plan in made)
    assert 200 < copied < 300
    assert {reasons(plan).get("m/x") for plan in made} == {None, "not_mirrored"}
    assert planned(mirror("m/x", "a/x", 0.0)).mirrors == ()


def test_who_serves_decides_who_gets_a_copy() -> None:
    made = planned(fallback(mirror("m/x", mirror("n/x", balance("weighted", "a/x"))), "b/x"))
    assert (copies(made), made.mirrors) == ([["n/x", "m/x"], []], ("n/x", "m/x"))
    assert made.to_dict()["candidates"][0]["mirrors"] == ["n/x", "m/x"]


@pytest.mark.parametrize(
    ("changes", "of_target", "reason"),
    [
        ({"tools": True}, {}, "not_mirrored"),
        ({"kind": "count_tokens"}, {}, "not_mirrored"),
        ({"needs": frozenset({"chat", "vision"})}, {"can": "chat"}, "capability"),
        ({"input_tokens": 100}, {"window": 50}, "context"),
        ({"needs": frozenset({"chat", "stream"})}, {"can": "chat"}, None),
    ],
)
def test_a_copy_is_for_who_can_answer_it(changes: dict[str, object], of_target: dict[str, object], reason: str) -> None:
    """Copies are not streamed, whatever the client asks for."""
    made = planned(mirror("m/x", "a/x", **of_target), request(**changes))  # type: ignore[arg-type]
    assert reasons(made).get("m/x") == reason
    assert made.mirrors == (() if reason else ("m/x",))


def test_a_target_of_a_mirror_is_one_of_the_routes() -> None:
    assert [target.id for target in targets_of(mirror("m/x", "a/x"))] == ["a/x", "m/x"]


def test_a_mirror_that_is_not_reached_is_skipped_for_that_reason() -> None:
    made = planned(switch(("somebody", mirror("m/x", "a/x")), default="b/x"))
    assert reasons(made) == {"m/x": "not_selected", "a/x": "not_selected"}
    gone = planned(mirror("m/x", use("a/x", window=1)), request(input_tokens=9))
    assert reasons(gone)["m/x"] == "not_mirrored"


def test_the_callers_own_key_is_for_one_provider() -> None:
    private = use("m/x")
    provider = replace(private.target.provider, auth=Auth("caller"))
    private = replace(private, target=replace(private.target, provider=provider))
    made = planned(replace(mirror("m/x", "a/x"), to=private))
    assert (made.mirrors, reasons(made)) == ((), {"m/x": "not_mirrored"})
    made = planned(replace(mirror("m/x", fallback("a/x", private)), to=private))
    assert copies(made) == [[], ["m/x"]]


def test_a_plan_says_what_it_would_start() -> None:
    row = planned(hedge("a/x", "b/x", delay=0.8, extra=0.1)).to_dict()["candidates"][0]
    assert row["hedge"] == {"target": "b/x", "delay": 0.8, "extra": 0.1}
    assert "hedge" not in planned("a/x").to_dict()["candidates"][0]
