"""Where values are written, and how a finding shows it."""

from __future__ import annotations

import pytest

from engine.documents import Document, Path, Span, diagnose, load_text, place

TEXT = """\
# the chat route
---
version: 1
kind: route
name: chat
match:
  model: [chat, "gpt-4o*"]    # names
step:
  fallback:
    - split: {name: s, "ключ": [1, {a: b}], x: 'it''s'}

    # the last resort
    - acme/large
text: |
  one
  two
nothing:
folded: one
  two
anchor: &a {deep: value}
alias: *a
"""


@pytest.fixture(scope="module")
def document() -> Document:
    (document,), findings = load_text(TEXT, "policies/chat.yaml")
    assert findings == []
    return document


@pytest.mark.parametrize(
    ("path", "key", "span"),
    [
        (("version",), False, Span(3, 10, 3, 11)),
        (("version",), True, Span(3, 1, 3, 8)),
        (("match", "model"), False, Span(7, 10, 7, 27)),
        (("match", "model", 1), False, Span(7, 17, 7, 26)),
        (("match", "model", 1), True, Span(7, 17, 7, 26)),
        (("step",), False, Span(9, 3, 13, 17)),
        (("step", "fallback", 0, "split", "ключ"), True, Span(10, 24, 10, 30)),
        (("step", "fallback", 0, "split", "ключ", 1, "a"), False, Span(10, 40, 10, 41)),
        (("step", "fallback", 1), False, Span(13, 7, 13, 17)),
        (("text",), False, Span(14, 7, 17, 1)),
        (("nothing",), False, Span(17, 9, 17, 9)),
        (("folded",), False, Span(18, 9, 19, 6)),
        (("alias",), False, Span(21, 8, 21, 10)),
        (("alias", "deep"), False, Span(20, 19, 20, 24)),
        (("match", "missing", "deeper"), False, Span(7, 3, 7, 27)),
        (("missing",), True, Span(3, 1, 21, 10)),
    ],
)
def test_spans(document: Document, path: Path, key: bool, span: Span) -> None:
    assert document.source.span(path, key) == span
    assert document.source.file_of(path) == "policies/chat.yaml"


@pytest.mark.parametrize(
    ("path", "key", "shown"),
    [
        (("step", "fallback", 1), False, "acme/large"),
        (("match", "model", 1), False, '"gpt-4o*"'),
        (("match", "model"), True, "model"),
        # What has several lines is shown by its key, and what has no width too.
        (("step",), False, "step"),
        (("text",), False, "text"),
        (("nothing",), False, "nothing"),
        # An unknown path is its nearest ancestor, and the whole document its name.
        (("match", "when", "model"), False, "match"),
        (("nope",), False, "chat"),
        ((), False, "chat"),
        (("step", "fallback", 0, "split", "ключ", 7), False, "[1, {a: b}]"),
        (("alias", "deep"), False, "value"),
    ],
)
def test_a_finding_shows_the_place(document: Document, path: Path, key: bool, shown: str) -> None:
    found = diagnose(document, "R301", path, "wrong", key=key)
    assert found.excerpt[found.column - 1 : found.end_column - 1] == shown
    assert found.excerpt == TEXT.split("\n")[found.line - 1]


@pytest.mark.parametrize(
    ("path", "part", "shown"),
    [
        (("step", "fallback", 1), (5, 10), "large"),
        (("match", "model", 1), (0, 3), "gpt"),
        (("step", "fallback", 1), (5, 99), "large"),
        (("step", "fallback", 1), (9, 3), "acme/large"),
        # The text does not show the value as it is.
        (("step", "fallback", 0, "split", "x"), (0, 2), "'it''s'"),
        (("version",), (0, 1), "1"),
    ],
)
def test_part_of_a_text(document: Document, path: Path, part: tuple[int, int], shown: str) -> None:
    found = diagnose(document, "R301", path, "wrong", span_slice=part)
    assert found.excerpt[found.column - 1 : found.end_column - 1] == shown


def test_the_severity_is_that_of_the_code(document: Document) -> None:
    assert diagnose(document, "W901", (), "hm").severity == "warning"


def test_a_place_for_related(document: Document) -> None:
    assert place(document, ("name",), "declared here") == ("policies/chat.yaml", 5, 7, "declared here")


def test_excerpts_of_other_lines_are_empty(document: Document) -> None:
    assert document.source.excerpt(3) == "version: 1"
    assert document.source.excerpt(10**6) == ""
    assert document.source.excerpt(-1) == ""


def test_a_place_far_to_the_right_has_no_excerpt() -> None:
    text = "version: 1\nkind: route\nname: a\nx: {" + ", ".join(f"k{n}: value" for n in range(1000)) + "}\n"
    (document,), _ = load_text(text, "x")
    assert len(diagnose(document, "R301", ("x", "k0"), "wrong").excerpt) == 2000
    found = diagnose(document, "R301", ("x", "k999"), "wrong")
    assert found.excerpt == ""
    assert text.split("\n")[3][found.column - 1 : found.end_column - 1] == "value"
