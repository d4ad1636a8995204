"""Whatever a reader may meet is in the documents: codes, commands, keys, endpoints, headers, reasons, classes."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from pages import DOCUMENTS, ROOT
from parts import SKIPS, WHEN

import engine
from engine.cli.app import COMMANDS
from engine.compiler import features
from engine.diagnostics import CODES
from engine.exchange import OutcomeClass
from engine.executor.intake import SURFACES
from engine.planner import SKIP_REASONS
from engine.schema import MODELS, SCHEMAS
from engine.server.management import ROUTES
from engine.telemetry.definitions import METRICS

TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
EVERYTHING = "\n".join(TEXTS.values())
MANUAL = TEXTS["engine/README.md"]


def missing(words: Any, text: str) -> list[str]:
    """Those of the words that do not stand in the text as code."""
    return [word for word in words if not re.search(rf"`[^`\n]*(?<![\w-]){re.escape(word)}(?![\w-])[^`\n]*`", text)]


def literals(*parts: str) -> Iterator[str]:
    """The texts that stand in the source of these parts of the engine; bytes count as texts."""
    for part in parts:
        for path in (ROOT / "engine" / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                    yield node.value if isinstance(node.value, str) else node.value.decode("latin-1")


def test_diagnostic_codes() -> None:
    assert missing(CODES, MANUAL) == []


def test_commands() -> None:
    names = [f"interlock {name}" for name in COMMANDS]
    assert missing(names, TEXTS["README.md"]) == []
    assert missing(names, TEXTS["engine/cli/README.md"]) == []


def test_endpoints() -> None:
    assert missing([f"/v1{path}" for path in SURFACES] + list(ROUTES), MANUAL) == []


def test_headers() -> None:
    headers = {text for text in literals("server", "executor") if re.fullmatch(r"x(-[a-z]+)+", text)}
    assert len(headers) >= 10
    usual = {"authorization", "retry-after", "www-authenticate", "allow", "cache-control"}
    assert usual <= set(literals("server", "executor"))
    assert missing(headers | usual, MANUAL) == []


def test_environment_variables() -> None:
    names = {text for text in literals("cli", "server", "runtime") if re.fullmatch(r"INTERLOCK_[A-Z_]+", text)}
    assert len(names) >= 2
    assert missing(names | {"NO_COLOR"}, TEXTS["engine/cli/README.md"]) == []


def test_outcome_classes() -> None:
    assert set(WHEN) == set(OutcomeClass)
    assert missing(list(OutcomeClass), MANUAL) == []


def test_skip_reasons() -> None:
    assert tuple(SKIPS) == SKIP_REASONS
    assert missing(SKIP_REASONS, MANUAL) == []


def test_names_of_the_library() -> None:
    members = [name for name in dir(engine.Engine) if not name.startswith("_")]
    assert missing([*engine.__all__, *members], MANUAL) == []


@pytest.mark.parametrize("kind", MODELS)
def test_every_key_of_a_document(kind: str) -> None:
    manual = TEXTS["providers.d/README.md" if kind == "provider" else "policies/README.md"]
    part = manual.split(f"<!-- generated: fields {kind} -->")[1].split("<!-- end:")[0]
    conditions = {"Condition", "TargetCondition", "FlagTest", "NumberTest", "ValueTest"}
    objects = [SCHEMAS[kind], *(d for name, d in SCHEMAS[kind].get("$defs", {}).items() if name not in conditions)]
    wide = {key for o in objects if len(o.get("properties", {})) > 1 for key in o["properties"]}
    wrappers = {key for o in objects if len(o.get("properties", {})) == 1 for key in o["properties"]}
    assert [key for key in wide if f"| `{key}` |" not in part] == []
    assert [key for key in wrappers if not re.search(rf"[`.]{key}(\[\])?[`.]", part)] == []


def test_attributes_and_operators_of_conditions() -> None:
    defs = SCHEMAS["invariant"]["$defs"]
    attributes = [name for name in defs["TargetCondition"]["properties"] if name not in ("all", "any", "not")]
    forms = [form for name in ("ValueTest", "NumberTest", "FlagTest") for form in defs[name]["oneOf"]]
    operators = {operator for form in forms for operator in form.get("properties", ())}
    assert len(attributes) >= 10
    assert operators >= {"eq", "not_in", "exists", "lte"}
    words = [*attributes, *operators, "all", "any", "not", "metadata.NAME", "header.NAME", "target.labels.NAME"]
    assert missing(words, TEXTS["policies/README.md"]) == []


def test_what_this_version_does_not_do() -> None:
    said = TEXTS["README.md"].split("## What it does")[1].split("## A tour")[0]
    assert missing(features.ONLY_CHECKED, said) == []
    manuals = TEXTS["policies/README.md"] + TEXTS["providers.d/README.md"]
    assert missing(set(features.INSTEAD) - {"dialect", "transport", "scheme", "by", "store"}, manuals) == []
    for kind in features.ONLY_CHECKED:
        assert f"| [`{kind}`]" in TEXTS["policies/README.md"]


def test_metrics() -> None:
    """Each is in the manual, and what any document calls a metric is one."""
    assert missing([d.name for d in METRICS], MANUAL) == []
    parts = [f"{d.name}_{part}" for d in METRICS if d.kind == "histogram" for part in ("bucket", "sum", "count")]
    known = {*(d.name for d in METRICS), *parts, *(label for d in METRICS for label in d.labels)}
    named = set(re.findall(r"(?<![\w:./-])(?:interlock|gen_ai)_[a-z0-9_]+(?![\w(*-])", EVERYTHING))
    assert len(named) >= len(METRICS)
    assert named - known == set()
    otel = {d.otel for d in METRICS}
    assert len(otel) == len(METRICS)
    assert missing(otel, MANUAL) == []


def test_extras() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert missing(set(extras) - {"demo", "dev"}, TEXTS["README.md"]) == []
    assert "'.[demo]'" in TEXTS["README.md"]
