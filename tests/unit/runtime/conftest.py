"""Stand-ins for what a reloader works on: a source whose content a test sets, and clients that count their closing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from engine.compiler import Compilation
from engine.diagnostics import Diagnostic
from engine.documents import Loaded
from engine.errors import PrepareError
from engine.graph import Graph
from engine.runtime.live import Live


def finding(summary: str = "wrong") -> Diagnostic:
    return Diagnostic("R301", "error", summary, "policies/chat.yaml", 3, 7, 9, hint="mend it")


class FakeClients:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.released = 0

    async def release(self) -> None:
        self.released += 1


class FakeSource:
    """Its whole content is ``text``: ``good:<meaning>[:<wording>]``, ``bad:<why>``, ``gone`` or ``crash``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.head: str | None = None
        self.compiled = 0
        self.on_load: Callable[[], None] = lambda: None

    def signature(self) -> str:
        if self.text == "gone":
            raise FileNotFoundError(2, "No such file or directory", "config")
        return self.text

    def commit(self) -> str | None:
        return self.head

    def load(self) -> Loaded:
        loaded = Loaded((), (), f"digest-{self.signature()}", 1)
        self.on_load()
        return loaded

    def compile(self, loaded: Loaded) -> Compilation:
        self.compiled += 1
        kind, _, rest = loaded.digest.removeprefix("digest-").partition(":")
        if kind == "crash":
            raise RuntimeError("a fault")
        good = kind == "good"
        graph = dataclasses.replace(Graph.empty(), fingerprint=rest.partition(":")[0]) if good else None
        return Compilation(
            graph=graph,
            diagnostics=() if good else (finding(rest),),
            declarations=(),
            documents=1,
            digest=loaded.digest,
        )


class Stage:
    """A ``Live`` over fake clients; ``refuse`` makes preparing a graph of that fingerprint fail."""

    def __init__(self) -> None:
        self.made: list[FakeClients] = []
        self.refuse: set[str] = set()
        self.retained: list[str] = []
        self.let_go: list[str] = []
        self.live = Live(
            self._prepare,
            lambda snapshot: self.retained.append(snapshot.graph.fingerprint),
            lambda snapshot: self.let_go.append(snapshot.graph.fingerprint),
        )

    def _prepare(self, graph: Graph, previous: Any) -> Any:
        if graph.fingerprint in self.refuse:
            raise PrepareError("the certificate bundle is missing")
        clients = FakeClients(graph)
        self.made.append(clients)
        return clients


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def source() -> FakeSource:
    return FakeSource("good:one")
