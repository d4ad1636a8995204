"""Counting: what one outcome adds, that sums are exact, and that label sets are bounded."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange import Attempt, Outcome, OutcomeClass, Usage
from engine.telemetry.definitions import ADDED, DURATIONS, OVERFLOW
from engine.telemetry.meter import Meter

C = OutcomeClass


def outcome(
    *attempts: Attempt, route: str | None = "chat", kind: OutcomeClass | None = None, **more: object
) -> Outcome:
    last = attempts[-1] if attempts else None
    kind = kind or (last.outcome_class if last else C.UNROUTABLE)
    fields = {"status": 200, "surface": "chat", "model": "m", "target": last and last.target, "fingerprint": "f"}
    fields |= {"stream": False, "started_at": 0.0, "duration": 0.3, "attempts": attempts, **more}
    return Outcome("r", kind, route=route, **fields)  # type: ignore[arg-type]


def attempt(target: str = "one/m", kind: OutcomeClass = C.SERVED, **more: object) -> Attempt:
    return Attempt(target, kind, 200, **{"duration": 0.2, **more})  # type: ignore[arg-type]


def meter(limit: int = 100, routes: frozenset[str] = frozenset({"chat"})) -> Meter:
    return Meter(lambda: ("f", routes, {"one/m", "two/m"}), limit)


def test_one_served_request() -> None:
    counted = meter()
    usage = Usage(input=40, output=9, cached=30, reasoning=4)
    counted(outcome(attempt(usage=usage, first_token=0.1), first_token=0.15, added=0.0003))
    (request,), (one,) = counted.requests(), counted.attempts()
    assert (request.route, request.target, request.outcome, request.status, request.surface, request.count) == (
        "chat",
        "one/m",
        "served",
        200,
        "chat",
        1,
    )
    assert request.duration.counts[DURATIONS.index(0.32)] == 1
    assert request.added.counts[ADDED.index(0.0005)] == 1
    assert (request.first.sum, one.first.sum) == (0.15, 0.1)
    assert (one.count, one.input.sum, one.output.sum) == (1, 40, 9)
    assert (one.cached, one.reasoning, one.cache_write, one.unreported) == (30, 4, 0, 0)
    assert counted.moves() == []


def test_a_bound_belongs_to_its_bucket() -> None:
    counted = meter()
    counted(outcome(attempt(), duration=0.32))
    counted(outcome(attempt(), duration=0.3200001))
    counted(outcome(attempt(), duration=1e9))
    counts = counted.requests()[0].duration.counts
    assert (counts[DURATIONS.index(0.32)], counts[DURATIONS.index(0.64)], counts[-1]) == (1, 1, 1)


def test_usage_that_nobody_reported_is_unknown_and_not_zero() -> None:
    counted = meter()
    counted(outcome(attempt()))
    counted(outcome(attempt(kind=C.TIMEOUT)))
    by = {one.outcome: one for one in counted.attempts()}
    assert (by["served"].unreported, by["timeout"].unreported) == (1, 0)
    assert sum(by["served"].input.counts) == 0


def test_retries_failovers_and_fallbacks() -> None:
    counted = meter()
    counted(outcome(attempt(kind=C.OVERLOADED), attempt(kind=C.TIMEOUT), attempt("two/m")))
    moves = {(move.kind, move.target, move.outcome): move.count for move in counted.moves()}
    assert moves == {
        ("retry", "one/m", "overloaded"): 1,
        ("failover", "one/m", "timeout"): 1,
        ("fallback", "two/m", ""): 1,
    }
    assert {(one.target, one.outcome): one.count for one in counted.attempts()} == {
        ("one/m", "overloaded"): 1,
        ("one/m", "timeout"): 1,
        ("two/m", "served"): 1,
    }


def test_hedges_are_neither_retries_nor_failovers() -> None:
    counted = meter()
    counted(outcome(attempt(kind=C.CANCELLED), attempt("two/m", hedged=True)))
    counted(outcome(attempt("two/m", kind=C.CANCELLED, hedged=True), attempt()))
    moves = {(move.kind, move.target, move.outcome): move.count for move in counted.moves()}
    assert moves == {("hedge", "two/m", "served"): 1, ("hedge", "two/m", "cancelled"): 1}
    assert sum(one.count for one in counted.attempts()) == 4


def test_an_outcome_that_differs_from_its_only_attempt() -> None:
    counted = meter()
    counted(outcome(attempt()))
    counted(outcome(attempt(kind=C.TIMEOUT), kind=C.DEADLINE))
    assert {one.outcome: one.count for one in counted.attempts()} == {"served": 1, "timeout": 1}
    assert {one.outcome: one.count for one in counted.requests()} == {"served": 1, "deadline": 1}


TARGETS = [f"p{i}/m" for i in range(6)]
ATTEMPTS = st.builds(attempt, st.sampled_from(TARGETS), st.sampled_from([C.SERVED, C.TIMEOUT, C.RATE_LIMITED]))
OUTCOMES = st.builds(
    lambda attempts, route: outcome(*attempts, route=route),
    st.lists(ATTEMPTS, max_size=3),
    st.sampled_from([None, "a", "b", "c", "d"]),
)


@given(st.lists(OUTCOMES, max_size=60), st.integers(1, 30))
def test_sums_are_exact_and_label_sets_bounded_whatever_the_limit(outcomes: list[Outcome], limit: int) -> None:
    counted = Meter(lambda: ("f", {"a", "b", "c", "d"}, set(TARGETS)), limit)
    for one in outcomes:
        counted(one)
    requests, attempts = counted.requests(), counted.attempts()
    assert sum(r.count for r in requests) == len(outcomes)
    assert sum(sum(r.duration.counts) for r in requests) == len(outcomes)
    wanted = Counter(a.outcome_class.value for o in outcomes for a in o.attempts)
    got: Counter[str] = Counter()
    for row in attempts:
        got[row.outcome] += row.count
    assert got == wanted
    assert sum(sum(a.duration.counts) for a in attempts) == wanted.total()
    # Beyond the limit there is one label set for each way to end, of those with and without a route or target.
    assert sum(r.route != OVERFLOW and r.target != OVERFLOW for r in requests) <= limit + 1
    assert sum(a.target != OVERFLOW for a in attempts) <= limit


def test_beyond_the_limit_new_label_sets_are_counted_together() -> None:
    counted = meter(limit=2, routes=frozenset({"r0", "r1", "r2", "r3"}))
    for i in range(4):
        for _ in range(3):
            counted(outcome(attempt(), route=f"r{i}"))
    counts = {row.route: row.count for row in counted.requests()}
    assert counts == {"r0": 3, "r1": 3, OVERFLOW: 6}
    assert counted.overflown == 6
    assert {row.target: row.count for row in counted.attempts()} == {"one/m": 12}


def test_what_the_graph_no_longer_names_makes_room() -> None:
    graph = ["f1", frozenset({"old", "stays"}), frozenset({"one/m"})]
    counted = Meter(lambda: tuple(graph), 2)  # type: ignore[arg-type]
    counted(outcome(attempt(), route="old"))
    counted(outcome(attempt(), route="stays"))
    graph[:2] = ["f2", frozenset({"stays", "new"})]
    counted(outcome(attempt(), route="new"))
    assert {row.route for row in counted.requests()} == {"stays", "new"}
    counted(outcome(attempt(), route="newer"))
    assert {row.route for row in counted.requests()} == {"stays", "new", OVERFLOW}


def test_what_clients_send_is_no_label() -> None:
    counted = meter()
    counted(outcome(route=None, model="sk-canary", key="sk-canary", code="sk-canary"))
    said = msgspec.json.encode([counted.requests(), counted.attempts(), counted.moves()])
    assert b"canary" not in said


@pytest.mark.parametrize("surface", ["chat", "embeddings"])
def test_surfaces_are_kept_apart(surface: str) -> None:
    counted = meter()
    counted(outcome(attempt(), surface=surface))
    assert counted.requests()[0].surface == counted.attempts()[0].surface == surface
