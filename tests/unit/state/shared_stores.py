"""Shared stores for tests, on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from engine.state import Claim, Grant, Refusal
from engine.state.redis import RedisStore
from engine.state.redis_company import Peer

from ...redis_server import PATIENCE, RedisServer

#: A timeout that a busy machine keeps; tests of the timeout itself say their own.
LONG = 5.0
PLACES = (Claim("p", 3, None),)
TEN = (Claim("w", 10, 60.0),)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


@contextlib.asynccontextmanager
async def opened(redis: RedisServer, prefix: str, name: str = "a", **options: Any) -> AsyncIterator[RedisStore]:
    url = options.pop("url", redis.url)

    async def address() -> str | None:
        found = url() if callable(url) else url
        assert found is None or isinstance(found, str)
        return found

    clock = options.pop("clock", time.time)
    options = {"timeout": LONG, **options}
    store = RedisStore(address, lambda: Peer(name, "host", 1, f"graph-{name}"), clock, prefix=prefix, **options)
    await store.start()
    try:
        yield store
    finally:
        await store.aclose()


async def take(store: RedisStore, claims: tuple[Claim, ...]) -> Grant | Refusal:
    answer = store.take(claims, time.monotonic())
    return answer if isinstance(answer, Grant | Refusal) else await answer


async def taken(store: RedisStore, claims: tuple[Claim, ...]) -> Grant:
    grant = await take(store, claims)
    assert isinstance(grant, Grant)
    return grant


async def until(holds: Callable[[], object], patience: float = PATIENCE) -> float:
    """Seconds until ``holds``."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < patience, "it did not happen in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - began
