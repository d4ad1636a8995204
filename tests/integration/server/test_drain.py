"""How the server starts and ends: addresses it refuses, requests it lets finish, what it leaves behind."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from engine.compiler import compile_folder
from engine.graph import Graph
from engine.server.serve import refuse_address

from .conftest import WriteConfig
from .harness import HELLO, PATIENCE, Server, chat_body, is_refused, request, settings, wait_for
from .upstream import Models

EVERYONE = "0.0.0.0"  # noqa: S104


def refused(config: Path, *options: str) -> str:
    """What a server that will not start says; it exits 1."""
    command = [sys.executable, "-m", "engine.cli", "serve", "--config", str(config), "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def graph(write_config: WriteConfig) -> Graph:
    """A graph without keys."""
    compiled = compile_folder(write_config())
    assert compiled.graph is not None
    return compiled.graph


def slow(server: Server, answers: list[httpx.Response], *, stream: bool) -> threading.Thread:
    """A client that waits for the gate on a thread of its own."""

    def ask() -> None:
        answers.append(server.post("/v1/chat/completions", {"model": "slow", "messages": HELLO, "stream": stream}))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_under_way_finish(write_config: WriteConfig, upstream: Models, number: signal.Signals) -> None:
    answers: list[httpx.Response] = []
    with Server(write_config()) as server, server.connect() as idle, server.connect() as half:
        idle.send(request(chat_body()))
        assert idle.answer() is not None
        half.send(request(chat_body())[:20])
        clients = [slow(server, answers, stream=stream) for stream in (True, False)]
        wait_for(lambda: len(upstream.seen) == 3)
        server.signal(number)
        wait_for(lambda: is_refused(server.port))
        assert idle.wait_closed()
        assert half.wait_closed()
        assert server.process.poll() is None
        assert answers == []
        upstream.gate.set()
        assert server.wait() == 0
        for client in clients:
            client.join(PATIENCE)
        assert [answer.status_code for answer in answers] == [200, 200]
        assert sorted(answer.text.endswith("data: [DONE]\n\n") for answer in answers) == [False, True]
        assert {answer.headers.get("connection") for answer in answers} <= {"close", None}
        assert [line["outcome"] for line in server.access_lines()] == ["served"] * 3
        assert "Traceback" not in server.stderr


def test_what_takes_too_long_is_ended(write_config: WriteConfig, upstream: Models) -> None:
    with Server(write_config(settings(drain="1s"))) as server, server.connect() as peer:
        peer.send(request(chat_body(model="slow", stream=True)))
        wait_for(lambda: upstream.seen)
        began = time.monotonic()
        assert server.stop() == 0
        assert 0.9 < time.monotonic() - began < 8
        assert [line["outcome"] for line in server.access_lines()] == ["cancelled"]
        assert "Traceback" not in server.stderr
    wait_for(lambda: upstream.seen[0].left)


def test_an_idle_server_ends_at_once(write_config: WriteConfig) -> None:
    with Server(write_config()) as server:
        server.assert_healthy()
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 3


def test_a_reader_of_the_log_that_has_gone_hurts_nobody(write_config: WriteConfig) -> None:
    with Server(write_config()) as server:
        server.assert_healthy()
        server.close_stdout()
        for _ in range(3):
            assert server.chat().status_code == 200
            time.sleep(0.25)
        server.assert_healthy()
        assert server.stop() == 0


def test_it_listens_on_loopback_unless_told_otherwise(write_config: WriteConfig) -> None:
    with Server(write_config()) as server:
        assert f"serving {server.get('/healthz').headers['x-interlock-graph']} on http://127.0.0.1:" in server.stderr


@pytest.mark.parametrize("host", [EVERYONE, "::", "192.0.2.1", "10.0.0.1", "example.com", "localhost.example.com", ""])
def test_it_refuses_to_be_open_to_others_without_keys(graph: Graph, host: str) -> None:
    said = refuse_address(graph, host)
    assert said.startswith(f"refusing to listen on {host!r}: this configuration has no key document")
    assert "interlock key" in said


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_on_loopback_it_needs_none(graph: Graph, host: str) -> None:
    assert refuse_address(graph, host) == ""


def test_the_settings_may_not_open_it_either(write_config: WriteConfig) -> None:
    said = refused(write_config(settings(listen={"host": EVERYONE, "port": 0})))
    assert f"refusing to listen on '{EVERYONE}'" in said


def test_an_edit_cannot_open_it_to_all(write_config: WriteConfig) -> None:
    """The last key goes while the server listens to others: the edit is rejected, and the keys hold on."""
    key = f"{{version: 1, kind: key, name: a, sha256: '{'0' * 64}', scopes: [use]}}\n"
    config = write_config()
    (config / "policies" / "key.yaml").write_text(key)
    with Server(config, "--host", EVERYONE) as server:
        assert server.get("/v1/models").status_code == 401
        (config / "policies" / "key.yaml").unlink()
        wait_for(lambda: "rejected" in server.stderr or "refusing" in server.stderr)
        assert server.get("/v1/models").status_code == 401
        assert server.stop() == 0


def test_a_port_that_is_taken(write_config: WriteConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(write_config(), "--port", str(port))
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in said
    assert "--port" in said


def test_an_address_that_is_not_ours(write_config: WriteConfig) -> None:
    key = f"{{version: 1, kind: key, name: a, sha256: '{'0' * 64}', scopes: [use]}}\n"
    said = refused(write_config(key), "--host", "192.0.2.1")
    assert "cannot listen on 192.0.2.1:0" in said


def test_a_certificate_file_that_is_missing(write_config: WriteConfig) -> None:
    config = write_config(settings(upstream={"ca_file": "/nowhere/ca.pem"}))
    said = refused(config)
    assert "'/nowhere/ca.pem' cannot be read: No such file or directory" in said
    shutil.rmtree(config)
