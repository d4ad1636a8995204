"""Edits of every kind under load: no request fails, none is served by half of one configuration and half of another.

``INTERLOCK_SOAK=1`` makes 200 edits in each test, which takes a minute; the short form makes 32.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from engine import Engine

from ..server.harness import Server
from .edits import Edits

HELLO: Any = [{"role": "user", "content": "Hello"}]
CLIENTS = 64
EDITS = 200 if os.environ.get("INTERLOCK_SOAK") else 32
#: A server that serves may grow by this many MB between its first edits and its last.
GROWTH = 12

#: (fingerprint, text, attempts) of one answer; whether a stream is to be asked for.
Ask = Callable[[bool], Awaitable[tuple[str, str, int]]]


@dataclass
class Load:
    """Clients that ask without a pause until they are told to stop."""

    edits: Edits
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    seconds: array[float] = field(default_factory=lambda: array("d"))

    async def run(self, ask: Ask) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(self._client(ask, number % 8 == 0))

    async def _client(self, ask: Ask, stream: bool) -> None:
        while not self.stop.is_set():
            start = time.perf_counter()
            fingerprint, text, attempts = await ask(stream)
            self.seconds.append(time.perf_counter() - start)
            assert text == self.edits.answers[fingerprint]
            assert attempts == 1


async def edit(edits: Edits, running: Callable[[], Awaitable[dict[str, Any]]], load: asyncio.Task[None]) -> list[float]:
    """Makes all the edits, each when the one before is live. The seconds from each to its going live."""
    delays = []
    kinds = edits.kinds()
    for number in range(EDITS):
        before = (await running())["running"]["fingerprint"]
        if not kinds[number % len(kinds)]():
            await until(running, lambda status: bool(status["diagnostics"]))
            assert (await running())["running"]["fingerprint"] == before
            edits.mend()
        wanted = edits.expect()
        start = time.monotonic()
        await until(running, lambda status, wanted=wanted: status["running"]["fingerprint"] == wanted)  # type: ignore[misc]
        delays.append(time.monotonic() - start)
        assert not load.done()
    assert (await running())["diagnostics"] == []
    return sorted(delays)


async def until(
    running: Callable[[], Awaitable[dict[str, Any]]], true: Callable[[dict[str, Any]], bool], seconds: float = 10
) -> None:
    deadline = time.monotonic() + seconds
    while not true(status := await running()):
        assert time.monotonic() < deadline, status
        await asyncio.sleep(0.01)


def judge(delays: list[float], load: Load) -> None:
    seconds = sorted(load.seconds)
    print(  # noqa: T201 (figures for whoever runs it with -s)
        f"{len(delays)} edits, {len(seconds)} requests; edit to live: median {delays[len(delays) // 2]:.2f} s, "
        f"max {delays[-1]:.2f} s; requests: p99 {seconds[int(len(seconds) * 0.99)] * 1000:.0f} ms"
    )
    assert len(seconds) > EDITS
    # An edit is live within a second; the margin is for a machine that is busy with other things.
    assert delays[int(len(delays) * 0.9)] < 1
    assert delays[-1] < 3


@pytest.mark.slow
def test_edits_under_the_load_of_a_library(config: Any, upstream: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with upstream() as up:
            edits = Edits(type(config), tmp_path, up.port)
            load = Load(edits)
            async with Engine.open(edits.root) as engine:

                async def ask(stream: bool) -> tuple[str, str, int]:
                    body = {"model": "chat", "messages": HELLO}
                    if not stream:
                        reply = await engine.chat(body)
                        return reply.outcome.fingerprint, reply.text, len(reply.outcome.attempts)
                    chunks = engine.stream(body)
                    text = "".join([c["choices"][0]["delta"].get("content", "") async for c in chunks])
                    assert chunks.outcome is not None
                    return chunks.outcome.fingerprint, text, len(chunks.outcome.attempts)

                async def running() -> dict[str, Any]:
                    return engine.status()

                clients = asyncio.create_task(load.run(ask))
                await asyncio.sleep(0.3)
                delays = await edit(edits, running, clients)
                load.stop.set()
                await clients
                assert engine.snapshot.pins == 0
                assert engine.reload_counts["applied"] == EDITS
            judge(delays, load)

    asyncio.run(scenario())


class Connection:
    """A connection to a server that is kept; much lighter than a real client, which this process could not afford."""

    @classmethod
    async def open(cls, port: int) -> Self:
        made = cls()
        made.reader, made.writer = await asyncio.open_connection("127.0.0.1", port)
        return made

    async def ask(self, method: str, path: str, tree: Any = None) -> tuple[int, dict[str, str], bytes]:
        body = b"" if tree is None else json.dumps(tree).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self.writer.write(head.encode() + b"\r\n\r\n" + body)
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        if "content-length" in headers:
            return int(first.split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))
        parts = []
        while size := int(await self.reader.readline(), 16):
            parts.append((await self.reader.readexactly(size + 2))[:-2])
        await self.reader.readline()
        return int(first.split()[1]), headers, b"".join(parts)


@pytest.mark.slow
def test_edits_under_the_load_of_a_server(config: Any, upstream: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with upstream() as up:
            edits = Edits(type(config), tmp_path, up.port)
            load = Load(edits)
            memory: list[float] = []
            with Server(edits.root) as server:
                idle = [await Connection.open(server.port) for _ in range(CLIENTS)]
                watcher = await Connection.open(server.port)

                async def ask(stream: bool) -> tuple[str, str, int]:
                    connection = idle.pop()
                    body = {"model": "chat", "messages": HELLO, "stream": stream}
                    status, headers, answer = await connection.ask("POST", "/v1/chat/completions", body)
                    idle.append(connection)
                    assert status == 200, answer
                    return headers["x-interlock-graph"], _text(stream, answer), int(headers["x-interlock-attempts"])

                async def running() -> dict[str, Any]:
                    memory.append(_megabytes(server.process.pid))
                    status: dict[str, Any] = json.loads((await watcher.ask("GET", "/api/v1/status"))[2])
                    return status

                clients = asyncio.create_task(load.run(ask))
                await asyncio.sleep(0.3)
                delays = await edit(edits, running, clients)
                load.stop.set()
                await clients
                for connection in (*idle, watcher):
                    connection.writer.close()
            judge(delays, load)
            early = max(memory[: len(memory) // 4])
            print(f"memory: {early:.0f} MB after the first quarter, {memory[-1]:.0f} MB at the end")  # noqa: T201
            assert memory[-1] < early + GROWTH

    asyncio.run(scenario())


def _text(stream: bool, answer: bytes) -> str:
    if not stream:
        return str(json.loads(answer)["choices"][0]["message"]["content"])
    events = [line[6:] for line in answer.splitlines() if line.startswith(b"data: ")]
    assert events[-1] == b"[DONE]"
    return "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1])


def _megabytes(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
