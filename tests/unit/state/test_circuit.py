"""Circuits and holds, moment by moment."""

from __future__ import annotations

from typing import Any

import pytest

from engine.exchange import OutcomeClass, Verdict
from engine.graph import Auth, Breaker, Graph, Provider, Route, Target, TargetStep
from engine.state import State

C = OutcomeClass
T = 1_000_000.0


def use(id_: str = "acme/m", *, scheme: str = "bearer", digest: str = "1", **rules: Any) -> TargetStep:
    owner, name = id_.split("/")
    provider = Provider(owner, "cloud", "openai-chat", f"https://{owner}.example/v1", "http", Auth(scheme))
    target = Target(id_, provider, name, name)
    return TargetStep(target, path=id_, breaker=Breaker(**rules), circuit=f"{id_}#{digest}")


def graph_of(*steps: TargetStep) -> Graph:
    routes = [
        Route(f"r{n}", (f"r{n}",), None, 0, step, targets=(step.target,), circuits=(step.circuit,))
        for n, step in enumerate(steps)
    ]
    providers = {step.target.provider.name: step.target.provider for step in steps}
    return Graph.build(providers=providers.values(), targets=[s.target for s in steps], routes=routes)


def attempt(state: State, step: TargetStep, outcome: OutcomeClass, now: float, took: float = 0.01, **say: Any) -> None:
    state.enter(step, now)
    state.leave(step.target.id)
    state.note(step, Verdict(outcome, **say), now, now + took, None, lambda name: None)


def opened(state: State, step: TargetStep, now: float = T) -> float:
    """Failures in a row until it is open; the moment of the last."""
    for n in range(step.breaker.consecutive):
        attempt(state, step, C.SERVER_ERROR, now + n)
    return now + step.breaker.consecutive - 1


def why(state: State, step: TargetStep, now: float) -> str | None:
    closure = state.closed(step, now)
    return closure and closure.reason


def test_failures_in_a_row_open_it_for_a_while_and_one_answer_closes_it() -> None:
    state, step = State(), use(consecutive=3)
    for n in range(2):
        attempt(state, step, C.SERVER_ERROR, T + n)
    assert state.closed(step, T + 2) is None
    attempt(state, step, C.TIMEOUT, T + 2)
    closure = state.closed(step, T + 3)
    assert closure is not None
    assert (closure.reason, closure.until) == ("breaker", pytest.approx(T + 2.01 + 10.0))
    assert closure.detail == "3 failures in a row, the last: timeout"
    assert why(state, step, T + 12) == "breaker"
    assert state.closed(step, T + 12.02) is None
    attempt(state, step, C.SERVED, T + 12.02)
    assert state.closed(step, T + 12.1) is None
    assert state.export(T + 13)["circuits"][0]["state"] == "closed"


def test_a_share_of_failures_opens_it_only_among_enough_attempts() -> None:
    state, step = State(), use(min_requests=10, error_rate=0.5, consecutive=100)
    for n in range(9):
        attempt(state, step, C.SERVER_ERROR if n % 2 else C.SERVED, T + n)
        attempt(state, step, C.SERVER_ERROR, T + n + 0.5) if n == 8 else None
    assert state.closed(step, T + 10) is not None
    assert "5 of 10 attempts in 30s failed" in str(state.closed(step, T + 10))


def test_what_is_older_than_the_window_does_not_count() -> None:
    state, step = State(), use(min_requests=4, error_rate=0.5, consecutive=100, window=30.0)
    for n in range(3):
        attempt(state, step, C.SERVER_ERROR, T + n)
    attempt(state, step, C.SERVER_ERROR, T + 40)
    assert state.closed(step, T + 41) is None
    assert state.export(T + 41)["circuits"][0]["attempts"] == 1


def test_one_in_five_failing_at_random_opens_nothing() -> None:
    """Complaint 18: neither a first failure nor a bad row by chance takes a working target away."""
    import random

    chance = random.Random(7)
    state, step = State(), use()
    attempt(state, step, C.SERVER_ERROR, T)
    assert state.closed(step, T + 0.02) is None
    for n in range(20):
        attempt(state, step, C.SERVED, T + n / 50)
    for n in range(20_000):
        attempt(state, step, C.SERVER_ERROR if chance.random() < 0.2 else C.SERVED, T + 1 + n / 50)
        assert state.closed(step, T + 1.02 + n / 50) is None


def test_failures_that_overtake_answers_under_way_open_nothing() -> None:
    state, step = State(), use()
    for n in range(30):
        state.enter(step, T + n / 1000)
    for n in range(6):
        attempt(state, step, C.SERVER_ERROR, T + 0.03 + n / 1000)
    assert state.closed(step, T + 0.05) is None


def test_it_stays_open_longer_each_time_and_recovers_its_patience_when_healthy() -> None:
    state, step = State(), use(consecutive=1, open_for=10.0, max_open_for=35.0, window=30.0)
    attempt(state, step, C.CONNECTION, T)
    spans, now = [], T
    for _ in range(4):
        closure = state.closed(step, now + 0.02)
        assert closure is not None
        spans.append(round(closure.until - now))
        now = closure.until
        attempt(state, step, C.CONNECTION, now)
    assert spans == [10, 20, 35, 35]
    now += 36
    attempt(state, step, C.SERVED, now)
    attempt(state, step, C.CONNECTION, now + 5)
    relapse = state.closed(step, now + 6)
    assert relapse is not None
    assert round(relapse.until - now - 5) == 35
    attempt(state, step, C.SERVED, relapse.until)
    attempt(state, step, C.CONNECTION, relapse.until + 60)
    healthy = state.closed(step, relapse.until + 61)
    assert healthy is not None
    assert round(healthy.until - relapse.until - 60) == 10


def test_probes_are_bounded_and_one_that_vanishes_frees_its_place() -> None:
    state, step = State(), use(consecutive=1, probes=2)
    attempt(state, step, C.CONNECTION, T)
    now = T + 11
    state.enter(step, now)
    assert state.closed(step, now) is None
    state.enter(step, now + 0.1)
    assert why(state, step, now + 0.2) == "breaker"
    state.note(step, Verdict(C.CANCELLED), now, now + 0.3)  # its client left
    assert state.closed(step, now + 0.4) is None
    state.enter(step, now + 0.5)
    assert why(state, step, now + 0.6) == "breaker"
    # Two whose end nobody ever tells count no longer than they could have taken.
    assert state.closed(step, now + 0.5 + step.timeouts.attempt) is None


def test_what_began_before_says_nothing_of_the_time_since() -> None:
    state, step = State(), use(consecutive=1)
    state.enter(step, T - 5)
    attempt(state, step, C.CONNECTION, T)
    until = state.closed(step, T + 1).until  # type: ignore[union-attr]
    state.leave(step.target.id)
    state.note(step, Verdict(C.SERVED), T - 5, T + 1)
    assert state.closed(step, T + 1).until == until  # type: ignore[union-attr]


def test_slow_answers_open_it_and_leave_last_resorts_free() -> None:
    state, step = State(), use(slow_longer_than=2.0, slow_rate=0.5, min_requests=4)
    for n in range(4):
        attempt(state, step, C.SERVED, T + n * 4, took=3.0 if n % 2 else 0.1)
    closure = state.closed(step, T + 16)
    assert closure is not None
    assert closure.free
    assert closure.detail == "2 of 4 attempts in 30s took longer than 2s"
    attempt(state, step, C.SERVED, closure.until, took=3.0)
    assert why(state, step, closure.until + 4) == "breaker", "a slow probe shows nothing new"
    again = state.closed(step, closure.until + 4)
    assert again is not None
    attempt(state, step, C.SERVED, again.until, took=0.1)
    assert state.closed(step, again.until + 1) is None


def test_after_a_recovery_elsewhere_everybody_is_asked_once_before_his_time() -> None:
    state, one, two = State(), use("a/m", consecutive=1, open_for=100.0), use("b/m", consecutive=1, open_for=100.0)
    attempt(state, one, C.CONNECTION, T)
    attempt(state, two, C.CONNECTION, T)
    assert why(state, two, T + 50) == "breaker"
    attempt(state, one, C.SERVED, T + 50)
    assert state.closed(two, T + 51) is None
    attempt(state, two, C.CONNECTION, T + 51)
    assert why(state, two, T + 52) == "breaker"


def test_a_closed_one_gets_its_share_back_little_by_little() -> None:
    state, step = State(), use(consecutive=1, slow_start=10.0)
    assert state.share("acme/m", T) == 1.0
    attempt(state, step, C.CONNECTION, T)
    attempt(state, step, C.SERVED, T + 20, took=0.0)
    shares = [round(state.share("acme/m", T + 20 + n), 2) for n in (0, 5, 9, 10, 11)]
    assert shares == [0.1, 0.55, 0.91, 1.0, 1.0]


def test_a_held_target_keeps_the_later_end_and_lets_one_through_after_it() -> None:
    """Complaints 16 and 17: the deadline is absolute and the later of two, and it is compared when it is read."""
    state, step = State(), use()
    attempt(state, step, C.RATE_LIMITED, T, retry_after=30.0)
    attempt(state, step, C.RATE_LIMITED, T + 1, retry_after=5.0)
    closure = state.closed(step, T + 2)
    assert closure is not None
    assert (closure.reason, round(closure.until - T)) == ("held", 30)
    assert closure.free, "two strays do not close a route"
    assert why(state, step, T + 30) == "held"
    assert state.closed(step, T + 30.02) is None
    state.enter(step, T + 30.02)
    assert why(state, step, T + 30.03) == "held"
    state.note(step, Verdict(C.SERVED), T + 30.02, T + 30.1)
    assert state.closed(step, T + 30.2) is None


def test_a_429_without_a_time_holds_longer_each_time() -> None:
    state, step = State(), use()
    ends = []
    for n in range(8):
        attempt(state, step, C.RATE_LIMITED, T + 100 * n, took=0.0)
        closure = state.closed(step, T + 100 * n)
        assert closure is not None
        ends.append(closure.until - T - 100 * n)
        assert closure.free == (n < 2)
    assert ends == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_refused_credential_closes_all_targets_of_its_provider_until_one_serves() -> None:
    state, one, two, other = State(), use("a/x"), use("a/y"), use("b/x")
    attempt(state, one, C.UNAUTHORIZED, T)
    assert [why(state, step, T + 1) for step in (one, two, other)] == ["credential", "credential", None]
    attempt(state, two, C.SERVED, T + 11)
    assert [why(state, step, T + 12) for step in (one, two)] == [None, None]
    attempt(state, one, C.UNAUTHORIZED, T + 13)
    assert [why(state, step, T + 14) for step in (one, two)] == ["breaker", None], "it is that target's own matter"


def test_no_quota_is_long_and_another_credential_ends_it() -> None:
    state, step = State(), use()
    attempt(state, step, C.QUOTA_EXHAUSTED, T)
    assert why(state, step, T + 59) == "credential"
    state.enter(step, T + 60.5)
    state.renew("acme", T + 61)
    assert state.closed(step, T + 61) is None
    state.leave("acme/m")
    state.note(step, Verdict(C.UNAUTHORIZED), T + 60.5, T + 62, None, lambda name: None)
    assert state.closed(step, T + 63) is None, "what was sent before tells nothing of the new one"


def test_the_callers_own_credential_is_nobody_elses_concern() -> None:
    state, step = State(), use(scheme="caller")
    for n, outcome in enumerate((C.UNAUTHORIZED, C.QUOTA_EXHAUSTED, C.RATE_LIMITED)):
        attempt(state, step, outcome, T + n, retry_after=60.0)
    assert state.closed(step, T + 4) is None


def test_a_credential_that_was_never_sent_was_not_refused() -> None:
    state, step = State(), use()
    state.note(step, Verdict(C.UNAUTHORIZED), T, T + 0.1)
    assert state.closed(step, T + 1) is None


def test_a_missing_model_opens_its_target_alone() -> None:
    state, one, two = State(), use("a/x"), use("a/y")
    attempt(state, one, C.MODEL_GONE, T)
    assert [why(state, step, T + 1) for step in (one, two)] == ["breaker", None]


@pytest.mark.parametrize("outcome", [C.INVALID_REQUEST, C.CONTEXT_EXCEEDED, C.CONTENT_REFUSED, C.CANCELLED, C.DEADLINE])
def test_what_is_not_the_targets_fault_never_counts(outcome: OutcomeClass) -> None:
    state, step = State(), use(consecutive=1, min_requests=1)
    for n in range(50):
        attempt(state, step, outcome, T + n / 10)
    assert state.closed(step, T + 6) is None


def test_a_reload_keeps_what_did_not_change_and_forgets_other_rules() -> None:
    state, step, changed = State(), use(consecutive=1), use(consecutive=1, digest="2")
    before, same, after = graph_of(step), graph_of(step), graph_of(changed)
    state.retain(before)
    attempt(state, step, C.CONNECTION, T)
    state.retain(same)
    state.let_go(before)
    assert why(state, step, T + 1) == "breaker"
    state.retain(after)
    assert why(state, step, T + 1) == "breaker", "requests that began before still use the old rules"
    assert state.closed(changed, T + 1) is None
    state.let_go(same)
    assert state.closed(step, T + 1) is None


def test_thousands_of_reloads_leave_nothing_behind() -> None:
    state = State()
    held: list[Graph] = []
    for n in range(3000):
        step = use(f"p{n}/m", consecutive=1)
        graph = graph_of(step)
        state.retain(graph)
        held.append(graph)
        attempt(state, step, (C.CONNECTION, C.RATE_LIMITED, C.UNAUTHORIZED)[n % 3], T + n)
        state.renew(f"p{n}", T + n)
        if len(held) > 2:
            gone = held.pop(0)
            late = gone.routes["r0"].step
            assert isinstance(late, TargetStep)
            state.let_go(gone)
            attempt(state, late, C.CONNECTION, T + n)  # a late word of a graph that nobody holds
    found = state.export(T)
    assert all(len(found[name]) <= 2 for name in ("circuits", "holds", "credentials"))
    sizes = {
        name: len(getattr(owner, name))
        for owner in (state, state.gates)
        for name in owner.__slots__
        if hasattr(getattr(owner, name), "__len__")
    }
    assert all(size <= 3 for size in sizes.values()), sizes
