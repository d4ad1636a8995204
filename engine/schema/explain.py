"""Words for what a document gets wrong: one finding for each error, at the place that has to change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from jsonschema import ValidationError
from pydantic import ValidationError as ModelError

from engine.diagnostics import did_you_mean
from engine.documents import NAME_PATTERN
from engine.units import DURATION_PATTERN, PERCENT_PATTERN

from .access import STORE_URL_PATTERN
from .common import (
    DATE_PATTERN,
    ENV_PATTERN,
    GLOB_PATTERN,
    HEADER_PATTERN,
    MODEL_PATTERN,
    POSITIVE_DURATION_PATTERN,
    SHA256_PATTERN,
    SIZE_PATTERN,
    TARGET_PATTERN,
    TITLE_PATTERN,
    URL_PATTERN,
    VALUE_PATTERN,
)
from .condition import EACH_PATTERN, KEY_PATTERN
from .keywords import SettledError, explainer, matches, show, types_of
from .money import PERIOD_PATTERN, ZONE_PATTERN

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; ``secret`` says that the value at ``path`` must not be shown."""

    code: str
    path: Path
    summary: str
    hint: str = ""
    key: bool = False
    secret: bool = False
    label: str = ""


#: What a text has to be, by the pattern it must match: (what, how to write it).
_NOTATIONS: dict[str, tuple[str, str]] = {
    NAME_PATTERN: ("a name", "letters, digits, dots, underscores and hyphens, beginning with a letter or digit"),
    MODEL_PATTERN: ("a model's name", "letters, digits and . _ : / @ + -, beginning with a letter, a digit or @"),
    TARGET_PATTERN: ("a target", "write provider/model"),
    GLOB_PATTERN: ("a name or glob", "it has no spaces; * stands for any run of characters"),
    TITLE_PATTERN: ("a title", "one line of text without spaces at its ends"),
    VALUE_PATTERN: ("text", "it has no line breaks and no control characters"),
    DURATION_PATTERN: ("a duration", "write for example 200ms, 5s, 1m30s or 24h"),
    POSITIVE_DURATION_PATTERN: ("a duration above zero", "write for example 200ms, 5s, 1m30s or 24h"),
    PERIOD_PATTERN: ("a period", "write hour, day, week or month, or a duration such as 24h"),
    PERCENT_PATTERN: ("a percentage", "write for example 20%"),
    SIZE_PATTERN: ("a size", "write for example 20MB, 512KB or a number of bytes"),
    DATE_PATTERN: ("a date", "write year, month and day, as in 2026-11-30"),
    URL_PATTERN: ("a URL", "write http:// or https://, a host, and a path if need be; no query, no fragment"),
    STORE_URL_PATTERN: ("the address of a store", "write for example redis://localhost:6379/0"),
    ENV_PATTERN: (
        "an environment variable's name",
        "letters, digits and underscores; the secret itself stays outside",
    ),
    HEADER_PATTERN: ("a header's name", "letters, digits and hyphens, without a colon"),
    SHA256_PATTERN: ("a SHA-256 hash", '64 lower-case hexadecimal digits: printf %s "$SECRET" | sha256sum'),
    ZONE_PATTERN: ("a time zone", "write for example UTC or Europe/Berlin"),
    KEY_PATTERN: ("an attribute", "one of model, surface, user, key, team, prompt, metadata.NAME, header.NAME"),
    EACH_PATTERN: ("an attribute", "one of route, model, surface, user, key, team, metadata.NAME, header.NAME"),
}
#: Notations that a number, written in quotes, would satisfy.
_PLAIN = {NAME_PATTERN, MODEL_PATTERN, GLOB_PATTERN, TITLE_PATTERN, VALUE_PATTERN}
#: The longest text that a hint repeats.
_SHORT = 60
_HIDDEN = {ENV_PATTERN, SHA256_PATTERN}
_CREDENTIAL = re.compile(r"(?i)(.*[_-])?(api[_-]?key|secret([_-]?key)?|token|password|passwd|access[_-]?key)")
_ADDRESS_WITH_LOGIN = re.compile(r"(?i)[a-z][a-z0-9+.-]*://[^/\s]*@")
_USE_REFERENCE = "write where it is instead: {env: NAME} or {file: PATH}"
_WORDS = {"string": "text", "array": "a list", "object": "a mapping", "boolean": "true or false", "number": "a number",
          "integer": "a whole number"}  # fmt: skip
_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}


def explain(kind: str, tree: Mapping[str, Any]) -> list[Finding]:
    """Everything that the JSON Schema of ``kind`` has against ``tree``, in no particular order."""
    findings = dict.fromkeys(_finding(kind, error) for error in explainer(kind).iter_errors(tree))
    mistyped = {finding.path for finding in findings if finding.code == "S203"}
    return [finding for finding in findings if finding.code != "S204" or finding.path not in mistyped]


def notation(pattern: str) -> str:
    """What a text that must match ``pattern`` is called, without its article; empty for a pattern without a name."""
    what = _NOTATIONS.get(pattern, ("", ""))[0]
    return what.removeprefix("an ").removeprefix("a ")


def place(path: Path) -> str:
    """A path as people write it: ``step.fallback[0].split``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _within(text: str, path: Path, preposition: str) -> str:
    return f"{text} {preposition} {place(path)}" if path else text


def _finding(kind: str, error: ValidationError) -> Finding:
    path = tuple(error.absolute_path)
    if isinstance(error, SettledError):
        return _settled(kind, error, path)
    schema = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "type":
        return _wrong_type(error.instance, [schema], path)
    if error.validator in ("enum", "const"):
        return _not_one_of(error, path)
    if error.validator == "pattern":
        return _bad_pattern(str(error.instance), str(error.validator_value), path)
    return _measure(error, path)


def _settled(kind: str, error: SettledError, path: Path) -> Finding:
    if error.forms:
        return _wrong_type(error.instance, error.forms, path)
    if error.of_name is not None:
        return _bad_name(error.of_name, path)
    above = path[:-1] if error.key else path
    value = error.instance.get(path[-1]) if error.key and isinstance(error.instance, dict) else None
    if error.code == "S201" and isinstance(value, str) and _CREDENTIAL.fullmatch(str(path[-1])):
        hint = error.hint
        if kind == "provider":
            hint = "write auth: {scheme: bearer, secret: {env: NAME}}"
        return Finding(
            "S207",
            path,
            _within(f'"{path[-1]}" is no key, and its value may be a secret', above, "in"),
            hint,
            True,
            True,
        )
    if error.key or error.code == "S202":
        summary = _within(error.message, above if error.key else path, "in")
        return Finding(error.code, path, summary, error.hint, error.key)
    return Finding(error.code, path, f"{place(path) or 'the document'} {error.message}", error.hint)


def _bad_name(error: ValidationError, path: Path) -> Finding:
    name, above = str(path[-1]), path[:-1]
    if error.validator == "pattern":
        what, how = _NOTATIONS.get(str(error.validator_value), ("a name that can stand here", ""))
        return Finding("S205", path, _within(f"{show(name)} is not {what}", above, "in"), how, True)
    if error.validator == "not":
        return Finding(
            "S208",
            path,
            _within(f'"{name}" cannot be overridden', above, "in"),
            "the route and the client decide it",
            True,
        )
    what = "is empty" if not name else "is too long"
    return Finding("S206" if not name else "S211", path, _within(f"the key {show(name)} {what}", above, "in"), "", True)


def _wrong_type(value: Any, forms: list[Any], path: Path) -> Finding:
    """A value of a type that none of ``forms`` takes."""
    types = list(dict.fromkeys(name for form in forms for name in types_of(form)))
    at = place(path) or "the document"
    if any(form.get("title") == "Secret" for form in forms) and value is not None:
        return Finding("S207", path, f"{at} is a literal secret", _USE_REFERENCE, secret=True)
    wanted = _wanted(forms, types)
    if value is None:
        return Finding("S206", path, f"{at} is left empty", f"write {wanted}, or remove the key", True)
    return Finding("S203", path, f"{at} must be {wanted}, not {_described(value)}", _type_remedy(value, forms, types))


def _wanted(forms: list[Any], types: list[str]) -> str:
    words = []
    for form in forms:
        notation = _NOTATIONS.get(form.get("pattern", ""))
        if notation:
            words.append(notation[0])
        elif "enum" in form:
            words.append("one of " + ", ".join(map(str, form["enum"])))
        else:
            words += [_WORDS[name] for name in types_of(form) if not (name == "integer" and "number" in types)]
    words = list(dict.fromkeys(words))
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _described(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    return f"the text {show(value)}" if isinstance(value, str) else show(value)


def _type_remedy(value: Any, forms: list[Any], types: list[str]) -> str:
    for form in forms:
        pattern = form.get("pattern")
        if pattern in _NOTATIONS and pattern not in _PLAIN and not isinstance(value, list | dict):
            return _NOTATIONS[pattern][1]
    if isinstance(value, str):
        if "boolean" in types and value.lower() in ("yes", "no", "on", "off", "true", "false"):
            meant = "true" if value.lower() in ("yes", "on", "true") else "false"
            return f"{value} is text in YAML 1.2; write {meant}, without quotes"
        if "number" in types or "integer" in types:
            return "numbers are written without quotes and units"
        if "array" in types:
            return f"write [{value}]" if len(value) <= 40 else "write a list"
    if isinstance(value, float) and "integer" in types and value == int(value):
        return f"write {int(value)}"
    if isinstance(value, list) and any(form.get("title") == "FallbackStep" for form in forms):
        return "a list of steps is written {fallback: [...]}"
    if "string" in types and not isinstance(value, list | dict):
        return f'put it in quotes: "{str(value).lower() if isinstance(value, bool) else value}"'
    return ""


def _not_one_of(error: ValidationError, path: Path) -> Finding:
    value, rule = cast(Any, error.instance), cast(Any, error.validator_value)
    choices = [rule] if error.validator == "const" else list(rule)
    words = ", ".join("true" if c is True else str(c) for c in choices)
    at = place(path)
    if value is None:
        return Finding("S206", path, f"{at} is left empty", f"write one of {words}, or remove the key", True)
    close = did_you_mean(value, [str(c) for c in choices]) if isinstance(value, str) else None
    if len(choices) == 1:
        return Finding("S204", path, f"{at} must be {words}, not {show(value)}", f"write {words}")
    hint = f'did you mean "{close}"?' if close else ""
    return Finding("S204", path, f"{at} must be one of {words}, not {show(value)}", hint)


def _bad_pattern(value: str, pattern: str, path: Path) -> Finding:
    what, how = _NOTATIONS.get(pattern, ("right here", ""))
    at = place(path)
    if pattern in (URL_PATTERN, STORE_URL_PATTERN) and _ADDRESS_WITH_LOGIN.match(value):
        remedy = "put the password under auth, as a secret" if pattern == URL_PATTERN else _USE_REFERENCE
        return Finding("S207", path, f"{at} has a login in it, which is a literal secret", remedy, secret=True)
    if pattern in _HIDDEN:
        return Finding("S205", path, f"{at} is not {what}", how, secret=True)
    if not value:
        return Finding("S206", path, f"{at} is empty", how)
    if pattern == TARGET_PATTERN and "/" not in value and path[-1] != "target":
        name = value if len(value) <= _SHORT and matches(NAME_PATTERN, value) else "NAME"
        how = f"write provider/model; another route is written {{route: {name}}}"
    return Finding("S205", path, f"{at}: {show(value)} is not {what}", how)


def _measure(error: ValidationError, path: Path) -> Finding:
    """Errors about size: of numbers, texts, lists and mappings."""
    rule, bound, value = str(error.validator), error.validator_value, cast(Any, error.instance)
    at = place(path) or "the document"
    if rule in _LIMITS:
        return Finding("S210", path, f"{at} must be {_LIMITS[rule]} {bound}, not {value}")
    if rule in ("minItems", "minLength", "minProperties"):
        if not value:
            hint = {"minItems": "write at least one item, or remove the key", "minLength": "write some text"}.get(
                rule, ""
            )
            schema = error.schema if isinstance(error.schema, dict) else {}
            if schema.get("title") == "Secret":
                hint = "write {env: NAME} or {file: PATH}"
            return Finding("S206", path, f"{at} is empty", hint)
        return Finding("S210", path, f"{at} needs at least {bound} items, and has {len(value)}")
    if rule == "maxProperties":
        return Finding("S208", path, f"{at} must have one of {', '.join(value)}, not {len(value)}", "keep one of them")
    return Finding("S211", path, f"{at} is longer than {bound} characters")


def rules(error: ModelError, tree: Mapping[str, Any]) -> list[Finding]:
    """What the models' rules over several fields have against ``tree``: those that a JSON Schema does not state."""
    found = []
    for item in error.errors(include_url=False, include_input=False):
        if item["type"] == "interlock":
            context = item["ctx"]
            path = (*untagged(item["loc"], tree), *context["at"])
            above = path[:-1] if context["key"] else path
            secret = context["code"] == "S207"
            summary = context["message"] if secret else _within(context["message"], above, "in")
            found.append(Finding(context["code"], path, summary, context["hint"], context["key"], secret))
    return found


def leftovers(error: ModelError, tree: Mapping[str, Any]) -> list[Finding]:
    """The models' errors in pydantic's own words, for the case that nobody has better ones."""
    return [
        Finding("S214", path, f"{place(path) or 'the document'}: {item['msg'][:1].lower()}{item['msg'][1:]}")
        for item in error.errors(include_url=False, include_input=False)
        for path in [untagged(item["loc"], tree)]
    ]


def untagged(loc: Path, tree: Mapping[str, Any]) -> Path:
    """The path in ``tree`` that a pydantic location means: without the tags of unions, and only as far as it exists."""
    node: Any = tree
    path: list[str | int] = []
    for part in loc:
        inside = part in node if isinstance(node, dict) else isinstance(node, list) and part in range(len(node))
        if inside:
            node = node[part]
        elif isinstance(part, str) and part.startswith("<"):
            continue
        else:
            break
        path.append(part)
    return tuple(path)
