"""What is generated is current."""

from __future__ import annotations

import re

import pytest
from clihelp import render_help
from pages import DOCUMENTS, ROOT
from parts import PARTS, renewed, replace_part

from engine.schema import check_schemas

START, END = "<!-- generated: part -->", "<!-- end: part -->"


@pytest.mark.parametrize("name", PARTS)
def test_a_document_is_current(name: str) -> None:
    assert renewed(name) == (ROOT / name).read_text(encoding="utf-8"), "`make docs` writes it"


def test_the_schemas_are_current() -> None:
    assert check_schemas(ROOT / "schemas") == [], "`interlock schema` writes them"


def test_every_part_that_says_it_is_generated_is() -> None:
    marked = {
        (name, part)
        for name in DOCUMENTS
        for part in re.findall(r"^<!-- generated: (.+) -->$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert marked == {(name, part) for name, parts in PARTS.items() for part in parts}


def test_a_part_is_replaced_and_the_rest_left_alone() -> None:
    page = f"before\n{START}\nold\n{END}\nafter\n"
    assert replace_part(page, "part", "new\n") == f"before\n{START}\n\nnew\n\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", START, END, f"{END}{START}", f"{START}{START}{END}", f"{START}{END}{END}"])
def test_markers_must_be_there_once_and_in_order(text: str) -> None:
    with pytest.raises(ValueError, match="exactly one line"):
        replace_part(text, "part", "body")


def test_the_help_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = render_help()
    monkeypatch.setenv("COLUMNS", "40")
    assert render_help() == wide
