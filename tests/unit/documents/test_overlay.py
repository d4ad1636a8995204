"""Overlays are merge patches, and every value still knows its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.documents import DocumentCache, Folder, Loaded, diagnose, merge_patch

BASE = """\
version: 1
kind: provider
name: acme
base_url: https://acme.example/v1
labels: {region: us, tier: gold}
models:
  small: {context_window: 8192}
  large: {context_window: 32768}
tags: [a, b]
"""


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        # The examples of RFC 7396, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: Any, patch: Any, merged: Any) -> None:
    before = repr((target, patch))
    assert merge_patch(target, patch) == merged
    assert repr((target, patch)) == before


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path / "config" / "providers.d" / "acme.yaml", BASE)
    return tmp_path / "config"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def load(root: Path, *overlays: str) -> Loaded:
    """Each overlay is the text of its one file."""
    folders = []
    for number, text in enumerate(overlays):
        folders.append(root.parent / f"overlay{number}")
        put(folders[-1] / "policies" / "any.yaml", text)
    return Folder(root, folders).load()


def test_values_come_from_their_own_files(root: Path) -> None:
    loaded = load(
        root,
        "kind: provider\nname: acme\nlabels:\n  region: eu\n  tier: null\n"
        "models: {large: null, huge: {context_window: 1}}\n",
        "version: 1\nkind: provider\nname: acme\ntags: [c]\nmodels: {huge: {context_window: 2}}\n",
    )
    assert loaded.diagnostics == ()
    (document,) = loaded.documents
    assert document.tree == {
        "version": 1, "kind": "provider", "name": "acme", "base_url": "https://acme.example/v1",
        "labels": {"region": "eu"}, "models": {"small": {"context_window": 8192}, "huge": {"context_window": 2}},
        "tags": ["c"],
    }  # fmt: skip
    base, first, second = "providers.d/acme.yaml", "../overlay0/policies/any.yaml", "../overlay1/policies/any.yaml"
    assert document.file == base
    expected = {
        (): base, ("kind",): base, ("version",): second, ("name",): base, ("base_url",): base, ("labels",): base,
        ("labels", "region"): first, ("models", "small", "context_window"): base, ("models", "huge"): first,
        ("models", "huge", "context_window"): second, ("tags",): second, ("tags", 0): second,
        ("models", "missing"): base, ("missing",): base,
    }  # fmt: skip
    assert {path: document.source.file_of(path) for path in expected} == expected
    found = diagnose(document, "R301", ("labels", "region"), "wrong")
    assert (found.file, found.line, found.column, found.excerpt) == (first, 4, 11, "  region: eu")


def test_a_mapping_over_a_value_hides_it(root: Path) -> None:
    (document,) = load(root, "kind: provider\nname: acme\ntags: {x: {y: 1}}\nlabels: none\n").documents
    assert document.tree["tags"] == {"x": {"y": 1}}
    over = "../overlay0/policies/any.yaml"
    assert document.source.file_of(("tags",)) == over
    assert document.source.file_of(("tags", "x", "y")) == over
    assert document.source.file_of(("labels", "region")) == over


def test_a_document_of_its_own_is_added(root: Path) -> None:
    loaded = load(root, "version: 1\nkind: route\nname: chat\nstep: acme/small\npriority: null\n")
    assert loaded.diagnostics == ()
    assert [document.name for document in loaded.documents] == ["acme", "chat"]
    assert "priority" not in loaded.documents[1].tree


def test_a_change_of_nothing_is_an_error(root: Path) -> None:
    (found,) = load(root, "kind: provider\nname: acmee\nlabels: {a: b}\n").diagnostics
    assert (found.code, found.file, found.line, found.column) == ("D128", "../overlay0/policies/any.yaml", 2, 7)
    assert found.hint == 'did you mean "acme"?'


def test_mistakes_in_overlays(root: Path) -> None:
    findings = load(
        root,
        "version: 2\nkind: provider\nname: acme\n",
        "kind: provider\nname: acme\n---\nkind: provider\nname: acme\n",
    )
    assert [found.code for found in findings.diagnostics] == ["D122", "D127"]


def test_digests_follow_the_layers(root: Path, tmp_path: Path) -> None:
    over = tmp_path / "prod"
    put(over / "policies" / "x.yaml", "kind: provider\nname: acme\ntags: [x]\n")
    cache = DocumentCache()
    plain, first = Folder(root).load(cache), Folder(root, [over]).load(cache)
    put(over / "policies" / "x.yaml", "kind: provider\nname: acme\ntags: [y]\n")
    second = Folder(root, [over]).load(cache)
    assert len({loaded.digest for loaded in (plain, first, second)}) == 3
    assert len({loaded.documents[0].digest for loaded in (plain, first, second)}) == 3
    assert second.documents[0].tree["tags"] == ["y"]
    assert Folder(root).load(cache) == plain
