"""Every store keeps the same promises: in memory, and in Redis with its clock under our control."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.state import Claim, Grant, MemoryStore, Refusal, Store
from engine.state.redis import RedisStore
from engine.state.redis_company import Peer
from engine.state.redis_scripts import BUCKETS

from ..redis_server import RedisServer, needs_redis

_EXAMPLES = 100
_numbers = itertools.count()
#: Seconds, or (below zero) a window less so many thousandths of it: where a grain is dropped too soon, it shows there.
_pauses = st.floats(0, 4) | st.floats(-0.99, -0.01)
_steps = st.lists(st.tuples(_pauses, st.integers(0, 6)), max_size=40)
_pers = st.floats(0.1, 10)


class Driven:
    """A store whose answers are there when ``take`` returns, with keys of its own. ``late`` is a part of a window."""

    def __init__(self, store: Store, run: Callable[..., Grant | Refusal], late: float) -> None:
        self._store = store
        self._run = run
        self._space = f"{next(_numbers)}/"
        self.late = late

    def take(self, *claims: Claim, now: float) -> Grant | Refusal:
        named = tuple(Claim(self._space + c.key, c.limit, c.per, c.cost) for c in claims)
        answer = self._run(_taken(self._store, named, now))
        return Refusal(answer.key[len(self._space) :], answer.retry_after) if isinstance(answer, Refusal) else answer

    def settle(self, grant: Grant, costs: Mapping[str, int]) -> None:
        self._store.settle(grant, {self._space + key: cost for key, cost in costs.items()})

    def release(self, grant: Grant) -> None:
        self._store.release(grant)


async def _taken(store: Store, claims: tuple[Claim, ...], now: float) -> Grant | Refusal:
    answer = store.take(claims, now)
    return answer if isinstance(answer, Grant | Refusal) else await answer


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Driven]]:
    async def address() -> str:
        return server.url

    with RedisServer(tmp_path_factory.mktemp("redis")) as server, asyncio.Runner() as runner:

        async def opened() -> RedisStore:
            me = Peer("a")
            store = RedisStore(address, lambda: me, time.time, timeout=20.0, server_time=False)
            await store.start()
            return store

        store = runner.run(opened())
        yield lambda: Driven(store, runner.run, 1 / BUCKETS)
        assert store.counters.aways == 0, store.reason
        runner.run(store.aclose())


@pytest.fixture(params=["memory", pytest.param("redis", marks=needs_redis)])
def make(request: pytest.FixtureRequest) -> Callable[[], Driven]:
    if request.param == "memory":
        return lambda: Driven(MemoryStore(), asyncio.run, 0.0)
    made: Callable[[], Driven] = request.getfixturevalue("shared")
    return made


def test_no_window_holds_more_than_its_limit_and_what_has_room_is_granted(make: Callable[[], Driven]) -> None:
    @settings(max_examples=_EXAMPLES)
    @given(_steps, st.integers(1, 12), _pers)
    def check(steps: list[tuple[float, int]], limit: int, per: float) -> None:
        store, now = make(), 1000.0
        granted: list[tuple[float, int]] = []
        for pause, cost in steps:
            now += pause if pause >= 0 else per * (1 + pause / 1000)
            answer = store.take(Claim("k", limit, per, cost), now=now)
            held = sum(c for at, c in granted if at + per > now + 1e-6)
            longest = sum(c for at, c in granted if at + per * (1 + store.late) > now - 1e-6)
            if isinstance(answer, Grant):
                assert held + cost <= limit
                assert limit - longest - cost <= answer.left[0] <= limit - held - cost
                granted.append((now, cost))
            elif cost > limit:
                assert answer.retry_after == math.inf or held
            else:
                assert longest + cost > limit
                # The wait is never too short, and at most a grain too long.
                free = [at for at, _ in granted if sum(c for a, c in granted if a > at) + cost <= limit]
                assert -2e-6 <= now + answer.retry_after - (min(free) + per) <= per * store.late + 2e-6

    check()


def test_a_wait_is_enough(make: Callable[[], Driven]) -> None:
    @settings(max_examples=_EXAMPLES)
    @given(_steps, st.integers(1, 12), _pers)
    def check(steps: list[tuple[float, int]], limit: int, per: float) -> None:
        store, now = make(), 1000.0
        for pause, cost in steps:
            now += pause if pause >= 0 else per * (1 + pause / 1000)
            claim = Claim("k", limit, per, min(cost, limit))
            answer = store.take(claim, now=now)
            if isinstance(answer, Refusal):
                now += answer.retry_after + 1e-6
                assert isinstance(store.take(claim, now=now), Grant)

    check()


def test_all_or_nothing_settled_and_released_in_any_order(make: Callable[[], Driven]) -> None:
    @settings(max_examples=_EXAMPLES)
    @given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 9), st.integers(0, 15), st.booleans()), max_size=40))
    def check(steps: list[tuple[int, int, int, bool]]) -> None:
        store, now = make(), 1000.0
        rows: list[tuple[Grant, float, list[int]]] = []
        under_way: list[Grant] = []
        for pause, cost, real, ends in steps:
            now += pause / 1000
            tokens, places = Claim("tokens", 20, 4.0, cost), Claim("places", 3, None)
            held = sum(c[0] for _, at, c in rows if at + 4.0 > now + 1e-6)
            longest = sum(c[0] for _, at, c in rows if at + 4.0 * (1 + store.late) > now - 1e-6)
            answer = store.take(tokens, places, now=now)
            if isinstance(answer, Grant):
                assert held + cost <= 20
                assert len(under_way) < 3
                assert answer.left[1] == 2 - len(under_way)
                under_way.append(answer)
                rows.append((answer, now, [cost]))
            else:
                assert longest + cost > 20 or len(under_way) == 3
                assert answer.key == "tokens" or len(under_way) == 3
            if ends and under_way:
                grant = under_way.pop(real % len(under_way))
                next(row for row in rows if row[0] is grant)[2][0] = real
                store.settle(grant, {"tokens": real})
                store.settle(grant, {"tokens": 0})
                store.release(grant)
                store.release(grant)

    check()


def test_places_need_no_clock(make: Callable[[], Driven]) -> None:
    store = make()
    grants = [store.take(Claim("p", 2, None), now=1000.0) for _ in range(3)]
    assert [isinstance(grant, Grant) for grant in grants] == [True, True, False]
    assert grants[2] == Refusal("p", 1.0)
    assert store.take(Claim("p", 2, None, 3), now=5000.0) == Refusal("p", math.inf)
    assert isinstance(store.take(Claim("p", 2, None), now=9000.0), Refusal)
