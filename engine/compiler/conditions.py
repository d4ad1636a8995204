"""A condition as it was written becomes a condition that can be evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.documents import Path
from engine.graph import All, Any_, Condition, Not, Test
from engine.graph.globs import is_glob
from engine.graph.satisfy import satisfiable


def lower(tree: Mapping[str, Any]) -> Condition:
    """The condition that a valid tree under ``when`` means; the order of its keys makes no difference."""
    parts = [part for key in sorted(tree) for part in _entry(key, tree[key])]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _entry(key: str, value: Any) -> list[Condition]:
    if key == "all":
        return [All(tuple(lower(part) for part in value))]
    if key == "any":
        return [Any_(tuple(lower(part) for part in value))]
    if key == "not":
        return [Not(lower(value))]
    if isinstance(value, dict):
        return [Test(key, operator, _operand(value[operator])) for operator in sorted(value)]
    return [Test(key, "in", tuple(value)) if isinstance(value, list) else Test(key, "eq", value)]


def _operand(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def may_hold(*conditions: Condition | None) -> bool:
    """Whether some request may satisfy all of these at once; ``None`` is no condition. ``False`` is certain."""
    given = tuple(condition for condition in conditions if condition is not None)
    if not given:
        return True
    try:
        return satisfiable(given[0] if len(given) == 1 else All(given))
    except RecursionError:  # thousands of tests in one condition: undecided, and undecided is never refused
        return True


def of_models(patterns: tuple[str, ...]) -> Condition:
    """What ``match.model`` says, as a condition on ``model``."""
    exact = tuple(p for p in patterns if not is_glob(p))
    globs = tuple(p for p in patterns if is_glob(p))
    parts = [Test("model", "in", exact)] if exact else []
    if globs:
        parts.append(Test("model", "glob", globs))
    return parts[0] if len(parts) == 1 else Any_(tuple(parts))


def blame(tree: Mapping[str, Any], path: Path, beside: Condition | None = None) -> Path:
    """The narrowest place below ``path`` that cannot hold on its own (or together with ``beside``)."""
    for key in tree:
        if key in ("all", "any", "not"):
            continue
        if not may_hold(lower({key: tree[key]}), beside):
            return (*path, key)
    return path


def demanded(when: Condition | None) -> Mapping[str, frozenset[str]]:
    """For each attribute that must have one of certain values for the condition to hold: those values, as words."""
    parts = when.parts if isinstance(when, All) else (when,)
    found: dict[str, frozenset[str]] = {}
    for part in parts:
        if isinstance(part, Test) and part.operator in ("eq", "in"):
            values = part.value if isinstance(part.value, tuple) else (part.value,)
            if all(isinstance(value, str) for value in values):
                found[part.attribute] = frozenset(values)
    return found
