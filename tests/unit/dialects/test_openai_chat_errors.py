"""From an error body to an outcome class: by code, then by a telling type, then by status, never by words alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.dialects.openai_chat.errors import BY_CODE, classify, read_object
from engine.exchange import ATTEMPT_CLASSES, OutcomeClass, Verdict

C = OutcomeClass
TOO_LONG = "This model's maximum context length is 8192 tokens."


def judged(status: int, error: Any = None) -> Verdict:
    """The verdict on this error object under this status."""
    return classify(status, {}.get, b"" if error is None else msgspec.json.encode({"error": error}), 0.0)


def outcome(status: int, **error: Any) -> C:
    return judged(status, error or None).outcome_class


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, C.INVALID_REQUEST),
        (401, C.UNAUTHORIZED),
        (402, C.QUOTA_EXHAUSTED),
        (403, C.UNAUTHORIZED),
        (404, C.MODEL_GONE),
        (405, C.INVALID_REQUEST),
        (408, C.TIMEOUT),
        (409, C.SERVER_ERROR),
        (410, C.MODEL_GONE),
        (413, C.INVALID_REQUEST),
        (422, C.INVALID_REQUEST),
        (429, C.RATE_LIMITED),
        (500, C.SERVER_ERROR),
        (501, C.SERVER_ERROR),
        (502, C.SERVER_ERROR),
        (503, C.OVERLOADED),
        (504, C.SERVER_ERROR),
        (529, C.OVERLOADED),
        (599, C.SERVER_ERROR),
        (301, C.GARBLED),
        (304, C.GARBLED),
    ],
)
def test_without_a_code_the_status_decides(status: int, expected: C) -> None:
    assert outcome(status) is expected
    assert outcome(status, message="Something happened.", type="no_such_type", code=None) is expected


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 503])
@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_a_known_code_decides_whatever_the_status_and_the_words_are(code: str, status: int) -> None:
    assert outcome(status, code=code, message=TOO_LONG, type="invalid_request_error") is BY_CODE[code]
    assert outcome(status, code=code.upper()) is BY_CODE[code]


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "authentication_error", C.UNAUTHORIZED),
        (429, "insufficient_quota", C.QUOTA_EXHAUSTED),
        (500, "overloaded_error", C.OVERLOADED),
        (404, "invalid_request_error", C.MODEL_GONE),
        (401, "invalid_request_error", C.UNAUTHORIZED),
        (503, "server_error", C.OVERLOADED),
        (429, "api_error", C.RATE_LIMITED),
        (408, "internal_server_error", C.TIMEOUT),
        (500, "server_error", C.SERVER_ERROR),
    ],
)
def test_a_type_decides_where_it_says_more_than_the_status(status: int, kind: str, expected: C) -> None:
    assert outcome(status, type=kind, message="x") is expected


def test_an_inner_code_decides_where_the_outer_one_says_nothing() -> None:
    assert outcome(400, code="BadRequest", innererror={"code": "ResponsibleAIPolicyViolation"}) is C.CONTENT_REFUSED


def test_findings_about_fields_are_a_message() -> None:
    findings = {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}, 7]}
    body = msgspec.json.encode({"object": "error", "message": findings, "type": "invalid_request_error"})
    assert classify(422, lambda name: None, body, 0.0).message == "body.messages: Field required"


@pytest.mark.parametrize("code", [None, 400, "400", "", "invalid_request_error"])
def test_words_decide_on_a_context_that_is_too_long_where_there_is_no_code(code: Any) -> None:
    assert outcome(400, message=TOO_LONG, code=code) is C.CONTEXT_EXCEEDED
    assert outcome(413, message=TOO_LONG, code=code) is C.CONTEXT_EXCEEDED


def test_and_never_where_there_is_one_or_the_status_says_otherwise() -> None:
    assert outcome(400, message=TOO_LONG, code="invalid_value") is C.INVALID_REQUEST
    assert outcome(429, message=TOO_LONG) is C.RATE_LIMITED
    assert outcome(500, message=TOO_LONG) is C.SERVER_ERROR
    assert outcome(400, message="rate limit, invalid api key, quota, overloaded, timeout") is C.INVALID_REQUEST


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": 429}, C.RATE_LIMITED),
        ({"code": "503"}, C.OVERLOADED),
        ({"status": 404}, C.MODEL_GONE),
        ({"status_code": 400, "code": "tool_use_failed"}, C.INVALID_REQUEST),
        ({"type": "invalid_request_error"}, C.INVALID_REQUEST),
        ({"type": "server_error"}, C.SERVER_ERROR),
        ({"code": 42, "status": "NOT_FOUND"}, C.SERVER_ERROR),
        ({}, C.SERVER_ERROR),
    ],
)
def test_an_error_inside_a_success_has_the_status_it_names(error: dict[str, Any], expected: C) -> None:
    assert judged(200, {"message": "x"} | error).outcome_class is expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"m"}}', "m"),
        (b'{"error":"m"}', "m"),
        (b'{"message":"m"}', "m"),
        (b'{"detail":"m"}', "m"),
        (b'[{"error":{"message":"m"}}]', "m"),
        (b'{"detail":[{"msg":"m"}]}', "m"),
        (b'{"error":null}', ""),
        (b'{"error":{"message":["m"]}}', ""),
        (b"<html>m</html>", ""),
        (b'"m"', ""),
        (b"[]", ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
        (b"", ""),
    ],
)
def test_the_message_is_found_in_whatever_wrapping_it_came(body: bytes, message: str) -> None:
    verdict = classify(400, {}.get, body, 0.0)
    assert (verdict.outcome_class, verdict.message) == (C.INVALID_REQUEST, message)
    assert verdict.detail == ("HTTP 400: m" if message else "HTTP 400")


def test_a_code_beside_a_string_counts() -> None:
    verdict = classify(400, {}.get, b'{"error":"m","code":"content_filter"}', 0.0)
    assert (verdict.outcome_class, verdict.code, verdict.message) == (C.CONTENT_REFUSED, "content_filter", "m")


def test_code_and_parameter_are_the_upstreams_own_and_long_ones_are_cut() -> None:
    verdict = judged(400, {"message": "m" * 9000, "code": "c" * 900, "param": "messages[0]"})
    assert (len(verdict.message), len(verdict.code), verdict.param) == (2000, 100, "messages[0]")
    assert judged(400, {"code": 7, "param": {"x": 1}}).param is None


def test_retry_after_comes_with_any_class() -> None:
    headers = {"retry-after": "7"}
    assert classify(503, headers.get, b"", 0.0).retry_after == 7.0
    body = b'{"error":{"code":429,"details":[1,{"retryDelay":5},{"retryDelay":"34.5s"}]}}'
    assert classify(429, {}.get, body, 0.0).retry_after == 34.5
    assert classify(429, headers.get, body, 0.0).retry_after == 7.0, "the header counts first"
    assert classify(429, {}.get, body.replace(b"34.5s", b"soons"), 0.0).retry_after is None


def test_the_table_of_codes_leads_to_what_an_attempt_can_end_in() -> None:
    assert set(BY_CODE.values()) < ATTEMPT_CLASSES
    assert all(code == code.lower() for code in BY_CODE)


def test_only_objects_are_objects() -> None:
    assert read_object(b'[{"a":1},{"b":2}]') == {"a": 1}
    assert read_object(b"[1]") is read_object(b"1") is read_object(b"{") is None
