"""JSON Schemas (draft 2020-12) generated from the models: for editors, for CI, and for explaining what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .condition import definitions
from .kinds import MODELS

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_MAPS = ("properties", "patternProperties", "$defs")
_ORDER = ("$schema", "title", "description", "type", "const", "enum", "properties", "required")


def _each(node: Any, change: Callable[[Schema], None]) -> None:
    """Apply ``change`` to every schema at and below ``node``, innermost first; names of properties are not schemas."""
    if isinstance(node, list):
        for part in node:
            _each(part, change)
    if not isinstance(node, dict):
        return
    for word, value in node.items():
        if word in _MAPS:
            for schema in value.values():
                _each(schema, change)
        elif word in ("items", "additionalProperties", "oneOf", "anyOf", "not"):
            _each(value, change)
    change(node)


def _tidy(schema: Schema) -> None:
    """What pydantic writes, as people read it in an editor: no title for a property, no default that says nothing."""
    if "properties" in schema:
        for part in schema["properties"].values():
            part.pop("title", None)
    if "x-def" in schema:
        schema["$ref"] = f"#/$defs/{schema.pop('x-def')}"
    default = schema.get("default")
    if default in (None, {}, []) or isinstance(default, dict):
        schema.pop("default", None)
    elif isinstance(default, str) and schema.get("type") == "number":
        schema["default"] = json.loads(default)
    patterns = schema.get("patternProperties", {})
    if len(patterns) == 1 and "properties" not in schema:
        # A key that does not match must be refused: the pattern belongs to the names, not to the values.
        ((pattern, values),) = schema.pop("patternProperties").items()
        schema["propertyNames"] = {"type": "string", "pattern": pattern, **schema.get("propertyNames", {})}
        schema["additionalProperties"] = values


def _ordered(node: Any, named: bool = False) -> Any:
    """The same schema with its keywords in a stable order; ``named`` says that the keys are names of properties."""
    if isinstance(node, list):
        return [_ordered(part) for part in node]
    if not isinstance(node, dict):
        return node
    keys = (
        list(node)
        if named
        else sorted(node, key=lambda k: (_ORDER.index(k) if k in _ORDER else len(_ORDER), k == "$defs", k))
    )
    return {key: _ordered(node[key], named=not named and key in _MAPS) for key in keys}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value.rsplit("/", 1)[1]
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for part in node:
            yield from _references(part)


def _used(schema: Schema, available: Mapping[str, Schema]) -> dict[str, Schema]:
    """The definitions that ``schema`` needs, directly or not."""
    todo, used = set(_references(schema)), set[str]()
    while todo:
        name = todo.pop()
        used.add(name)
        todo |= set(_references(available[name])) - used
    return {name: available[name] for name in sorted(used)}


@cache
def schema_of(kind: str) -> Schema:
    """The JSON Schema of one kind of document; it refers to nothing outside of itself."""
    schema = MODELS[kind].model_json_schema()
    own = schema.pop("$defs", {})
    for name, definition in own.items():
        definition["title"] = name
    available = own | definitions()
    _each([schema, *available.values()], _tidy)
    schema |= {"$schema": DRAFT, "title": f"Interlock {kind}"}
    schema["$defs"] = _used(schema, available)
    ordered: Schema = _ordered(schema)
    return ordered


@cache
def schema_of_any() -> Schema:
    """The JSON Schema of a document of any kind, which goes by its ``kind``."""
    shared: dict[str, Schema] = {}
    choices = []
    for kind in MODELS:
        schema = dict(schema_of(kind))
        del schema["$schema"]
        for name, definition in {**schema.pop("$defs", {}), kind: schema}.items():
            if shared.setdefault(name, definition) != definition:
                raise ValueError(f"two kinds of document define {name} differently")
        choices.append(
            {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": {"$ref": f"#/$defs/{kind}"}}
        )
    kinds = {"enum": list(MODELS), "description": "What this document declares."}
    return {
        "$schema": DRAFT,
        "title": "Interlock document",
        "description": "A document of an Interlock configuration, of any kind.",
        "type": "object",
        "properties": {"kind": kinds},
        "required": ["version", "kind", "name"],
        "allOf": choices,
        "$defs": dict(sorted(shared.items())),
    }


class _Schemas(Mapping[str, Schema]):
    """Kind to JSON Schema; each is generated when it is first asked for."""

    def __getitem__(self, kind: str) -> Schema:
        return schema_of(kind)

    def __iter__(self) -> Iterator[str]:
        return iter(MODELS)

    def __len__(self) -> int:
        return len(MODELS)


SCHEMAS: Mapping[str, Schema] = _Schemas()


def files() -> dict[str, str]:
    """The files of the ``schemas`` folder: name to content."""
    schemas = {kind: schema_of(kind) for kind in MODELS} | {"interlock": schema_of_any()}
    return {
        f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }


def write_schemas(folder: Path | str) -> None:
    """Write every schema file into ``folder``, which is made if need be; files that are current stay untouched."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")


def check_schemas(folder: Path | str) -> list[str]:
    """What is not current in ``folder``, one sentence each; empty when nothing is to be done."""
    root, expected = Path(folder), files()
    wrong = []
    for name, content in expected.items():
        path = root / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif path.read_text(encoding="utf-8") != content:
            wrong.append(f"{name} is not what the models say")
    extra = (
        sorted(path.name for path in root.glob("*.schema.json") if path.name not in expected) if root.is_dir() else []
    )
    return [*wrong, *(f"{name} belongs to no kind of document" for name in extra)]
