"""From an error body to an outcome class: the structured code first, then a telling type, then the status.

Codes are those of OpenAI's error guide and of the services that speak its protocol. Free text decides only where a body
carries no code at all, and only for a context that is too long. A type that says no more than "the server's fault"
yields to a status that has a class of its own: a 503 is ``overloaded``, whatever its type.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.dialects.retry_after import retry_after, seconds
from engine.dialects.statuses import (
    BY_STATUS,
    MAX_CODE,
    MAX_MESSAGE,
    OPENAI_TOO_LONG,
    class_of,
    detail_of,
    says_too_long,
)
from engine.exchange import Header, OutcomeClass, Verdict

_C = OutcomeClass

BY_CODE = {
    "context_length_exceeded": _C.CONTEXT_EXCEEDED,
    "context_window_exceeded": _C.CONTEXT_EXCEEDED,
    "exceed_context_size_error": _C.CONTEXT_EXCEEDED,
    "request_too_large": _C.CONTEXT_EXCEEDED,
    "too_many_prompt_tokens": _C.CONTEXT_EXCEEDED,
    "string_above_max_length": _C.CONTEXT_EXCEEDED,
    "insufficient_quota": _C.QUOTA_EXHAUSTED,
    "insufficient_balance": _C.QUOTA_EXHAUSTED,
    "insufficient_credits": _C.QUOTA_EXHAUSTED,
    "billing_hard_limit_reached": _C.QUOTA_EXHAUSTED,
    "billing_not_active": _C.QUOTA_EXHAUSTED,
    "billing_error": _C.QUOTA_EXHAUSTED,
    "exceeded_current_quota_error": _C.QUOTA_EXHAUSTED,
    "content_filter": _C.CONTENT_REFUSED,
    "content_policy_violation": _C.CONTENT_REFUSED,
    "moderation_blocked": _C.CONTENT_REFUSED,
    "responsibleaipolicyviolation": _C.CONTENT_REFUSED,
    "rate_limit_exceeded": _C.RATE_LIMITED,
    "rate_limit_error": _C.RATE_LIMITED,
    "rate_limit_reached_error": _C.RATE_LIMITED,
    "too_many_requests": _C.RATE_LIMITED,
    "invalid_api_key": _C.UNAUTHORIZED,
    "authentication_error": _C.UNAUTHORIZED,
    "permission_error": _C.UNAUTHORIZED,
    "permission_denied": _C.UNAUTHORIZED,
    "access_denied": _C.UNAUTHORIZED,
    "model_not_found": _C.MODEL_GONE,
    "model_decommissioned": _C.MODEL_GONE,
    "invalid_model": _C.MODEL_GONE,
    "not_found_error": _C.MODEL_GONE,
    "deploymentnotfound": _C.MODEL_GONE,
    "overloaded": _C.OVERLOADED,
    "overloaded_error": _C.OVERLOADED,
    "engine_overloaded": _C.OVERLOADED,
    "engine_overloaded_error": _C.OVERLOADED,
    "server_overloaded": _C.OVERLOADED,
    "service_unavailable": _C.OVERLOADED,
    "unavailable_error": _C.OVERLOADED,
    "server_error": _C.SERVER_ERROR,
    "internal_error": _C.SERVER_ERROR,
    "internal_server_error": _C.SERVER_ERROR,
    "api_error": _C.SERVER_ERROR,
    "timeout": _C.TIMEOUT,
    "timeout_error": _C.TIMEOUT,
}


def classify(status: int, header: Header, body: bytes, now: float) -> Verdict:
    """The verdict on a reply whose status is not one of success. Total over statuses and bodies."""
    error = _error_object(body)
    verdict = verdict_of(error, status)
    wait = retry_after(header, now)
    if wait is None:
        wait = _retry_delay(error)
    return verdict if wait is None else msgspec.structs.replace(verdict, retry_after=wait)


def verdict_of(error: dict[str, Any], status: int) -> Verdict:
    """The verdict on an error object in OpenAI's shape, wherever it stood; ``status`` is the HTTP status, or 200."""
    code, kind = error.get("code"), error.get("type")
    if status < 300:
        # An error inside a success: a numeric code is the status it should have had.
        named = (_as_status(error.get(name)) for name in ("code", "status", "status_code"))
        status = next(filter(None, named), 400 if kind == "invalid_request_error" else 500)
    message = _words(error.get("message"))
    found = _by_code(code) or _by_code(error.get("innererror")) or _by_moderation(error) or _by_type(kind, status)
    if found is None:
        found = class_of(status)
        if found is _C.INVALID_REQUEST and not _is_code(code) and says_too_long(message, OPENAI_TOO_LONG):
            found = _C.CONTEXT_EXCEEDED
    param = error.get("param")
    return Verdict(
        found,
        code=code[:MAX_CODE] if isinstance(code, str) else "",
        message=message,
        param=param if isinstance(param, str) else None,
        detail=detail_of(status, message),
    )


def _by_code(code: object) -> OutcomeClass | None:
    if isinstance(code, dict):
        code = code.get("code")
    return BY_CODE.get(code.lower()) if isinstance(code, str) else None


def _by_type(kind: object, status: int) -> OutcomeClass | None:
    found = _by_code(kind)
    return None if found is _C.SERVER_ERROR and status in BY_STATUS else found


def _by_moderation(error: dict[str, Any]) -> OutcomeClass | None:
    """A gateway's moderation, which gives its reasons where others have a code; the credential is not to blame."""
    metadata = error.get("metadata")
    return _C.CONTENT_REFUSED if isinstance(metadata, dict) and "flagged_input" in metadata else None


def _is_code(code: object) -> bool:
    """Whether it says anything: a status in quotation marks, that the request is at fault, and nothing are no codes."""
    return isinstance(code, str) and code not in ("", "invalid_request_error") and _as_status(code) is None


def _as_status(value: object) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and 400 <= value <= 599 else None


def _retry_delay(error: dict[str, Any]) -> float | None:
    """Seconds from the details of Google's error model (``google.rpc.RetryInfo``), which has no header for them."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return seconds(delay[:-1])
    return None


def _words(value: object) -> str:
    """A message: a text, or the findings about single fields that some services tell in its place."""
    if isinstance(value, dict):
        value = value.get("detail")
    if isinstance(value, list):
        found = [item for item in value if isinstance(item, dict) and isinstance(item.get("msg"), str)]
        value = "; ".join(f"{_place(item.get('loc'))}{item['msg']}" for item in found)
    return value[:MAX_MESSAGE] if isinstance(value, str) else ""


def _place(loc: object) -> str:
    return ".".join(map(str, loc)) + ": " if isinstance(loc, list) and loc else ""


def read_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in ``body``, also where a list of one wraps it; ``None`` if there is none."""
    try:
        tree: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if isinstance(tree, list) and tree:
        tree = tree[0]
    return tree if isinstance(tree, dict) else None


def _error_object(body: bytes) -> dict[str, Any]:
    """The error in whatever wrapping it came: ``{"error": {...}}``, a list of one, a bare object, a string, no JSON."""
    tree = read_object(body)
    if tree is None:
        return {}
    error = tree.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str):
        return {"message": error, "code": tree.get("code"), "type": tree.get("type") or tree.get("error_type")}
    message = tree.get("message", tree.get("detail"))
    return {"message": message, "code": tree.get("code"), "type": tree.get("type"), "param": tree.get("param")}
