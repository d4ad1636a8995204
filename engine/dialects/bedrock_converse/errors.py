"""From an exception of the service to an outcome class.

The exception's name decides: it stands in the header ``x-amzn-errortype``, in the body's ``__type``, or, inside a
stream, in the event's headers. Names are those of AWS's API reference (Bedrock Runtime; common errors). One of them,
``ValidationException``, is said of everything that is wrong with a request: only there, and where no name is given at
all, the message tells a context that is too long apart.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.dialects.retry_after import retry_after
from engine.dialects.statuses import MAX_CODE, MAX_MESSAGE, TOO_LONG, class_of, detail_of, says_too_long
from engine.dialects.trees import count, json_tree, text
from engine.exchange import Header, OutcomeClass, Verdict

_C = OutcomeClass

BY_NAME = {
    "ThrottlingException": _C.RATE_LIMITED,
    "TooManyRequestsException": _C.RATE_LIMITED,
    "ServiceQuotaExceededException": _C.RATE_LIMITED,
    "ServiceUnavailableException": _C.OVERLOADED,
    "ModelNotReadyException": _C.OVERLOADED,
    "ModelTimeoutException": _C.TIMEOUT,
    "ModelErrorException": _C.SERVER_ERROR,
    "ModelStreamErrorException": _C.SERVER_ERROR,
    "InternalServerException": _C.SERVER_ERROR,
    "InternalFailure": _C.SERVER_ERROR,
    "ResourceNotFoundException": _C.MODEL_GONE,
    "AccessDeniedException": _C.UNAUTHORIZED,
    "AccessDenied": _C.UNAUTHORIZED,
    "ExpiredTokenException": _C.UNAUTHORIZED,
    "ExpiredToken": _C.UNAUTHORIZED,
    "IncompleteSignature": _C.UNAUTHORIZED,
    "IncompleteSignatureException": _C.UNAUTHORIZED,
    "InvalidClientTokenId": _C.UNAUTHORIZED,
    "InvalidSignatureException": _C.UNAUTHORIZED,
    "MissingAuthenticationToken": _C.UNAUTHORIZED,
    "MissingAuthenticationTokenException": _C.UNAUTHORIZED,
    "NotAuthorized": _C.UNAUTHORIZED,
    "OptInRequired": _C.UNAUTHORIZED,
    "SignatureDoesNotMatch": _C.UNAUTHORIZED,
    "UnrecognizedClientException": _C.UNAUTHORIZED,
    "RequestExpired": _C.UNAUTHORIZED,
}

#: What models of several makers say of a prompt that does not fit, beside what services of all protocols do.
_TOO_LONG = (
    *TOO_LONG,
    "input is too long",
    "input tokens exceeded",
    "too many input tokens",
    "exceeds maximum length",
    "exceed context limit",
)
_VALIDATION = "ValidationException"


def classify(status: int, header: Header, body: bytes, now: float) -> Verdict:
    """The verdict on a reply whose status is not one of success. Total over statuses and bodies."""
    try:
        tree = json_tree(body)
    except ValueError:
        tree = None
    verdict = verdict_of(header("x-amzn-errortype") or "", tree if isinstance(tree, dict) else {}, status)
    wait = retry_after(header, now)
    return verdict if wait is None else msgspec.structs.replace(verdict, retry_after=wait)


def verdict_of(name: str, tree: dict[str, Any], status: int) -> Verdict:
    """The verdict on an exception by its name (in any of AWS's notations) and its body."""
    name = _bare(name) or _bare(text(tree.get("__type")) or text(tree.get("code")))
    message = (text(tree.get("message")) or text(tree.get("Message")))[:MAX_MESSAGE]
    found = BY_NAME.get(name)
    if found is _C.SERVER_ERROR:
        found = _by_original(count(tree.get("originalStatusCode")))
    if found is None and name in ("", _VALIDATION) and (status < 300 or status == 400):
        found = _C.CONTEXT_EXCEEDED if says_too_long(message, _TOO_LONG) else _C.INVALID_REQUEST if name else None
    if found is None:
        found = class_of(status if status >= 300 else 500)
    return Verdict(found, code=name[:MAX_CODE], message=message, detail=_detail(name, status, message))


def _detail(name: str, status: int, message: str) -> str:
    return detail_of(status, f"{name}: {message}" if name and message else name or message)


def _bare(name: str) -> str:
    """``ThrottlingException`` out of ``com.amazon.coral#ThrottlingException:http://...``."""
    name = name.partition(":")[0].rpartition("#")[2].strip()
    return name[:1].upper() + name[1:]


def _by_original(status: int | None) -> OutcomeClass:
    """A model's own failure: what its status says, where that is a matter of load."""
    found = class_of(status) if status is not None else _C.SERVER_ERROR
    return found if found in (_C.RATE_LIMITED, _C.OVERLOADED) else _C.SERVER_ERROR


def is_error(tree: dict[str, Any]) -> bool:
    """Whether an object that came as a success says that it is none."""
    return "__type" in tree or ("message" in tree and "output" not in tree)


def inner_error(tree: dict[str, Any]) -> Verdict:
    """The verdict on an exception that stood inside a success."""
    return verdict_of("", tree, 200)
