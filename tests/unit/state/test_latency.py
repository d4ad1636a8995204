"""Estimates and percentiles of what targets take."""

from __future__ import annotations

import random

import pytest

from engine.exchange import OutcomeClass
from engine.state.latency import FAILED_LEAST, FAILED_MOST, FORGET, Estimate, Latency, Percentiles

NOW = 1_800_000_000.0
C = OutcomeClass


def told(*seconds: float, apart: float = 0.01) -> Estimate:
    estimate = Estimate()
    for n, value in enumerate(seconds):
        estimate.observe(value, NOW + n * apart)
    return estimate


def test_the_first_answer_is_the_estimate() -> None:
    assert Estimate().read(NOW) == 0.0
    assert told(2.0).read(NOW) == 2.0


def test_it_rises_faster_than_it_falls() -> None:
    up, down = told(1.0, 2.0).value - 1.0, 2.0 - told(2.0, 1.0).value
    assert up == pytest.approx(3 * down)


def test_an_answer_after_a_long_pause_counts_nearly_alone() -> None:
    assert told(10.0, 1.0, apart=60.0).value == pytest.approx(1.0, abs=0.05)


def test_what_was_not_heard_of_for_long_is_forgotten() -> None:
    estimate = told(1.0)
    assert estimate.read(NOW + FORGET - 1) == 1.0
    assert estimate.read(NOW + FORGET) == 0.0


def test_a_failure_is_a_penalty_that_doubles_and_fades() -> None:
    estimate = told(0.05)
    estimate.failed(0.001, NOW)
    assert estimate.read(NOW) == pytest.approx(0.05 + FAILED_LEAST)
    estimate.failed(0.001, NOW)
    assert estimate.read(NOW) == pytest.approx(0.05 + 2 * FAILED_LEAST)
    assert estimate.read(NOW + 10) < estimate.read(NOW) / 2
    for _ in range(20):
        estimate.failed(0.001, NOW)
    assert estimate.read(NOW) == pytest.approx(0.05 + FAILED_MOST)
    assert estimate.read(NOW + 100) == pytest.approx(0.05, abs=0.01)
    estimate.failed(90.0, NOW)
    assert estimate.read(NOW) == pytest.approx(90.05)


def test_one_that_only_failed_is_new_again_soon() -> None:
    estimate = Estimate()
    estimate.failed(0.001, NOW)
    assert estimate.read(NOW) == FAILED_LEAST
    assert estimate.read(NOW + 8) == 0.0


def test_streams_and_others_are_apart() -> None:
    latency = Latency()
    latency.output("a/x", 0.2, NOW)
    latency.note("a/x", C.SERVED, 30.0, 0.2, NOW)
    assert latency.expected("a/x", True, NOW) == 0.2
    assert latency.expected("a/x", False, NOW) == 0.0
    latency.note("a/x", C.SERVED, 3.0, None, NOW)
    assert latency.expected("a/x", False, NOW) == 3.0
    assert latency.expected("b/x", False, NOW) == 0.0


@pytest.mark.parametrize(
    "outcome", [C.RATE_LIMITED, C.OVERLOADED, C.SERVER_ERROR, C.TIMEOUT, C.GARBLED, C.UNAUTHORIZED]
)
def test_a_failure_counts_for_both(outcome: OutcomeClass) -> None:
    latency = Latency()
    latency.note("a/x", C.SERVED, 0.1, None, NOW)
    latency.note("a/x", outcome, 0.001, None, NOW)
    assert latency.expected("a/x", False, NOW) > 1.0
    assert latency.expected("a/x", True, NOW) == FAILED_LEAST


@pytest.mark.parametrize("outcome", [C.INVALID_REQUEST, C.CONTEXT_EXCEEDED, C.CONTENT_REFUSED])
def test_what_is_the_callers_fault_says_nothing(outcome: OutcomeClass) -> None:
    latency = Latency()
    latency.note("a/x", C.SERVED, 0.1, None, NOW)
    latency.note("a/x", outcome, 0.001, None, NOW)
    assert latency.expected("a/x", False, NOW) == 0.1


@pytest.mark.parametrize("outcome", [C.CANCELLED, C.DEADLINE])
def test_who_gives_up_shows_that_it_takes_longer(outcome: OutcomeClass) -> None:
    latency = Latency()
    latency.note("a/x", C.SERVED, 1.0, None, NOW)
    latency.note("a/x", outcome, 0.5, None, NOW)
    assert latency.expected("a/x", False, NOW) == 1.0
    latency.note("a/x", outcome, 9.0, None, NOW)
    assert latency.expected("a/x", False, NOW) > 3.0
    # A stream's first output has other times than a whole answer.
    latency.output("a/x", 0.2, NOW)
    latency.note("a/x", outcome, 30.0, None, NOW)
    assert latency.expected("a/x", True, NOW) == 0.2
    latency.note("a/x", outcome, 30.0, None, NOW, streamed=True)
    assert latency.expected("a/x", True, NOW) > 5.0
    latency.note("a/x", outcome, 90.0, 0.2, NOW, streamed=True)
    assert latency.expected("a/x", True, NOW) < 30.0


def test_percentiles_are_ten_percent_off_at_most() -> None:
    dice, spread = random.Random(3), Percentiles()
    times = sorted(dice.lognormvariate(0.0, 1.0) for _ in range(5000))
    for value in times:
        spread.add(value, NOW)
    for share in (0.5, 0.9, 0.99):
        assert spread.read([share], NOW)[0] == pytest.approx(times[int(share * 5000)], rel=0.12)
    assert spread.count() == 5000


def test_percentiles_are_of_the_last_minutes() -> None:
    spread = Percentiles()
    assert spread.read([0.5], NOW) == [None]
    spread.add(1.0, NOW)
    spread.add(1e9, NOW)
    spread.add(0.0, NOW)
    assert spread.read([0.5], NOW + 60) != [None]
    spread.add(2.0, NOW + 60)
    spread.add(2.0, NOW + 59.99)
    assert spread.count() == 5
    assert spread.read([0.5], NOW + 200) == [None]


def test_removed_targets_are_forgotten_and_the_export_names_the_others() -> None:
    latency = Latency()
    for target in ("a/x", "b/x"):
        latency.note(target, C.SERVED, 1.0, None, NOW)
    latency.retain(["b/x"])
    latency.note("a/x", C.SERVED, 1.0, None, NOW)  # its last word
    row = latency.export(NOW)
    assert list(row) == ["b/x"]
    assert row["b/x"]["total"]["expected"] == 1.0
    assert row["b/x"]["total"]["p50"] == pytest.approx(1.0, rel=0.12)
    assert row["b/x"]["first_token"] == {"expected": None, "p50": None, "p90": None, "p99": None, "count": 0}
