"""The jsonschema validator that explains what is refused.

It reads the published schemas by the rules of JSON Schema, more strictly where those are laxer than the models
(``integer`` refuses ``2.0``, a pattern's end is the end of the text), and more helpfully where they say nothing: of a
``oneOf`` it enters the one form that was meant, and it says of each unknown or missing key which one it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from engine.diagnostics import did_you_mean

from .export import schema_of

Schema = Mapping[str, Any]
Validator = Any  # one that jsonschema makes; its protocol leaves out the method that keywords need
Errors = Iterator[ValidationError]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "array": (list,),
    "object": (dict,),
    "boolean": (bool,),
    "number": (int, float),
    "integer": (int,),
    "null": (type(None),),
}


#: Keys that people write in the wrong place, by the schema's title, and what they mean there.
_SLIPS = {
    ("TargetStep", "weight"): "the weight stands beside the step: {weight: 3, step: {target: ...}}",
    ("TargetStep", "when"): "conditions belong to a switch: {switch: {cases: [{when: ..., step: ...}]}}",
    ("Interlock route", "model"): "write match: {model: ...}",
    ("Interlock route", "when"): "write match: {when: ...}",
    ("Interlock route", "steps"): "write step: {fallback: [...]}",
    ("Interlock route", "fallback"): "write step: {fallback: ...}",
    ("Interlock provider", "model"): "write models: {NAME: {model: ...}}",
    ("Interlock provider", "url"): 'did you mean "base_url"?',
    ("Interlock provider", "endpoint"): 'did you mean "base_url"?',
    ("Interlock limit", "limit"): 'did you mean "limits"? It takes a list',
    ("Interlock key", "secret"): "only the hash of the secret is written down, under sha256",
}


class SettledError(ValidationError):
    """An error whose wording is settled where it is found; ``key`` blames the key at the end of its path."""

    def __init__(
        self, code: str, text: str, path: tuple[str | int, ...] = (), hint: str = "", key: bool = False
    ) -> None:
        super().__init__(text, path=path)
        self.code, self.hint, self.key = code, hint, key
        self.forms: list[Schema] = []
        """Where no form has the value's type: the forms there are."""
        self.of_name: ValidationError | None = None
        """Where the name of a key is to blame: what is wrong with it."""


def has_type(value: Any, name: str) -> bool:
    """Whether a JSON value is of the type that a schema calls ``name``; true and false are no numbers."""
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, _TYPES[name])


def types_of(schema: Schema) -> tuple[str, ...]:
    """The types a schema allows, as a tuple."""
    types = schema.get("type", ())
    return (types,) if isinstance(types, str) else tuple(types)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # A "$" of Python's also matches before a line's end at the end of the text; of ECMA's and of Rust's it does not.
    return re.compile(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern, re.ASCII)


def matches(pattern: str, text: str) -> bool:
    """Whether ``text`` matches a schema's pattern as an editor understands it."""
    return _compiled(pattern).search(text) is not None


def _pattern(validator: Validator, pattern: str, instance: Any, schema: Schema) -> Errors:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError("pattern")


def _required(validator: Validator, required: list[str], instance: Any, schema: Schema) -> Errors:
    if not isinstance(instance, dict):
        return
    for name in required:
        if name not in instance:
            meaning = schema.get("properties", {}).get(name, {}).get("description", "")
            yield SettledError(
                "S202", f'missing key "{name}"', hint=f'add "{name}:"' + (f" ({_brief(meaning)})" if meaning else "")
            )


def _brief(text: str) -> str:
    return text.rstrip(".").split("; ")[0].split(". ")[0]


def _extra(validator: Validator, values: Any, instance: Any, schema: Schema) -> Errors:
    """``additionalProperties``, with the unknown key itself as the place of the error."""
    if not isinstance(instance, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in known or any(matches(p, name) for p in patterns):
            continue
        if values is False:
            yield _unknown(name, value, schema)
        else:
            yield from validator.descend(value, values, path=name)


def _unknown(name: str, value: Any, schema: Schema) -> SettledError:
    known = schema.get("properties", {})
    if schema.get("title") in ("Condition", "TargetCondition"):
        return _unknown_attribute(name, [*known, "metadata.NAME", "header.NAME"])
    close = did_you_mean(name, known)
    hint = f'did you mean "{close}"?' if close else f"the keys here are {', '.join(known)}"
    hint = _SLIPS.get((schema.get("title", ""), name), hint)
    return SettledError("S201", f'unknown key "{name}"', (name,), hint, key=True)


def _unknown_attribute(name: str, known: list[str]) -> SettledError:
    close = did_you_mean(name.removeprefix("request."), known)
    if name.startswith("header.") and name != name.lower():
        close = name.lower()
    elif name.startswith("headers."):
        close = f"header.{name[8:].lower()}"
    elif name.startswith("target.label."):
        close = f"target.labels.{name[13:]}"
    elif name.startswith("meta."):
        close = f"metadata.{name[5:]}"
    hint = f'did you mean "{close}"?' if close else f"the attributes are {', '.join(known)}"
    return SettledError("S213", f'unknown attribute "{name}"', (name,), hint, key=True)


def _pattern_properties(validator: Validator, patterns: Schema, instance: Any, schema: Schema) -> Errors:
    if isinstance(instance, dict):
        for name, value in instance.items():
            for pattern, below in patterns.items():
                if matches(pattern, name):
                    yield from validator.descend(value, below, path=name)


def _names(validator: Validator, names: Schema, instance: Any, schema: Schema) -> Errors:
    """``propertyNames``, with the name as the place of the error."""
    if isinstance(instance, dict):
        for name in instance:
            for wrong in validator.descend(name, names):
                error = SettledError("", "", (name,), key=True)
                error.of_name = wrong
                yield error


def _definitions(root: Schema) -> Callable[[Schema], Schema]:
    definitions = root.get("$defs", {})

    def resolve(schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
        return schema

    return resolve


class _Forms:
    """``oneOf``: decides which of the forms was meant, and says so when none was."""

    def __init__(self, resolve: Callable[[Schema], Schema]) -> None:
        self.resolve = resolve

    def __call__(self, validator: Validator, forms: list[Schema], instance: Any, schema: Schema) -> Errors:
        chosen = self.choose(self.flat(forms), instance)
        if isinstance(chosen, SettledError):
            yield chosen
        else:
            yield from validator.descend(instance, chosen)

    def flat(self, forms: list[Schema]) -> list[Schema]:
        """The forms with references resolved and choices within choices spread out."""
        found: list[Schema] = []
        for form in forms:
            form = self.resolve(form)
            found.extend(self.flat(form["oneOf"]) if "oneOf" in form else [form])
        return found

    def choose(self, forms: list[Schema], instance: Any) -> Schema | SettledError:
        fitting = [form for form in forms if any(has_type(instance, name) for name in types_of(form))]
        if not fitting:
            return self.wrong_type(forms, instance)
        if len(fitting) == 1:
            return fitting[0]
        return self.by_tag(fitting, instance) or self.by_keys(fitting, instance)

    def wrong_type(self, forms: list[Schema], instance: Any) -> SettledError:
        error = SettledError("S206" if instance is None else "S203", "")
        error.forms = forms
        return error

    def by_tag(self, forms: list[Schema], instance: Mapping[str, Any]) -> Schema | SettledError | None:
        """The form whose constant key (``scheme: bearer``) the instance has; None where forms have no constant."""
        tags: dict[str, dict[Any, Schema]] = {}
        for form in forms:
            for name, part in form.get("properties", {}).items():
                if "const" in part:
                    tags.setdefault(name, {})[part["const"]] = form
        for name, choices in tags.items():
            if len(choices) != len(forms):
                continue
            words = ", ".join(map(str, choices))
            if name not in instance:
                return SettledError("S202", f'missing key "{name}"', hint=f'add "{name}:" and one of {words}')
            value = instance[name]
            if isinstance(value, str) and value in choices:
                return choices[value]
            close = did_you_mean(value, choices) if isinstance(value, str) else None
            hint = f'did you mean "{close}"?' if close else f"one of {words}"
            return SettledError("S204", f"must be one of {words}, not {show(value)}", (name,), hint)
        return None

    def by_keys(self, forms: list[Schema], instance: Mapping[str, Any]) -> Schema | SettledError:
        """The form whose own key (``fallback:``) the instance has."""
        own = {form["required"][0]: form for form in forms if form.get("required")}
        present = [name for name in instance if name in own]
        if len(present) > 1:
            words = " and ".join(f'"{name}"' for name in present)
            hint = f"keep one of {', '.join(present)}; nest the others in it"
            return SettledError("S208", f"{words} exclude each other", (present[1],), hint, key=True)
        if present:
            return own[present[0]]
        words = ", ".join(own)
        if not instance:
            return SettledError("S206", "is empty", hint=f"write one of {words}")
        close = {name: did_you_mean(name, own) for name in instance}
        best = next((name for name in instance if close[name]), None)
        if best is not None:
            return SettledError("S201", f'unknown key "{best}"', (best,), f'did you mean "{close[best]}"?', key=True)
        return SettledError("S212", f"has none of the keys {words}", hint="add the one that says what it is")


def show(value: Any, longest: int = 60) -> str:
    """A value as a message names it."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f'"{value if len(value) <= longest else value[: longest - 3] + "..."}"'
    return (
        {None: "nothing", True: "true", False: "false"}[value]
        if value is None or isinstance(value, bool)
        else f"{value}"
    )


@cache
def explainer(kind: str) -> Validator:
    """A validator for documents of ``kind`` whose errors lie at the places that people have to change."""
    root = schema_of(kind)
    resolve = _definitions(root)

    def reference(validator: Validator, target: str, instance: Any, schema: Schema) -> Errors:
        yield from validator.descend(instance, resolve({"$ref": target}))

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {name: lambda _, value, name=name: has_type(value, name) for name in _TYPES}
    )
    made: Validator = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator,
        {
            "$ref": reference,
            "oneOf": _Forms(resolve),
            "pattern": _pattern,
            "required": _required,
            "additionalProperties": _extra,
            "patternProperties": _pattern_properties,
            "propertyNames": _names,
        },
        type_checker=checker,
    )
    return made(root)
