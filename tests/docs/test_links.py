"""What the documents refer to is there: files, headings, targets of the Makefile, diagnostic codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import DOCUMENTS, ROOT

from engine.diagnostics import CODES

_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors that code hosts give to the headings of a page."""
    heads = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    dead = []
    for link in _LINK.findall(prose(text_of(name))):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        goal = (ROOT / name).parent / path if path else ROOT / name
        if not goal.exists() or (anchor and anchor not in anchors(goal.read_text(encoding="utf-8"))):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str) -> None:
    """Paths in backticks, from the root, from ``engine/`` or from the document's own folder; NAME stands for any."""
    named = re.findall(r"`([\w.-]+(?:/[\w.-]+)*/[\w.-]+\.(?:py|yaml|json|txt|md|c))`", prose(text_of(name)))
    made = {"mine", "config", "schemas", ".vscode"}
    bases = [ROOT, ROOT / "engine", (ROOT / name).parent]
    paths = [path.replace("NAME", "*") for path in named if Path(path).parts[0] not in made]
    assert [path for path in paths if not any(any(base.glob(path)) for base in bases)] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_targets_of_make_exist(name: str) -> None:
    known = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b(?= *[`\n#])", text_of(name))) - known == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_codes_that_are_named_exist(name: str) -> None:
    assert set(re.findall(r"\b[DSRPLWN][1-9]\d\d\b", text_of(name))) - set(CODES) == set()
