"""``interlock status`` against a scripted server on loopback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner, Result

from engine.cli import cli

RUNNING = {"fingerprint": "aaaa1111", "git_commit": "0123456789abcdef", "loaded_at": "2030-01-02T03:04:05Z"}
CALM = {"running": RUNNING, "candidate": None, "diagnostics": []}
FINDING = {
    "code": "R301",
    "severity": "error",
    "summary": 'route "chat" refers to unknown target "near/smal"',
    "file": "policies/chat.yaml",
    "line": 6,
    "column": 7,
    "hint": 'did you mean "near/small"?',
}
REJECTED = {
    **CALM,
    "candidate": {"fingerprint": "bbbb2222", "seen_at": "2030-01-02T03:05:00Z"},
    "diagnostics": [FINDING],
}

Answer = tuple[int, object]


@contextmanager
def server(*answers: Answer) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that gives these answers in turn, the last again and again; yields its URL and the headers it got."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[min(len(seen), len(answers) - 1)]
            seen.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", seen
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.delenv("INTERLOCK_KEY", raising=False)
    return lambda url, *args: CliRunner().invoke(cli, ["status", "--url", url, *args])


def test_a_calm_server(status: Callable[..., Result]) -> None:
    with server((200, CALM)) as (url, seen):
        result = status(url + "/")
    assert result.exit_code == 0
    assert "running    aaaa1111, loaded 2030-01-02T03:04:05Z, commit 0123456789ab" in result.output
    assert "the last edit is live" in result.output
    assert seen[0]["path"] == "/api/v1/status"
    assert "authorization" not in seen[0]


def test_the_key_comes_from_the_environment(status: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_KEY", "il_secret")
    with server((200, CALM)) as (url, seen):
        result = status(url)
    assert seen[0]["authorization"] == "Bearer il_secret"
    assert "il_secret" not in result.output


@pytest.mark.parametrize(("code", "why"), [(401, "does not know the key"), (403, "has not the scope read")])
def test_a_key_that_will_not_do_is_told_from_none(
    status: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, code: int, why: str
) -> None:
    monkeypatch.setenv("INTERLOCK_KEY", "il_secret")
    with server((code, {})) as (url, _):
        result = status(url)
    assert result.exit_code == 1
    assert why in result.output
    assert "il_secret" not in result.output


def test_a_rejected_edit_exits_1_and_says_why(status: Callable[..., Result]) -> None:
    with server((200, REJECTED)) as (url, _):
        result = status(url)
    assert result.exit_code == 1
    assert "the running configuration is unchanged" in result.output
    assert "policies/chat.yaml:6:7" in result.output
    assert 'did you mean "near/small"?' in result.output


def test_json_is_what_the_server_said(status: Callable[..., Result]) -> None:
    with server((200, REJECTED)) as (url, _):
        result = status(url, "--format", "json")
    assert json.loads(result.output) == REJECTED


def test_wait_ends_when_the_fingerprint_runs(status: Callable[..., Result]) -> None:
    later = {**CALM, "running": {**RUNNING, "fingerprint": "cccc3333"}}
    with server((503, {}), (200, REJECTED), (200, later)) as (url, seen):
        result = status(url, "--wait", "cccc", "--timeout", "10s")
    assert result.exit_code == 0, result.output
    assert "cccc3333" in result.output
    assert len(seen) == 3


def shared(*fingerprints: str, **state: object) -> dict[str, object]:
    """The answer of a server that runs the first graph and shares its state with processes that run the others."""
    processes = [{"host": "h", "pid": n, "fingerprint": fingerprint} for n, fingerprint in enumerate(fingerprints, 1)]
    running = {**RUNNING, "fingerprint": fingerprints[0]}
    return {**CALM, "running": running, "shared": {"store": "redis", "processes": processes, **state}}


def test_processes_that_run_something_else_are_named(status: Callable[..., Result]) -> None:
    with server((200, shared("aaaa1111", "aaaa1111", "bbbb2222"))) as (url, _):
        result = status(url)
    assert result.exit_code == 0
    assert "processes  2 of 3 run this graph\n           h, pid 3 runs bbbb2222\n" in result.output


def test_a_store_that_is_away_is_said(status: Callable[..., Result]) -> None:
    with server((200, shared("aaaa1111", state="away", reason="no answer within 50 ms"))) as (url, _):
        assert "shared     redis is away: no answer within 50 ms" in status(url).output


def test_wait_is_for_all_processes(status: Callable[..., Result]) -> None:
    answers = [shared("aaaa1111", "aaaa1111"), shared("bbbb2222", "aaaa1111"), shared("bbbb2222", "bbbb2222")]
    with server(*((200, answer) for answer in answers)) as (url, seen):
        assert status(url, "--wait", "bbbb").exit_code == 0
    assert len(seen) == 3
    with server((200, answers[1])) as (url, seen):
        result = status(url, "--wait", "bbbb", "--timeout", "300ms")
    assert result.exit_code == 1
    assert "bbbb is not running after 0.3 s; aaaa1111 and bbbb2222 are" in result.output


def test_wait_that_runs_out_shows_the_findings(status: Callable[..., Result]) -> None:
    with server((200, REJECTED)) as (url, _):
        result = status(url, "--wait", "cccc", "--timeout", "500ms")
    assert result.exit_code == 1
    assert "R301" in result.output
    assert "cccc is not running after 0.5 s; aaaa1111 is" in result.output


def test_wait_for_a_fingerprint_that_runs_ignores_a_later_rejected_edit(status: Callable[..., Result]) -> None:
    with server((200, REJECTED)) as (url, _):
        assert status(url, "--wait", "aaaa1111").exit_code == 0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((401, {}), "it wants a key with the scope read"),
        ((403, {}), "INTERLOCK_KEY"),
        ((404, {}), "answered 404"),
        ((200, b"<html>"), "not a status"),
        ((200, []), "not a status"),
        ((200, {"running": 1}), "not a status"),
    ],
)
def test_what_is_not_a_status_is_said_at_once(status: Callable[..., Result], answer: Answer, message: str) -> None:
    with server(answer) as (url, seen):
        result = status(url, "--wait", "aaaa", "--timeout", "20s")
    assert result.exit_code == 1
    assert message in result.output
    assert len(seen) == 1


def test_findings_of_another_version_do_not_confuse_it(status: Callable[..., Result]) -> None:
    odd = {**CALM, "diagnostics": [{"severity": "dreadful", "line": "x"}, "text", 7]}
    with server((200, odd)) as (url, _):
        assert status(url).exit_code == 0


def test_nobody_listens(status: Callable[..., Result]) -> None:
    result = status("http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "interlock serve" in result.output


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1", "127.0.0.1:8080", "http://", "http://[::1", "http://127.0.0.1:99999"]
)
def test_an_address_that_is_none(status: Callable[..., Result], url: str) -> None:
    result = status(url, "--wait", "aaaa", "--timeout", "20s")
    assert result.exit_code == 2
    assert "is not a server's address" in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_control_c_ends_the_waiting() -> None:
    """Through a real signal to a real process."""
    with server((200, CALM)) as (url, seen):
        command = [sys.executable, "-m", "engine.cli", "status", "--url", url, "--wait", "bbbb"]
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A shell without job control has what it starts in the background ignore the signal, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while not seen and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
    assert child.returncode == 130, errors
    assert b"Traceback" not in errors
