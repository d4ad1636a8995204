"""A loopback upstream that says which base URL and model it was asked for, and configurations that point to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest


class Upstream:
    """Speaks as much of the OpenAI protocol as these tests need, on ``/<account>/v1/...``.

    It answers ``<account>/<model>``, as a stream a character an event. Models with a meaning: ``limited`` answers 429,
    ``down`` 503, ``cut`` breaks its stream off, ``endless`` streams until the client leaves, ``tools`` calls a tool.
    """

    def __init__(self) -> None:
        self.port = 0
        self.loop: asyncio.AbstractEventLoop
        self.served = 0
        self.under_way = 0
        self.left = asyncio.Event()
        self.delay = 0.0
        self.connections: set[asyncio.Task[Any] | None] = set()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.current_task())
        try:
            while line := await reader.readline():
                headers = {}
                while (header := await reader.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.under_way += 1
                try:
                    await self.answer(line.split()[1].decode(), body, reader, writer)
                finally:
                    self.under_way -= 1
                self.served += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections.discard(asyncio.current_task())
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def answer(
        self, path: str, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        account, model = path.split("/")[1], body["model"]
        await asyncio.sleep(self.delay)
        if model == "limited":
            await self.reply(writer, 429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "7")
        elif model == "down":
            await self.reply(writer, 503, {"error": {"message": "overloaded"}}, "1")
        elif body.get("stream"):
            await self.stream(f"{account}/{model}", model, reader, writer)
        else:
            await self.reply(writer, 200, completion(f"{account}/{model}", model, body))

    async def reply(
        self, writer: asyncio.StreamWriter, status: int, body: dict[str, Any], after: str | None = None
    ) -> None:
        text = json.dumps(body).encode()
        retry = f"retry-after: {after}\r\n" if after else ""
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{retry}content-length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text)
        await writer.drain()

    async def stream(self, text: str, model: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for letter in text * (10_000 if model == "endless" else 1):
            self.piece(writer, chunk(model, {"content": letter}))
            await writer.drain()
            if model == "endless":
                await asyncio.sleep(0.005)
                if reader.at_eof():
                    self.left.set()
                    raise ConnectionError
        if model == "cut":
            writer.transport.abort()
            raise ConnectionError
        self.piece(writer, chunk(model, {}, "stop"))
        end = b"data: [DONE]\n\n"
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(end), end))
        await writer.drain()

    def piece(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        event = b"data: " + json.dumps(body).encode() + b"\n\n"
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))


def completion(text: str, model: str, body: dict[str, Any]) -> dict[str, Any]:
    if "input" in body:
        return {"object": "list", "model": model, "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if model == "tools":
        call = {"name": body["tools"][0]["function"]["name"], "arguments": '{"city": "Oslo"}'}
        message = {"role": "assistant", "content": None}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    base = {"id": "x", "object": "chat.completion", "created": 1, "model": model}
    return {**base, "choices": [choice], "usage": usage}


def chunk(model: str, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}


@asynccontextmanager
async def serving() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    upstream.loop = asyncio.get_running_loop()
    server = await asyncio.start_server(upstream.connection, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        while upstream.connections:
            for task in upstream.connections:
                if task is not None:
                    task.cancel()
            await asyncio.sleep(0.005)


class Config:
    """A configuration folder; ``put`` writes a file of it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, name: str, text: str) -> Path:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def provider(self, port: int, account: str = "one", file: str = "providers.d/home.yaml") -> Path:
        models = ["small", "limited", "down", "cut", "endless", "tools"]
        supports = "supports: [chat, completions, embeddings, stream, tools]"
        lines = "".join(f"  {model}: {{{supports}}}\n" for model in models)
        return self.put(
            file,
            f"version: 1\nkind: provider\nname: home\ncategory: local\ndialect: openai-chat\n"
            f"base_url: http://127.0.0.1:{port}/{account}/v1\nauth: {{scheme: none}}\nmodels:\n{lines}",
        )

    def once(self) -> None:
        """No target is tried twice, so that failures come at once."""
        scope = "applies_to: {all: true}\nretry: {per_target: 1}\n"
        self.put("policies/once.yaml", f"version: 1\nkind: policy\nname: once\n{scope}")

    def route(self, name: str = "chat", step: str = "home/small", file: str | None = None) -> Path:
        return self.put(file or f"policies/{name}.yaml", route_text(name, step))


def route_text(name: str, step: str) -> str:
    return f"version: 1\nkind: route\nname: {name}\nstep: {step}\n"


@pytest.fixture
def upstream() -> Callable[[], Any]:
    return serving


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "config")
