"""Reloading under any sequence of edits and requests.

The live snapshot is the last one that compiled, a pinned request never changes graph, and a provider's client is closed
exactly once: when nobody holds it any more. Files, loader, compiler, reloader and snapshots are the real ones; only the
clients are counters instead of connections.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.compiler import compile_folder
from engine.graph import Graph
from engine.runtime.live import Live
from engine.runtime.reloader import Reloader
from engine.runtime.snapshot import Pin
from engine.runtime.source import FolderSource
from engine.runtime.startup import start

NAMES = ("chat", "code", "mail")
MODELS = ("small", "large")


def provider(name: str, port: int) -> str:
    models = "".join(f"  {model}: {{}}\n" for model in MODELS)
    base = f"http://127.0.0.1:{port}/v1"
    head = f"version: 1\nkind: provider\nname: {name}\ncategory: local\ndialect: openai-chat\nbase_url: {base}\n"
    return f"{head}auth: {{scheme: none}}\nmodels:\n{models}"


def route(name: str, model: str) -> str:
    return f"version: 1\nkind: route\nname: {name}\nstep: home/{model}\n"


BROKEN = (
    "version: 1\nkind: rou",
    "version: 1\nkind: route\nname: broken\nstep: home/nobody\n",
    "version: 1\nkind: route\nname: broken\nstep: [\n",
    "a: &a [*a]\n",
    "\0",
    "version: 2\nkind: nothing\nname: x\n",
)


async def released(pin: Pin) -> None:
    """Releases it on the event loop, as requests do."""
    pin.release()


class Connection:
    """Stands for a provider's client."""

    def __init__(self) -> None:
        self.holders = 0
        self.closed = 0


class Counted:
    """Clients that share one connection for each base URL with the clients before them, as the real ones do."""

    def __init__(self, graph: Graph, before: Counted | None, everything: list[Connection]) -> None:
        self.by_url: dict[str, Connection] = {}
        self.releases = 0
        for one in graph.providers.values():
            known = before.by_url.get(one.base_url) if before else None
            self.by_url[one.base_url] = known or Connection()
            if known is None:
                everything.append(self.by_url[one.base_url])
        for connection in self.by_url.values():
            connection.holders += 1

    async def release(self) -> None:
        self.releases += 1
        for connection in self.by_url.values():
            connection.holders -= 1
            if connection.holders == 0:
                connection.closed += 1


class Reloading(RuleBasedStateMachine):
    """Edits and requests in any order; ``reload`` is when the watch would have noticed."""

    @initialize()
    def open(self) -> None:
        self.base = Path(tempfile.mkdtemp())
        self.versions = 0
        self.connections: list[Connection] = []
        self.made: list[Counted] = []
        self.pins: list[tuple[Pin, Graph, str]] = []
        self.loop = asyncio.new_event_loop()
        self._version({"providers.d/home.yaml": provider("home", 9000), "policies/chat.yaml": route("chat", "small")})
        self.root = self.base / "live"
        self.root.symlink_to(self.base / f"v{self.versions}", target_is_directory=True)
        self.live = Live(self._prepare, lambda snapshot: None, lambda snapshot: None)
        self.reloader = Reloader(FolderSource(self.root), self.live)
        self._run(start(self.reloader, None))
        self.expected = self._compiled()

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            for pin, _, _ in self.pins:
                self._run(released(pin))
            self._run(self.live.close(1))
            assert [connection.closed for connection in self.connections] == [1] * len(self.connections)
            assert [clients.releases for clients in self.made] == [1] * len(self.made)
        finally:
            self.reloader.close()
            self.loop.close()
            shutil.rmtree(self.base)

    # -- edits ---------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), model=st.sampled_from(MODELS))
    def write_a_route(self, name: str, model: str) -> None:
        self._write(self.root / "policies" / f"{name}.yaml", route(name, model))

    @rule(port=st.integers(9000, 9003))
    def move_the_provider(self, port: int) -> None:
        self._write(self.root / "providers.d" / "home.yaml", provider("home", port))

    @rule(text=st.sampled_from(BROKEN))
    def break_a_file(self, text: str) -> None:
        self._write(self.root / "policies" / "chat.yaml", text)

    @rule(name=st.sampled_from(NAMES), upto=st.integers(0, 40))
    def write_a_file_in_part(self, name: str, upto: int) -> None:
        self._write(self.root / "policies" / f"{name}.yaml", route(name, "large")[:upto])

    @rule(name=st.sampled_from(NAMES), model=st.sampled_from(MODELS))
    def replace_as_editors_do(self, name: str, model: str) -> None:
        folder = self.root / "policies"
        if folder.exists():
            draft = folder / f".{name}.yaml.swp"
            draft.write_text("# reworded\n" + route(name, model))
            draft.replace(folder / f"{name}.yaml")

    @rule(name=st.sampled_from(NAMES), to=st.integers(0, 2))
    def rename_a_file(self, name: str, to: int) -> None:
        file = self.root / "policies" / f"{name}.yaml"
        if file.exists():
            file.rename(file.with_name(f"{name}-{to}.yaml"))

    @rule(name=st.sampled_from(NAMES))
    def delete_a_file(self, name: str) -> None:
        (self.root / "policies" / f"{name}.yaml").unlink(missing_ok=True)

    @rule()
    def delete_the_policies(self) -> None:
        if self.root.exists():
            shutil.rmtree(self.root / "policies", ignore_errors=True)

    @rule(model=st.sampled_from(MODELS), port=st.integers(9000, 9003))
    def swap_the_folder(self, model: str, port: int) -> None:
        self._version({"providers.d/home.yaml": provider("home", port), "policies/all.yaml": route("chat", model)})
        draft = self.base / "next"
        draft.symlink_to(self.base / f"v{self.versions}", target_is_directory=True)
        draft.replace(self.root)

    @rule()
    def lose_the_folder(self) -> None:
        self.root.unlink(missing_ok=True)

    @rule()
    def find_the_folder_again(self) -> None:
        if not self.root.exists():
            self.root.symlink_to(self.base / f"v{self.versions}", target_is_directory=True)

    # -- the watch, and requests ---------------------------------------------------------------------------------

    @rule(force=st.booleans())
    def reload(self, force: bool) -> None:
        findings = self._run(self.reloader.reload(force=force))
        compiled = self._compiled()
        if compiled is None:
            assert any(finding.severity == "error" for finding in findings)
            assert self.reloader.candidate is not None
        else:
            self.expected = compiled
            assert findings == ()
            assert self.reloader.candidate is None

    @rule()
    def begin_a_request(self) -> None:
        pin = self.live.pin()
        self.pins.append((pin, pin.graph, pin.graph.fingerprint))

    @precondition(lambda self: self.pins)
    @rule(data=st.data(), twice=st.booleans())
    def end_a_request(self, data: Any, twice: bool) -> None:
        pin, _, _ = self.pins.pop(data.draw(st.integers(0, len(self.pins) - 1)))
        self._run(released(pin))
        if twice:
            self._run(released(pin))

    # -- what always holds ---------------------------------------------------------------------------------------

    @invariant()
    def the_live_graph_is_the_last_that_compiled(self) -> None:
        if hasattr(self, "expected"):
            assert self.live.current.graph.fingerprint == self.expected

    @invariant()
    def a_request_keeps_its_graph_and_its_clients(self) -> None:
        for pin, graph, fingerprint in getattr(self, "pins", ()):
            assert pin.graph is graph
            assert graph.fingerprint == fingerprint
            clients: Any = pin.clients
            assert clients.releases == 0
            assert all(connection.closed == 0 for connection in clients.by_url.values())

    @invariant()
    def what_nobody_holds_is_closed_once(self) -> None:
        for connection in getattr(self, "connections", ()):
            assert connection.closed == (connection.holders == 0)

    def _prepare(self, graph: Graph, previous: Any) -> Any:
        clients = Counted(graph, previous, self.connections)
        self.made.append(clients)
        return clients

    def _version(self, files: dict[str, str]) -> None:
        self.versions += 1
        for name, text in files.items():
            file = self.base / f"v{self.versions}" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def _write(self, file: Path, text: str) -> None:
        if self.root.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)

    def _compiled(self) -> str | None:
        """What the files mean, found out afresh, without any cache."""
        graph = compile_folder(self.root).graph
        return None if graph is None else graph.fingerprint

    def _run(self, work: Any) -> Any:
        result = self.loop.run_until_complete(work)
        # What a swap left to be closed is closed by a task of its own.
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(asyncio.sleep(0))
        return result


TestReloading = Reloading.TestCase
TestReloading.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
