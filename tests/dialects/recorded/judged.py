"""What class an error has to have, told by its status and its words alone."""

from __future__ import annotations

import json
import re
from typing import Any

from engine.dialects.registry import dialects
from engine.exchange import OutcomeClass, Verdict

from .spoken import Recorded

_C = OutcomeClass

_BY_STATUS = {
    401: _C.UNAUTHORIZED,
    403: _C.UNAUTHORIZED,
    404: _C.MODEL_GONE,
    429: _C.RATE_LIMITED,
    500: _C.SERVER_ERROR,
    501: _C.SERVER_ERROR,
    502: _C.SERVER_ERROR,
    503: _C.OVERLOADED,
    529: _C.OVERLOADED,
}

#: What the words of a 400, or of an error that came as a success, say; the first that fits decides.
_BY_WORDS = [
    (
        r"context.?(length|size|window)|too long|too many (prompt.)?tokens|tokens exceed|maximum number of tokens",
        _C.CONTEXT_EXCEEDED,
    ),
    (r"too_many_prompt_tokens", _C.CONTEXT_EXCEEDED),
    (r"api.?key (is )?(not valid|invalid)|authentication", _C.UNAUTHORIZED),
    (r"content_filter|responsibleai|content policy", _C.CONTENT_REFUSED),
    (r"insufficient_quota", _C.QUOTA_EXHAUSTED),
    (r"rate_limit", _C.RATE_LIMITED),
    (r'"(code|type)": "(model_not_found|invalid_model)"', _C.MODEL_GONE),
    (r"unknown-error|invalid_tool_generation", _C.SERVER_ERROR),
]


def expected(status: int, told: str) -> OutcomeClass:
    """The class that an error of this status and with these words has."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return next((found for words, found in _BY_WORDS if re.search(words, told.lower())), _C.INVALID_REQUEST)


def check_error(found: Recorded) -> None:
    """An error has its class, the provider's words, its wait, and nothing of the credential that was sent."""
    assert found.spoken is not None
    told = _told(found)
    verdict = dialects()[found.spoken.dialect].classify(found.status, found.exchange.header, found.body, 0.0)
    wanted = expected(found.status, told)
    assert verdict.outcome_class is wanted, f"{verdict.outcome_class} instead of {wanted}: {told[:200]}"
    assert verdict.detail.startswith(f"HTTP {found.status}"), verdict.detail
    if _says_something(found.tree):
        assert verdict.message, "the provider's words are lost"
    wait = found.exchange.header("retry-after")
    assert wait is None or not wait.isdecimal() or verdict.retry_after == float(wait), f"a wait of {wait} s is lost"


def check_inner(found: Recorded, verdict: Verdict) -> None:
    """An error that came with a status of success has its class too."""
    error = inner_error(found)
    if error is None and _is_broken(found):
        assert verdict.outcome_class is _C.GARBLED, verdict
        return
    assert error is not None, f"a good reply is refused: {verdict.outcome_class} {verdict.detail}"
    code = error.get("code") if isinstance(error, dict) else None
    wanted = expected(code if isinstance(code, int) else 400, json.dumps(error))
    assert verdict.outcome_class is wanted, f"{verdict.outcome_class} instead of {wanted}: {error}"
    assert verdict.message, "the provider's words are lost"


def inner_error(found: Recorded) -> Any:
    """The error in a reply that came as a success, if there is one."""
    for tree in [found.tree, *(chunk.data for chunk in found.chunks)]:
        if not isinstance(tree, dict):
            continue
        inner = tree.get("response") if isinstance(tree.get("response"), dict) else tree.get("delta")
        for place in (tree, inner or {}):
            if isinstance(place, dict) and place.get("error"):
                return place if isinstance(place["error"], str) else place["error"]
        if tree.get("type") == "error":
            return tree
        if (tree.get("promptFeedback") or {}).get("blockReason") and not tree.get("candidates"):
            return {"message": "content_filter", **tree["promptFeedback"]}
    return None


def _is_broken(found: Recorded) -> bool:
    """Whether nothing was recorded, or something that does not claim to be a reply of a model."""
    kind = found.exchange.headers.get("content-type", "json")
    return not found.body or (found.tree is None and not found.chunks and "json" not in kind and "stream" not in kind)


def _told(found: Recorded) -> str:
    return json.dumps(found.tree) if found.tree is not None else found.body.decode("utf-8", "replace")


def _says_something(tree: Any) -> bool:
    return isinstance(tree, dict) and bool(tree.keys() & {"error", "message", "detail"})
