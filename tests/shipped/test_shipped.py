"""The configurations that ship with Interlock compile cleanly: the repository's own, and the demo's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from engine.cli.demo.stage import CONFIG as DEMO
from engine.compiler import Compilation, compile_folder
from engine.documents import load_text

ROOT = Path(__file__).parents[2]
SHIPPED = {"repository": ROOT, "demo": DEMO}

#: Notes that a provider or a model is not used: a catalogue offers more than one configuration takes.
UNUSED = {"N911", "N912"}


def secrets_of(root: Path) -> set[str]:
    """Names of the environment variables that the providers read their secrets from."""
    text = "\n".join(file.read_text("utf-8") for file in (root / "providers.d").glob("*.yaml"))
    return set(re.findall(r"secret: \{env: (\w+)\}", text))


def compiled(root: Path, environ: dict[str, str]) -> Compilation:
    return compile_folder(root, environ=environ)


@pytest.mark.parametrize("root", SHIPPED.values(), ids=SHIPPED.keys())
def test_compiles_without_a_finding_when_secrets_are_set(root: Path) -> None:
    compilation = compiled(root, dict.fromkeys(secrets_of(root), "set"))
    found = compilation.diagnostics
    assert [(d.code, d.file, d.line, d.summary) for d in found if d.severity != "note"] == []
    assert {d.code for d in found} <= UNUSED
    assert compilation.graph is not None
    assert compilation.graph.routes


def test_unset_secrets_are_warnings_and_nothing_worse() -> None:
    compilation = compiled(ROOT, {})
    assert compilation.graph is not None
    used = {t.provider for route in compilation.graph.routes.values() for t in route.targets}
    secrets = {provider.auth.secret.name for provider in used if provider.auth.secret}
    assert len(secrets) >= 4
    found = [d for d in compilation.diagnostics if d.code not in UNUSED]
    assert {(d.severity, d.code) for d in found} == {("warning", "W903")}
    assert len(found) == len(secrets)
    assert all(sum(secret in d.summary for d in found) == 1 for secret in secrets)


@pytest.mark.parametrize("route", ["chat", "demo", "gpt-oss"])
def test_routes_that_work_without_a_key_have_a_target_on_this_machine(route: str) -> None:
    compilation = compiled(ROOT, {})
    assert compilation.graph is not None
    assert "local" in {target.provider.category for target in compilation.graph.routes[route].targets}


FILES = sorted(file for folder in ("providers.d", "policies") for file in (ROOT / folder).rglob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_other_tools_read_the_same_and_find_it_valid(file: Path) -> None:
    """An editor or a pipeline may read YAML 1.1 and knows only the schema that the file's first line names."""
    text = file.read_text("utf-8")
    schema = json.loads((file.parent / re.findall(r"\$schema=(\S+)", text)[0]).read_text("utf-8"))
    trees = list(yaml.safe_load_all(text))
    assert trees == [document.tree for document in load_text(text, file.name)[0]]
    for tree in trees:
        Draft202012Validator(schema).validate(tree)
