"""What the supervisor of several workers decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.compiler import compile_folder
from engine.graph import Graph
from engine.server.workers import pause, refuse_workers

PROVIDER = "version: 1\nkind: provider\nname: near\ndialect: openai-chat\n"
ROUTE = "version: 1\nkind: route\nname: chat\nstep: near/m\n---\n"


def graph(folder: Path, transport: str, store: str) -> Graph:
    (folder / "providers.d").mkdir()
    (folder / "policies").mkdir()
    (folder / "providers.d" / "near.yaml").write_text(PROVIDER + transport + "models: {m: {}}\n")
    settings = f"version: 1\nkind: settings\nname: server\nstate: {{store: {store}}}\n"
    (folder / "policies" / "all.yaml").write_text(ROUTE + settings)
    found = compile_folder(folder).graph
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("row", "seconds"), [(0, 0), (1, 0), (2, 0.5), (3, 1), (4, 2), (7, 16), (8, 30), (1_000_000, 30)]
)
def test_workers_that_die_at_once_are_started_less_and_less_often(row: int, seconds: float) -> None:
    assert pause(row) == seconds


HTTP, PEOPLE = "base_url: http://127.0.0.1:9/v1\n", "transport: queue\nqueue_file: /nowhere/people.sqlite\n"


@pytest.mark.parametrize(
    ("transport", "store", "workers", "words"),
    [
        (HTTP, "memory", 1, ()),
        (HTTP, "redis", 1, ()),
        (HTTP, "redis", 8, ()),
        (PEOPLE, "redis", 1, ()),
        (HTTP, "memory", 2, ("--workers 2", "state in memory", "state: {store: redis, url: ...}")),
        (PEOPLE, "redis", 2, ("--workers 2", "'near'", "one process")),
    ],
)
def test_what_several_processes_cannot_serve(
    tmp_path: Path, transport: str, store: str, workers: int, words: tuple[str, ...]
) -> None:
    said = refuse_workers(graph(tmp_path, transport, store), workers)
    assert bool(said) == bool(words)
    assert all(word in " ".join(said) for word in words)
