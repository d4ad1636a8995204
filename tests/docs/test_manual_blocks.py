"""Every example in the manuals is a valid document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.documents import load_text
from engine.schema import validate

ROOT = Path(__file__).resolve().parents[2]
MANUALS = ("providers.d/README.md", "policies/README.md", "schemas/README.md", "README.md", "engine/README.md")
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DOCUMENT = re.compile(r"^(#[^\n]*\n)*version: 1$", re.MULTILINE)


def blocks() -> list[tuple[str, int, str]]:
    found = []
    for name in MANUALS:
        path = ROOT / name
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        blocks_here = [block for block in _BLOCK.finditer(text) if _DOCUMENT.match(block[1])]
        found += [(name, text.count("\n", 0, block.start()) + 1, block[1]) for block in blocks_here]
    return found


BLOCKS = blocks()


@pytest.mark.parametrize(("name", "line", "text"), BLOCKS, ids=[f"{name}:{line}" for name, line, _ in BLOCKS])
def test_an_example_is_valid(name: str, line: int, text: str) -> None:
    documents, wrong = load_text(text, name)
    assert not wrong
    assert documents
    for document in documents:
        model, diagnostics = validate(document)
        assert diagnostics == []
        assert model is not None


def test_the_manuals_have_examples_of_every_kind() -> None:
    kinds = {kind for _, _, text in BLOCKS for kind in re.findall(r"^kind: (\w+)$", text, re.MULTILINE)}
    assert kinds == {"provider", "route", "policy", "key", "settings", "budget", "limit", "invariant", "test"}
