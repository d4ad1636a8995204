"""The Vercel AI SDK by each protocol it speaks, against upstreams of every protocol.

It is the one client here that does not run in Python: it needs ``node`` and ``npm``, which fetches it, and is skipped
where there is none. Its versions stand in ``node/package.json``; they run on Node 20 and newer, whatever npm says.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..server.harness import Server
from .played import INNER, Played
from .told import DIALECTS, Told

NODE = Path(__file__).parent / "node"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("node") and shutil.which("npm")), reason="the Vercel AI SDK needs node and npm"
    ),
]
#: Seconds for the registry, and for all the work of one client.
PATIENCE = 120


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script and the SDK."""
    folder = tmp_path_factory.mktemp("node")
    for name in ("client.mjs", "package.json"):
        shutil.copy(NODE / name, folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        pytest.skip(f"npm could not fetch the Vercel AI SDK: {done.stderr.strip()[-200:]}")
    return folder


def tools(told: Told) -> dict[str, list[str]]:
    """The recording's tools, with the names of their arguments."""
    names = dict.fromkeys(name for name, _ in told.calls)
    return {tool: sorted({key for name, given in told.calls if name == tool for key in given}) for tool in names}


def task(dialect: str) -> str:
    """What the script is to do with the upstreams of this protocol."""
    told = DIALECTS[dialect]
    schema = type(told.answer).model_json_schema()
    return json.dumps(
        {"dialect": dialect, "tools": tools(told.calls), "streamedTools": tools(told.calls_stream), "schema": schema}
    )


@pytest.fixture(scope="module", params=["anthropic", "chat", "responses"])
def said(
    request: pytest.FixtureRequest, installed: Path, server: Server, upstream: Played
) -> dict[str, dict[str, Any]]:
    """What the client got, by protocol of the upstream. Streams go on only when their first text has arrived."""
    command = ["node", "client.mjs", server.url, request.param]
    found = {}
    with subprocess.Popen(command, cwd=installed, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for dialect in sorted(DIALECTS):
            upstream.gate.clear()
            client.stdin.write(task(dialect) + "\n")
            client.stdin.flush()
            for line in client.stdout:
                got = json.loads(line)
                upstream.gate.set()  # the first line says that a stream has begun to arrive
                if "said" in got:
                    found[got["dialect"]] = got["said"]
                    break
        client.stdin.close()
        assert client.wait(PATIENCE) == 0
    return found


def test_text(said: dict[str, Any], dialect: str) -> None:
    for scene, told in (("text", DIALECTS[dialect].text), ("stream", DIALECTS[dialect].text_stream)):
        got = said[dialect][scene]
        assert got["text"].startswith(told.text), got
        assert got["text"].endswith(told.ends)
        assert (got["finish"], got["cached"]) == ("stop", told.cached)
        if told.input is not None:
            assert (got["input"], got["output"]) == (told.input, told.output)


def test_tools(said: dict[str, Any], dialect: str) -> None:
    """The client calls the tools, sends their results, and gets the answer in words."""
    told = DIALECTS[dialect]
    for scene, calls, last in (
        ("tools", told.calls, told.text),
        ("streamedTools", told.calls_stream, told.text_stream),
    ):
        got = said[dialect][scene]
        assert sorted(got["calls"], key=str) == sorted(([name, given] for name, given in calls.calls), key=str), got
        assert got["steps"] == 2
        assert last.text in got["text"]


def test_structured_output(said: dict[str, Any], dialect: str) -> None:
    expected = DIALECTS[dialect].answer
    answer = type(expected).model_validate(said[dialect]["structured"])
    assert answer == expected or dialect == "ollama"  # a long one


@pytest.mark.parametrize(("scene", "status"), [("429", 429), ("too-long", 400), ("503", 503), ("401", 502)])
def test_errors(said: dict[str, Any], dialect: str, scene: str, status: int) -> None:
    failure = said[dialect][scene]["failure"]
    assert (failure["kind"], failure["status"]) == ("APICallError", status)
    assert INNER not in failure["message"]


def test_an_error_inside_a_stream(said: dict[str, Any], dialect: str) -> None:
    got = said[dialect]["broken"]
    assert got["text"]
    assert got["failure"]["message"]
    assert INNER not in got["failure"]["message"]
