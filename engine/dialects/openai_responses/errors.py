"""Errors that stand inside a response: its own codes first, then those that OpenAI's two protocols share."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from engine.dialects.openai_chat.errors import BY_CODE, verdict_of
from engine.dialects.trees import mapping, text
from engine.exchange import OutcomeClass, Verdict

_C = OutcomeClass

#: Codes of ``response.error`` that no other endpoint has.
_CODES = {
    "invalid_prompt": _C.INVALID_REQUEST,
    "invalid_image": _C.INVALID_REQUEST,
    "invalid_image_format": _C.INVALID_REQUEST,
    "invalid_base64_image": _C.INVALID_REQUEST,
    "invalid_image_url": _C.INVALID_REQUEST,
    "invalid_image_mode": _C.INVALID_REQUEST,
    "image_too_large": _C.INVALID_REQUEST,
    "image_too_small": _C.INVALID_REQUEST,
    "image_parse_error": _C.INVALID_REQUEST,
    "image_file_too_large": _C.INVALID_REQUEST,
    "unsupported_image_media_type": _C.INVALID_REQUEST,
    "empty_image_file": _C.INVALID_REQUEST,
    "failed_to_download_image": _C.INVALID_REQUEST,
    "image_file_not_found": _C.INVALID_REQUEST,
    "data_residency_mismatch": _C.INVALID_REQUEST,
    "image_content_policy_violation": _C.CONTENT_REFUSED,
    "bio_policy": _C.CONTENT_REFUSED,
    "misalignment_policy_violation": _C.CONTENT_REFUSED,
    "vector_store_timeout": _C.TIMEOUT,
}


def inner_verdict(error: Any) -> Verdict:
    """The verdict on the ``error`` of a response that failed, or of an event in its stream."""
    tree = mapping(error) or {"message": error if isinstance(error, str) else ""}
    verdict = verdict_of(tree, 200)
    code = text(tree.get("code")).lower()
    found = _CODES.get(code) if code not in BY_CODE else None
    return verdict if found is None else structs.replace(verdict, outcome_class=found)


def failed_verdict(response: dict[str, Any]) -> Verdict | None:
    """The verdict on a response that failed or was cancelled; ``None`` for every other."""
    error, status = response.get("error"), response.get("status")
    if error or status == "failed":
        return inner_verdict(error)
    if status == "cancelled":
        return Verdict(OutcomeClass.SERVER_ERROR, detail="the upstream cancelled the response")
    return None
