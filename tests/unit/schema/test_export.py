"""The published JSON Schemas: whole, self-contained, current, and helpful in an editor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.schema import MODELS, SCHEMAS, check_schemas, write_schemas
from engine.schema.export import DRAFT, files

ROOT = Path(__file__).resolve().parents[3]


def nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def test_the_committed_schemas_are_current() -> None:
    assert check_schemas(ROOT / "schemas") == []


@pytest.mark.parametrize("name", sorted(files()))
def test_a_schema_is_valid_and_refers_to_nothing_outside(name: str) -> None:
    schema = json.loads(files()[name])
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DRAFT
    references = {
        node["$ref"] for node in nodes(schema) if isinstance(node, dict) and isinstance(node.get("$ref"), str)
    }
    assert all(reference.startswith("#/$defs/") for reference in references)
    assert {reference.removeprefix("#/$defs/") for reference in references} == set(schema.get("$defs", {}))


@pytest.mark.parametrize("kind", MODELS)
def test_every_key_is_described_and_every_mapping_closed(kind: str) -> None:
    schema = SCHEMAS[kind]
    for title, part in {kind: schema, **schema.get("$defs", {})}.items():
        for key, value in part.get("properties", {}).items():
            described = "description" in value or ("$ref" in value)
            assert described, f"{title}.{key}"
        if part.get("type") == "object":
            assert "additionalProperties" in part, title


def test_schemas_are_looked_up_by_kind() -> None:
    assert list(SCHEMAS) == list(MODELS)
    assert len(SCHEMAS) == 9
    assert "rout" not in SCHEMAS
    with pytest.raises(KeyError):
        SCHEMAS["rout"]


def test_what_is_not_current_is_named(tmp_path: Path) -> None:
    assert len(check_schemas(tmp_path / "none")) == len(files())
    write_schemas(tmp_path / "new")
    assert check_schemas(tmp_path / "new") == []
    (tmp_path / "new" / "route.schema.json").write_text("{}", encoding="utf-8")
    (tmp_path / "new" / "old.schema.json").write_text("{}", encoding="utf-8")
    (tmp_path / "new" / "key.schema.json").unlink()
    assert check_schemas(tmp_path / "new") == [
        "route.schema.json is not what the models say",
        "key.schema.json is missing",
        "old.schema.json belongs to no kind of document",
    ]


def test_current_files_are_not_touched(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write_schemas(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
