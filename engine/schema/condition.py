"""``when:`` conditions: their JSON Schema, and the check that agrees with it.

In a declaration a condition stays the plain tree that was written; the compiler turns it into nodes of
``engine.graph.conditions``. What may be written is stated twice, in :func:`definitions` for editors and in
:func:`check` for speed; the agreement test holds the two together.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema
from pydantic_core import PydanticCustomError

FLAGS = ("stream", "tools", "vision", "json_schema")
NUMBERS = ("input_tokens", "max_tokens")
WORDS = ("model", "surface", "user", "key", "team")
TARGET_NUMBERS = ("context_window", "max_output")
TARGET_WORDS = ("id", "provider", "model", "category", "dialect")

_REACH = r"metadata\.[^\x00-\x20\x7f]+|header\.[a-z0-9!#$%&'*+.^_`|~-]+"
#: What a split or a hash may be keyed by: ``prompt`` too, which only these read.
KEY_PATTERN = rf"^({'|'.join(WORDS)}|prompt|{_REACH})$"
EACH_PATTERN = rf"^(route|{'|'.join(WORDS)}|{_REACH})$"

_FLAG = re.compile(rf"^({'|'.join(FLAGS)})\Z")
_NUMBER = re.compile(rf"^({'|'.join(NUMBERS)})\Z")
_VALUE = re.compile(rf"^({'|'.join(WORDS)}|{_REACH})\Z")
_TARGET_NUMBER = re.compile(rf"^target\.({'|'.join(TARGET_NUMBERS)})\Z")
_TARGET_VALUE = re.compile(rf"^target\.({'|'.join(TARGET_WORDS)}|labels\.[A-Za-z0-9][A-Za-z0-9._-]*)\Z")

Tree = dict[str, JsonValue]


def _refuse() -> PydanticCustomError:
    return PydanticCustomError("condition", "not a condition")


def _scalar(value: Any) -> bool:
    return isinstance(value, str | bool) or _number(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _many(value: Any, one: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(one(v) for v in value)


def _test(value: Any, one: Any, *, ordered: bool, globs: bool) -> bool:
    """Whether ``value`` is what an attribute of this type may be compared with."""
    if not isinstance(value, dict):
        return bool(one(value)) or _many(value, one)
    if not value:
        return False
    for operator, operand in value.items():
        if operator in ("eq", "ne"):
            good = one(operand)
        elif operator in ("in", "not_in"):
            good = _many(operand, one)
        elif operator == "exists":
            good = isinstance(operand, bool)
        elif operator == "glob":
            good = globs and (_text(operand) or _many(operand, _text))
        elif operator in ("gt", "gte", "lt", "lte"):
            good = ordered and _number(operand)
        else:
            good = False
        if not good:
            return False
    return True


def _holds(attribute: str, value: Any, targets: bool) -> bool:
    if _FLAG.match(attribute):
        return _test(value, _flag, ordered=False, globs=False)
    if _NUMBER.match(attribute) or (targets and _TARGET_NUMBER.match(attribute)):
        return _test(value, _number, ordered=True, globs=False)
    if _VALUE.match(attribute) or (targets and _TARGET_VALUE.match(attribute)):
        return _test(value, _scalar, ordered=True, globs=True)
    return False


def check(tree: Any, targets: bool = False) -> bool:
    """Whether ``tree`` is a condition; ``targets`` allows the ``target.*`` attributes of invariants."""
    if not isinstance(tree, dict) or not tree:
        return False
    for key, value in tree.items():
        if key in ("all", "any"):
            if not isinstance(value, list) or not value or not all(check(part, targets) for part in value):
                return False
        elif key == "not":
            if not check(value, targets):
                return False
        elif not _holds(key, value, targets):
            return False
    return True


def _condition(tree: Tree) -> Tree:
    if not check(tree):
        raise _refuse()
    return tree


def _invariant(tree: Tree) -> Tree:
    if not check(tree, targets=True):
        raise _refuse()
    return tree


def _group(one: dict[str, Any], operators: dict[str, Any], title: str, description: str) -> dict[str, Any]:
    """A schema that says: a value, a list of values (one of), or a mapping of operators."""
    many = {"type": "array", "minItems": 1, "items": one}
    properties = {
        "eq": {**one, "description": "Equals."},
        "ne": {**one, "description": "Does not equal; true of an absent attribute."},
        "in": {**many, "description": "Is one of."},
        "not_in": {**many, "description": "Is none of; true of an absent attribute."},
        **operators,
        "exists": {"type": "boolean", "description": "Whether the attribute is there at all."},
    }
    mapping = {
        "title": "Operators",
        "type": "object",
        "description": "All of these must hold.",
        "minProperties": 1,
        "properties": properties,
        "additionalProperties": False,
    }
    return {"title": title, "description": description, "oneOf": [one, many, mapping]}


def definitions() -> dict[str, Any]:
    """The ``$defs`` that :data:`When` and :data:`TargetWhen` refer to."""
    scalar = {"type": ["string", "number", "boolean"]}
    ordered = {
        name: {"type": "number", "description": f"Is {words}; reads numbers and strings that are numbers."}
        for name, words in (
            ("gt", "greater than"),
            ("gte", "greater than or equal to"),
            ("lt", "less than"),
            ("lte", "less than or equal to"),
        )
    }
    text = {"type": "string"}
    glob = {
        "description": "Matches a glob (`*` any run of characters, `?` one), or one of a list of globs.",
        "oneOf": [text, {"type": "array", "minItems": 1, "items": text}],
    }
    flag = _group({"type": "boolean"}, {}, "FlagTest", "true, false, or operators.")
    number = _group({"type": "number"}, ordered, "NumberTest", "A number, a list of numbers, or operators.")
    value = _group(scalar, {"glob": glob, **ordered}, "ValueTest", "A value, a list of values, or operators.")
    return {
        "FlagTest": flag,
        "NumberTest": number,
        "ValueTest": value,
        "Condition": _definition("Condition", targets=False),
        "TargetCondition": _definition("TargetCondition", targets=True),
    }


def _definition(name: str, *, targets: bool) -> dict[str, Any]:
    this = {"$ref": f"#/$defs/{name}"}
    parts = {"type": "array", "minItems": 1, "items": this}
    flag, number, value = ({"$ref": f"#/$defs/{t}"} for t in ("FlagTest", "NumberTest", "ValueTest"))
    properties: dict[str, Any] = {
        "all": {**parts, "description": "Every one of these conditions holds."},
        "any": {**parts, "description": "At least one of these conditions holds."},
        "not": {**this, "description": "This condition does not hold."},
        **dict.fromkeys(WORDS, value),
        **dict.fromkeys(FLAGS, flag),
        **dict.fromkeys(NUMBERS, number),
    }
    patterns = {r"^metadata\.[^\x00-\x20\x7f]+$": value, r"^header\.[a-z0-9!#$%&'*+.^_`|~-]+$": value}
    if targets:
        properties |= {f"target.{n}": value for n in TARGET_WORDS} | {f"target.{n}": number for n in TARGET_NUMBERS}
        patterns[r"^target\.labels\.[A-Za-z0-9][A-Za-z0-9._-]*$"] = value
    return {
        "title": name,
        "type": "object",
        "description": "All of these must hold: attribute to value, list of values, or operators; all, any, not.",
        "minProperties": 1,
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": False,
    }


#: A condition over a request's attributes, and one that may also speak of the target (invariants). ``x-def`` names the
#: definition that the export puts in its place.
When = Annotated[Tree, AfterValidator(_condition), WithJsonSchema({"x-def": "Condition"})]
TargetWhen = Annotated[Tree, AfterValidator(_invariant), WithJsonSchema({"x-def": "TargetCondition"})]
KeyAttribute = Annotated[str, Field(pattern=KEY_PATTERN, max_length=200, examples=["user", "metadata.team"])]
EachAttribute = Annotated[str, Field(pattern=EACH_PATTERN, max_length=200, examples=["key", "metadata.team"])]
