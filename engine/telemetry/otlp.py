"""Sending traces and metrics to a collector of OpenTelemetry, from a thread of its own.

A collector that is slow, or gone, delays no request.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from engine.exchange import Outcome
from engine.graph import Otlp

from .facts import thaw
from .points import metrics
from .spans import spans

#: Seconds between two looks for what is to be sent, and that one sending may take.
EVERY, PATIENCE = 1.0, 10.0
#: Requests whose spans may wait, and how many are sent at once. What is more is dropped, and said so.
ROOM, BATCH = 10_000, 256

_log = logging.getLogger("interlock.telemetry")


class Sender:
    """An observer of outcomes. ``headers`` is asked before each sending for what to send along: secrets may change."""

    def __init__(self, settings: Otlp, version: str, headers: Callable[[], Mapping[str, str]]) -> None:
        self._settings = settings
        self._headers = headers
        self._sent: Mapping[str, str] | None = None
        self._waiting: deque[Outcome] = deque()
        self._dropped = 0
        self._facts: bytes | None = None
        self._over = threading.Event()
        self._began = time.time_ns()
        who = {"service.name": "interlock", "service.version": version}
        instance = {"service.instance.id": f"{socket.gethostname()}:{os.getpid()}"}
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins.
        self._resource = Resource({**who, **instance}).merge(OTELResourceDetector().detect())
        self._scope = InstrumentationScope("interlock", version)
        self._thread = threading.Thread(target=self._run, name="interlock-otlp", daemon=True)
        self._thread.start()

    def __call__(self, outcome: Outcome) -> None:
        """Have the spans of a request sent, if it is traced and sampled."""
        if outcome.trace is None or not outcome.trace.sampled:
            return
        if len(self._waiting) >= ROOM:
            self._dropped += 1
        else:
            self._waiting.append(outcome)

    def measured(self, frozen: bytes) -> None:
        """Have these facts sent as metrics."""
        self._facts = frozen

    def stop(self) -> None:
        """Send what waits, and no more; returns at once, and the thread ends within :data:`PATIENCE` seconds or so."""
        self._over.set()

    def join(self, patience: float) -> None:
        """Wait for the end of the thread; to be called off the event loop."""
        self._thread.join(patience)

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            self._send()
        self._send()
        self._close()

    def _send(self) -> None:
        try:
            self._connect()
            self._send_spans()
            self._send_metrics()
        except Exception:  # boundary: the exporter's library and the collector are somebody else's
            _log.exception("traces and metrics could not be sent to %s", self._settings.endpoint)

    def _connect(self) -> None:
        """Exporters with the headers as they are now."""
        headers = dict(self._headers())
        if headers == self._sent:
            return
        if self._sent is not None:
            self._close()
        self._sent = headers
        at = self._settings.endpoint
        self._traces = OTLPSpanExporter(f"{at}/v1/traces", headers=headers, timeout=PATIENCE)
        self._metrics = OTLPMetricExporter(f"{at}/v1/metrics", headers=headers, timeout=PATIENCE)

    def _close(self) -> None:
        if self._sent is not None:
            self._traces.shutdown()  # type: ignore[no-untyped-call]
            self._metrics.shutdown()

    def _send_spans(self) -> None:
        if self._dropped:
            _log.warning("the spans of %d requests were dropped: the collector does not keep up", self._dropped)
            self._dropped = 0
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._traces.export(
                [span for one in batch if one.trace for span in spans(one, one.trace, self._resource, self._scope)]
            )

    def _send_metrics(self) -> None:
        frozen, self._facts = self._facts, None
        if frozen is not None:
            facts = thaw(frozen)
            self._metrics.export(metrics(facts, self._began, time.time_ns(), self._resource, self._scope))
