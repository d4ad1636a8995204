"""Colour and files: what reaches a terminal must not reach a pipe or a file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from engine.cli.terminal import Problem, emit, nearest, paint, plural, wants_color


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_only_a_terminal_gets_colour() -> None:
    assert wants_color(Terminal())
    assert not wants_color(io.StringIO())


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("NO_COLOR", "0"), ("TERM", "dumb")])
def test_the_environment_can_refuse_colour(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert not wants_color(Terminal())


def test_an_empty_no_color_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    assert wants_color(Terminal())


def test_paint_without_colour_is_the_text() -> None:
    assert paint("error", "red", color=False) == "error"
    assert paint("error", "red", color=True) == "\x1b[31m\x1b[1merror\x1b[0m"


def test_a_file_ends_in_one_newline(tmp_path: Path) -> None:
    emit("text\n\n", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"text\n"


def test_a_file_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"cannot write .*: No such file or directory"):
        emit("text", tmp_path / "missing" / "out")


@pytest.mark.parametrize(
    ("word", "hint"), [("caht", 'did you mean "chat"?'), ("CHAT", 'did you mean "chat"?'), ("zzz", ""), ("", "")]
)
def test_nearest(word: str, hint: str) -> None:
    assert nearest(word, ["chat", "embed"]) == hint


def test_plural() -> None:
    assert [plural(n, "error") for n in (0, 1, 2)] == ["0 errors", "1 error", "2 errors"]
