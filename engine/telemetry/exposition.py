"""The exposition for Prometheus: samples in the classic text format or in OpenMetrics, as the scraper asks for.

Which of the two is decided by ``prometheus_client``, which also writes what is known of processes and of Python. Our
own samples are written here: they are many, and its objects and checks take nearly twenty times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .definitions import Definition
from .facts import Facts
from .meter import Histogram
from .samples import Row, samples

_GARBAGE = (
    ("collected", "python_gc_objects_collected", "Objects collected during gc"),
    ("uncollectable", "python_gc_objects_uncollectable", "Uncollectable objects found during GC"),
    ("collections", "python_gc_collections", "Number of times this generation was collected"),
)
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def expose(processes: Sequence[Facts], accept: str | None) -> tuple[str, bytes]:
    """The content type and the body that answer a scrape with this ``Accept`` header.

    Of several processes every sample has a label ``worker``; it takes milliseconds for thousands of label sets.
    """
    encode, content_type = choose_encoder(accept or "")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Processes(processes))
    PlatformCollector(registry)
    lines = _lines(processes, content_type.startswith("application/openmetrics-text"))
    # What the package writes comes last: it ends with the mark that OpenMetrics wants at the end.
    return content_type, "".join(lines).encode() + encode(registry)


def _lines(processes: Sequence[Facts], open_metrics: bool) -> Iterator[str]:
    """Our own metrics, those of one name together."""
    several = len(processes) > 1
    families: dict[Definition, list[Row]] = {}
    for facts in processes:
        for definition, rows in samples(facts):
            named = [((*labels, facts.worker), value) for labels, value in rows] if several else rows
            families.setdefault(definition, []).extend(named)
    for definition, rows in families.items():
        name = definition.name.removesuffix("_total") if open_metrics else definition.name
        text = definition.text.translate(_ESCAPES)
        yield f"# HELP {name} {text}\n# TYPE {name} {definition.kind}\n"
        labels = (*definition.labels, "worker") if several else definition.labels
        yield from _histograms(definition, labels, rows) if definition.bounds else _numbers(definition, labels, rows)


def _numbers(definition: Definition, names: tuple[str, ...], rows: list[Row]) -> Iterator[str]:
    for values, number in rows:
        labels = _labels(names, values)
        yield f"{definition.name}{{{labels}}} {number}\n" if labels else f"{definition.name} {number}\n"


def _histograms(definition: Definition, names: tuple[str, ...], rows: list[Row]) -> Iterator[str]:
    name = definition.name
    bounds = [*(repr(float(bound)) for bound in definition.bounds), "+Inf"]
    for values, found in rows:
        if not isinstance(found, Histogram):
            continue
        labels = _labels(names, values)
        first = f"{name}_bucket{{{labels}," if labels else f"{name}_bucket{{"
        counts = list(accumulate(found.counts))
        yield "".join([f'{first}le="{bound}"}} {count}\n' for bound, count in zip(bounds, counts, strict=True)])
        shown = f"{{{labels}}}" if labels else ""
        yield f"{name}_count{shown} {counts[-1]}\n{name}_sum{shown} {found.sum}\n"


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return ",".join([f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True)])


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
