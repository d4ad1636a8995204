"""The exposition for Prometheus: samples in the classic text format or in OpenMetrics, as the scraper asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .definitions import Definition
from .facts import Facts
from .meter import Histogram
from .samples import Value, samples

_GARBAGE = (
    ("collected", "python_gc_objects_collected", "Objects collected during gc"),
    ("uncollectable", "python_gc_objects_uncollectable", "Uncollectable objects found during GC"),
    ("collections", "python_gc_collections", "Number of times this generation was collected"),
)
_Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def expose(processes: Sequence[Facts], accept: str | None) -> tuple[str, bytes]:
    """The content type and the body that answer a scrape with this ``Accept`` header.

    Of several processes every sample has a label ``worker``; it takes milliseconds for thousands of label sets.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Engines(processes))
    registry.register(_Processes(processes))
    PlatformCollector(registry)
    encode, content_type = choose_encoder(accept or "")
    return content_type, encode(registry)


class _Engines(Collector):
    """Our own metrics."""

    def __init__(self, processes: Sequence[Facts]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        families: dict[Definition, _Family] = {}
        several = len(self._processes) > 1
        for facts in self._processes:
            more = (facts.worker,) if several else ()
            for definition, rows in samples(facts):
                family = families.get(definition)
                if family is None:
                    family = families[definition] = _family(definition, ("worker",) if several else ())
                for labels, value in rows:
                    _add(family, (*labels, *more), value, definition)
        yield from families.values()


def _family(definition: Definition, more: tuple[str, ...]) -> _Family:
    labels = (*definition.labels, *more)
    if definition.kind == "counter":
        return CounterMetricFamily(definition.name, definition.text, labels=labels)
    if definition.kind == "gauge":
        return GaugeMetricFamily(definition.name, definition.text, labels=labels)
    return HistogramMetricFamily(definition.name, definition.text, labels=labels)


def _add(family: _Family, labels: tuple[str, ...], value: Value, definition: Definition) -> None:
    if isinstance(family, HistogramMetricFamily):
        if isinstance(value, Histogram):
            bounds = [*map(_bound, definition.bounds), "+Inf"]
            buckets = list(zip(bounds, accumulate(value.counts), strict=True))
            family.add_metric(labels, buckets=buckets, sum_value=value.sum)
    elif not isinstance(value, Histogram):
        family.add_metric(labels, value)


def _bound(number: float) -> str:
    """As Prometheus and OpenMetrics write it: always a float."""
    return repr(float(number))


class _Processes(Collector):
    """Memory, processor time, open files and garbage collection of each process."""

    def __init__(self, processes: Sequence[Facts]) -> None:
        self._processes = processes

    def collect(self) -> Iterable[Metric]:
        merged: dict[str, Metric] = {}
        several = len(self._processes) > 1
        for facts in self._processes:
            more = {"worker": facts.worker} if several else {}
            for family in (*ProcessCollector(pid=_pid(facts.pid), registry=None).collect(), *_garbage(facts)):
                found = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    found.add_sample(sample.name, {**sample.labels, **more}, sample.value)
        return merged.values()


def _pid(number: int) -> Callable[[], int | str]:
    return lambda: number


def _garbage(facts: Facts) -> Iterator[Metric]:
    for key, name, text in _GARBAGE:
        family = CounterMetricFamily(name, text, labels=("generation",))
        for generation, row in enumerate(facts.garbage):
            family.add_metric((str(generation),), row.get(key, 0))
        yield family
