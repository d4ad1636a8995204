"""``interlock serve`` hands its options to the server, and what the server refuses to the reader."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from engine.cli import cli
from engine.diagnostics import Diagnostic
from engine.errors import ConfigError, EngineError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "config" / "policies").mkdir(parents=True)
    return tmp_path / "config"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., int]], None]:
    """Puts a function in the place of the real ``run_server``."""

    def place(run_server: Callable[..., int]) -> None:
        module = ModuleType("engine.server.serve")
        module.run_server = run_server  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "engine.server.serve", module)

    return place


def serve(*args: object) -> Result:
    return CliRunner().invoke(cli, ["serve", *map(str, args)])


def test_every_option_reaches_the_server(config: Path, server: Callable[..., None], tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def run_server(folder: Path, **options: Any) -> int:
        seen.update(options, config=folder)
        return 0

    server(run_server)
    assert serve("--config", config).exit_code == 0
    usual = {"overlays": (), "host": None, "port": None, "workers": 1, "last_good": None, "watch": True}
    assert seen == {"config": config, **usual, "log_level": "info"}
    options = ["--overlay", tmp_path, "--host", "::1", "--port", 0, "--last-good", "kept", "--no-watch"]
    assert serve("-c", config, *options, "--log-level", "debug").exit_code == 0
    given = {"overlays": (tmp_path,), "host": "::1", "port": 0, "last_good": Path("kept"), "watch": False}
    assert seen == {"config": config, "workers": 1, **given, "log_level": "debug"}


def test_the_servers_exit_code_is_the_commands(config: Path, server: Callable[..., None]) -> None:
    server(lambda folder, **options: 3)
    assert serve("--config", config).exit_code == 3


def test_a_broken_configuration_is_shown_and_exits_1(config: Path, server: Callable[..., None]) -> None:
    def run_server(folder: Path, **options: Any) -> int:
        finding = Diagnostic("R301", "error", "no such target", "policies/a.yaml", 3, 7, 9, "step: xx", hint="mend it")
        raise ConfigError([finding])

    server(run_server)
    result = serve("--config", config)
    assert result.exit_code == 1
    assert "error[R301]: no such target\n  --> policies/a.yaml:3:7\n" in result.output
    assert "= mend it" in result.output


def test_what_else_the_server_refuses_is_a_sentence(config: Path, server: Callable[..., None]) -> None:
    def run_server(folder: Path, **options: Any) -> int:
        raise EngineError("port 80 is taken; choose another with --port")

    server(run_server)
    result = serve("--config", config)
    assert (result.exit_code, result.output) == (1, "error: port 80 is taken; choose another with --port\n")


def test_a_missing_configuration_is_the_last_good_ones_business(tmp_path: Path, server: Callable[..., None]) -> None:
    server(lambda folder, **options: 0)
    assert serve("--config", tmp_path / "none").exit_code == 2
    assert serve("--config", tmp_path / "none", "--last-good", tmp_path).exit_code == 0


def test_the_real_server_refuses_a_broken_configuration(config: Path) -> None:
    (config / "policies" / "chat.yaml").write_text("version: 1\nkind: route\nname: chat\nstep: near/small\n")
    command = [sys.executable, "-m", "engine.cli", "serve", "--config", str(config), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert 'error[R301]: route "chat" refers to unknown target "near/small"\n' in done.stderr
    assert "4 | step: near/small\n   |       ^^^^^^^^^^" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_real_server_refuses_to_be_open_to_all(config: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "engine.cli",
        "serve",
        "--config",
        str(config),
        "--port",
        "0",
        "--host",
        "192.0.2.1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "interlock key" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_real_server_ends_in_order_and_writes_its_last_line(config: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "engine.cli", "serve", "--config", str(config), "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None
        url = next(line.split()[-1] for line in process.stderr if " on http://" in line)
        assert httpx.get(f"{url}/healthz").status_code == 200
        process.send_signal(number)
        log, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [json.loads(line)["path"] for line in log.splitlines()] == ["/healthz"]
