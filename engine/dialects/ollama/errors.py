"""From an error to an outcome class: ``{"error": "..."}`` has no code, so the status decides.

Words decide only whether the request is too long. An error inside a stream has no status of its own; one of the
service's cloud may bring it as ``status_code``.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.retry_after import retry_after
from engine.dialects.statuses import MAX_MESSAGE, class_of, detail_of, says_too_long
from engine.dialects.trees import json_object, mapping, text, whole
from engine.exchange import Header, OutcomeClass, Verdict

_C = OutcomeClass


def classify(status: int, header: Header, body: bytes, now: float) -> Verdict:
    """The verdict on a reply whose status is not one of success. Total over statuses and bodies."""
    return verdict_of(json_object(body), status, retry_after(header, now))


def verdict_of(tree: dict[str, Any], status: int, wait: float | None = None) -> Verdict:
    """The verdict on what an error body holds; ``status`` is 200 where it stood in a success."""
    error = tree.get("error")
    message = (text(error) or text(mapping(error).get("message")))[:MAX_MESSAGE]
    named = whole(tree.get("status_code"))
    if named is not None and 400 <= named <= 599:
        status = named
    found = _C.SERVER_ERROR if status == 200 else class_of(status)
    if found in (_C.INVALID_REQUEST, _C.SERVER_ERROR) and says_too_long(message):
        found = _C.CONTEXT_EXCEEDED
    return Verdict(found, message=message, detail=detail_of(status, message), retry_after=wait)
