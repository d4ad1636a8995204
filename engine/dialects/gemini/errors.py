"""From an error to an outcome class: the reason in the details first, then the status's name, then the number.

Names are those of ``google.rpc.Code``, reasons those of ``google.api.ErrorReason``. ``INVALID_ARGUMENT`` is the name of
every mistake in a request; only there do words decide, and only whether the request is too long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.dialects.retry_after import CAP, retry_after
from engine.dialects.statuses import MAX_CODE, MAX_MESSAGE, class_of, detail_of, says_too_long
from engine.dialects.trees import json_tree, mappings, number, text
from engine.exchange import Header, OutcomeClass, Verdict

from .names import fields

_C = OutcomeClass

_BY_REASON = {
    "API_KEY_INVALID": _C.UNAUTHORIZED,
    "API_KEY_SERVICE_BLOCKED": _C.UNAUTHORIZED,
    "ACCESS_TOKEN_EXPIRED": _C.UNAUTHORIZED,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": _C.UNAUTHORIZED,
    "CREDENTIALS_MISSING": _C.UNAUTHORIZED,
    "IAM_PERMISSION_DENIED": _C.UNAUTHORIZED,
    "SERVICE_DISABLED": _C.UNAUTHORIZED,
    "CONSUMER_INVALID": _C.UNAUTHORIZED,
    "CONSUMER_SUSPENDED": _C.UNAUTHORIZED,
    "BILLING_DISABLED": _C.QUOTA_EXHAUSTED,
    "RATE_LIMIT_EXCEEDED": _C.RATE_LIMITED,
}

_BY_NAME = {
    "INVALID_ARGUMENT": _C.INVALID_REQUEST,
    "OUT_OF_RANGE": _C.INVALID_REQUEST,
    "ALREADY_EXISTS": _C.INVALID_REQUEST,
    # Where the account may not be used: a region without free use, a policy of the organisation.
    "FAILED_PRECONDITION": _C.UNAUTHORIZED,
    "UNAUTHENTICATED": _C.UNAUTHORIZED,
    "PERMISSION_DENIED": _C.UNAUTHORIZED,
    "NOT_FOUND": _C.MODEL_GONE,
    "UNIMPLEMENTED": _C.MODEL_GONE,
    "RESOURCE_EXHAUSTED": _C.RATE_LIMITED,
    "UNAVAILABLE": _C.OVERLOADED,
    "DEADLINE_EXCEEDED": _C.TIMEOUT,
    "INTERNAL": _C.SERVER_ERROR,
    "UNKNOWN": _C.SERVER_ERROR,
    "DATA_LOSS": _C.SERVER_ERROR,
    "ABORTED": _C.SERVER_ERROR,
    "CANCELLED": _C.SERVER_ERROR,
}


def classify(status: int, header: Header, body: bytes, now: float) -> Verdict:
    """The verdict on a reply whose status is not one of success. Total over statuses and bodies."""
    return verdict_of(_error(body), status, retry_after(header, now))


def verdict_of(error: dict[str, Any], status: int, wait: float | None = None) -> Verdict:
    """The verdict on an error object; ``status`` is the HTTP status, ``wait`` what its headers ask for (seconds)."""
    code = error.get("code")
    if status < 300:
        # An error inside a success names the status that it should have had.
        status = code if isinstance(code, int) and 400 <= code <= 599 else 500
    name, message = text(error.get("status")), text(error.get("message"))[:MAX_MESSAGE]
    details = list(map(fields, mappings(error.get("details"))))
    reason = next((text(item["reason"]) for item in details if "reason" in item), "")
    found = _BY_REASON.get(reason) or _BY_NAME.get(name) or class_of(status)
    if found is _C.INVALID_REQUEST and says_too_long(message):
        found = _C.CONTEXT_EXCEEDED
    waits = [seconds for seconds in (wait, *_waits(details)) if seconds is not None]
    return Verdict(
        found,
        code=(reason or name)[:MAX_CODE],
        message=message,
        param=_param(details),
        detail=detail_of(status, message),
        retry_after=max(waits) if waits else None,
    )


def _waits(details: list[dict[str, Any]]) -> Iterator[float | None]:
    """``retryDelay`` is a ``google.protobuf.Duration``: ``48.9s``, or its seconds and nanoseconds."""
    for item in details:
        delay = item.get("retryDelay")
        seconds: float | None = None
        if isinstance(delay, str) and delay.endswith("s"):
            try:
                seconds = float(delay[:-1])
            except ValueError:
                continue
        elif isinstance(delay, dict):
            seconds = number(delay.get("seconds"))
        if seconds is not None and seconds == seconds:
            yield min(max(float(seconds), 0.0), CAP)


def _param(details: list[dict[str, Any]]) -> str | None:
    """The field that the service complains of (``google.rpc.BadRequest``)."""
    for item in details:
        for violation in mappings(item.get("fieldViolations")):
            if text(violation.get("field")):
                return text(violation["field"])
    return None


def _error(body: bytes) -> dict[str, Any]:
    """The error in a body: an object, or the first of a list; empty where there is none."""
    try:
        tree = json_tree(body)
    except ValueError:
        return {}
    return error_in(tree) or {}


def error_in(tree: Any) -> dict[str, Any] | None:
    """The error that a value says it is, or ``None``."""
    if isinstance(tree, list) and tree:
        tree = tree[0]
    error = tree.get("error") if isinstance(tree, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else None
