"""The outcome table, row by row, and the records of attempts and requests."""

from __future__ import annotations

import json

import pytest

from engine.exchange import ATTEMPT_CLASSES, FAIL_OVER, RULES, Attempt, Outcome, OutcomeClass, Rule, Usage

C = OutcomeClass
INVALID, UP = "invalid_request_error", "upstream_error"

#: class -> status, type, code, retry same, fail over: as the design has it.
TABLE = {
    C.SERVED: (200, "", "", False, False),
    C.INVALID_REQUEST: (400, INVALID, "invalid_request", False, False),
    C.CONTEXT_EXCEEDED: (400, INVALID, "context_length_exceeded", False, True),
    C.CONTENT_REFUSED: (400, INVALID, "content_filter", False, False),
    C.UNAUTHORIZED: (502, UP, "unauthorized", False, True),
    C.QUOTA_EXHAUSTED: (502, UP, "quota_exhausted", False, True),
    C.MODEL_GONE: (502, UP, "model_gone", False, True),
    C.RATE_LIMITED: (429, "rate_limit_error", "rate_limited", False, True),
    C.OVERLOADED: (503, UP, "overloaded", True, True),
    C.SERVER_ERROR: (502, UP, "server_error", True, True),
    C.CONNECTION: (502, UP, "connection", True, True),
    C.TIMEOUT: (504, UP, "timeout", False, True),
    C.GARBLED: (502, UP, "garbled", False, True),
    C.DEADLINE: (504, UP, "deadline", False, False),
    C.UNROUTABLE: (404, INVALID, "model_not_found", False, False),
    C.OVER_BUDGET: (429, "insufficient_quota", "over_budget", False, False),
    C.OVER_LIMIT: (429, "insufficient_quota", "over_limit", False, False),
    C.REJECTED: (403, "policy_error", "rejected", False, False),
}


def test_every_class_has_a_row_and_the_list_is_closed() -> None:
    assert set(RULES) == set(C) == TABLE.keys() | {C.CANCELLED}
    with pytest.raises(TypeError):
        RULES[C.SERVED] = RULES[C.TIMEOUT]  # type: ignore[index]


@pytest.mark.parametrize("outcome", sorted(TABLE))
def test_a_row_is_what_the_design_says(outcome: C) -> None:
    rule = RULES[outcome]
    assert (rule.status, rule.type, rule.code, rule.retry_same, rule.fail_over) == TABLE[outcome]


def test_what_is_tried_again_at_the_same_target_also_fails_over() -> None:
    assert all(rule.fail_over for rule in RULES.values() if rule.retry_same)


def test_failover_is_for_what_an_attempt_can_end_in() -> None:
    assert FAIL_OVER < ATTEMPT_CLASSES
    ends_of_requests = {C.DEADLINE, C.CANCELLED, C.UNROUTABLE, C.OVER_BUDGET, C.OVER_LIMIT, C.REJECTED}
    assert set(C) - ends_of_requests == ATTEMPT_CLASSES


def test_the_words_of_upstreams_are_for_the_classes_marked_400_alone() -> None:
    """The other classes that show a message end without an attempt: their words are our own."""
    assert {c for c in ATTEMPT_CLASSES if RULES[c].shows_message} == {
        c for c in ATTEMPT_CLASSES if RULES[c].status == 400
    }


def test_a_client_is_told_not_to_retry_what_will_not_pass() -> None:
    passing = {C.SERVED, C.RATE_LIMITED, C.OVERLOADED, C.SERVER_ERROR, C.CONNECTION, C.TIMEOUT, C.GARBLED, C.OVER_LIMIT}
    assert {c for c, rule in RULES.items() if not rule.terminal} == passing


def test_a_rule_has_no_defaults_so_that_a_new_class_must_decide_everything() -> None:
    with pytest.raises(TypeError):
        Rule(200, "", "", False, False, False)  # type: ignore[call-arg]


def test_a_record_is_plain_json_with_the_words_of_the_vocabulary() -> None:
    attempt = Attempt("a/x", C.SERVED, 200, 0.1, 0.2, usage=Usage(input=3, output=4))
    outcome = Outcome(
        "r-1", C.SERVED, 200, "chat", "chat", "chat", "a/x", "f1", False, 1000.0, 0.3, None, (attempt,), attempt.usage
    )
    record = json.loads(json.dumps(outcome.to_dict()))
    assert (record["outcome"], record["graph"], record["attempts"][0]["outcome"]) == ("served", "f1", "served")
    assert record["usage"] == {"input": 3, "output": 4}


def test_records_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Attempt("a/x", C.SERVED).status = 1  # type: ignore[misc]


def test_usage_that_nobody_reported_is_unknown_never_zero() -> None:
    assert Usage().to_dict() == {}
    assert Usage(input=0, cached=5).to_dict() == {"input": 0, "cached": 5}
