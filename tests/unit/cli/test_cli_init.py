"""``interlock init --providers``: whatever is chosen from the catalogue compiles at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli import cli
from engine.cli.starter import chat_targets, load
from engine.compiler import compile_folder
from engine.runtime.catalogue import catalogue, catalogue_names
from engine.schema import TestDoc


def init(folder: Path, *providers: str) -> Result:
    return CliRunner().invoke(cli, ["init", str(folder), "--providers", ",".join(providers)])


@pytest.mark.parametrize("name", catalogue_names())
def test_every_provider_of_the_catalogue_makes_a_configuration(name: str, tmp_path: Path) -> None:
    done = init(tmp_path, name)
    assert done.exit_code == 0, done.output
    written = (tmp_path / f"providers.d/{name}.yaml").read_text("utf-8")
    assert written == (catalogue() / f"{name}.yaml").read_text("utf-8")
    compilation = compile_folder(tmp_path, environ={})
    assert compilation.graph is not None
    assert compilation.graph.routes
    # What is missing on this machine, and what the one route leaves unused.
    assert {finding.code for finding in compilation.diagnostics} <= {"W903", "W905", "W909", "N912"}
    for finding in compilation.diagnostics:
        if finding.code == "W909":
            assert f"in providers.d/{name}.yaml by your own" in done.output


def test_the_route_falls_over_in_the_order_given(tmp_path: Path) -> None:
    done = init(tmp_path, "groq,together", "ollama")
    assert done.exit_code == 0, done.output
    compilation = compile_folder(tmp_path, environ={})
    assert compilation.graph is not None
    targets = compilation.graph.routes["chat"].targets
    assert [target.provider.name for target in targets] == ["groq", "together", "ollama"]
    # The hosts have the same open model, and nothing is lost on the way down.
    assert len({target.name for target in targets[:2]}) == 1
    assert "W901" not in {finding.code for finding in compilation.diagnostics}
    (test,) = [doc for doc in compilation.declarations if isinstance(doc, TestDoc)]
    assert test.expect.attempts == [target.id for target in targets[:2]]
    assert "GROQ_API_KEY" in done.output
    assert "TOGETHER_API_KEY" in done.output


def test_a_stand_in_can_what_the_first_can() -> None:
    found = {name: doc for name, (_, doc) in load(["openai", "anthropic"]).items()}
    first, second = (target.split("/", 1) for target in chat_targets(found))
    assert (first[0], second[0]) == ("openai", "anthropic")
    able, other = (found[provider].models[name] for provider, name in (first, second))
    assert "tools" in able.supports
    assert {"tools", "vision", "json_schema"} & set(able.supports) <= set(other.supports)


@pytest.mark.parametrize("surface", ["embeddings", "rerank"])
def test_what_does_not_compare_has_no_fallback(surface: str, tmp_path: Path) -> None:
    done = init(tmp_path, "voyage", "cohere")
    assert done.exit_code == 0, done.output
    graph = compile_folder(tmp_path, environ={}).graph
    assert graph is not None
    (target,) = graph.routes[surface].targets
    assert target.provider.name == "voyage"
    assert surface in target.supports


def test_an_unknown_name_gets_the_nearest_and_the_list(tmp_path: Path) -> None:
    done = init(tmp_path / "new", "opnai")
    assert done.exit_code == 2
    assert 'did you mean "openai"?' in done.output
    for category in ("cloud: ", "local: ", "gateway: ", "specialized: "):
        assert category in done.output
    assert not (tmp_path / "new").exists()
