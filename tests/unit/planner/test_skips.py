"""Who cannot serve this request, and what the client is told when nobody can."""

from __future__ import annotations

import pytest

from engine.exchange import RULES, OutcomeClass
from engine.planner import Plan, Request

from .trees import Moment, exits, fallback, planned, reasons, reject, request, split, switch, use

TOOLS = request(needs=frozenset({"chat", "tools", "vision"}))
LOCKED = Moment(unset=frozenset({"a"}))


def seen(made: Plan) -> tuple[str | None, int | None, str]:
    """Class, status and code as the client will see them."""
    if made.stop is None:
        return None, None, ""
    rule = RULES[made.stop]
    return made.stop.value, made.status or rule.status, made.code or rule.code


def test_a_target_without_a_capability_the_request_needs_is_skipped() -> None:
    made = planned(fallback(use("a/x", can="chat"), "b/x"), TOOLS)
    assert (made.attempts, exits(made)) == (("b/x",), [[]])
    assert [(s.target, s.reason, s.detail, s.path) for s in made.skips] == [
        ("a/x", "capability", "does not support tools, vision", "a/x")
    ]


def test_a_target_whose_window_the_estimate_exceeds_is_skipped_and_one_it_fits_exactly_is_not() -> None:
    made = planned(fallback(use("a/x", 999), use("b/x", 1000), "c/x"), request(input_tokens=1000))
    assert (made.attempts, reasons(made)) == (("b/x", "c/x"), {"a/x": "context"})


def test_a_target_without_its_credential_is_skipped() -> None:
    made = planned(fallback("a/x", "b/x", "a/y"), None, LOCKED)
    assert (made.attempts, reasons(made)) == (("b/x",), {"a/x": "credential", "a/y": "credential"})


@pytest.mark.parametrize(
    ("asked", "moment", "expected"),
    [
        (TOOLS, Moment(), ("invalid_request", 400, "unsupported_capability")),
        (request(input_tokens=500), Moment(), ("context_exceeded", 400, "context_length_exceeded")),
        (request(), LOCKED, ("unauthorized", 502, "unauthorized")),
    ],
)
def test_where_nobody_can_serve_the_client_learns_who_can_mend_it(
    asked: Request, moment: Moment, expected: tuple[str, int, str]
) -> None:
    made = planned(fallback(use("a/x", 100, "chat"), use("a/y", 200, "chat")), asked, moment)
    assert (seen(made), made.attempts, made.candidates, len(made.skips)) == (expected, (), (), 2)


def test_of_several_reasons_the_one_that_is_ours_to_mend_comes_first() -> None:
    tree = fallback(use("a/x"), use("b/x", 10), use("c/x", can="chat"))
    asked = request(input_tokens=50, needs=frozenset({"chat", "tools"}))
    assert seen(planned(tree, asked, LOCKED))[1] == 502
    assert seen(planned(fallback(*tree.steps[1:]), asked)) == ("context_exceeded", 400, "context_length_exceeded")


def test_the_messages_name_the_route_and_what_is_missing() -> None:
    message = planned(fallback(use("a/x", can="chat tools"), use("b/x", can="chat vision")), TOOLS).message
    assert message == "No target of route 'chat' supports what this request needs (tools; vision)."
    message = planned(use("a/x", 100), request(input_tokens=500)).message
    assert message == ("The request is too long for route 'chat': about 500 input tokens; its context window is 100.")


def test_a_tree_in_which_no_step_applies_routes_nowhere() -> None:
    made = planned(switch(("somebody", "a/x")))
    assert seen(made) == ("unroutable", 404, "model_not_found")
    assert (made.message, reasons(made)) == (
        "No step of route 'chat' applies to this request.",
        {"a/x": "not_selected"},
    )


def test_a_reject_that_is_reached_at_once_ends_the_request_with_its_own_words() -> None:
    made = planned(fallback(use("a/x", can="chat"), reject(451, "Not in this country."), "b/x"), TOOLS)
    assert (made.stop, made.status, made.message, made.attempts) == (
        OutcomeClass.REJECTED,
        451,
        "Not in this country.",
        (),
    )
    assert reasons(made) == {"a/x": "capability", "b/x": "rejected"}


def test_a_client_that_forbids_failover_gets_the_first_candidate_alone() -> None:
    tree = fallback(use("a/x", can="chat"), "b/x", fallback("c/x", "b/x"), reject())
    asked = request(no_fallback=True, needs=frozenset({"chat", "tools"}))
    made = planned(tree, asked)
    assert (made.attempts, exits(made)) == (("b/x",), [[]])
    assert reasons(made) == {"a/x": "capability", "c/x": "no_fallback"}


def test_forbidding_failover_leaves_a_reject_in_force() -> None:
    made = planned(fallback(reject(), "a/x"), request(no_fallback=True))
    assert (made.stop, reasons(made)) == (OutcomeClass.REJECTED, {"a/x": "rejected"})


def test_an_assigned_variant_that_cannot_serve_is_no_reason_to_change_the_variant() -> None:
    trial = split({"control": (1, use("a/x", can="chat")), "new": (1, "b/x")}, pins={"u": "control"})
    asked = request(user="u", needs=frozenset({"chat", "tools"}))
    made = planned(fallback(trial, "c/x"), asked)
    assert (made.attempts, reasons(made)) == (("c/x",), {"a/x": "capability", "b/x": "not_assigned"})
    assert seen(planned(trial, asked)) == ("invalid_request", 400, "unsupported_capability")
