"""Conditions: one small decidable grammar over the attributes of a request.

A condition is data. ``evaluate`` is its only meaning; whatever else reasons about conditions (disjointness, impossible
conditions, later proofs) works on the same nodes and asks ``holds`` about the same tests.

Metadata and headers are strings on the wire while YAML writes ``5`` and ``true``. So a number equals the strings that
spell it (``5``, ``5.0``), a boolean equals ``"true"`` or ``"false"``, two strings are equal only letter by letter, and
a boolean never equals a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

from .globs import matcher

Operator = Literal["eq", "ne", "in", "not_in", "glob", "gt", "gte", "lt", "lte", "exists"]
Scalar = str | int | float | bool
Number = int | Decimal


@dataclass(frozen=True, slots=True)
class Test:
    """``attribute operator value``.

    ``value`` is a tuple for ``in``, ``not_in`` and a ``glob`` list, a bool for ``exists``, else a scalar. The names of
    headers are kept in lower case, whatever case they were written in.
    """

    __test__ = False  # pytest: not a test class

    attribute: str
    operator: Operator
    value: Any

    def __post_init__(self) -> None:
        if self.attribute.startswith("header."):
            object.__setattr__(self, "attribute", self.attribute.lower())


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; an empty one always does."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801  - typing.Any keeps its name
    """At least one part holds; an empty one never does."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Condition"


Condition = Test | All | Any_ | Not
Lookup = Callable[[str], Any]
"""An attribute's value by name; ``None`` is absent."""

#: Longer strings are not read as numbers: nobody means one, and reading it would be work that a client chooses.
LONGEST_NUMBER = 40

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?").fullmatch


def evaluate(condition: Condition, lookup: Lookup) -> bool:
    """Whether the condition holds of the request that ``lookup`` answers for. Never raises, whatever the values are."""
    if isinstance(condition, Test):
        return _HOLDS[condition.operator](lookup(condition.attribute), condition.value)
    if isinstance(condition, All):
        for part in condition.parts:  # noqa: SIM110  - a generator costs more than the tests themselves
            if not evaluate(part, lookup):
                return False
        return True
    if isinstance(condition, Any_):
        for part in condition.parts:  # noqa: SIM110
            if evaluate(part, lookup):
                return True
        return False
    return not evaluate(condition.part, lookup)


def holds(test: Test, actual: Any) -> bool:
    """Whether one test holds of an attribute's value (``None``: absent)."""
    return _HOLDS[test.operator](actual, test.value)


def attributes(condition: Condition) -> frozenset[str]:
    """The names of every attribute that the condition reads."""
    if isinstance(condition, Test):
        return frozenset({condition.attribute})
    parts = (condition.part,) if isinstance(condition, Not) else condition.parts
    return frozenset().union(*map(attributes, parts))


def number(value: Any) -> Number | None:
    """The exact number that a value is, or that a string spells in plain decimal notation; otherwise ``None``.

    Booleans are not numbers, and neither are ``nan``, ``1e3``, ``+1``, ``1_000``, ``007`` (an identifier, not seven)
    and strings of more than ``LONGEST_NUMBER`` characters.
    """
    if isinstance(value, str):
        if len(value) > LONGEST_NUMBER:
            return None
        spelled = _NUMBER(value)
        if spelled is None:
            return None
        return int(value) if spelled[1] is None else Decimal(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if value.is_integer():
            return int(value)
        value = Decimal(repr(value))
    return value if isinstance(value, Decimal) and value.is_finite() else None


def equal(actual: Any, wanted: Any) -> bool:
    """Equality as conditions mean it; an absent value (``None``) equals nothing."""
    if isinstance(actual, str):
        if isinstance(wanted, str):
            return actual == wanted
        if isinstance(wanted, bool):
            return actual == ("true" if wanted else "false")
        return _same_number(actual, wanted)
    if isinstance(actual, bool):
        return wanted is actual or (isinstance(wanted, str) and wanted == ("true" if actual else "false"))
    return actual is not None and _same_number(actual, wanted)


def _same_number(actual: Any, wanted: Any) -> bool:
    left = number(actual)
    return left is not None and left == number(wanted)


def _one_of(actual: Any, wanted: Any) -> bool:
    return any(equal(actual, value) for value in (wanted if isinstance(wanted, tuple) else (wanted,)))


def _glob(actual: Any, pattern: Any) -> bool:
    if not isinstance(actual, str):
        return False
    if isinstance(pattern, tuple):
        return any(matcher(one)(actual) for one in pattern)
    return matcher(pattern)(actual)


def _ordered(compare: Callable[[Number, Number], bool]) -> Callable[[Any, Any], bool]:
    def test(actual: Any, bound: Any) -> bool:
        left, right = number(actual), number(bound)
        return left is not None and right is not None and compare(left, right)

    return test


_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "eq": equal,
        "ne": lambda actual, wanted: not equal(actual, wanted),
        "in": _one_of,
        "not_in": lambda actual, wanted: not _one_of(actual, wanted),
        "glob": _glob,
        "gt": _ordered(lambda a, b: a > b),
        "gte": _ordered(lambda a, b: a >= b),
        "lt": _ordered(lambda a, b: a < b),
        "lte": _ordered(lambda a, b: a <= b),
        "exists": lambda actual, wanted: (actual is not None) is wanted,
    }
)

_WORDS = MappingProxyType(
    {
        "eq": "=",
        "ne": "!=",
        "in": "in",
        "not_in": "not in",
        "glob": "matches",
        "gt": ">",
        "gte": ">=",
        "lt": "<",
        "lte": "<=",
    }
)
_PLAIN = re.compile(r"[^\s,\[\]()\"'=<>!]+").fullmatch


def describe(condition: Condition) -> str:
    """The condition in one short line for people: ``metadata.tier in [free, trial] and input_tokens < 30000``."""
    while isinstance(condition, (All, Any_)) and len(condition.parts) == 1:
        condition = condition.parts[0]
    if isinstance(condition, Test):
        if condition.operator == "exists":
            return f"{condition.attribute} {'exists' if condition.value else 'is absent'}"
        return f"{condition.attribute} {_WORDS[condition.operator]} {_describe_value(condition.value)}"
    if isinstance(condition, Not):
        return f"not ({describe(condition.part)})"
    if not condition.parts:
        return "always" if isinstance(condition, All) else "never"
    word = " and " if isinstance(condition, All) else " or "
    return word.join(map(_describe_part, condition.parts))


def _describe_part(part: Condition) -> str:
    while isinstance(part, (All, Any_)) and len(part.parts) == 1:
        part = part.parts[0]
    return f"({describe(part)})" if isinstance(part, (All, Any_)) and part.parts else describe(part)


def _describe_value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_describe_value, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        unmistakable = (
            _PLAIN(value) and number(value) is None and value not in ("true", "false", "null", "and", "or", "not")
        )
        return value if unmistakable else json.dumps(value, ensure_ascii=False)
    return str(value)
