"""What holds of every configuration: order and comments mean nothing, and nothing makes the compiler throw."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.compiler import Compilation, CompilerCache, compile_documents
from engine.diagnostics import CODES
from engine.documents import KINDS, Document, load_text

HERE = Path(__file__).parent
QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
THOROUGH = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def sound() -> dict[str, str]:
    """The files of a configuration that uses most of the language and has no errors."""
    text = (HERE.parent / "golden" / "compile" / "the-whole-language.txt").read_text(encoding="utf-8")
    files = {}
    for block in ("\n" + text.partition("\n" + "-" * 60 + "\n")[0]).split("\n=== ")[1:]:
        name, _, content = block.partition("\n")
        files[name] = content + "\n"
    return files


def load(files: dict[str, str]) -> tuple[list[Document], list[Any]]:
    documents, diagnostics = [], []
    for name, text in files.items():
        found, wrong = load_text(text, name)
        documents += found
        diagnostics += wrong
    return documents, diagnostics


def compiled(files: dict[str, str], cache: CompilerCache | None = None) -> Compilation:
    documents, diagnostics = load(files)
    return compile_documents(documents, diagnostics=diagnostics, environ={"SET": "x"}, cache=cache)


SOUND = sound()
TREES = [document.tree for document in load(SOUND)[0]]
FINGERPRINT = getattr(compiled(SOUND).graph, "fingerprint", None)


def check_findings(result: Compilation, files: dict[str, str]) -> None:
    """Every finding has a place inside its file and a remedy, and there is a graph exactly if none is an error."""
    errors = [d for d in result.diagnostics if d.severity == "error"]
    assert (result.graph is None) == bool(errors)
    for found in result.diagnostics:
        assert found.severity == CODES[found.code].severity
        assert found.summary
        assert found.hint, f"{found.code} without a remedy: {found.summary}"
        assert found.file in files
        lines = files[found.file].splitlines() or [""]
        assert 1 <= found.line <= len(lines) + 1
        assert 1 <= found.column < found.end_column
        for file, line, column, _ in found.related:
            assert file in files
            assert line >= 1
            assert column >= 1


def test_the_sound_configuration_compiles() -> None:
    assert FINGERPRINT is not None


# Order


def shuffled(tree: Any, dice: random.Random) -> Any:
    """The same mapping in another order; lists keep theirs, which has a meaning."""
    if isinstance(tree, dict):
        keys = list(tree)
        dice.shuffle(keys)
        return {key: shuffled(tree[key], dice) for key in keys}
    return [shuffled(item, dice) for item in tree] if isinstance(tree, list) else tree


@QUICK
@given(st.randoms(use_true_random=False))
def test_the_order_of_files_documents_and_keys_means_nothing(dice: random.Random) -> None:
    trees = [shuffled(tree, dice) for tree in TREES]
    dice.shuffle(trees)
    files: dict[str, list[str]] = {}
    for tree in trees:
        files.setdefault(f"policies/{dice.choice('abcd')}.yaml", []).append(json.dumps(tree))
    texts = {name: "\n---\n".join(parts) + "\n" for name, parts in files.items()}
    result = compiled(texts)
    assert result.graph is not None
    assert result.graph.fingerprint == FINGERPRINT
    check_findings(result, texts)


@QUICK
@given(st.data())
def test_comments_and_blank_lines_mean_nothing(data: st.DataObject) -> None:
    cache = CompilerCache()
    before = compiled(SOUND, cache).graph
    edited = dict(SOUND)
    name = data.draw(st.sampled_from(sorted(SOUND)))
    lines = SOUND[name].splitlines()
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(lines)))
        lines.insert(at, data.draw(st.sampled_from(["", "# a remark", "      # step: nobody/nothing", "#---", "   "])))
    edited[name] = "\n".join(lines) + "\n"
    after = compiled(edited, cache).graph
    assert before is not None
    assert after is not None
    assert after.fingerprint == before.fingerprint
    assert all(after.routes[route] is before.routes[route] for route in before.routes)
    assert all(after.targets[target] is before.targets[target] for target in before.targets)


# Totality

VOCABULARY = """
version kind name match model when priority step fallback steps split variants weight balance by switch cases default
reject route target params set applies_to all any not retry timeouts models auth scheme secret env limit gt eq
openai/gpt-4o-mini groq/llama-70b chat user metadata.tier 1s 20% * openai-chat
"""

_WORDS = st.sampled_from([*KINDS, *VOCABULARY.split()])
_NUMBERS = st.integers(-5, 10**20) | st.floats(allow_nan=False)
_SCALARS = st.none() | st.booleans() | _NUMBERS | _WORDS | st.text(max_size=8)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(max_size=5), inner, max_size=5),
    max_leaves=12,
)


@QUICK
@given(st.lists(st.dictionaries(_WORDS, _VALUES, max_size=6), min_size=1, max_size=3), st.sampled_from([*KINDS, None]))
def test_any_tree_gives_a_graph_or_an_error(trees: list[dict[str, Any]], kind: str | None) -> None:
    if kind is not None:
        trees = [{**tree, "version": 1, "kind": kind, "name": f"n{i}"} for i, tree in enumerate(trees)]
    files = {f"policies/{i}.yaml": json.dumps(tree) + "\n" for i, tree in enumerate(trees)}
    check_findings(compiled({**SOUND, **files}), {**SOUND, **files})


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of every value below the root."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    out = []
    for key, value in items:
        out += [(*path, key), *places(value, (*path, key))]
    return out


def mutate(tree: Any, data: st.DataObject) -> Any:
    """A copy of the tree with one thing changed."""
    tree = json.loads(json.dumps(tree))
    path = data.draw(st.sampled_from(places(tree)))
    parent = tree
    for part in path[:-1]:
        parent = parent[part]
    last = path[-1]
    what = data.draw(st.sampled_from(["drop", "replace", "misspell", "unknown", "twin", "nest"]))
    if what == "drop":
        del parent[last]
    elif what == "replace":
        parent[last] = data.draw(_VALUES)
    elif what == "misspell" and isinstance(parent[last], str):
        text = parent[last]
        at = data.draw(st.integers(0, len(text)))
        parent[last] = text[:at] + data.draw(st.sampled_from(["x", "/", "*", " ", "9"])) + text[at + 1 :]
    elif isinstance(parent, dict) and what == "misspell":
        parent[f"{last}s"] = parent.pop(last)
    elif isinstance(parent, dict) and what == "unknown":
        parent[data.draw(_WORDS)] = data.draw(_SCALARS)
    elif isinstance(parent, list):
        parent.insert(last, parent[last])
    else:
        parent[last] = [parent[last]]
    return tree


@THOROUGH
@given(st.data())
def test_mutated_documents_get_findings_with_a_place_and_a_remedy(data: st.DataObject) -> None:
    documents = {name: load_text(text, name)[0] for name, text in SOUND.items()}
    name = data.draw(st.sampled_from(sorted(documents)))
    trees = [document.tree for document in documents[name]]
    at = data.draw(st.integers(0, len(trees) - 1))
    trees[at] = mutate(trees[at], data)
    files = {**SOUND, name: "\n---\n".join(json.dumps(tree, indent=1) for tree in trees) + "\n"}
    check_findings(compiled(files), files)


@QUICK
@given(st.data())
@example(None)
def test_mutated_texts_get_findings_with_a_place_and_a_remedy(data: st.DataObject | None) -> None:
    files = dict(SOUND)
    if data is not None:
        name = data.draw(st.sampled_from(sorted(SOUND)))
        text = SOUND[name]
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        junk = st.text(alphabet="{}[]:,-#&*!|>'\"%@` \n\tabc\u00e9\u2028", max_size=6)
        files[name] = text[:start] + data.draw(junk) + text[end:]
    check_findings(compiled(files), files)


@pytest.mark.parametrize("seed", range(5))
def test_a_cache_changes_nothing(seed: int) -> None:
    """Edits compiled one after the other with a cache come to what each comes to alone."""
    dice = random.Random(seed)
    cache = CompilerCache()
    files = dict(SOUND)
    for _ in range(15):
        name = dice.choice(sorted(files))
        old, new = dice.choice(
            [
                ("weight: 90", "weight: 80"),
                ("180s", "170s"),
                ("llama3", "llama4"),
                ("haiku", "sonnet"),
                ("chat", "talk"),
            ]
        )
        if dice.random() < 0.4:
            files = dict(SOUND)
        files[name] = files[name].replace(old, new)
        with_cache, alone = compiled(files, cache), compiled(files)
        assert with_cache.diagnostics == alone.diagnostics
        assert getattr(with_cache.graph, "fingerprint", None) == getattr(alone.graph, "fingerprint", None)
