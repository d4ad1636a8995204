"""A gateway on loopback: a small configuration, an engine, the server's own edge, and a client that hides nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from uvicorn.server import ServerState

from engine import Engine, Outcome
from engine.server.access_log import AccessLog
from engine.server.asgi import App
from engine.server.front import Front
from engine.server.http11 import Http11

from .upstream import PATIENCE, Script, Upstream, until

#: The secret of each account is this with its name; it must show up nowhere but at the upstream.
SECRET = "sk-canary-of-"
SUPPORTS = ["chat", "completions", "embeddings", "stream", "tools", "vision", "json_schema"]
#: No pauses before retries, so that tests are quick.
QUICK = {"backoff": {"initial": "0ms", "max": "1s"}}


def configuration(
    folder: Path,
    port: int,
    step: object = "one/m",
    *,
    policy: Mapping[str, Any] | None = None,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    more: Iterable[Mapping[str, Any]] = (),
) -> Path:
    """Write a configuration: route ``chat`` of this step, and accounts ``one``, ``two``, ``three`` with a model ``m``.

    ``policy`` is for everything; ``providers`` changes accounts, or adds them; ``models`` changes the model of one.
    """
    documents: list[Mapping[str, Any]] = []
    for name in dict.fromkeys(["one", "two", "three", *(providers or {})]):
        base = {
            "version": 1,
            "kind": "provider",
            "name": name,
            "dialect": "openai-chat",
            "base_url": f"http://127.0.0.1:{port}/{name}/v1",
            "auth": {"scheme": "bearer", "secret": {"env": f"{name.upper()}_KEY"}},
            "models": {"m": {"model": f"m-of-{name}", "supports": SUPPORTS, **(models or {}).get(name, {})}},
        }
        documents.append({**base, **(providers or {}).get(name, {})})
    documents.append({"version": 1, "kind": "route", "name": "chat", "step": step})
    rules = {"retry": QUICK, **(policy or {})}
    documents.append({"version": 1, "kind": "policy", "name": "everywhere", "applies_to": {"all": True}, **rules})
    text = "".join("---\n" + json.dumps(document) + "\n" for document in [*documents, *more])
    file = folder / "policies" / "all.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return folder


def environ(*unset: str) -> dict[str, str]:
    """The secrets of the accounts, but for those that are not set."""
    return {f"{name.upper()}_KEY": SECRET + name for name in ("one", "two", "three") if name not in unset}


class Got:
    """A reply as it came: ``pieces`` are its chunks with their times, ``clean`` is whether it ended in order."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.pieces: list[tuple[float, bytes]] = []
        self.clean = False

    @property
    def body(self) -> bytes:
        return b"".join(data for _, data in self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.json["error"])

    @property
    def events(self) -> list[Any]:
        """The data of a stream's events; comments are left out."""
        found = [e.removeprefix(b"data: ") for e in self.body.split(b"\n\n") if e.startswith(b"data: ")]
        return [data if data == b"[DONE]" else json.loads(data) for data in found]

    @property
    def text(self) -> str:
        """The text of a stream."""
        choices = [c for e in self.events if isinstance(e, dict) for c in e.get("choices", ())]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


class Gateway:
    """A running gateway. ``outcomes`` are what an observer was told, ``log`` what the access log wrote."""

    def __init__(self, engine: Engine, port: int, outcomes: list[Outcome], log: BytesIO) -> None:
        self.engine = engine
        self.port = port
        self.outcomes = outcomes
        self.log = log
        self.said = b""

    @property
    def outcome(self) -> Outcome:
        """The one outcome there was."""
        assert len(self.outcomes) == 1
        return self.outcomes[0]

    async def send(
        self, body: Mapping[str, Any] | bytes | None = None, path: str = "/v1/chat/completions", **headers: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which the request has been sent."""
        data = body if isinstance(body, bytes) else json.dumps(body or chat()).encode()
        lines = [f"POST {path} HTTP/1.1", "host: gateway", f"content-length: {len(data)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        return reader, writer

    async def ask(
        self, body: Mapping[str, Any] | bytes | None = None, path: str = "/v1/chat/completions", **headers: str
    ) -> Got:
        """The whole reply to a request."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await self.send(body, path, **headers)
            try:
                got = await read_head(reader)
                await read_body(reader, got)
            finally:
                writer.close()
                await writer.wait_closed()
        self.said += repr(got.headers).encode() + got.body
        return got

    def left_over(self) -> list[object]:
        """What requests have left behind in the engine: attempts under way, held snapshots, tasks."""
        tasks = [task for task in asyncio.all_tasks() if "/engine/" in task.get_coro().cr_code.co_filename]
        tasks = [task for task in tasks if task.get_name() != "interlock-probes"]  # it is the engine's, and stays
        pins = self.engine.snapshot.pins
        return [*self.engine.state.snapshot(), *tasks, *([pins] if pins else [])]


def chat(streamed: bool = False, **fields: object) -> dict[str, Any]:
    """A request."""
    body: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
    return {**body, **({"stream": True} if streamed else {}), **fields}


async def read_head(reader: asyncio.StreamReader) -> Got:
    """Status and headers."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    headers = {name: value for name, _, value in (line.partition(": ") for line in lines[1:])}
    assert len(headers) == len(lines) - 1, "a header came twice"
    return Got(int(lines[0].split()[1]), headers)


async def read_body(reader: asyncio.StreamReader, got: Got) -> None:
    """The body, whole or in chunks, up to where it ends or breaks off."""
    if "content-length" in got.headers:
        got.pieces.append((time.monotonic(), await reader.readexactly(int(got.headers["content-length"]))))
        got.clean = True
        return
    try:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            got.pieces.append((time.monotonic(), (await reader.readexactly(size + 2))[:-2]))
        got.clean = await reader.readexactly(2) == b"\r\n"
    except asyncio.IncompleteReadError:
        pass


@asynccontextmanager
async def serving(folder: Path, env: Mapping[str, str] | None = None, *, asgi: bool = False) -> AsyncIterator[Gateway]:
    """The server as ``interlock serve`` runs it, on a free port, with the engine of this configuration.

    ``asgi`` puts the app under uvicorn's own HTTP protocol instead, as in somebody else's service.
    """
    outcomes: list[Outcome] = []
    log = BytesIO()
    access_log = AccessLog(log)
    observers = [outcomes.append, access_log]
    async with Engine.open(folder, watch=False, environ=env or environ(), observers=observers) as engine:
        front, loop = Front(engine), asyncio.get_running_loop()

        def connection(*, server_state: ServerState, **_: object) -> Http11:
            return Http11(front, server_state, loop, access_log.aside)

        http: Any = "httptools" if asgi else connection
        config = uvicorn.Config(App(engine), http=http, ws="none", lifespan="off", access_log=False, log_config=None)
        config.timeout_graceful_shutdown = 2
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        listener = socket.create_server(("127.0.0.1", 0))
        await server.startup(sockets=[listener])
        try:
            yield Gateway(engine, listener.getsockname()[1], outcomes, log)
        finally:
            # As uvicorn does it, without the tenth of a second that it sleeps.
            server.servers[0].close()
            for connected in list(server.server_state.connections):
                connected.shutdown()
            await until(lambda: not server.server_state.connections)
            await access_log.aclose()


Scenario = Callable[[Gateway, Upstream], Awaitable[None]]


def play(
    folder: Path,
    scenario: Scenario,
    *,
    scripts: Mapping[str, Script],
    env: Mapping[str, str] | None = None,
    asgi: bool = False,
    **changes: Any,
) -> None:
    """Run ``scenario(gateway, upstream)``; ``changes`` are those of :func:`configuration`.

    Whatever happened in it: nothing may be left of it, and no secret may have shown up anywhere but at the upstream.
    """

    async def main() -> None:
        async with Upstream(**scripts) as upstream:
            async with serving(configuration(folder, upstream.port, **changes), env, asgi=asgi) as gateway:
                await scenario(gateway, upstream)
                await until(lambda: not gateway.left_over())
                said = gateway.said + repr(gateway.outcomes).encode()
            assert SECRET.encode() not in said + gateway.log.getvalue()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
