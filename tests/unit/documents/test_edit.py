"""Editing in place: what is not asked for stays as people wrote it."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from engine.documents import load_text
from engine.documents.edit import EditError, edited, written

TEXT = """\
# Ours.
version: 1
kind: provider
name: acme       # the name
models:
  big: {price: {input: 1.50}}   # dear
  small:
    supports: [stream]
---
version: 1
kind: provider
name: other
as_of: 2026-01-01
"""


def after(changes: dict[tuple[str, ...], Any], name: str = "acme") -> list[str]:
    """The lines of the text that an edit of it adds."""
    return [line for line in edited(TEXT, "provider", name, changes).splitlines() if line not in TEXT.splitlines()]


def test_no_change_is_no_change() -> None:
    assert edited(TEXT, "provider", "other", {}) == TEXT


def test_a_value_is_set_and_the_comment_beside_it_stays() -> None:
    assert after({("models", "big", "price", "input"): 2}) == ["  big: {price: {input: 2}}      # dear"]


def test_a_small_mapping_is_written_on_one_line_and_a_larger_one_is_not() -> None:
    small = {"input": 0.5, "output": 2}
    assert after({("models", "small", "price"): small}) == ["    price: {input: 0.5, output: 2}"]
    larger = {"input": 1, "tiers": [{"above": 5, "input": 3}]}
    assert after({("models", "small", "price"): larger}) == [
        "    price:",
        "      input: 1",
        "      tiers:",
        "        - {above: 5, input: 3}",
    ]


def test_a_day_is_written_as_a_day() -> None:
    assert after({("as_of",): datetime.date(2026, 11, 30)}, "other") == ["as_of: 2026-11-30"]


def test_a_key_is_removed() -> None:
    text = edited(TEXT, "provider", "acme", {("models", "big"): None, ("labels", "region"): None})
    documents, wrong = load_text(text, "x.yaml")
    assert wrong == []
    assert list(documents[0].tree["models"]) == ["small"]
    assert "labels" not in documents[0].tree


@pytest.mark.parametrize(
    ("text", "name", "path", "said"),
    [
        ("a: [", "acme", ("x",), "cannot be read"),
        (TEXT, "nobody", ("x",), "there is no provider 'nobody'"),
        (TEXT, "acme", ("name", "first"), "'name' is not a mapping"),
    ],
)
def test_what_cannot_be_edited_says_why(text: str, name: str, path: tuple[str, ...], said: str) -> None:
    with pytest.raises(EditError, match=said):
        edited(text, "provider", name, {path: 1})


def test_a_new_document_is_read_back() -> None:
    document = {"version": 1, "kind": "provider", "name": "new", "models": {"a": {"supports": ["stream"]}}}
    documents, wrong = load_text(written(document), "new.yaml")
    assert wrong == []
    assert documents[0].tree == document
