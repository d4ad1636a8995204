"""The memory store: no window ever holds more than its limit, no place is lost, and waits are exact."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.state import store as subject
from engine.state.store import Claim, Grant, MemoryStore, Refusal

_steps = st.lists(st.tuples(st.floats(0, 4), st.integers(1, 6)), max_size=60)


def busiest(granted: list[tuple[float, int]], per: float) -> int:
    """The most that any half-open window of ``per`` seconds holds; one that is fullest ends with a grant."""
    return max((sum(cost for at, cost in granted if end - per < at <= end) for end, _ in granted), default=0)


@given(_steps, st.integers(1, 12), st.floats(0.1, 10))
def test_no_window_ever_holds_more_than_its_limit(steps: list[tuple[float, int]], limit: int, per: float) -> None:
    store, now, granted = MemoryStore(), 1000.0, []
    for pause, cost in steps:
        now += pause
        if isinstance(store.take((Claim("k", limit, per, cost),), now), Grant):
            granted.append((now, cost))
    for end, _ in granted:
        held = [cost for at, cost in granted if at <= end and at + per > end]
        assert sum(held) <= limit


@given(_steps, st.integers(1, 12), st.floats(0.1, 10))
def test_what_has_room_is_granted_and_a_wait_is_exact(steps: list[tuple[float, int]], limit: int, per: float) -> None:
    store, now = MemoryStore(), 1000.0
    granted: list[tuple[float, int]] = []
    for pause, cost in steps:
        now += pause
        claim = Claim("k", limit, per, cost)
        answer = store.take((claim,), now)
        held = sum(c for at, c in granted if at + per > now)
        if held + cost <= limit:
            assert isinstance(answer, Grant)
            assert answer.left == (limit - held - cost,)
            granted.append((now, cost))
        elif cost > limit:
            assert isinstance(answer, Refusal)
            assert answer.retry_after == math.inf or held
        else:
            assert isinstance(answer, Refusal)
            moment = now + answer.retry_after
            before = moment - 1e-6
            assert before <= now or store.peek((claim,), before) is not None
            assert store.peek((claim,), moment) is None
            break  # it was asked about the future, and has forgotten what is over by then


@given(st.lists(st.floats(0, 0.02), min_size=1, max_size=300), st.integers(1, 40))
@settings(max_examples=50)
def test_many_grants_are_kept_together_and_the_limit_still_holds(pauses: list[float], limit: int) -> None:
    grains = subject.GRAINS
    subject.GRAINS = 8
    try:
        store, now, granted = MemoryStore(), 1000.0, []
        for pause in pauses:
            now += pause
            if isinstance(store.take((Claim("k", limit, 1.0),), now), Grant):
                granted.append((now, 1))
            log = store._counts["k"].log if len(store) else ()  # type: ignore[union-attr]
            assert len(log) <= 2 * subject.GRAINS + 2
    finally:
        subject.GRAINS = grains
    assert busiest(granted, 1.0) <= limit


@given(_steps, st.integers(1, 12), st.integers(1, 12))
def test_several_claims_are_granted_together_or_not_at_all(
    steps: list[tuple[float, int]], first: int, second: int
) -> None:
    store, now = MemoryStore(), 1000.0
    for pause, cost in steps:
        now += pause
        claims = (Claim("a", first, 5.0), Claim("b", second, 2.0, cost), Claim("c", 3, None))
        before = [store.used(claim.key, now) for claim in claims]
        answer = store.take(claims, now)
        after = [store.used(claim.key, now) for claim in claims]
        if isinstance(answer, Grant):
            assert after == [had + claim.cost for had, claim in zip(before, claims, strict=True)]
            if cost % 2:
                store.release(answer)
        else:
            assert after == before
            assert answer.key in {"a", "b", "c"}


class Accounts(RuleBasedStateMachine):
    """Grants that are settled and released in any order, against the plainest model of the same."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.now = 0.0
        self.open: list[Grant] = []
        self.rows: list[tuple[Grant, float, list[int]]] = []

    @rule(pause=st.floats(0, 3))
    def pass_time(self, pause: float) -> None:
        self.now += pause

    @rule(cost=st.integers(0, 9))
    def take(self, cost: int) -> None:
        claims = (Claim("tokens", 20, 4.0, cost), Claim("places", 3, None))
        room = self.used() + cost <= 20 and len(self.open) < 3
        answer = self.store.take(claims, self.now)
        assert isinstance(answer, Grant) == room
        if isinstance(answer, Grant):
            self.open.append(answer)
            self.rows.append((answer, self.now, [cost]))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), real=st.integers(0, 15), twice=st.booleans())
    def settle(self, data: st.DataObject, real: int, twice: bool) -> None:
        grant = data.draw(st.sampled_from(self.open))
        if not grant.settled:
            next(row for row in self.rows if row[0] is grant)[2][0] = real
        self.store.settle(grant, {"tokens": real})
        if twice:
            self.store.settle(grant, {"tokens": 0})

    @precondition(lambda self: self.open)
    @rule(data=st.data(), twice=st.booleans())
    def release(self, data: st.DataObject, twice: bool) -> None:
        grant = data.draw(st.sampled_from(self.open))
        self.open.remove(grant)
        self.store.release(grant)
        if twice:
            self.store.release(grant)

    def used(self) -> int:
        return sum(cost[0] for _, at, cost in self.rows if at + 4.0 > self.now)

    @invariant()
    def adds_up(self) -> None:
        assert self.store.used("tokens", self.now) == self.used()
        assert self.store.used("places", self.now) == len(self.open)


TestAccounts = Accounts.TestCase


def test_keys_that_are_idle_are_forgotten() -> None:
    store = MemoryStore()
    for n in range(50_000):
        store.take((Claim(f"k{n}", 1, 1.0), Claim(f"p{n}", 1, None)), n / 100)
        store.release(store.take((Claim(f"q{n}", 1, None),), n / 100))  # type: ignore[arg-type]
    # 100 windows a second live one second; the places are never released and must all be known.
    assert 50_000 <= len(store) <= 2 * 50_100


def test_idle_windows_alone_stay_few() -> None:
    store = MemoryStore()
    for n in range(50_000):
        store.take((Claim(f"k{n}", 1, 1.0),), n / 100)
    assert len(store) <= subject.SWEEP_FROM


@pytest.mark.parametrize(("cost", "wait"), [(4, 5.0), (8, 5.0), (9, 7.0), (10, 7.0), (11, math.inf)])
def test_a_refusal_says_when_enough_is_free(cost: int, wait: float) -> None:
    store = MemoryStore()
    store.take((Claim("k", 10, 10.0, 5),), 0.0)
    store.take((Claim("k", 10, 10.0, 2),), 2.0)
    answer = store.take((Claim("k", 10, 10.0, cost),), 5.0)
    assert answer == Refusal("k", wait, 3)


def test_a_lower_limit_after_a_reload_counts_what_was_granted_before() -> None:
    store = MemoryStore()
    for at in range(5):
        store.take((Claim("k", 5, 60.0),), float(at))
    assert store.take((Claim("k", 2, 60.0),), 10.0) == Refusal("k", 53.0)
