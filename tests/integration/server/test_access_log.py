"""The access log: a JSON line a request, no content, and no secret in anything that the server ever writes."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any

import httpx
import pytest

from .conftest import WriteConfig
from .harness import Server, settings
from .upstream import Models

SECRET, KEY, CONTENT = "sk-canary-upstream-9f2c", "sk-canary-of-a-client-77aa", "canary content 4711"
AUTH = "{scheme: bearer, secret: {env: NEAR_KEY}}"
KEYED = f"{{version: 1, kind: key, name: app, sha256: {sha256(KEY.encode()).hexdigest()}, scopes: [use, read]}}\n"
TALK = [{"role": "user", "content": CONTENT * 200}]
#: What a line of a routed request holds, no more and no less.
FIELDS = {
    "request_id", "outcome", "status", "surface", "model", "route", "target", "graph", "stream", "started_at",
    "duration", "first_token", "attempts", "usage", "key", "code", "variants", "dropped", "added", "trace",
}  # fmt: skip
ATTEMPT = {
    "target", "outcome", "status", "started", "duration", "first_token", "retry_after", "detail", "usage", "hedged",
}  # fmt: skip


def test_one_line_a_request(server: Server) -> None:
    started = time.time()
    asked: list[tuple[str, str, int]] = []
    for model, outcome, status in (
        ("chat", "served", 200),
        ("picky", "invalid_request", 400),
        ("none", "unroutable", 404),
    ):
        assert server.chat(model, x_request_id=f"line-{model}").status_code == status
        asked.append((f"line-{model}", outcome, status))
    body = {"model": "chat", "messages": TALK, "stream": True}
    server.post("/v1/chat/completions", body, x_request_id="line-stream")
    for id_, outcome, status in [*asked, ("line-stream", "served", 200)]:
        line = server.line(id_)
        assert set(line) == FIELDS
        assert (line["outcome"], line["status"], line["surface"]) == (outcome, status, "chat")
        assert started - 1 < line["started_at"] < time.time()
        assert 0 <= line["duration"] < 10
        assert line["stream"] == (id_ == "line-stream")
        for attempt in line["attempts"]:
            assert set(attempt) == ATTEMPT
    assert server.line("line-chat")["usage"] == {"input": 3, "output": 4}
    assert server.line("line-stream")["usage"] == {"input": 3, "output": 4}
    assert server.line("line-picky")["usage"] is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/v1/models?x=secret", 200),
        ("POST", "/none?x=secret", 404),
        ("GET", "/v1/chat/completions", 405),
    ],
)
def test_a_line_of_any_other_request(server: Server, method: str, path: str, status: int) -> None:
    id_ = f"aside-{method}-{path.split('?')[0].replace('/', '-')}"
    assert server.client.request(method, server.url + path, headers={"x-request-id": id_}).status_code == status
    line = server.line(id_)
    assert set(line) == {"request_id", "method", "path", "status", "started_at", "duration"}
    assert (line["method"], line["path"], line["status"]) == (method, path.split("?")[0], status)


def test_a_request_that_was_never_understood_has_its_line_too(server: Server) -> None:
    reply = server.post("/v1/chat/completions", {"model": "chat", "messages": CONTENT})
    assert reply.status_code == 400
    assert server.line(reply.headers["x-request-id"])["path"] == "/v1/chat/completions"


def test_a_line_is_no_longer_for_a_long_name(server: Server) -> None:
    assert server.chat("m" * 100_000, x_request_id="long").status_code == 404
    server.line("long")
    assert max(map(len, server.stdout.splitlines())) < 3000


def test_it_can_be_switched_off(write_config: WriteConfig) -> None:
    with Server(write_config(settings(telemetry={"access_log": False}))) as server:
        assert server.chat().status_code == 200
        assert server.get("/nothing").status_code == 404
        assert server.stop() == 0
        assert server.stdout == ""


def ask_everything(server: Server, headers: dict[str, str]) -> list[httpx.Response]:
    """Requests of all kinds, with secrets and content in every place where a client may put them."""
    asked: list[dict[str, Any]] = [
        {"model": model, "messages": TALK, "stream": stream, "user": CONTENT, "metadata": {"a": CONTENT}}
        for model in ("chat", "limited", "picky", "broke", "cut", "none", "refusing")
        for stream in (False, True)
    ]
    asked += [
        {"model": "tattling", "messages": TALK, "seed": status, "stream": stream}
        for status in (400, 401, 403, 404, 413, 422, 429, 500, 503)
        for stream in (False, True)
    ]
    asked += [{"model": "chat", "messages": CONTENT}, {"model": [CONTENT], "messages": TALK}, {"messages": TALK}]
    metadata = {"x-interlock-metadata": f'{{"a": "{CONTENT}"}}', "cookie": CONTENT}
    replies = [server.post("/v1/chat/completions", body, **headers, **metadata) for body in asked]
    replies += [server.get(path, **headers) for path in ("/v1/models", "/api/v1/status", "/api/v1/graph", "/readyz")]
    replies.append(server.post("/api/v1/explain", {"model": "chat", "messages": TALK}, **headers))
    replies.append(
        server.post("/v1/chat/completions", {"model": "chat", "messages": TALK}, authorization=f"Bearer {SECRET}x")
    )
    return replies


def test_no_secret_and_no_content_anywhere(write_config: WriteConfig, upstream: Models) -> None:
    config = write_config(KEYED, AUTH)
    with Server(config, "--log-level", "debug", environ={"NEAR_KEY": SECRET}) as server:
        replies = ask_everything(server, {"authorization": f"Bearer {KEY}"})
        server.raw(b"POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer " + KEY.encode() + b"\0\r\n\r\n")
        assert {seen.headers["authorization"] for seen in upstream.seen} == {f"Bearer {SECRET}"}
        assert server.stop() == 0
        written = server.stdout + server.stderr
    assert "served" in server.stdout
    assert "tattling" in server.stdout
    for secret in (SECRET, KEY):
        assert secret not in written
        assert not [reply for reply in replies if secret in reply.text + str(reply.headers)]
    assert CONTENT not in written


def test_the_callers_own_credential_is_a_secret_too(write_config: WriteConfig, upstream: Models) -> None:
    """Whatever scheme it comes with."""
    with Server(write_config(auth="{scheme: caller}"), "--log-level", "debug") as server:
        for value in (f"Bearer {SECRET}", f"bearer {SECRET}", f"Basic {SECRET}", SECRET):
            replies = ask_everything(server, {"authorization": value})
            assert upstream.seen[-2].headers["authorization"] == value
            assert not [reply for reply in replies if SECRET in reply.text + str(reply.headers)]
        assert server.stop() == 0
        assert SECRET not in server.stdout + server.stderr
