"""What each operator means, on every kind of value."""

from __future__ import annotations

from typing import Any

import pytest

from engine.graph import All, Any_, Condition, Not, Test, attributes, describe, evaluate
from engine.graph.conditions import number


def truth(operator: Any, value: Any, actual: Any) -> bool:
    return evaluate(Test("metadata.x", operator, value), {"metadata.x": actual}.get)


@pytest.mark.parametrize(
    ("actual", "wanted", "same"),
    [
        ("free", "free", True),
        ("free", "Free", False),
        ("5", 5, True),
        ("5.0", 5, True),
        ("0.50", 0.5, True),
        ("-0", 0, True),
        (5, "5", True),
        (5, "5.0", True),
        ("5", "5.0", False),
        (0.1, "0.1", True),
        ("0.1000000000000000055", 0.1, False),
        ("9007199254740993", 9007199254740993, True),
        ("9007199254740993", 9007199254740992, False),
        ("true", True, True),
        (True, "true", True),
        ("false", False, True),
        ("True", True, False),
        ("false", True, False),
        (True, True, True),
        (True, 1, False),
        (1, True, False),
        ("1", True, False),
        (0, False, False),
        (None, "None", False),
        (None, False, False),
        ("", 0, False),
        ("1e3", 1000, False),
        ("1_000", 1000, False),
        ("+5", 5, False),
        ("007", 7, False),
        (" 5", 5, False),
        ("\u0665", 5, False),
        ("nan", float("nan"), False),
        ("inf", float("inf"), False),
        ([5], 5, False),
    ],
)
def test_equality_and_its_negation(actual: Any, wanted: Any, same: bool) -> None:
    assert truth("eq", wanted, actual) is same
    assert truth("in", ("other", wanted), actual) is same
    assert truth("ne", wanted, actual) is not same
    assert truth("not_in", ("other", wanted), actual) is not same


@pytest.mark.parametrize(
    ("operator", "value"),
    [("eq", ""), ("in", ("", "x")), ("glob", "*"), ("gt", -1), ("gte", 0), ("lt", 1), ("lte", 0), ("exists", True)],
)
def test_of_an_absent_attribute_every_operator_but_the_negations_is_false(operator: str, value: Any) -> None:
    assert truth(operator, value, None) is False


@pytest.mark.parametrize(("operator", "value"), [("ne", "x"), ("not_in", ("x",)), ("exists", False)])
def test_of_an_absent_attribute_the_negations_are_true(operator: str, value: Any) -> None:
    assert truth(operator, value, None) is True


@pytest.mark.parametrize(
    ("operator", "bound", "actual", "expected"),
    [
        ("gt", 5, 6, True),
        ("gt", 5, 5, False),
        ("gte", 5, 5, True),
        ("lt", 5, 4, True),
        ("lt", 5, 5, False),
        ("lte", 5, 5, True),
        ("gt", 5, "6", True),
        ("gt", "5", "5.5", True),
        ("gt", 9, "10", True),  # as text, "10" would come first
        ("lt", 0.5, "0.25", True),
        ("gt", 5, "six", False),
        ("lt", 5, "six", False),
        ("gt", 0, True, False),
        ("lt", 5, "nan", False),
        ("gt", 5, "inf", False),
        ("gt", 5, "9" * 41, False),
        ("gt", 5, "9" * 100_000, False),
        ("gt", 5, float("inf"), False),
        ("gt", 5, [6], False),
    ],
)
def test_order(operator: str, bound: Any, actual: Any, expected: bool) -> None:
    assert truth(operator, bound, actual) is expected


@pytest.mark.parametrize(
    ("pattern", "actual", "expected"),
    [
        ("big-*", "big-4", True),
        ("big-*", "Big-4", False),
        ("big-?", "big-4", True),
        ("big-?", "big-40", False),
        (("small*", "big*"), "big-4", True),
        (("small*", "tiny*"), "big-4", False),
        ("*", "", True),
        ("*", 5, False),
        ("*", True, False),
        ("[a]*", "a", False),
        ("a.c", "abc", False),
    ],
)
def test_globs_are_of_strings(pattern: Any, actual: Any, expected: bool) -> None:
    assert truth("glob", pattern, actual) is expected


def test_exists_tells_presence_not_truth() -> None:
    assert truth("exists", True, False)
    assert truth("exists", True, "")
    assert not truth("exists", False, 0)


def test_all_any_and_not() -> None:
    yes, no = Test("a", "exists", False), Test("a", "exists", True)
    assert evaluate(All(()), {}.get)
    assert not evaluate(Any_(()), {}.get)
    assert evaluate(All((yes, Any_((no, yes)), Not(no))), {}.get)
    assert not evaluate(All((yes, no)), {}.get)
    assert not evaluate(Any_((no, Not(yes))), {}.get)


def test_header_names_are_lower_case_and_metadata_names_are_not() -> None:
    condition = All((Test("header.X-Tier", "eq", "Gold"), Test("metadata.Tier", "eq", "Gold")))
    assert attributes(condition) == {"header.x-tier", "metadata.Tier"}
    assert evaluate(condition, {"header.x-tier": "Gold", "metadata.Tier": "Gold"}.get)
    assert not evaluate(condition, {"header.x-tier": "gold", "metadata.Tier": "Gold"}.get)


def test_attributes_of_every_part() -> None:
    condition = Not(Any_((Test("user", "eq", "u"), All((Test("tools", "eq", True), Test("user", "ne", "v"))))))
    assert attributes(condition) == {"user", "tools"}
    assert attributes(All(())) == frozenset()


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (
            All((Test("metadata.tier", "in", ("free", "trial")), Test("input_tokens", "lt", 30000))),
            "metadata.tier in [free, trial] and input_tokens < 30000",
        ),
        (
            All((Test("a", "eq", "5"), Any_((Test("b", "eq", True), Test("b", "exists", False))))),
            'a = "5" and (b = true or b is absent)',
        ),
        (
            Any_((All((Test("a", "exists", True),)), Test("b", "glob", ("x*", "y z")))),
            'a exists or b matches [x*, "y z"]',
        ),
        (
            All((Any_((Any_((Test("a", "gt", 1), Test("a", "lte", 0.5))),)), Test("b", "ne", ""))),
            '(a > 1 or a <= 0.5) and b != ""',
        ),
        (Not(Test("a", "not_in", ("x", 'say "hi"'))), 'not (a not in [x, "say \\"hi\\""])'),
        (All(()), "always"),
        (Any_(()), "never"),
    ],
)
def test_conditions_in_words(condition: Condition, text: str) -> None:
    assert describe(condition) == text


def test_numbers_are_exact() -> None:
    assert number("0.1") == number(0.1)
    assert number("0.30000000000000004") == number(0.1 + 0.2)
    assert number(2.0) == 2
    assert number(True) is None
    assert number(float("nan")) is None
    assert number("1.") is None
    assert number("5\n") is None
