"""Providers that are asked from time to time whether they work: what clients, edits and the ledger see of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from engine import Engine, RequestError
from engine.ledger.store import Store
from engine.runtime import probes

PROVIDER = """\
version: 1
kind: provider
name: {name}
dialect: openai-chat
base_url: http://127.0.0.1:{port}/v1
{health}
models: {{small: {{supports: [chat, stream]}}}}
"""
ROUTE = """\
version: 1
kind: route
name: chat
step: near/small
---
version: 1
kind: policy
name: p
applies_to: {all: true}
retry: {max_attempts: 1}
breaker: {consecutive: 2, open_for: 60s}
timeouts: {attempt: 1s, first_token: 1s, total: 2s, connect: 500ms}
"""
ASK = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
SERVED = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}
LIST = {"object": "list", "data": [{"id": "small"}]}


class Upstream:
    """A small service on loopback; ``broken`` is the status that it answers with instead, by path."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str]] = []
        self.broken: dict[str, int] = {}
        self.headers = ""
        self.port = 0
        self.busy = self.most = 0
        self.hold = 0.0

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split()[1].decode().removeprefix("/v1")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower()[:15] == b"content-length:"), 0
                )
                await reader.readexactly(length)
                self.seen.append((time.monotonic(), path))
                self.busy += 1
                self.most = max(self.most, self.busy)
                await asyncio.sleep(self.hold)
                self.busy -= 1
                status = self.broken.get(path, 200)
                tree = {"error": {"message": "no"}} if status != 200 else LIST if path == "/models" else SERVED
                body = json.dumps(tree).encode()
                writer.write(
                    f"HTTP/1.1 {status} X\r\n{self.headers}content-type: application/json\r\n"
                    f"content-length: {len(body)}\r\n\r\n".encode()
                    + body
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def count(self, path: str) -> int:
        return sum(1 for _, seen in self.seen if seen == path)


def write(folder: Path, port: int, health: str, *others: str, name: str = "near") -> Path:
    for file, text in (
        (f"providers.d/{name}.yaml", PROVIDER.format(name=name, port=port, health=health)),
        ("policies/chat.yaml", "---\n".join([ROUTE, *others])),
    ):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    return folder


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.005)


async def fails(engine: Engine) -> str:
    with pytest.raises(RequestError) as caught:
        await engine.chat(ASK)
    return str(caught.value.body["error"]["code"])


def run(go: Callable[[], Awaitable[None]]) -> None:
    """Runs it, and sees that no task of ours is left."""

    async def all_of_it() -> None:
        await go()
        await asyncio.sleep(0)
        left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("interlock")]
        assert left == []

    asyncio.run(all_of_it())


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "SOON", 0.02)


def test_nobody_is_asked_unless_a_document_says_so(tmp_path: Path) -> None:
    async def go() -> None:
        async with Upstream() as upstream:
            for health in ("", "health: {probe: off}"):
                async with Engine.open(write(tmp_path, upstream.port, health)):
                    await asyncio.sleep(0.15)
            async with Engine.open(write(tmp_path, upstream.port, "health: {every: 50ms}"), probes=False):
                await asyncio.sleep(0.15)
            assert upstream.seen == []

    run(go)


@pytest.mark.parametrize(("probe", "path"), [("models", "/models"), ("chat", "/chat/completions")])
def test_a_provider_is_asked_as_its_document_says(tmp_path: Path, probe: str, path: str) -> None:
    async def go() -> None:
        async with Upstream() as upstream:
            config = write(tmp_path, upstream.port, f"health: {{probe: {probe}, every: 60ms}}")
            async with Engine.open(config) as engine:
                await until(lambda: upstream.count(path) >= 4)
                health = engine.health("near")
            assert {seen for _, seen in upstream.seen} == {path}
            gaps = [b - a for (a, _), (b, _) in zip(upstream.seen, upstream.seen[1:], strict=False)]
            assert min(gaps) >= 0.06 * 0.9 - 0.01
            assert health["state"] == "healthy"
            assert health["probe"] == {"kind": probe, "every": 0.06}
            assert [check["outcome"] for check in health["checks"]][:2] == ["served", "served"]
            assert health["checks"][0].get("target") == (None if probe == "models" else "near/small")

    run(go)


def test_a_probe_notices_recovery_before_a_client_does(tmp_path: Path) -> None:
    async def go() -> None:
        async with Upstream() as upstream:
            upstream.broken["/chat/completions"] = 500
            config = write(tmp_path, upstream.port, "health: {probe: chat, every: 50ms}")
            async with Engine.open(config) as engine:
                await until(lambda: "closed" in engine.health("near"))  # probes alone have opened it
                assert await fails(engine) == "server_error"  # a last resort
                assert engine.health("near")["state"] == "failing"
                assert engine.health("near")["closed"][0]["reason"] == "breaker"
                upstream.broken.clear()
                await until(lambda: "closed" not in engine.health("near"))  # a minute before its time
                before = upstream.count("/chat/completions")
                reply = await engine.chat(ASK)
                assert reply.outcome.attempts[0].outcome_class == "served"
                assert upstream.count("/chat/completions") - before <= 2
                assert engine.health("near")["state"] == "healthy"

    run(go)


def test_a_list_of_models_tells_of_a_dead_address_and_of_its_return(tmp_path: Path) -> None:
    async def go() -> None:
        async with Upstream() as upstream:
            port = upstream.port
        config = write(tmp_path, port, "health: {probe: models, every: 50ms}")
        async with Engine.open(config) as engine:
            await until(lambda: "closed" in engine.health("near"))
            assert engine.health("near")["failure"] == "connection"
            again = Upstream()
            server = await asyncio.start_server(again._serve, "127.0.0.1", port)
            await until(lambda: "closed" not in engine.health("near"))
            assert again.count("/chat/completions") == 0
            assert (await engine.chat(ASK)).outcome.attempts[0].outcome_class == "served"
            server.close()

    run(go)


def test_a_list_of_models_does_not_speak_for_the_models(tmp_path: Path) -> None:
    async def go() -> None:
        async with Upstream() as upstream:
            upstream.broken["/chat/completions"] = 500
            config = write(tmp_path, upstream.port, "health: {probe: models, every: 50ms}")
            async with Engine.open(config) as engine:
                await fails(engine)
                await fails(engine)
                listed = upstream.count("/models")
                await until(lambda: upstream.count("/models") >= listed + 3)
                assert engine.health("near")["state"] == "failing"
                assert engine.health("near")["closed"][0]["target"] == "near/small"
            # And a list that is refused says nothing against models that answer.
            upstream.broken = {"/models": 403}
            async with Engine.open(config) as engine:
                await until(lambda: len(engine.health("near").get("checks", ())) >= 2)
                assert (await engine.chat(ASK)).outcome.attempts[0].outcome_class == "served"
                assert "closed" not in engine.health("near")
                assert engine.health("near")["state"] == "healthy"

    run(go)


def test_who_asked_to_be_left_alone_is(tmp_path: Path) -> None:
    async def go() -> None:
        async with Upstream() as upstream:
            upstream.broken["/chat/completions"], upstream.headers = 429, "retry-after: 30\r\n"
            config = write(tmp_path, upstream.port, "health: {probe: chat, every: 30ms}")
            async with Engine.open(config) as engine:
                await until(lambda: "closed" in engine.health("near"))
                assert engine.health("near")["closed"][0]["reason"] == "held"
                await asyncio.sleep(0.2)
                assert upstream.count("/chat/completions") == 1

    run(go)


def test_a_probe_counts_against_the_limits_of_its_provider(tmp_path: Path) -> None:
    async def go() -> None:
        async with Upstream() as upstream:
            health = "health: {probe: chat, every: 30ms}\nlimits: [{requests: 2, per: 1m}]"
            async with Engine.open(write(tmp_path, upstream.port, health)) as engine:
                await until(lambda: upstream.count("/chat/completions") == 2)
                await asyncio.sleep(0.2)
                assert upstream.count("/chat/completions") == 2
                assert engine.health("near")["state"] == "healthy"

    run(go)


def test_edits_start_and_stop_probes(tmp_path: Path) -> None:
    async def go() -> None:
        async with Upstream() as upstream, Upstream() as other:
            config = write(tmp_path, upstream.port, "")
            async with Engine.open(config, watch=False) as engine:
                write(tmp_path, other.port, "health: {every: 30ms}", name="extra")
                assert await engine.reload() == ()
                await until(lambda: other.count("/models") >= 3)
                other.hold = 0.3  # one is under way when the provider goes
                await until(lambda: other.busy > 0)
                (tmp_path / "providers.d/extra.yaml").unlink()
                assert await engine.reload() == ()
                await asyncio.sleep(0.05)
                left = [task for task in asyncio.all_tasks() if task.get_name() == "interlock-probe"]
                assert left == []
                seen = len(other.seen)
                await asyncio.sleep(0.4)
                assert len(other.seen) == seen
                assert upstream.seen == []
                with pytest.raises(KeyError):
                    engine.graph.providers["extra"]

    run(go)


def test_many_providers_are_asked_a_few_at_a_time(tmp_path: Path) -> None:
    async def go() -> None:
        async with Upstream() as upstream:
            upstream.hold = 0.02
            write(tmp_path, upstream.port, "health: {every: 10s}")
            for number in range(20):
                write(tmp_path, upstream.port, "health: {every: 10s}", name=f"p{number}")
            async with Engine.open(tmp_path) as engine:
                await until(lambda: upstream.count("/models") == 21)
                assert upstream.most <= probes.AT_ONCE
                names = [task.get_name() for task in asyncio.all_tasks()]
                assert names.count("interlock-probes") == 1
                await until(lambda: all("checks" in engine.health(name) for name in engine.graph.providers))

    run(go)


def test_a_hanging_provider_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async def go() -> None:
        async with Upstream() as upstream:
            upstream.hold = 5.0
            config = write(tmp_path, upstream.port, "health: {probe: chat, every: 30ms, timeout: 4s}")
            async with Engine.open(config):
                await until(lambda: upstream.busy > 0)
                began = time.monotonic()
            assert time.monotonic() - began < 1.0

    run(go)


def test_history_is_in_the_ledger_and_at_the_endpoint(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    settings = f"version: 1\nkind: settings\nname: s\nledger: {{url: '{database}'}}\n"

    async def go() -> None:
        async with Upstream() as upstream:
            config = write(tmp_path / "config", upstream.port, "health: {every: 30ms}", settings)
            async with (
                Engine.open(config) as engine,
                httpx.AsyncClient(transport=engine.transport(), base_url="http://x") as client,
            ):
                await engine.chat(ASK)
                upstream.broken["/chat/completions"] = 500
                await fails(engine)
                await until(lambda: upstream.count("/models") >= 3)
                answer = (await client.get("/api/v1/providers/near/checks?limit=1000")).json()
                assert answer["source"] == "ledger"
                checks = answer["checks"]
                assert [row["at"] for row in checks] == sorted((row["at"] for row in checks), reverse=True)
                (passive,) = [row for row in checks if row["kind"] == "passive"]
                assert (passive["outcome"], passive["target"]) == ("server_error", "near/small")
                assert all(row["outcome"] == "served" and row["latency"] > 0 for row in checks if row is not passive)
                older = await client.get(
                    "/api/v1/providers/near/checks", params={"before": checks[0]["at"], "limit": 1}
                )
                assert older.json()["checks"] == [checks[1]]
                assert (await client.get("/api/v1/providers/nobody/checks")).status_code == 404
                assert (await client.get("/api/v1/providers/near/checks?limit=x")).status_code == 400
                before = engine.graph.fingerprint
                write(tmp_path / "config", upstream.port, "", settings)
                await engine.reload()
                after = engine.graph.fingerprint
        store = Store(database)
        assert [row["fingerprint"] for row in store.rows("revisions")] == [before, after]
        assert len(store.checks("near", 1000)) >= len(checks)
        store.close()

    run(go)


def test_without_a_ledger_the_latest_are_remembered(tmp_path: Path) -> None:
    async def go() -> None:
        async with Upstream() as upstream:
            config = write(tmp_path, upstream.port, "health: {every: 30ms}")
            async with Engine.open(config) as engine:
                await until(lambda: upstream.count("/models") >= 3)
                rows, source = await engine.checks.history("near", 2, None)
                assert source == "memory"
                assert [row["outcome"] for row in rows] == ["served", "served"]
                assert (await engine.checks.history("near", 5, rows[1]["at"]))[0][0]["at"] < rows[1]["at"]
                assert engine.records.ledger is None

    run(go)
