"""The app without a server: what it answers to the messages of an ASGI server."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from engine import Engine

CONFIG = """\
{version: 1, kind: settings, name: server, limits: {body: 1000}}
---
{version: 1, kind: route, name: chat, step: {reject: {status: 418, message: no}}}
"""
BODY = json.dumps({"model": "chat", "messages": []}).encode()
POST: dict[str, Any] = {"method": "POST", "path": "/v1/chat/completions"}


def talk(folder: Path, messages: Iterable[dict[str, Any]], **scope: Any) -> list[dict[str, Any]]:
    """What the app sends in answer to these messages; reading beyond them is a failure."""
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "all.yaml").write_text(CONFIG)
    sent: list[dict[str, Any]] = []
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def main() -> None:
        async with Engine.open(folder, watch=False) as engine:
            app: Any = engine.asgi()
            assert inspect.iscoroutinefunction(app.__call__)
            await app({"type": "http", "query_string": b"", "headers": [], **scope}, receive, send)
            assert engine.snapshot.pins == 0

    asyncio.run(main())
    assert left == []
    return sent


def body(*parts: bytes) -> list[dict[str, Any]]:
    return [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]


@pytest.mark.parametrize("parts", [(BODY,), (BODY[:5], BODY[5:]), (b"", BODY, b"")])
def test_a_request(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    start, content = talk(tmp_path, body(*parts), **POST)
    assert (start["type"], start["status"]) == ("http.response.start", 418)
    headers = dict(start["headers"])
    assert headers[b"content-length"] == b"%d" % len(content["body"])
    assert json.loads(content["body"])["error"]["code"] == "rejected"
    assert not content.get("more_body")


@pytest.mark.parametrize(
    ("root", "path", "status"),
    [
        ("", "/healthz", 200),
        ("/llm", "/llm/healthz", 200),
        ("/llm/", "/llm/healthz", 200),
        ("/llm", "/healthz", 200),
        ("/llm", "/llmhealthz", 404),
        ("/llm", "/llm", 404),
    ],
)
def test_where_it_is_mounted(tmp_path: Path, root: str, path: str, status: int) -> None:
    start, _ = talk(tmp_path, body(b""), method="GET", path=path, root_path=root)
    assert start["status"] == status


def test_a_large_body_is_refused_and_not_read(tmp_path: Path) -> None:
    start, content = talk(tmp_path, [], **{**POST, "headers": [(b"content-length", b"1001")]})
    assert start["status"] == 413
    assert json.loads(content["body"])["error"]["code"] == "request_too_large"
    start, _ = talk(tmp_path, body(b"x" * 600, b"x" * 600), **POST)
    assert start["status"] == 413


def test_a_client_that_leaves_while_it_sends_gets_no_answer(tmp_path: Path) -> None:
    gone = {"type": "http.disconnect"}
    assert talk(tmp_path, [gone], **POST) == []
    assert talk(tmp_path, [*body(BODY[:5], b"")[:1], gone], **POST) == []


def test_lifespan_and_websockets(tmp_path: Path) -> None:
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = talk(tmp_path, messages, type="lifespan")
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    (sent_one,) = talk(tmp_path, [{"type": "websocket.connect"}], type="websocket")
    assert (sent_one["type"], sent_one["code"]) == ("websocket.close", 1003)
