"""Whatever bytes a file holds, the answer is documents and findings that point into it."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.diagnostics import CODES, FORMATS, Diagnostic
from engine.documents import Document, MergedSource, SourceMap, diagnose, load_text, merge_patch
from engine.documents.scalars import resolve
from engine.documents.sourcemap import Path

#: The machine may be busy with other things: work is bounded by other tests, not by the clock.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)
MAPPINGS = st.dictionaries(TEXT, TREES, max_size=5)
#: Pieces of YAML in any order: they get further into the parser than arbitrary characters do.
PIECES = st.lists(
    st.sampled_from(
        [
            "version: 1", "kind: route", "name: a", "\n", "\n", "\n", "  ", "- ", ": ", "? ", "[", "]", "{", "}", ",",
            "&a ", "*a", "!t ", "|", ">", "'", '"', "#", "---", "...", "%YAML 1.2", "<<: ", "a", "1", "~",
            "\t", "\r\n", "\0",
            "é",
            "日本", "\u2028", "\\x", "`", "@", "1e999", "secret: x", "name: b/c",
        ]
    ) | st.text(max_size=3),
    max_size=40,
).map("".join)  # fmt: skip


def lines_of(content: bytes) -> list[str]:
    text = content.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def check(content: bytes, documents: list[Document], findings: list[Diagnostic]) -> None:
    lines = lines_of(content)
    for found in findings:
        assert found.code in CODES
        assert found.hint
        assert 1 <= found.line <= len(lines)
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
        assert found.column < found.end_column <= len(lines[found.line - 1]) + 2
        for _, line, column, _ in found.related:
            assert 1 <= line <= len(lines)
            assert 1 <= column <= len(lines[line - 1]) + 1
    for document in documents:
        json.dumps(document.tree, allow_nan=False).encode()
        for path in paths(document.tree):
            found = diagnose(document, "R301", path, "x")
            assert 1 <= found.line <= len(lines)
            assert 1 <= found.column <= len(lines[found.line - 1]) + 1
    for render in FORMATS.values():
        render(findings, documents=len(documents)).encode()


def paths(tree: object, above: Path = ()) -> list[Path]:
    found = [above]
    if isinstance(tree, dict):
        found += [path for key, value in tree.items() for path in paths(value, (*above, key))]
    if isinstance(tree, list):
        found += [path for index, value in enumerate(tree) for path in paths(value, (*above, index))]
    return found


@UNTIMED
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    check(content, *load_text(content, "x"))


@UNTIMED
@given(PIECES)
def test_any_pieces_of_yaml(text: str) -> None:
    content = text.encode("utf-8", "surrogatepass")
    check(content, *load_text(content, "x"))
    documents, findings = load_text(text, "x")
    if not any("\ud800" <= character <= "\udfff" for character in text):
        read = load_text(content, "x")[1]
        # As bytes, some texts with NULs look like UTF-16.
        assert findings == read or [found.code for found in read] == ["D107"]
    assert all(document.source.file_of(()) == "x" for document in documents)


@UNTIMED
@given(PIECES, PIECES)
def test_a_document_does_not_depend_on_those_beside_it(first: str, second: str) -> None:
    """What follows a line "---" is read the same, whatever was before it."""
    alone = load_text(f"---\n{second}", "x")[0]
    after = load_text(f"version: 1\nkind: route\nname: z\n# {first!r}\n---\n{second}", "x")[0][1:]
    if after:
        assert [document.tree for document in after] == [document.tree for document in alone]


class _Quoted(yaml.SafeDumper):
    """Quotes every text: what is plain for YAML 1.1 can be a number in 1.2, as 1e3 is."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"')


_Quoted.add_representer(str, _text)


@UNTIMED
@given(MAPPINGS, st.booleans(), st.sampled_from([40, 80, 10**6]))
def test_what_yaml_writes_is_read(tree: dict[str, Any], flow: bool, width: int) -> None:
    written = yaml.dump(tree, Dumper=_Quoted, default_flow_style=flow, allow_unicode=True, width=width)
    documents, findings = load_text(written, "x")
    about_text = {found.code for found in findings if found.code < "D120"}
    if re.search("[\u202a-\u202e\u2066-\u2069]", written):
        assert about_text == {"D106"}
        return
    assert about_text == set()
    assert same(dict(documents[0].tree), tree)
    for path in paths(tree):
        span = documents[0].source.span(path)
        value = at(tree, path)
        if isinstance(value, int | float | bool):
            shown = written.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1]
            assert resolve(shown) == value


@UNTIMED
@given(MAPPINGS)
def test_json_is_read(tree: dict[str, Any]) -> None:
    # JSON writes characters outside of the basic plane in halves, which YAML does not have.
    documents, findings = load_text(json.dumps(tree, ensure_ascii=False), "x")
    if not findings or findings[0].code >= "D120":
        assert same(dict(documents[0].tree), tree)
    else:
        assert {found.code for found in findings} <= {"D106"}


def same(left: object, right: object) -> bool:
    """Equal in value and in type: 1, 1.0 and true are three values."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def at(tree: Any, path: Path) -> Any:
    for part in path:
        tree = tree[part]
    return tree


@UNTIMED
@given(MAPPINGS, MAPPINGS)
def test_merged_values_come_from_a_layer_that_has_them(base: dict[str, Any], patch: dict[str, Any]) -> None:
    layers = [(base, SourceMap("base", "", 1)), (patch, SourceMap("patch", "", 1))]
    source = MergedSource(layers)
    merged = merge_patch(base, patch)
    trees = {"base": base, "patch": patch}
    for path in paths(merged):
        value = at(merged, path)
        if not isinstance(value, dict) and path[0] not in ("kind", "name"):
            assert same(at(trees[source.file_of(path)], path), value)


@UNTIMED
@given(MAPPINGS, MAPPINGS)
def test_merging_twice_is_merging_once(base: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge_patch(base, patch)
    assert merge_patch(once, patch) == once
