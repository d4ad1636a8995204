"""The published JSON Schemas and the models give the same verdict on any document."""

from __future__ import annotations

import copy
import json
import string
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validators
from pydantic import ValidationError

from engine.compiler import compile_documents
from engine.documents import load_text
from engine.schema import MODELS, SCHEMAS, validate
from engine.schema.common import RULES
from engine.schema.export import schema_of_any
from engine.schema.keywords import explainer, has_type, matches

from .notations import KINDS, Tree, names, scalars
from .strategies import as_text, configurations, documents

_TYPES = ("string", "array", "object", "boolean", "number", "integer", "null")


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield from validator.descend(instance, False)


@cache
def stock(kind: str | None) -> Any:
    """jsonschema as it comes, apart from what editors do differently: 2.0 is no integer, a pattern's end is the end."""
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {name: lambda _, value, name=name: has_type(value, name) for name in _TYPES}
    )
    made = validators.extend(Draft202012Validator, {"pattern": _pattern}, type_checker=checker)
    return made(SCHEMAS[kind] if kind else schema_of_any())


def refusals(kind: str, tree: Tree) -> list[Any]:
    """pydantic's errors, none where it accepts."""
    try:
        MODELS[kind].model_validate_json(json.dumps(tree))
    except ValidationError as error:
        return list(error.errors(include_url=False))
    return []


def agree(kind: str, tree: Tree) -> bool:
    """Assert that everybody says the same of ``tree``; whether it is valid."""
    errors = refusals(kind, tree)
    by_schema = stock(kind).is_valid(tree)
    assert by_schema == stock(None).is_valid(tree)
    assert by_schema == explainer(kind).is_valid(tree), list(stock(kind).iter_errors(tree))
    if by_schema and errors:
        assert {error["type"] for error in errors} == {"interlock"}, errors
        assert {error["ctx"]["rule"] for error in errors} <= set(RULES)
    else:
        assert by_schema == (not errors), errors or list(stock(kind).iter_errors(tree))
    return not errors


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(p for key, value in below for p in places(value, (*path, key)))]


oddities = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 2.0, 0.5, 10**13, -(10**13), 1e300, "", "x", "a/b", "5s", "0s",
        "20%", "101%", "20MB",
        "yes", "sk-abcdefgh", "http://u:p@h/", "https://h?x", [], {}, [[]], {"x": 1}, {"env": "A", "file": "b"},
        "a\n", "*", "warn", 404,
    ]
).map(copy.deepcopy)  # fmt: skip


anything: st.SearchStrategy[Any] = st.recursive(
    oddities | names,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names | st.sampled_from(["steps", "fallback", "weight", "step", "when"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn, kind: str) -> Tree:
    """A valid document with one to three things done to it."""
    tree: Tree = copy.deepcopy(draw(documents(kind)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(tree)[1:] or [()]))
        owner: Any = tree
        for part in path[:-1]:
            owner = owner[part]
        if not path:
            return tree
        action = draw(st.sampled_from(["delete", "replace", "add", "wrap", "rename"]))
        if action == "delete":
            del owner[path[-1]]
        elif action == "replace":
            owner[path[-1]] = draw(oddities | scalars)
        elif action == "wrap":
            owner[path[-1]] = draw(st.sampled_from([[owner[path[-1]]], {"step": owner[path[-1]]}]))
        elif isinstance(owner, dict):
            key = draw(
                names | st.sampled_from(["target", "fallback", "weight", "when", "per", "scheme", "all", "A B", ""])
            )
            owner[key] = owner.pop(path[-1]) if action == "rename" else draw(oddities)
    return tree


@pytest.mark.parametrize("kind", KINDS)
def test_valid_documents_are_accepted_by_all(kind: str) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(documents(kind))
    def check(tree: Tree) -> None:
        assert agree(kind, tree), refusals(kind, tree)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_documents_get_the_same_verdict(kind: str) -> None:
    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(mutated(kind))
    def check(tree: Tree) -> None:
        agree(kind, tree)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused_is_explained(kind: str) -> None:
    """Each refused document has diagnostics, all of them in the file, and none shows a value marked as secret."""

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(mutated(kind))
    def check(tree: Tree) -> None:
        text = as_text([tree])
        found, wrong = load_text(text, "policies/x.yaml")
        if not found:
            assert wrong
            return
        model, diagnostics = validate(found[0])
        assert (model is None) == bool(diagnostics) or wrong
        lines = text.split("\n")
        for diagnostic in diagnostics:
            assert 1 <= diagnostic.line <= len(lines)
            assert 1 <= diagnostic.column < diagnostic.end_column <= len(lines[diagnostic.line - 1]) + 2
            assert diagnostic.code.startswith("S2")
            assert diagnostic.code != "S214", diagnostic
            assert diagnostic.summary
            assert "sk-abcdefgh" not in diagnostic.excerpt or diagnostic.code != "S207"

    check()


@settings(max_examples=100, deadline=None)
@given(st.text(string.printable, max_size=30))
@example("1s\n")
@example("٣s")
def test_a_duration_is_what_the_compiler_can_read(text: str) -> None:
    from engine.units import parse_duration

    tree = {"version": 1, "kind": "settings", "name": "s", "drain": text}
    if agree("settings", tree):
        assert parse_duration(text) >= 0
    else:
        with pytest.raises(ValueError, match="is not a duration"):
            parse_duration(text)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.dictionaries(names | st.sampled_from(["step", "models", "auth", "at"]), anything, max_size=4),
)
def test_any_tree_is_accepted_or_explained(kind: str, tree: Tree) -> None:
    whole = {"version": 1, "kind": kind, "name": "x", **tree}
    agree(kind, whole)
    found, wrong = load_text(as_text([whole]), "policies/x.yaml")
    if found and not wrong:
        model, diagnostics = validate(found[0])
        assert (model is None) == bool(diagnostics)


@settings(max_examples=30, deadline=None)
@given(configurations())
def test_generated_configurations_compile(trees: list[Tree]) -> None:
    found, wrong = load_text(as_text(trees), "policies/x.yaml")
    assert not wrong
    compilation = compile_documents(found, environ={"SERVICE_API_KEY": "x"})
    assert [d for d in compilation.diagnostics if d.severity == "error"] == []
    assert compilation.graph is not None
