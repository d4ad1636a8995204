"""From samples to the metrics of OpenTelemetry: the same numbers under the names of its own notation."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from .definitions import Definition
from .facts import Facts
from .meter import Histogram
from .samples import Row, samples

_ATTRIBUTES: Mapping[str, str] = {
    "gen_ai_operation_name": "gen_ai.operation.name",
    "gen_ai_provider_name": "gen_ai.provider.name",
    "gen_ai_request_model": "gen_ai.request.model",
    "gen_ai_token_type": "gen_ai.token.type",
    "error_type": "error.type",
}
_CUMULATIVE = AggregationTemporality.CUMULATIVE


def metrics(facts: Facts, began: int, now: int, resource: Resource, scope: InstrumentationScope) -> MetricsData:
    """Everything that ``facts`` say, as cumulative points; ``began`` and ``now`` are Unix nanoseconds."""
    found = [_metric(definition, rows, began, now) for definition, rows in samples(facts)]
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, found, "")], "")])


def attribute(label: str) -> str:
    """The name that OpenTelemetry has for a label of ours."""
    return _ATTRIBUTES.get(label, f"interlock.{label}")


def _metric(definition: Definition, rows: list[Row], began: int, now: int) -> Metric:
    data: Sum | Gauge | HistogramData
    if definition.kind == "histogram":
        data = HistogramData([_histogram(definition, row, began, now) for row in rows], _CUMULATIVE)
    else:
        points = [
            NumberDataPoint(_attributes(definition, labels), began, now, value)
            for labels, value in rows
            if not isinstance(value, Histogram)
        ]
        data = Sum(points, _CUMULATIVE, True) if definition.kind == "counter" else Gauge(points)
    return Metric(definition.otel, definition.text, definition.unit, data)


def _histogram(definition: Definition, row: Row, began: int, now: int) -> HistogramDataPoint:
    labels, value = row
    found = value if isinstance(value, Histogram) else Histogram([])
    return HistogramDataPoint(
        _attributes(definition, labels),
        began,
        now,
        sum(found.counts),
        found.sum,
        found.counts,
        definition.bounds,
        min=None,  # type: ignore[arg-type]  # the protocol lets both be unknown, and so does the exporter
        max=None,  # type: ignore[arg-type]
    )


def _attributes(definition: Definition, labels: tuple[str, ...]) -> dict[str, str]:
    """Those that have a value."""
    return {attribute(name): value for name, value in zip(definition.labels, labels, strict=True) if value}
