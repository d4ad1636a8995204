"""An edit costs what it changes, and what means the same stays the same object."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.compiler import Caches, CompilerCache, compile_folder
from engine.compiler.cache import Generations
from engine.compiler.passes import declarations

BIG = Path(__file__).parents[2] / "properties" / "big.py"


@pytest.fixture(scope="module")
def big() -> ModuleType:
    spec = importlib.util.spec_from_file_location("big", BIG)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def changed(before: Any, after: Any) -> list[str]:
    return [name for name in after.routes if after.routes[name] is not before.routes.get(name)]


@pytest.mark.parametrize("globs", [False, True])
def test_edits_of_a_large_configuration(
    big: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, globs: bool
) -> None:
    big.write_big_config(tmp_path, 300, 10, 10, globs)
    caches = Caches()
    first = compile_folder(tmp_path, caches=caches, environ={})
    assert first.diagnostics == ()
    assert (first.documents, len(first.graph.routes), len(first.graph.targets)) == (311, 300, 100)

    validated: list[str] = []
    validate = declarations.validate
    monkeypatch.setattr(declarations, "validate", lambda d: (validated.append(d.name), validate(d))[1])

    again = compile_folder(tmp_path, caches=caches, environ={})
    assert (validated, changed(first.graph, again.graph)) == ([], [])
    assert again.graph.fingerprint == first.graph.fingerprint
    assert again.digest == first.digest

    edit(tmp_path / "policies/routes/0001.yaml", "p000/m0", "p000/m9")
    routed = compile_folder(tmp_path, caches=caches, environ={})
    assert len(validated) == 1
    assert changed(first.graph, routed.graph) == validated

    edit(tmp_path / "providers.d/p001.yaml", "upstream-p001-3", "upstream-p001-x")
    provided = compile_folder(tmp_path, caches=caches, environ={})
    target = provided.graph.targets["p001/m3"]
    assert validated[1:] == ["p001"]
    assert provided.graph.targets["p001/m4"] is first.graph.targets["p001/m4"]
    assert changed(routed.graph, provided.graph) == [
        name for name, route in provided.graph.routes.items() if target in route.targets
    ]


def test_a_policy_changes_only_what_it_is_for(compiled: Any, write: Any) -> None:
    cache = CompilerCache()
    routes = (write.route("a", "acme/large"), write.route("b", "acme/small"), write.route("c", "{route: a}"))
    before = compiled(*routes, write.policy("p", "{routes: [b]}", "timeouts: {idle: 1s}"), cache=cache).graph
    after = compiled(*routes, write.policy("p", "{targets: [acme/large]}", "timeouts: {idle: 1s}"), cache=cache).graph
    assert changed(before, after) == ["a", "b", "c"]
    again = compiled(*routes, write.policy("p", "{targets: ['*/large']}", "timeouts: {idle: 1s}"), cache=cache).graph
    assert changed(after, again) == []
    assert again.fingerprint != after.fingerprint


def test_a_route_follows_the_routes_it_uses(compiled: Any, write: Any) -> None:
    cache = CompilerCache()
    texts = [write.route("a", "{route: b}"), write.route("b", "{route: c}"), write.route("c", "acme/large")]
    before = compiled(*texts, write.route("d", "acme/large"), cache=cache).graph
    texts[2] = write.route("c", "acme/small")
    after = compiled(*texts, write.route("d", "acme/large"), cache=cache).graph
    assert changed(before, after) == ["a", "b", "c"]
    assert [t.id for t in after.routes["a"].targets] == ["acme/small"]
    assert before.routes["a"].digest != after.routes["a"].digest


def test_a_broken_edit_that_is_taken_back_leaves_everything_as_it_was(compiled: Any, write: Any) -> None:
    cache = CompilerCache()
    good = (write.route("a", "acme/large"), write.route("b", "acme/small"))
    before = compiled(*good, cache=cache).graph
    for _ in range(3):
        assert compiled(good[0], providers=write.providers.replace("acme", "acne"), cache=cache).graph is None
    after = compiled(*good, cache=cache).graph
    assert changed(before, after) == []
    assert after.providers["acme"] is before.providers["acme"]


def test_a_warning_is_repeated_at_its_present_place(compiled: Any, write: Any) -> None:
    cache = CompilerCache()
    text = write.route("a", "{fallback: [acme/large, acme/large]}")
    first = compiled(text, cache=cache)
    second = compiled("# above\n# it\n" + text, cache=cache)
    (one,), (two,) = ([d for d in result.diagnostics if d.code == "W902"] for result in (first, second))
    assert two.line == one.line + 2
    assert second.graph.routes["a"] is first.graph.routes["a"]


def test_generations_keep_the_last_and_the_last_good() -> None:
    cache: Generations[str, str] = Generations()
    cache.put("a", "good")
    cache.turn(True)
    cache.put("b", "bad")
    cache.turn(False)
    assert list(cache.candidates("a")) == ["good"]
    assert list(cache.candidates("b")) == ["bad"]
    cache.turn(False)
    assert (cache.get("a"), cache.get("b")) == ("good", None)
    cache.turn(True)
    cache.turn(True)
    assert cache.get("a") is None
