"""What an HTTP status means where the body has no code, what free text may decide, and bodies that nobody can read."""

from __future__ import annotations

from engine.exchange import OutcomeClass, Verdict

_C = OutcomeClass

#: The class of statuses that say more than the hundred they are of.
BY_STATUS = {
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

#: What services that speak OpenAI's protocol say of a request that does not fit the model's context.
OPENAI_TOO_LONG = ("maximum context length", "context length", "context window", "context size", "prompt is too long")
#: What those of other protocols say of it.
TOO_LONG = (*OPENAI_TOO_LONG, "maximum number of tokens", "too many tokens")

#: Characters of an upstream's message that are kept.
MAX_MESSAGE = 2000
#: Characters of an upstream's code that are kept.
MAX_CODE = 100


def class_of(status: int) -> OutcomeClass:
    """The outcome class of a status other than success; every status has one."""
    found = BY_STATUS.get(status)
    if found is not None:
        return found
    if 400 <= status < 500:
        return _C.INVALID_REQUEST
    # Below 400 lies what no client of a model service can use. Redirects are not followed: no credential may leave.
    return _C.SERVER_ERROR if status >= 500 else _C.GARBLED


def says_too_long(message: str, phrases: tuple[str, ...] = TOO_LONG) -> bool:
    """Whether a message complains, in one of the ``phrases``, that the request does not fit the model's context."""
    lowered = message.lower()
    return any(words in lowered for words in phrases)


def detail_of(status: int, message: str) -> str:
    """The line for the operator."""
    return f"HTTP {status}: {message}"[:MAX_MESSAGE] if message else f"HTTP {status}"


def unreadable(body: bytes, problem: object = "not JSON") -> Verdict:
    """The verdict on the body of a success that is no JSON text; ``problem`` goes on "the reply is"."""
    return Verdict(_C.GARBLED, detail=f"the reply is {problem}" if body else "the reply is empty")
