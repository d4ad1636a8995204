"""The generated help, and the writer of generated parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli import app, helptext
from engine.cli.helptext import refresh, render_help, replace_block

START, END = "<!-- generated: cli-help -->", "<!-- end: cli-help -->"


def test_every_command_is_in_the_help() -> None:
    text = render_help()
    for name in app.COMMANDS:
        assert f"### `interlock {name}`" in text
        assert f"Usage: interlock {name} " in text


def test_the_help_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = render_help()
    monkeypatch.setenv("COLUMNS", "40")
    assert render_help() == wide


def test_the_command_lines_readme_is_current() -> None:
    readme = Path(helptext.__file__).parent / "README.md"
    assert refresh(readme, check=True), "engine/cli/README.md is not current; it says how to refresh it"


def test_refresh_writes_once(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    assert not refresh(page, check=True)
    assert "old" in page.read_text()
    assert not refresh(page)
    assert refresh(page)
    text = page.read_text()
    assert text.startswith(f"before\n{START}\n\n```text\n$ interlock --help\n")
    assert text.endswith(f"\n{END}\nafter\n")


@pytest.mark.parametrize("text", ["", START, END, f"{END}{START}", f"{START}{START}{END}", f"{START}{END}{END}"])
def test_markers_must_be_there_once_and_in_order(text: str) -> None:
    with pytest.raises(ValueError, match="exactly one line"):
        replace_block(text, "cli-help", "body")
