"""What is written is what the parsers of both formats read, whatever a name holds."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from engine.exchange import Attempt, Outcome, OutcomeClass, Usage
from engine.telemetry.exposition import expose
from engine.telemetry.facts import Facts
from engine.telemetry.meter import Histogram, Meter

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def facts(*names: str, worker: str = "") -> Facts:
    counted = Meter(lambda: ("f", set(), set()))
    for number, name in enumerate(names):
        for _ in range(number + 1):
            attempt = Attempt(f"p/{name}", OutcomeClass.SERVED, 200, 0.0, 0.25, 0.1, usage=Usage(40, 9))
            outcome = Outcome(
                "r", OutcomeClass.SERVED, 200, "chat", "m", name, attempt.target, "f", True, 0.0, 0.3, 0.15,
                (attempt,), attempt.usage, added=0.0002,
            )  # fmt: skip
            counted(outcome)
    return Facts(
        "1", 1, counted.requests(), counted.attempts(), counted.moves(), {}, 0, counted.series(), 0, {}, {},
        Histogram([0] * 10), {"applied": 1}, "f", "", 1.5, False, False, worker=worker,
    )  # fmt: skip


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r")), unique=True, max_size=4))
def test_both_parsers_read_what_was_counted(names: list[str]) -> None:
    found = facts(*names)
    classic = expose([found], None)[1].decode()
    modern = expose([found], OPENMETRICS)[1].decode()
    for families in (text_string_to_metric_families(classic), openmetrics.text_string_to_metric_families(modern)):
        samples = [sample for family in families for sample in family.samples]
        requests = {s.labels["route"]: s.value for s in samples if s.name == "interlock_requests_total"}
        assert requests == {name: number + 1.0 for number, name in enumerate(names)}
        name = "gen_ai_client_token_usage_sum"
        tokens = {s.labels["gen_ai_request_model"]: s.value for s in samples if s.name == name and s.value % 40 == 0}
        assert tokens == {model: 40.0 * (number + 1) for number, model in enumerate(names)}


def test_buckets_add_up_to_the_count() -> None:
    _, body = expose([facts("a", "b")], None)
    for family in text_string_to_metric_families(body.decode()):
        if family.type != "histogram" or not family.name.startswith(("interlock_", "gen_ai_")):
            continue
        rows: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        counts = {}
        for sample in family.samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            if sample.name.endswith("_bucket"):
                rows.setdefault(labels, []).append((float(sample.labels["le"]), sample.value))
            elif sample.name.endswith("_count"):
                counts[labels] = sample.value
        assert rows
        for labels, buckets in rows.items():
            assert buckets == sorted(buckets)
            assert [count for _, count in buckets] == sorted(count for _, count in buckets)
            assert buckets[-1] == (float("inf"), counts[labels])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize("workers", [1, 3])
def test_promtool_has_nothing_to_say_against_it(workers: int) -> None:
    _, body = expose([facts("a", 'b"\\\n', worker=str(number)) for number in range(workers)], None)
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, timeout=60)
    said = [line for line in (done.stdout + done.stderr).decode().splitlines() if "interlock_" in line]
    assert said == []
    assert b"error" not in done.stderr.lower()
