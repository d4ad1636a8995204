"""Exceptions of the service."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects import dialects
from engine.dialects.bedrock_converse.errors import BY_NAME
from engine.exchange import OutcomeClass, Verdict

from ..play import encode, odd_json

C = OutcomeClass
DIALECT = dialects()["bedrock-converse"]
#: Of Bedrock Runtime's reference, with the status that each comes with.
DOCUMENTED = [
    ("AccessDeniedException", 403, C.UNAUTHORIZED),
    ("InternalServerException", 500, C.SERVER_ERROR),
    ("ModelErrorException", 424, C.SERVER_ERROR),
    ("ModelNotReadyException", 429, C.OVERLOADED),
    ("ModelStreamErrorException", 424, C.SERVER_ERROR),
    ("ModelTimeoutException", 408, C.TIMEOUT),
    ("ResourceNotFoundException", 404, C.MODEL_GONE),
    ("ServiceQuotaExceededException", 400, C.RATE_LIMITED),
    ("ServiceUnavailableException", 503, C.OVERLOADED),
    ("ThrottlingException", 429, C.RATE_LIMITED),
    ("ValidationException", 400, C.INVALID_REQUEST),
]


def judge(status: int, body: object, **headers: str) -> Verdict:
    data = body if isinstance(body, bytes) else encode(body)
    return DIALECT.classify(status, lambda name: headers.get(name.replace("-", "_")), data, 0.0)


@pytest.mark.parametrize(("name", "status", "outcome"), DOCUMENTED)
def test_by_name_in_every_notation(name: str, status: int, outcome: OutcomeClass) -> None:
    header = f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    by_header = judge(status, {"message": "m"}, x_amzn_errortype=header)
    assert (by_header.outcome_class, by_header.code, by_header.message) == (outcome, name, "m")
    assert judge(status, {"__type": f"com.amazon.coral#{name}", "Message": "m"}).outcome_class is outcome
    assert by_header.detail == f"HTTP {status}: {name}: m"


@pytest.mark.parametrize(
    "message",
    [
        "Input is too long for requested model.",
        "The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds maximum.",
        "The model returned the following errors: prompt is too long: 200001 tokens > 200000 maximum",
        "This model's maximum context length is 4096 tokens.",
    ],
)
def test_a_context_that_is_too_long(message: str) -> None:
    for name in ("ValidationException", ""):
        assert judge(400, {"message": message}, x_amzn_errortype=name).outcome_class is C.CONTEXT_EXCEEDED
    assert judge(429, {"message": message}, x_amzn_errortype="ThrottlingException").outcome_class is C.RATE_LIMITED


def test_a_models_own_failure_may_be_a_matter_of_load() -> None:
    for status, outcome in ((429, C.RATE_LIMITED), (503, C.OVERLOADED), (400, C.SERVER_ERROR)):
        tree = {"__type": "ModelErrorException", "originalStatusCode": status}
        assert judge(424, tree).outcome_class is outcome


def test_without_a_name_the_status_decides() -> None:
    assert judge(403, b"<html>").outcome_class is C.UNAUTHORIZED
    assert judge(503, b"").outcome_class is C.OVERLOADED
    assert judge(400, {"message": "The provided model identifier is invalid."}).outcome_class is C.INVALID_REQUEST
    assert judge(403, {"message": "x"}, x_amzn_errortype="SomethingNew").outcome_class is C.UNAUTHORIZED


def test_signatures_that_are_refused_are_ours_to_fix() -> None:
    for name in ("UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException"):
        assert judge(400, {"__type": name}).outcome_class is C.UNAUTHORIZED
    assert C.SERVED not in BY_NAME.values()


def test_how_long_to_wait() -> None:
    assert judge(429, {"__type": "ThrottlingException"}, retry_after="3").retry_after == 3.0


@given(st.integers(300, 999), odd_json(["__type", "message", "code", "originalStatusCode"]) | st.binary(), st.text())
def test_every_error_has_a_verdict(status: int, body: object, name: str) -> None:
    verdict = judge(status, body, x_amzn_errortype=name)
    assert verdict.outcome_class is not C.SERVED
    assert verdict.detail
