"""What each kind of step contributes to a plan: candidates in order, and where an outcome leads."""

from __future__ import annotations

from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import RouteStep
from engine.planner import children, targets_of

from .trees import balance, exits, fallback, planned, reasons, reject, request, route, split, switch, use

TIMEOUT = frozenset({OutcomeClass.TIMEOUT})
RATE = frozenset({OutcomeClass.RATE_LIMITED})


def test_one_target_is_one_candidate_that_leads_nowhere() -> None:
    made = planned("a/x")
    assert (made.attempts, exits(made), made.skips) == (("a/x",), [[]], ())
    assert (made.route is not None and made.route.name, made.request_id, len(made.fingerprint) > 0) == (
        "chat",
        "r-1",
        True,
    )


def test_a_fallback_tries_its_steps_in_order() -> None:
    made = planned(fallback("a/x", "b/x", "c/x"))
    assert made.attempts == ("a/x", "b/x", "c/x")
    assert exits(made) == [[1], [2], []]
    assert {way.on for candidate in made.candidates for way in candidate.exits} == {FAIL_OVER}


def test_what_an_inner_fallback_does_not_handle_goes_to_the_outer_one() -> None:
    made = planned(fallback(fallback("a/x", "b/x", on=TIMEOUT), "c/x", on=RATE))
    assert [[(way.to, way.on) for way in c.exits] for c in made.candidates] == [
        [(1, TIMEOUT), (2, RATE)],
        [(2, RATE)],
        [],
    ]


def test_a_step_that_contributes_nothing_is_stepped_over() -> None:
    made = planned(fallback("a/x", switch(("somebody", "b/x")), "c/x"))
    assert (made.attempts, exits(made)) == (("a/x", "c/x"), [[1], []])
    made = planned(fallback("a/x", switch(("somebody", "b/x"))))
    assert (made.attempts, exits(made)) == (("a/x",), [[]])


def test_a_balance_exhausts_its_members_with_the_ordinary_classes() -> None:
    made = planned(fallback(balance("weighted", "a/x", "b/x"), "c/x", on=TIMEOUT))
    assert made.attempts[2] == "c/x"
    assert set(made.attempts[:2]) == {"a/x", "b/x"}
    assert [[(way.to, way.on) for way in c.exits] for c in made.candidates] == [
        [(1, FAIL_OVER), (2, TIMEOUT)],
        [(2, TIMEOUT)],
        [],
    ]


def test_only_the_assigned_variant_is_tried() -> None:
    trial = split({"control": (1, fallback("a/x", "b/x")), "new": (1, "c/x")}, pins={"u": "control"})
    made = planned(fallback(trial, "d/x"), request(user="u"))
    assert (made.attempts, exits(made)) == (("a/x", "b/x", "d/x"), [[1, 2], [2], []])
    assert (made.variants, reasons(made)) == ((("trial", "control"),), {"c/x": "not_assigned"})


def test_only_the_case_that_applies_is_tried() -> None:
    tree = switch(("u", "a/x"), ("u", "b/x"), ("v", "c/x"), default="d/x")
    assert planned(tree, request(user="u")).attempts == ("a/x",), "the first case that holds"
    assert planned(tree, request(user="v")).attempts == ("c/x",)
    made = planned(tree, request(user=None))
    assert made.attempts == ("d/x",)
    assert reasons(made) == dict.fromkeys(["a/x", "b/x", "c/x"], "not_selected")


def test_another_route_is_used_in_place() -> None:
    made = planned(fallback(RouteStep("other", fallback("a/x", "b/x", on=TIMEOUT)), "c/x"))
    assert (made.attempts, exits(made)) == (("a/x", "b/x", "c/x"), [[1, 2], [2], []])


def test_a_reject_is_reached_by_failover_and_hides_what_stands_behind_it() -> None:
    made = planned(fallback("a/x", reject(), "b/x", balance("weighted", "c/x")))
    assert (made.attempts, exits(made)) == (("a/x",), [[1], []])
    assert reasons(made) == {"b/x": "rejected", "c/x": "rejected"}


def test_a_reject_at_the_end_of_an_inner_fallback_hides_what_stands_behind_the_outer_one() -> None:
    made = planned(fallback(fallback("a/x", reject()), "b/x"))
    assert (made.attempts, exits(made)) == (("a/x",), [[1], []])
    assert reasons(made) == {"b/x": "rejected"}


def test_it_hides_nothing_from_the_classes_that_do_not_lead_to_it() -> None:
    made = planned(fallback(fallback("a/x", reject(), on=TIMEOUT), "b/x"))
    assert (made.attempts, exits(made), made.skips) == (("a/x", "b/x"), [[1, 2], [2], []], ())


def test_a_target_that_is_tried_somewhere_is_not_skipped_elsewhere() -> None:
    made = planned(fallback(switch(("somebody", "a/x")), "a/x", reject(), "a/x", "b/x"))
    assert (made.attempts, reasons(made)) == (("a/x",), {"b/x": "rejected"})


def test_every_target_of_a_tree_is_listed_once_in_tree_order() -> None:
    tree = fallback(
        split({"one": (1, "a/x"), "two": (1, "b/x")}),
        balance("hash", "b/x", RouteStep("other", use("c/x"))),
        switch(("u", "d/x"), default=fallback("a/x", reject())),
    )
    assert [target.id for target in targets_of(tree)] == ["a/x", "b/x", "c/x", "d/x"]
    assert [target.id for target in route(tree).targets] == ["a/x", "b/x", "c/x", "d/x"]
    assert children(use("a/x")) == children(reject()) == ()
    assert len(children(switch(("u", "a/x")))) == 1
