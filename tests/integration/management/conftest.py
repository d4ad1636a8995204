"""A configuration with one provider that is a small real service on loopback, and a client of the management API."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from engine import Engine

KEY = "sk-canary-of-the-service"
PROVIDER = """\
# What we use for drafts.
version: 1
kind: provider
name: service
dialect: openai-chat
base_url: http://127.0.0.1:{port}/v1   # the service in the basement
auth: {{scheme: bearer, secret: {{env: SERVICE_KEY}}}}
models:
  small: {{model: model-s, supports: [chat, stream], price: {{input: 1, output: 2}}}}
  vectors: {{supports: [embeddings]}}
"""
ROUTE = "version: 1\nkind: route\nname: chat\nstep: service/small\n"


class Service(BaseHTTPRequestHandler):
    """Speaks OpenAI's protocol to whoever has the key."""

    keys: ClassVar[set[str]] = {KEY}
    seen: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        if self._known():
            models = [{"id": "model-s", "context_window": 8192}, {"id": "text-embed-1"}, {"id": "speaker-tts"}]
            self._answer(200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self._known():
            return
        if self.path == "/v1/embeddings":
            self._answer(200, {"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1}})
        elif body["model"] != "model-s":
            self._answer(404, {"error": {"message": "no such model", "code": "model_not_found"}})
        else:
            message = {"role": "assistant", "content": "ok"}
            self._answer(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    def _known(self) -> bool:
        given = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.seen.append((self.path, given))
        if given not in self.keys:
            self._answer(401, {"error": {"message": f"bad key {given}", "code": "invalid_api_key"}})
        return given in self.keys

    def _answer(self, status: int, tree: Any) -> None:
        data = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def service() -> Iterator[int]:
    Service.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def port() -> Iterator[int]:
    with service() as number:
        yield number


@pytest.fixture
def config(tmp_path: Path, port: int) -> Path:
    folder = tmp_path / "config"
    for name, text in (("providers.d/service.yaml", PROVIDER.format(port=port)), ("policies/chat.yaml", ROUTE)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


Manage = Callable[..., Any]


@pytest.fixture
def managing(config: Path) -> Manage:
    @asynccontextmanager
    async def manage(**environ: str) -> AsyncIterator[tuple[httpx.AsyncClient, Engine]]:
        secrets = {"SERVICE_KEY": KEY, **environ}
        async with (
            Engine.open(config, environ=secrets, watch=False) as engine,
            httpx.AsyncClient(transport=engine.transport(), base_url="http://interlock") as client,
        ):
            yield client, engine

    return manage
