"""A Redis for most tests of this folder, and one that a test may kill."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...redis_server import RedisServer

_numbers = itertools.count()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may kill."""
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def prefix() -> str:
    """What the keys of one test begin with."""
    return f"test-{next(_numbers)}"
