"""From outcomes to spans of OpenTelemetry, after its conventions for generative AI.

They hold no content, and no words of an upstream.
"""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode
from opentelemetry.util.types import AttributeValue

from engine.exchange import Attempt, Outcome, OutcomeClass, Trace, Usage

from .samples import operation

_SERVED = OutcomeClass.SERVED
#: Ends of a request that are no failure of the server's: spans of servers leave the status unset for them.
_CLIENTS_OWN = frozenset(
    {
        OutcomeClass.INVALID_REQUEST,
        OutcomeClass.CONTEXT_EXCEEDED,
        OutcomeClass.CONTENT_REFUSED,
        OutcomeClass.UNROUTABLE,
        OutcomeClass.OVER_BUDGET,
        OutcomeClass.OVER_LIMIT,
        OutcomeClass.REJECTED,
        OutcomeClass.CANCELLED,
    }
)
Attributes = dict[str, AttributeValue]


def spans(outcome: Outcome, trace: Trace, resource: Resource, scope: InstrumentationScope) -> Iterator[ReadableSpan]:
    """The span of a request, then one for each of its attempts."""
    name = operation(outcome.surface)
    context = _context(trace, trace.span_id)
    parent = _context(trace, trace.parent_id, remote=True) if trace.parent_id else None
    kind = outcome.outcome_class
    failed = kind is not _SERVED and kind not in _CLIENTS_OWN
    began = outcome.started_at
    yield ReadableSpan(
        f"{name} {outcome.route}" if outcome.route else name,
        context,
        parent,
        resource,
        _of_request(outcome, name),
        kind=SpanKind.SERVER,
        instrumentation_scope=scope,
        status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
        start_time=_ns(began),
        end_time=_ns(began + outcome.duration),
    )
    seen = {trace.span_id}
    for number, attempt in enumerate(outcome.attempts):
        provider, _, model = attempt.target.partition("/")
        span_id = trace.span_of(provider, attempt.started)
        if span_id in seen:  # two attempts at one provider in the same turn of the clock
            span_id = trace.span_of(f"{provider} {number}", attempt.started)
        seen.add(span_id)
        yield ReadableSpan(
            f"{name} {model}",
            _context(trace, span_id),
            context,
            resource,
            _of_attempt(attempt, name, provider, model),
            kind=SpanKind.CLIENT,
            instrumentation_scope=scope,
            status=Status(StatusCode.UNSET if attempt.outcome_class is _SERVED else StatusCode.ERROR),
            start_time=_ns(began + attempt.started),
            end_time=_ns(began + attempt.started + attempt.duration),
        )


def _context(trace: Trace, span_id: str, remote: bool = False) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if trace.sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([trace.state]) if trace.state else None
    return SpanContext(int(trace.trace_id, 16), int(span_id, 16), remote, flags, state)


def _of_request(outcome: Outcome, name: str) -> Attributes:
    found: Attributes = {
        "gen_ai.operation.name": name,
        "gen_ai.request.model": outcome.model,
        "http.response.status_code": outcome.status,
        "interlock.request_id": outcome.request_id,
        "interlock.outcome": outcome.outcome_class.value,
        "interlock.graph": outcome.fingerprint,
        "interlock.attempts": len(outcome.attempts),
        "interlock.stream": outcome.stream,
        "interlock.added_latency": outcome.added,
    }
    for key, value in (("route", outcome.route), ("target", outcome.target), ("key", outcome.key)):
        if value is not None:
            found[f"interlock.{key}"] = value
    for split, variant in outcome.variants:
        found[f"interlock.variant.{split}"] = variant
    if outcome.first_token is not None:
        found["interlock.time_to_first_token"] = outcome.first_token
    if outcome.outcome_class is not _SERVED:
        found["error.type"] = outcome.outcome_class.value
    return found | _tokens(outcome.usage)


def _of_attempt(attempt: Attempt, name: str, provider: str, model: str) -> Attributes:
    found: Attributes = {
        "gen_ai.operation.name": name,
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "interlock.target": attempt.target,
        "interlock.outcome": attempt.outcome_class.value,
    }
    if attempt.status is not None:
        found["http.response.status_code"] = attempt.status
    if attempt.first_token is not None:
        found["gen_ai.response.time_to_first_chunk"] = attempt.first_token
    if attempt.retry_after is not None:
        found["interlock.retry_after"] = attempt.retry_after
    if attempt.outcome_class is not _SERVED:
        found["error.type"] = attempt.outcome_class.value
    return found | _tokens(attempt.usage)


def _tokens(usage: Usage | None) -> Attributes:
    if usage is None:
        return {}
    known = {
        "gen_ai.usage.input_tokens": usage.input,
        "gen_ai.usage.output_tokens": usage.output,
        "gen_ai.usage.cache_read.input_tokens": usage.cached,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
    }
    return {name: count for name, count in known.items() if count is not None}


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
