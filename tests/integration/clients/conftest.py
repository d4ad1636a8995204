"""One server before one upstream of seven protocols; a route for every scene of every protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..server.harness import Server
from .played import Played
from .told import DIALECTS

SCENES = ("text", "calls", "structured", "too-long", "401", "429", "503", "broken")
SUPPORTS = ["chat", "stream", "tools", "vision", "json_schema", "reasoning"]
ONCE = {"retry": {"max_attempts": 1, "per_target": 1}}


def configuration(port: int) -> list[dict[str, Any]]:
    """A provider for each dialect, and the routes ``<dialect>.<scene>``."""
    documents: list[dict[str, Any]] = [
        {
            "kind": "provider",
            "name": dialect,
            "dialect": dialect,
            "base_url": f"http://127.0.0.1:{port}/{dialect}/v1",
            "auth": {"scheme": "none"},
            "models": {scene: {"supports": SUPPORTS} for scene in SCENES},
        }
        for dialect in DIALECTS
    ]
    documents += [
        {"kind": "route", "name": f"{dialect}.{scene}", "step": f"{dialect}/{scene}"}
        for dialect in DIALECTS
        for scene in SCENES
    ]
    return [*documents, {"kind": "policy", "name": "once", "applies_to": {"all": True}, **ONCE}]


def write(folder: Path, documents: list[dict[str, Any]]) -> Path:
    """The configuration folder with these documents."""
    file = folder / "policies" / "all.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("".join(f"---\n{json.dumps({'version': 1, **document})}\n" for document in documents))
    return folder


@pytest.fixture(scope="session")
def upstream() -> Iterator[Played]:
    with Played() as running:
        yield running


@pytest.fixture(scope="session")
def server(upstream: Played, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(write(tmp_path_factory.mktemp("clients"), configuration(upstream.port))) as running:
        yield running


@pytest.fixture(autouse=True)
def forget(upstream: Played) -> Iterator[None]:
    """What the upstream saw is one test's own."""
    upstream.seen.clear()
    yield
    upstream.gate.set()


@pytest.fixture(params=sorted(DIALECTS))
def dialect(request: pytest.FixtureRequest) -> str:
    """Each protocol in turn."""
    name: str = request.param
    return name


Asked = Callable[[], dict[str, Any]]


@pytest.fixture
def asked(upstream: Played) -> Asked:
    """The last request as it reached the upstream."""
    return lambda: upstream.seen[-1].body
