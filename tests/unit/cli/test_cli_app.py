"""The root command: lazy, and every way of failing ends in a sentence and the right exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result

from engine.cli import app, cli
from engine.cli.terminal import Problem
from engine.diagnostics import Diagnostic
from engine.errors import ConfigError, PrepareError


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args))


def failing(monkeypatch: pytest.MonkeyPatch, fail: Callable[[], None]) -> Result:
    """The result of a command whose body is ``fail``."""
    monkeypatch.setattr(app.Interlock, "get_command", lambda self, ctx, name: click.Command("check", callback=fail))
    return run("check")


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_help_imports_no_command() -> None:
    script = (
        "import sys\nfrom engine.cli import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'pydantic', 'jsonschema', 'yaml', 'rich', 'httpx', 'uvicorn', 'asyncio', 'logging'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from engine.cli.app import COMMANDS\n"
        "assert not {entry.module for entry in COMMANDS.values()} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [n for n in app.COMMANDS if n != "demo"])
def test_each_command_is_there_and_explains_itself(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: interlock {name} ")


def test_an_unknown_command_names_the_nearest() -> None:
    result = run("grpah")
    assert result.exit_code == 2
    assert 'did you mean "graph"?' in result.output


def test_a_problem_is_a_sentence_with_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    result = failing(monkeypatch, raising(Problem("the sky fell", "hold it up", code=1)))
    assert (result.exit_code, result.output) == (1, "error: the sky fell\n  = hold it up\n")


def test_a_defect_is_an_apology_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    result = failing(monkeypatch, raising(KeyError("x")))
    assert result.exit_code == 70
    assert "this is a defect, sorry" in result.output
    assert "INTERLOCK_DEBUG=1" in result.output
    assert "Traceback" not in result.output


def test_a_defect_shows_its_trace_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_DEBUG", "1")
    result = failing(monkeypatch, raising(KeyError("x")))
    assert isinstance(result.exception, KeyError)


def test_an_interrupt_exits_130_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    result = failing(monkeypatch, raising(KeyboardInterrupt()))
    assert result.exit_code == 130
    assert "Traceback" not in result.output


def test_a_closed_pipe_exits_141_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    result = failing(monkeypatch, raising(BrokenPipeError()))
    assert (result.exit_code, result.output) == (141, "")


def test_a_file_that_the_system_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    result = failing(monkeypatch, raising(PermissionError(13, "Permission denied", "policies/a.yaml")))
    assert (result.exit_code, result.output) == (2, 'error: "policies/a.yaml": Permission denied\n')


def test_a_broken_configuration_shows_its_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Diagnostic("R301", "error", "route has no target", "policies/a.yaml", 3, 7, 9, excerpt="step: xx")
    result = failing(monkeypatch, raising(ConfigError([finding])))
    assert result.exit_code == 1
    assert "policies/a.yaml:3:7" in result.output


def test_an_error_of_ours_is_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    result = failing(monkeypatch, raising(PrepareError("no such certificate: ca.pem")))
    assert (result.exit_code, result.output) == (1, "error: no such certificate: ca.pem\n")


def test_a_reader_that_leaves_early_sees_no_trace() -> None:
    """Through a real pipe: ``interlock explain-error | head -1``."""
    child = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", "explain-error"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    with child.stderr as stderr:
        assert stderr.read() == b""
    assert child.wait() == 141
