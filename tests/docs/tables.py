"""The field tables of the manuals, rendered from the JSON Schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.schema.common import RULES
from engine.schema.explain import notation
from engine.schema.export import schema_of

Schema = Mapping[str, Any]

#: Definitions that the manuals explain in words, and what a table calls them.
_WORDS = {
    "Condition": "condition",
    "TargetCondition": "condition",
    "Step": "step",
    "Member": "step, or `{weight, step}`",
}
_PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}


class _Tables:
    """Walks one kind's schema from the top and renders each object the first time it is met."""

    def __init__(self, kind: str) -> None:
        self.root = schema_of(kind)
        self.definitions: Mapping[str, Schema] = self.root.get("$defs", {})
        self.captions: dict[str, str] = {}

    def render(self) -> str:
        parts = [self.table(self.root)]
        todo = list(self.inner(self.root, ""))
        while todo:
            name, path, tag = todo.pop(0)
            if name in self.captions:
                continue
            schema = self.definitions[name]
            self.captions[name] = path
            if "oneOf" in schema:
                forms = [form["$ref"].rsplit("/", 1)[1] for form in schema["oneOf"] if "$ref" in form]
                todo[:0] = [(form, path, self.tag(form)) for form in forms]
                continue
            if not self.wraps(schema):
                parts.append(f"{_caption(path, tag)}: {_sentence(schema)}\n\n{self.table(schema)}")
            todo[:0] = list(self.inner(schema, path))
        return "\n".join(parts)

    def tag(self, name: str) -> str:
        """What tells a form from the others: a constant, or the key that only it has."""
        schema = self.definitions[name]
        for key, part in schema.get("properties", {}).items():
            if "const" in part:
                return f"{key}: {part['const']}"
        return str(schema["required"][0]) if "required" in schema else ""

    def wraps(self, schema: Schema) -> bool:
        """Whether an object has one key only, whose mapping has a table of its own."""
        fields = list(schema.get("properties", {}).values())
        return len(fields) == 1 and any(True for _ in self.referred(fields[0], ""))

    def inner(self, schema: Schema, path: str) -> Iterator[tuple[str, str, str]]:
        """The definitions that the fields of ``schema`` refer to, with where they stand."""
        for key, part in schema.get("properties", {}).items():
            at = f"{path}.{key}" if path else key
            yield from self.referred(part, at)

    def referred(self, schema: Schema, at: str) -> Iterator[tuple[str, str, str]]:
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            if not name.endswith("Condition"):  # the manuals describe conditions in words
                yield name, at, ""
        for form in schema.get("oneOf", ()):
            yield from self.referred(form, at)
        if "items" in schema:
            yield from self.referred(schema["items"], f"{at}[]")
        if isinstance(schema.get("additionalProperties"), dict):
            yield from self.referred(schema["additionalProperties"], f"{at}.NAME")

    def table(self, schema: Schema) -> str:
        required = schema.get("required", ())
        rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
        for key, part in schema["properties"].items():
            default = "**required**" if key in required else _default(part)
            cells = (f"`{key}`", self.value(part), default, self.meaning(part))
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join(rows) + "\n"

    def meaning(self, schema: Schema) -> str:
        """What a field is for; one that says nothing of its own means what its mapping says."""
        if "description" not in schema and "$ref" in schema:
            schema = self.definitions[schema["$ref"].rsplit("/", 1)[1]]
        return str(schema.get("description", "")).split("\n\n")[0].replace("\n", " ")

    def value(self, schema: Schema) -> str:
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return _WORDS.get(name) or self.value(self.definitions[name])
        if "oneOf" in schema:
            return " or ".join(dict.fromkeys(self.value(form) for form in schema["oneOf"]))
        if "const" in schema:
            return f"`{_literal(schema['const'])}`"
        if "enum" in schema:
            return " ".join(f"`{word}`" for word in schema["enum"])
        kind = schema.get("type")
        if kind == "array":
            return f"list of {self.value(schema['items'])}"
        if kind == "object":
            values = schema.get("additionalProperties")
            return f"mapping of name to {self.value(values)}" if isinstance(values, dict) else "mapping"
        if isinstance(kind, list):
            return "text, number, `true` or `false`"
        return notation(schema.get("pattern", "")) or _PLAIN.get(str(kind), "any value") + _range(schema)


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None:
        return ", above 0" if "exclusiveMinimum" in schema else ""
    return f", {low} to {high}" if high < 1_000_000 else f", from {low}" if low >= 0 else ""


def _literal(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _default(schema: Schema) -> str:
    if "default" not in schema:
        return ""
    value = schema["default"]
    if isinstance(value, list):
        return f"`[{', '.join(map(_literal, value))}]`" if all(not isinstance(v, dict) for v in value) else ""
    return f"`{_literal(value)}`"


def _caption(path: str, tag: str) -> str:
    return f"**`{path}`**" + (f" with `{tag}`" if tag else "")


def _sentence(schema: Schema) -> str:
    text = str(schema.get("description", "")).split("\n\n")[0].replace("\n", " ")
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def fields(kind: str) -> str:
    """The Markdown tables of one kind of document: its own fields, then those of every mapping within it."""
    return _Tables(kind).render()


def rules() -> str:
    """The rules that JSON Schemas cannot say, one bullet each."""
    return "\n".join(f"* {sentence}" for sentence in RULES.values())
