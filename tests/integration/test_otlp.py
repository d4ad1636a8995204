"""Traces and metrics as a real collector receives them, trace context both ways, and that no secret is among them."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from engine.telemetry import otlp

from .collector import Collector, Span
from .gateway import SECRET, Gateway, chat, environ, play
from .prometheus import fetch
from .upstream import Answer, Seen, Upstream, error, served, until, whole

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CANARY = "a canary sings in this prompt"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "EVERY", 0.05)


def settings(collector: Collector, **otlp_settings: object) -> dict[str, Any]:
    telemetry = {"otlp": {"endpoint": collector.endpoint, "interval": "100ms", **otlp_settings}}
    return {"version": 1, "kind": "settings", "name": "server", "telemetry": telemetry}


def by_name(spans: list[Span]) -> dict[str, Span]:
    return {span.name: span for span in spans}


def test_a_request_and_its_attempts_are_spans(tmp_path: Path) -> None:
    with Collector() as collector:

        async def scenario(gateway: Gateway, upstream: Upstream) -> None:
            began = time.time()
            await gateway.ask(traceparent=f"00-{TRACE}-{PARENT}-01", tracestate="a=1")
            await until(lambda: len(collector.spans) == 3)
            request = next(span for span in collector.spans if span.name == "chat chat")
            first, second = sorted((s for s in collector.spans if s is not request and s.name == "chat m"), key=start)
            assert {span.trace_id for span in collector.spans} == {TRACE}
            assert (request.parent_id, first.parent_id, second.parent_id) == (PARENT, request.span_id, request.span_id)
            assert len({span.span_id for span in collector.spans}) == 3
            assert (request.failed, first.failed, second.failed) == (False, True, False)
            assert first.attributes["error.type"] == "overloaded"
            assert first.attributes["gen_ai.provider.name"] == "one"
            assert second.attributes["gen_ai.provider.name"] == "two"
            assert second.attributes["gen_ai.usage.input_tokens"] == 7
            assert request.attributes["interlock.attempts"] == 2
            assert request.attributes["gen_ai.operation.name"] == "chat"
            assert request.resource["service.name"] == "interlock"
            assert began - 1 < request.raw.start_time_unix_nano / 1e9 < began + 1
            assert 0.1 < second.seconds <= request.seconds < 2
            # One provider is declared to be told, the other is not; both are spans.
            one, two = upstream.seen
            assert "traceparent" not in one.headers
            assert two.headers["traceparent"] == f"00-{TRACE}-{second.span_id}-01"
            assert two.headers["tracestate"] == "a=1"
            assert gateway.outcome.trace is not None

        play(
            tmp_path,
            scenario,
            scripts={"one": error(503), "two": (0.12, *served(False))},
            step={"fallback": ["one/m", "two/m"]},
            policy={"retry": {"per_target": 1}},
            more=[settings(collector, pass_to=["t*o"])],
        )


def start(span: Span) -> int:
    return int(span.raw.start_time_unix_nano)


def test_the_caller_decides_whether_a_request_is_traced(tmp_path: Path) -> None:
    with Collector() as collector:

        async def scenario(gateway: Gateway, upstream: Upstream) -> None:
            for _ in range(5):
                await gateway.ask()  # the share is none
                await gateway.ask(traceparent=f"00-{TRACE}-{PARENT}-00")
                await gateway.ask(traceparent="00-nonsense")
            await gateway.ask(chat(True), traceparent=f"00-{TRACE}-{PARENT}-01")
            await until(lambda: collector.spans)
            await asyncio.sleep(0.2)
            spans = by_name(collector.spans)
            assert set(spans) == {"chat chat", "chat m"}
            assert len(collector.spans) == 2
            assert spans["chat chat"].attributes["interlock.stream"] is True
            assert spans["chat m"].attributes["gen_ai.response.time_to_first_chunk"] >= 0
            unsampled = [seen.headers["traceparent"][-2:] for seen in upstream.seen]
            assert unsampled == ["00"] * 15 + ["01"]

        def answer(seen: Seen) -> Answer:
            return served(b'"stream":true' in seen.raw.replace(b" ", b""))

        more = [settings(collector, sample="0%", metrics=False, pass_to=["one"])]
        play(tmp_path, scenario, scripts={"one": answer}, more=more)


def test_metrics_are_the_same_numbers(tmp_path: Path) -> None:
    with Collector() as collector:

        async def scenario(gateway: Gateway, upstream: Upstream) -> None:
            for _ in range(3):
                await gateway.ask()
            asked = "interlock.requests"
            points = {asked: 0}

            def all_there() -> bool:
                if asked in collector.metrics:
                    points[asked] = sum(point.as_int for point in collector.metrics[asked].sum.data_points)
                return points[asked] == 3

            await until(all_there)
            found = collector.metrics
            (duration,) = found["gen_ai.client.operation.duration"].histogram.data_points
            assert found["gen_ai.client.operation.duration"].unit == "s"
            assert (duration.count, sum(duration.bucket_counts)) == (3, 3)
            assert len(duration.bucket_counts) == len(duration.explicit_bounds) + 1
            assert {a.key for a in duration.attributes} == {
                "gen_ai.operation.name",
                "gen_ai.provider.name",
                "gen_ai.request.model",
            }
            assert found[asked].sum.is_monotonic
            assert found["interlock.requests_under_way"].gauge.data_points
            assert not collector.spans

        play(tmp_path, scenario, scripts={"one": served(False)}, more=[settings(collector, traces=False)])


def test_a_collector_that_fails_or_is_gone_hurts_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "PATIENCE", 0.2)
    monkeypatch.setattr(otlp, "ROOM", 3)
    with Collector() as collector, caplog.at_level(logging.WARNING):
        collector.status = 503

        async def scenario(gateway: Gateway, upstream: Upstream) -> None:
            for _ in range(10):
                assert (await gateway.ask()).status == 200
            await until(lambda: collector.bodies)

        play(tmp_path, scenario, scripts={"one": served(False)}, more=[settings(collector)])
    assert SECRET not in caplog.text


def test_settings_are_followed(tmp_path: Path) -> None:
    with Collector() as first, Collector() as second:

        async def scenario(gateway: Gateway, upstream: Upstream) -> None:
            await gateway.ask()
            await until(lambda: len(first.spans) == 2)
            file = tmp_path / "policies" / "all.yaml"
            text = file.read_text()
            file.write_text(text.replace(first.endpoint, second.endpoint))
            assert await gateway.engine.reload() == ()
            await gateway.ask()
            await until(lambda: len(second.spans) == 2)
            assert len(first.spans) == 2
            file.write_text(text.split('---\n{"version": 1, "kind": "settings"')[0])
            assert await gateway.engine.reload() == ()
            await gateway.ask()
            assert gateway.outcomes[-1].trace is None
            assert "traceparent" not in upstream.seen[-1].headers

        play(tmp_path, scenario, scripts={"one": served(False)}, more=[settings(first, pass_to=["*"])])


def test_what_waits_is_sent_when_the_engine_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "EVERY", 60.0)
    with Collector() as collector:

        async def scenario(gateway: Gateway, upstream: Upstream) -> None:
            await gateway.ask()
            assert not collector.spans

        play(tmp_path, scenario, scripts={"one": served(False)}, more=[settings(collector, interval="1h")])
        assert len(collector.spans) == 2
        assert "interlock.requests" in collector.metrics


def test_no_secret_and_no_content_in_metrics_spans_or_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """FIELD row 29: an upstream repeats key and prompt; the client and the collector have keys too."""

    def telltale(seen: Seen) -> Answer:
        sent = seen.headers["authorization"]
        if len(upstream_calls) % 2 == 0:
            upstream_calls.append(1)
            return error(401, f"Incorrect API key provided: {sent}. You said: {CANARY}", code=sent)
        upstream_calls.append(1)
        return whole(500, {"error": {"message": f"{sent} {CANARY}", "code": sent}})

    upstream_calls: list[int] = []
    with Collector() as collector, caplog.at_level(logging.DEBUG):

        async def scenario(gateway: Gateway, upstream: Upstream) -> None:
            body = chat(messages=[{"role": "user", "content": CANARY}], user="u", metadata={"team": "t"})
            for streamed in (False, True) * 2:
                got = await gateway.ask({**body, "stream": streamed}, authorization=f"Bearer {SECRET}client")
                assert got.status >= 500
            got = await gateway.ask({**body, "model": "a-model-of-the-client"}, authorization=f"Bearer {SECRET}client")
            assert got.status == 404
            await until(lambda: len(collector.spans) >= 9 and "interlock.attempts" in collector.metrics)
            _, shown = await fetch(gateway.port, "/metrics")
            assert b"interlock_attempts_total{" in shown
            assert b"a-model-of-the-client" not in shown  # what a client names becomes no label
            sent = [header.get("x-collector-key") for header in collector.headers]
            assert set(sent) == {SECRET + "collector"}
            records = [record.getMessage() + (record.exc_text or "") for record in caplog.records]
            bodies = b"".join(collector.bodies)
            everything = [shown, bodies, gateway.log.getvalue(), *(text.encode() for text in records)]
            assert [said for said in everything if SECRET.encode() in said] == []
            assert [said for said in everything if CANARY.encode() in said] == []

        secret = {"x-collector-key": {"env": "COLLECTOR_KEY"}}
        env = {**environ(), "COLLECTOR_KEY": SECRET + "collector"}
        step = {"fallback": ["one/m", "two/m"]}
        scripts = {"one": telltale, "two": telltale}
        more = [settings(collector, headers=secret)]
        play(tmp_path, scenario, scripts=scripts, step=step, env=env, more=more, policy={"retry": {"per_target": 1}})
