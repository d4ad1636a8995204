"""Errors: what upstream's mean, and how ours look to clients."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects import dialects, front
from engine.exchange import OutcomeClass

from ..play import encode, odd_json

NAME = "anthropic-messages"
DIALECT = dialects()[NAME]
C = OutcomeClass


def judge(status: int, body: bytes, **headers: str) -> OutcomeClass:
    return DIALECT.classify(status, lambda name: headers.get(name.replace("-", "_")), body, 0.0).outcome_class


def error(kind: str, message: str = "m", **fields: object) -> bytes:
    return encode({"type": "error", "error": {"type": kind, "message": message, **fields}, "request_id": "r"})


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        (400, "invalid_request_error", C.INVALID_REQUEST),
        (401, "authentication_error", C.UNAUTHORIZED),
        (402, "billing_error", C.QUOTA_EXHAUSTED),
        (403, "permission_error", C.UNAUTHORIZED),
        (404, "not_found_error", C.MODEL_GONE),
        (409, "conflict_error", C.SERVER_ERROR),
        (413, "request_too_large", C.CONTEXT_EXCEEDED),
        (429, "rate_limit_error", C.RATE_LIMITED),
        (500, "api_error", C.SERVER_ERROR),
        (504, "timeout_error", C.TIMEOUT),
        (529, "overloaded_error", C.OVERLOADED),
        (500, "overloaded_error", C.OVERLOADED),
        (401, "invalid_request_error", C.UNAUTHORIZED),
        (418, "unheard_of_error", C.INVALID_REQUEST),
        (500, "unheard_of_error", C.SERVER_ERROR),
    ],
)
def test_by_type(status: int, kind: str, outcome: OutcomeClass) -> None:
    assert judge(status, error(kind)) is outcome


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ("Your credit balance is too low to access the Anthropic API.", C.QUOTA_EXHAUSTED),
        ("You have reached your specified API usage limits.", C.QUOTA_EXHAUSTED),
        ("prompt is too long: 3333404 tokens > 200000 maximum", C.CONTEXT_EXCEEDED),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", C.CONTEXT_EXCEEDED),
        ("Output blocked by content filtering policy", C.CONTENT_REFUSED),
        ("messages: at least one message is required", C.INVALID_REQUEST),
    ],
)
def test_words_decide_only_where_there_is_no_code(message: str, outcome: OutcomeClass) -> None:
    assert judge(400, error("invalid_request_error", message)) is outcome
    assert judge(404, error("not_found_error", message)) is C.MODEL_GONE
    coded = error("invalid_request_error", message, details={"error_code": "contract_spend_limit_reached"})
    assert judge(400, coded) is C.QUOTA_EXHAUSTED


def test_a_spent_limit_is_no_matter_of_pace() -> None:
    spent = error("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"})
    assert judge(429, spent) is C.QUOTA_EXHAUSTED
    assert judge(429, error("rate_limit_error", details={"error_code": "ramp_limit_exceeded"})) is C.RATE_LIMITED


def test_other_shapes_of_services_that_speak_the_protocol() -> None:
    assert judge(400, b'{"error":{"message":"x","type":"x","code":"context_length_exceeded"}}') is C.CONTEXT_EXCEEDED
    assert judge(402, b'{"error":{"message":"Insufficient Balance","type":"unknown_error"}}') is C.QUOTA_EXHAUSTED
    assert judge(429, b'[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]') is C.RATE_LIMITED
    assert judge(502, b"<html>Bad gateway</html>") is C.SERVER_ERROR
    assert judge(403, b"") is C.UNAUTHORIZED


def test_all_that_is_said_is_kept() -> None:
    body = error("rate_limit_error", "slow down", details={"error_code": "ramp_limit_exceeded"})
    verdict = DIALECT.classify(429, {"retry-after": "7"}.get, body, 0.0)
    assert (verdict.code, verdict.message, verdict.retry_after) == ("ramp_limit_exceeded", "slow down", 7.0)
    assert verdict.detail == "HTTP 429: slow down"


@given(st.integers(300, 999), odd_json(["error", "type", "message", "code", "details", "error_code"]) | st.binary())
def test_every_error_has_a_verdict(status: int, body: object) -> None:
    data = body if isinstance(body, bytes) else encode(body)
    verdict = DIALECT.classify(status, lambda _: None, data, 0.0)
    assert verdict.outcome_class is not C.SERVED
    assert verdict.detail


OURS = {"message": "Slow down.", "type": "rate_limit_error", "code": "rate_limited", "param": None}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_clients_see_this_protocols_shape(status: int, kind: str) -> None:
    body = json.loads(front(NAME).error_body(status, OURS, "req-1"))
    assert body == {"type": "error", "error": {**OURS, "type": kind}, "request_id": "req-1"}


def test_an_error_inside_a_stream() -> None:
    event = front(NAME).error_event(503, OURS, "req-1")
    assert event.startswith(b"event: error\ndata: ")
    assert event.endswith(b"\n\n")
    assert json.loads(event.split(b"data: ")[1])["error"]["type"] == "overloaded_error"
