"""A collector of OpenTelemetry on loopback: it receives OTLP over HTTP and decodes it by the protocol's own package."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span:
    """One span, with its attributes as plain values."""

    def __init__(self, raw: Any, resource: dict[str, Any]) -> None:
        self.raw = raw
        self.name: str = raw.name
        self.trace_id = raw.trace_id.hex()
        self.span_id = raw.span_id.hex()
        self.parent_id = raw.parent_span_id.hex()
        self.failed = raw.status.code == 2
        self.seconds = (raw.end_time_unix_nano - raw.start_time_unix_nano) / 1e9
        self.attributes = plain(raw.attributes)
        self.resource = resource


class Collector:
    """What arrived. ``status`` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self._traces: list[bytes] = []
        self._metrics: list[bytes] = []

    def __enter__(self) -> Self:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.bodies.append(body)
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                if collector.status == 200:
                    {"/v1/traces": collector._traces, "/v1/metrics": collector._metrics}[self.path].append(body)
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> list[Span]:
        return list(self._spans())

    def _spans(self) -> Iterator[Span]:
        for body in self._traces:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                about = plain(resource.resource.attributes)
                for scope in resource.scope_spans:
                    yield from (Span(raw, about) for raw in scope.spans)

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics that arrived last, by name."""
        found = {}
        for body in self._metrics:
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    found |= {metric.name: metric for metric in scope.metrics}
        return found


def plain(attributes: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}
