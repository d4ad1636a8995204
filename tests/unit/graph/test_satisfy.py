"""What can be decided about conditions for all requests."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.graph import All, Any_, Condition, Not, Test, always, disjoint, implies, satisfiable
from engine.graph.conditions import holds
from engine.graph.domains import Example, example

T = Test


def all_(*parts: Condition) -> Condition:
    return All(parts)


@pytest.mark.parametrize(
    "condition",
    [
        all_(T("user", "eq", "a"), T("user", "eq", "b")),
        all_(T("user", "in", ("a", "b")), T("user", "not_in", ("a", "b", "c"))),
        all_(T("metadata.n", "gt", 5), T("metadata.n", "lt", 5)),
        all_(T("metadata.n", "gte", 5), T("metadata.n", "lte", 5), T("metadata.n", "ne", 5)),
        all_(T("input_tokens", "gt", 4), T("input_tokens", "lt", 5)),
        T("input_tokens", "lt", 0),
        T("input_tokens", "exists", False),
        T("tools", "exists", False),
        T("tools", "eq", "yes"),
        all_(T("tools", "ne", True), T("tools", "ne", False)),
        all_(T("metadata.x", "exists", False), T("metadata.x", "eq", "a")),
        all_(T("metadata.x", "exists", False), T("metadata.x", "glob", "*")),
        all_(T("metadata.x", "eq", "5"), T("metadata.x", "gt", 5)),
        all_(T("metadata.x", "eq", 5), T("metadata.x", "gt", "5.0")),
        all_(T("model", "glob", "a*"), T("model", "glob", "b*")),
        all_(T("model", "glob", "ab*"), Not(T("model", "glob", "a*"))),
        all_(T("model", "glob", "a?"), T("model", "glob", "???")),
        all_(T("model", "glob", "big-*"), T("model", "gt", 5)),
        all_(T("model", "glob", "*"), Not(T("model", "glob", ("?*", "x"))), T("model", "ne", "")),
        all_(T("header.X", "eq", "a"), T("header.x", "eq", "b")),
        all_(T("max_tokens", "gt", 4), T("max_tokens", "lt", 5)),
        Any_(()),
        Not(All(())),
    ],
)
def test_what_cannot_hold(condition: Condition) -> None:
    assert not satisfiable(condition)
    assert always(Not(condition))


@pytest.mark.parametrize(
    "condition",
    [
        All(()),
        all_(T("user", "ne", "a"), T("user", "ne", "b")),
        all_(T("metadata.n", "gt", 4), T("metadata.n", "lt", 5)),
        all_(T("metadata.n", "eq", 5), T("metadata.n", "ne", "5")),  # "5.0" is equal to the one and not to the other
        all_(T("metadata.n", "eq", 5), T("metadata.n", "glob", "*.000")),
        all_(T("metadata.x", "exists", True), Not(T("metadata.x", "glob", "*"))),  # a number
        all_(T("input_tokens", "gte", 0), T("input_tokens", "lt", 1)),
        all_(T("model", "glob", "a*"), T("model", "glob", "*b"), T("model", "ne", "ab")),
        all_(T("metadata.x", "ne", "a"), T("metadata.x", "exists", False)),
        all_(T("tools", "eq", "true"), T("vision", "eq", False)),
        all_(T("header.n", "gt", 1), T("header.n", "lt", 2), Not(T("header.n", "glob", "1.5*"))),
        all_(T("user", "glob", "*"), T("user", "not_in", tuple("abcdefgh"))),
        all_(T("metadata.x", "eq", True), T("metadata.x", "ne", "x")),
    ],
)
def test_what_can_hold(condition: Condition) -> None:
    assert satisfiable(condition)
    assert not always(Not(condition))


def test_disjoint_needs_one_attribute_that_tells_them_apart() -> None:
    free = all_(T("metadata.tier", "eq", "free"), T("input_tokens", "lt", 100))
    paid = all_(T("metadata.tier", "in", ("pro", "team")), T("input_tokens", "lt", 100))
    assert disjoint(free, paid)
    assert not disjoint(free, T("user", "exists", True))
    assert disjoint(T("metadata.tier", "exists", True), T("metadata.tier", "exists", False))
    assert disjoint(free, Not(T("metadata.tier", "exists", True)))
    assert not disjoint(T("metadata.tier", "ne", "free"), T("metadata.tier", "exists", False))


def test_implies() -> None:
    assert implies(T("input_tokens", "lt", 10), T("input_tokens", "lt", 20))
    assert not implies(T("input_tokens", "lt", 20), T("input_tokens", "lt", 10))
    assert implies(T("metadata.x", "eq", "a"), T("metadata.x", "exists", True))
    assert not implies(T("metadata.x", "ne", "a"), T("metadata.x", "exists", True))
    assert implies(T("model", "glob", "big-4*"), T("model", "glob", "big-*"))


def test_always() -> None:
    assert always(T("input_tokens", "gte", 0))
    assert always(Any_((T("tools", "eq", True), T("tools", "eq", False))))
    assert not always(Any_((T("metadata.b", "eq", True), T("metadata.b", "eq", False))))


def test_conditions_too_large_to_decide_may_hold_and_are_given_up_quickly() -> None:
    started = time.perf_counter()
    choices = tuple(Any_((T(f"metadata.m{n}", "eq", "a"), T(f"metadata.m{n}", "eq", "b"))) for n in range(40))
    assert satisfiable(All((*choices, T("metadata.z", "eq", "a"), T("metadata.z", "eq", "b"))))
    knot = tuple(T("metadata.g", "glob", f"*{letter}?*?{letter}*") for letter in "abcdefghij")
    assert satisfiable(All((*knot, T("metadata.g", "not_in", tuple(f"name-{n}" for n in range(200))))))
    assert time.perf_counter() - started < 5


def test_a_long_list_is_decided_quickly() -> None:
    started = time.perf_counter()
    tenants = tuple(f"tenant-{n}" for n in range(2000))
    assert disjoint(T("metadata.t", "in", tenants), T("metadata.t", "not_in", tenants))
    assert time.perf_counter() - started < 5


def test_a_condition_of_many_parts_is_no_deep_recursion() -> None:
    parts = tuple(T(f"metadata.m{n}", "eq", "a") for n in range(5000))
    assert satisfiable(All(parts))
    assert not satisfiable(All((*parts, T("metadata.m4999", "ne", "a"))))
    assert satisfiable(Not(Any_(parts)))


def test_many_alternatives_that_all_fail_for_the_same_reason_are_looked_at_once() -> None:
    started = time.perf_counter()
    choices = tuple(Any_((T(f"metadata.m{n}", "eq", "a"), T(f"metadata.m{n}", "eq", "b"))) for n in range(9))
    never = (T("model", "glob", "*ab*b?a*"), Not(T("model", "glob", "*a*a*")))
    assert not satisfiable(All((*choices, *never)))
    assert time.perf_counter() - started < 3


_OPERANDS = {
    **dict.fromkeys(("eq", "ne"), st.sampled_from(["a", "ab", "5", "5.0", 5, 5.5, True, "true"])),
    **dict.fromkeys(("in", "not_in"), st.sampled_from([("a", "b"), (5, "x"), (True,), ("ab", "5")])),
    "glob": st.sampled_from(["a*", "*b", "?", "5*", ("x*", "a?")]),
    **dict.fromkeys(("gt", "gte", "lt", "lte"), st.sampled_from([0, 5, 5.5, -1])),
    "exists": st.booleans(),
}
_literals = st.lists(
    st.sampled_from(sorted(_OPERANDS)).flatmap(
        lambda name: st.tuples(_OPERANDS[name].map(lambda operand: (name, operand)), st.booleans())
    ),
    min_size=1,
    max_size=4,
)


@given(st.sampled_from(["user", "metadata.x", "header.x", "max_tokens"]), _literals)
def test_an_example_is_one(attribute: str, asked: list[tuple[tuple[Any, Any], bool]]) -> None:
    literals = [(T(attribute, name, operand), wanted) for (name, operand), wanted in asked]
    found = example(attribute, literals)
    if isinstance(found, Example):
        assert all(holds(test, found.value) is wanted for test, wanted in literals)
    elif found is None:
        for value in (None, "a", "ab", "b", "5", "zz"):
            if attribute != "max_tokens" or value is None:
                assert not all(holds(test, value) is wanted for test, wanted in literals)
