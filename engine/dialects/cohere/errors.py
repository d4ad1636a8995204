"""From an error to an outcome class: ``error_type`` first, then the status.

Most errors have a ``message`` and nothing else; there the status decides, and words only whether the request is too
long. 498 is this service's status for a token that it does not take, 499 for a request that was given up.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.retry_after import retry_after
from engine.dialects.statuses import MAX_CODE, MAX_MESSAGE, class_of, detail_of, says_too_long
from engine.dialects.trees import json_object, text
from engine.exchange import Header, OutcomeClass, Verdict

_C = OutcomeClass

_BY_CODE = {
    "TOO_MANY_TOKENS": _C.CONTEXT_EXCEEDED,
    "INVALID_TOOL_GENERATION": _C.SERVER_ERROR,
    "TIMEOUT": _C.TIMEOUT,
}
_BY_STATUS = {200: _C.SERVER_ERROR, 498: _C.UNAUTHORIZED, 499: _C.SERVER_ERROR}


def classify(status: int, header: Header, body: bytes, now: float) -> Verdict:
    """The verdict on a reply whose status is not one of success. Total over statuses and bodies."""
    return verdict_of(json_object(body), status, retry_after(header, now))


def verdict_of(error: dict[str, Any], status: int, wait: float | None = None) -> Verdict:
    """The verdict on an error's fields; ``status`` is 200 where it stood in a success."""
    code = text(error.get("error_type"))
    message = (text(error.get("message")) or text(error.get("error")))[:MAX_MESSAGE]
    found = _BY_CODE.get(code.upper()) or _BY_STATUS.get(status) or class_of(status)
    if found is _C.INVALID_REQUEST and not code and says_too_long(message):
        found = _C.CONTEXT_EXCEEDED
    return Verdict(found, code[:MAX_CODE], message, detail=detail_of(status, message), retry_after=wait)
