"""From an error body to an outcome class, and from ours to a client's.

Types and codes are those of Anthropic's page on errors and of its SDK. ``error.details.error_code`` decides first, then
``error.type``, then the status. Most complaints are one type, ``invalid_request_error``, without a code: only there the
message tells a spent credit, a context that is too long and a filtered answer apart. A body in another shape (services
that speak this protocol answer some errors in OpenAI's) is judged as OpenAI's are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.dialects.openai_chat import errors as openai
from engine.dialects.retry_after import retry_after
from engine.dialects.statuses import BY_STATUS, MAX_CODE, MAX_MESSAGE
from engine.exchange import Header, OutcomeClass, Verdict

_C = OutcomeClass

BY_CODE = {
    "contract_spend_limit_reached": _C.QUOTA_EXHAUSTED,
    "enforced_spend_limit_reached": _C.QUOTA_EXHAUSTED,
    "linked_organization_billing_unavailable": _C.QUOTA_EXHAUSTED,
    "linked_organization_spend_limit_reached": _C.QUOTA_EXHAUSTED,
    "organization_on_hold": _C.UNAUTHORIZED,
    "claude_code_key_creator_not_member": _C.UNAUTHORIZED,
    "cmek_context_unavailable": _C.OVERLOADED,
    "cmek_key_unreachable": _C.OVERLOADED,
    "cmek_key_disabled": _C.UNAUTHORIZED,
    "cmek_key_network_blocked": _C.UNAUTHORIZED,
    "request_body_too_large_after_decoding": _C.CONTEXT_EXCEEDED,
    "thread_already_continued": _C.INVALID_REQUEST,
    "thread_continue_in_flight": _C.INVALID_REQUEST,
    "thread_not_found": _C.INVALID_REQUEST,
    "thread_unsupported_request": _C.INVALID_REQUEST,
}

#: Our codes that clients of this protocol look for in ``error.details``: with these they send all of a thread again.
DETAILS = {
    "conversation_elsewhere": "thread_not_found",
    **{code: code for code in BY_CODE if code.startswith("thread_")},
}

BY_TYPE = {
    "authentication_error": _C.UNAUTHORIZED,
    "permission_error": _C.UNAUTHORIZED,
    "billing_error": _C.QUOTA_EXHAUSTED,
    "not_found_error": _C.MODEL_GONE,
    "request_too_large": _C.CONTEXT_EXCEEDED,
    "rate_limit_error": _C.RATE_LIMITED,
    "timeout_error": _C.TIMEOUT,
    "api_error": _C.SERVER_ERROR,
    "conflict_error": _C.SERVER_ERROR,
    "overloaded_error": _C.OVERLOADED,
}

#: Words in the message of an ``invalid_request_error``, which has no code for what they say.
BY_WORDS = (
    ("credit balance is too low", _C.QUOTA_EXHAUSTED),
    ("reached your specified", _C.QUOTA_EXHAUSTED),  # ... (workspace) API usage limits
    ("prompt is too long", _C.CONTEXT_EXCEEDED),
    ("exceed context limit", _C.CONTEXT_EXCEEDED),
    ("context window", _C.CONTEXT_EXCEEDED),
    ("maximum context length", _C.CONTEXT_EXCEEDED),
    ("blocked by content filtering", _C.CONTENT_REFUSED),
)

#: The type of an error by its status, for clients.
TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_INVALID = "invalid_request_error"
_encode = msgspec.json.encode


def classify(status: int, header: Header, body: bytes, now: float) -> Verdict:
    """The verdict on a reply whose status is not one of success. Total over statuses and bodies."""
    tree = openai.read_object(body)
    if tree is None or not isinstance(tree.get("error"), dict):
        return openai.classify(status, header, body, now)
    verdict = verdict_of(tree["error"], status)
    wait = retry_after(header, now)
    return verdict if wait is None else msgspec.structs.replace(verdict, retry_after=wait)


def is_error(tree: dict[str, Any]) -> bool:
    """Whether an object that came as a success says that it is none."""
    return tree.get("type") == "error" or bool(tree.get("error"))


def inner_error(tree: dict[str, Any]) -> Verdict:
    """The verdict on an error that stood inside a success, whole or in a stream."""
    error = tree.get("error")
    return verdict_of(error if isinstance(error, dict) else {"message": error or tree.get("message")}, 200)


def verdict_of(error: dict[str, Any], status: int) -> Verdict:
    """The verdict on an error object; ``status`` is the HTTP status, or 200 where it stood inside a success."""
    kind, details = error.get("type"), error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    message = error["message"][:MAX_MESSAGE] if isinstance(error.get("message"), str) else ""
    found = BY_CODE.get(code) if isinstance(code, str) else None
    if found is None and isinstance(kind, str):
        found = BY_TYPE.get(kind)
        if found is None and kind == _INVALID and not isinstance(error.get("code"), str):
            found = _invalid(message, status)
    if found is None:
        return openai.verdict_of(error, status)
    return Verdict(
        found,
        code=(code if isinstance(code, str) else str(kind or ""))[:MAX_CODE],
        message=message,
        detail=f"HTTP {status}: {message or kind}"[:MAX_MESSAGE],
    )


def _invalid(message: str, status: int) -> OutcomeClass | None:
    lowered = message.lower()
    for words, outcome in BY_WORDS:
        if words in lowered:
            return outcome
    # The type also stands beside statuses that say more.
    return None if status in BY_STATUS else _C.INVALID_REQUEST


def error_body(status: int, error: Mapping[str, Any], request_id: str) -> bytes:
    """An error as this protocol's clients know it, with OpenAI's other fields beside its own."""
    return _encode(_error(status, error, request_id))


def error_event(status: int, error: Mapping[str, Any], request_id: str) -> bytes:
    """The ``error`` event of a stream, which Anthropic's SDKs raise."""
    return b"event: error\ndata: " + _encode(_error(status, error, request_id)) + b"\n\n"


def _error(status: int, error: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    kind = TYPES.get(status, _INVALID if status < 500 else "api_error")
    told = {**error, "type": kind}
    known = DETAILS.get(error.get("code") or "")
    if known is not None:
        told["details"] = {"error_code": known}
    return {"type": "error", "error": told, "request_id": request_id}
