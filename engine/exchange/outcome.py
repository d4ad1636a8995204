"""How requests end: the closed list of outcome classes, and the frozen records of an attempt and of a request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec

from .trace import Trace
from .usage import Usage


class OutcomeClass(StrEnum):
    """The closed list of ways an attempt or a request can end. Failover rules may name these and nothing else."""

    SERVED = "served"
    INVALID_REQUEST = "invalid_request"
    CONTEXT_EXCEEDED = "context_exceeded"
    CONTENT_REFUSED = "content_refused"
    UNAUTHORIZED = "unauthorized"
    QUOTA_EXHAUSTED = "quota_exhausted"
    MODEL_GONE = "model_gone"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    GARBLED = "garbled"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    UNROUTABLE = "unroutable"
    OVER_BUDGET = "over_budget"
    OVER_LIMIT = "over_limit"
    REJECTED = "rejected"


class Effect(StrEnum):
    """What an attempt's outcome says of the target, and of whom else."""

    SUCCESS = "success"
    FAILURE = "counts"
    """It counts among the failures that open the target's breaker."""
    HOLD = "holds"
    """The target wants to be left alone until a time that it says."""
    TARGET = "opens the target"
    CREDENTIAL = "opens the credential"
    QUOTA = "opens the credential, long"
    NEUTRAL = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from an outcome class: one row of the outcome table, with no default anywhere."""

    status: int
    type: str
    code: str
    retry_same: bool
    fail_over: bool
    """Whether an ordinary ``fallback`` moves on after it."""
    shows_message: bool
    """Whether the upstream's own message may reach the client."""
    terminal: bool
    """Whether the client's SDK is told not to retry (``x-should-retry: false``)."""
    breaker: Effect
    """What live state makes of an attempt that ended so."""


_INVALID = "invalid_request_error"
_UP = "upstream_error"
_C = OutcomeClass
_E = Effect

#: Every class has a row; a test walks the enum.
RULES = MappingProxyType(
    {
        _C.SERVED: Rule(200, "", "", False, False, False, False, _E.SUCCESS),
        _C.INVALID_REQUEST: Rule(400, _INVALID, "invalid_request", False, False, True, True, _E.NEUTRAL),
        _C.CONTEXT_EXCEEDED: Rule(400, _INVALID, "context_length_exceeded", False, True, True, True, _E.NEUTRAL),
        _C.CONTENT_REFUSED: Rule(400, _INVALID, "content_filter", False, False, True, True, _E.NEUTRAL),
        _C.UNAUTHORIZED: Rule(502, _UP, "unauthorized", False, True, False, True, _E.CREDENTIAL),
        _C.QUOTA_EXHAUSTED: Rule(502, _UP, "quota_exhausted", False, True, False, True, _E.QUOTA),
        _C.MODEL_GONE: Rule(502, _UP, "model_gone", False, True, False, True, _E.TARGET),
        _C.RATE_LIMITED: Rule(429, "rate_limit_error", "rate_limited", False, True, False, False, _E.HOLD),
        _C.OVERLOADED: Rule(503, _UP, "overloaded", True, True, False, False, _E.FAILURE),
        _C.SERVER_ERROR: Rule(502, _UP, "server_error", True, True, False, False, _E.FAILURE),
        _C.CONNECTION: Rule(502, _UP, "connection", True, True, False, False, _E.FAILURE),
        _C.TIMEOUT: Rule(504, _UP, "timeout", False, True, False, False, _E.FAILURE),
        _C.GARBLED: Rule(502, _UP, "garbled", False, True, False, False, _E.FAILURE),
        _C.DEADLINE: Rule(504, _UP, "deadline", False, False, False, True, _E.NEUTRAL),
        _C.CANCELLED: Rule(499, _UP, "cancelled", False, False, False, True, _E.NEUTRAL),
        _C.UNROUTABLE: Rule(404, _INVALID, "model_not_found", False, False, True, True, _E.NEUTRAL),
        _C.OVER_BUDGET: Rule(429, "insufficient_quota", "over_budget", False, False, True, True, _E.NEUTRAL),
        _C.OVER_LIMIT: Rule(429, "insufficient_quota", "over_limit", False, False, True, False, _E.NEUTRAL),
        _C.REJECTED: Rule(403, "policy_error", "rejected", False, False, True, True, _E.NEUTRAL),
    }
)

#: What an ordinary ``fallback`` moves on after (``context_exceeded`` only to a larger window).
FAIL_OVER = frozenset(c for c, rule in RULES.items() if rule.fail_over)

#: The classes one attempt at an upstream can end in; ``only_on`` and ``also_on`` may name these, ``served`` apart.
ATTEMPT_CLASSES = frozenset(
    {
        _C.SERVED,
        _C.INVALID_REQUEST,
        _C.CONTEXT_EXCEEDED,
        _C.CONTENT_REFUSED,
        _C.UNAUTHORIZED,
        _C.QUOTA_EXHAUSTED,
        _C.MODEL_GONE,
        _C.RATE_LIMITED,
        _C.OVERLOADED,
        _C.SERVER_ERROR,
        _C.CONNECTION,
        _C.TIMEOUT,
        _C.GARBLED,
    }
)


class Attempt(msgspec.Struct, frozen=True):
    """One wire request to one target: what happened, with no content of the request or the reply.

    ``started`` is seconds after the request's start; ``duration`` and ``first_token`` are seconds after the attempt's
    own start (``first_token`` of streams only, ``None`` before any output). ``detail`` is for the operator. ``hedged``
    is an attempt that was made beside another one, not after it.
    """

    target: str
    outcome_class: OutcomeClass = msgspec.field(name="outcome")
    status: int | None = None
    started: float = 0.0
    duration: float = 0.0
    first_token: float | None = None
    retry_after: float | None = None
    detail: str = ""
    usage: Usage | None = None
    hedged: bool = False
    """Whether it was begun beside another attempt, which was slow."""


class Outcome(msgspec.Struct, frozen=True):
    """How one request ended. The one object that observers, logs and replies share.

    ``usage`` is ``None`` where the upstream did not say: unknown, never zero. Times are seconds; ``started_at`` is Unix
    time. ``target`` is the last target attempted (``None`` if none was). ``fingerprint`` is the graph's, ``variants``
    the (split, variant) pairs the request was assigned, ``dropped`` what the target could not carry. ``added`` is the
    gateway's own part of the time: from the request's arrival to its reply (of a stream: to the first output), without
    the time in which an upstream was waited for. ``trace`` is its place in a trace, where requests are traced.
    """

    request_id: str
    outcome_class: OutcomeClass = msgspec.field(name="outcome")
    status: int
    surface: str
    model: str
    route: str | None
    target: str | None
    fingerprint: str = msgspec.field(name="graph")
    stream: bool
    started_at: float
    duration: float
    first_token: float | None = None
    attempts: tuple[Attempt, ...] = ()
    usage: Usage | None = None
    key: str | None = None
    code: str = ""
    variants: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    added: float = 0.0
    trace: Trace | None = None

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON values, as the access log prints it; no content, no secret."""
        record: dict[str, Any] = msgspec.to_builtins(self)
        return record
