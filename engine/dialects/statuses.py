"""What an HTTP status means where the body has no code, and the one thing that free text may decide."""

from __future__ import annotations

from engine.exchange import OutcomeClass

_C = OutcomeClass

_BY_STATUS = {
    401: _C.UNAUTHORIZED,
    402: _C.QUOTA_EXHAUSTED,
    403: _C.UNAUTHORIZED,
    404: _C.MODEL_GONE,
    408: _C.TIMEOUT,
    409: _C.SERVER_ERROR,
    410: _C.MODEL_GONE,
    429: _C.RATE_LIMITED,
    503: _C.OVERLOADED,
    529: _C.OVERLOADED,
}

_TOO_LONG = (
    "maximum number of tokens",
    "maximum context length",
    "context length",
    "context window",
    "context size",
    "prompt is too long",
    "too many tokens",
)

#: Characters of an upstream's message that are kept.
MAX_MESSAGE = 2000
#: Characters of an upstream's code that are kept.
MAX_CODE = 100


def class_of(status: int) -> OutcomeClass:
    """The outcome class of a status other than success; every status has one."""
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    if 400 <= status < 500:
        return _C.INVALID_REQUEST
    # Below 400 lies what no client of a model service can use. Redirects are not followed: no credential may leave.
    return _C.SERVER_ERROR if status >= 500 else _C.GARBLED


def says_too_long(message: str) -> bool:
    """Whether a message complains that the request does not fit the model's context."""
    lowered = message.lower()
    return any(words in lowered for words in _TOO_LONG)


def detail_of(status: int, message: str) -> str:
    """The line for the operator."""
    return f"HTTP {status}: {message}"[:MAX_MESSAGE] if message else f"HTTP {status}"
