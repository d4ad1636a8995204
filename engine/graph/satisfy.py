"""What can be said of conditions for *all* requests: can it hold, must it hold, can two hold together.

Answers are one-sided. "Cannot hold" is always right. Where deciding exactly would take too long the answer is "may
hold", so that nothing is ever refused or left out because of a guess.
"""

from __future__ import annotations

from collections.abc import Iterator

from .conditions import All, Any_, Condition, Not
from .domains import Literal, may_hold

#: How many alternatives of a condition are looked at one by one.
_MOST_ALTERNATIVES = 1_000

_Conjunction = tuple[Literal, ...]


def satisfiable(condition: Condition) -> bool:
    """Whether some request may satisfy the condition; ``False`` is certain."""
    answers: dict[tuple[tuple[int, bool], ...], bool] = {}
    for count, literals in enumerate(alternatives(condition, True)):
        if count >= _MOST_ALTERNATIVES or _conjunction_may_hold(literals, answers):
            return True
    return False


def always(condition: Condition) -> bool:
    """Whether every request satisfies the condition; ``True`` is certain."""
    return not satisfiable(Not(condition))


def disjoint(a: Condition, b: Condition) -> bool:
    """Whether no request satisfies both; ``True`` is certain."""
    return not satisfiable(All((a, b)))


def implies(a: Condition, b: Condition) -> bool:
    """Whether every request that satisfies ``a`` satisfies ``b``; ``True`` is certain."""
    return not satisfiable(All((a, Not(b))))


def _conjunction_may_hold(literals: _Conjunction, answers: dict[tuple[tuple[int, bool], ...], bool]) -> bool:
    """Attributes are independent of each other, so each can be looked at alone.

    ``answers`` remembers what was found, by the tests' identities: the alternatives of a condition have most in common.
    """
    by_attribute: dict[str, list[Literal]] = {}
    for literal in literals:
        by_attribute.setdefault(literal[0].attribute, []).append(literal)
    for attribute, tests in by_attribute.items():
        asked = tuple((id(test), wanted) for test, wanted in tests)
        if asked not in answers:
            answers[asked] = may_hold(attribute, tests)
        if not answers[asked]:
            return False
    return True


def alternatives(condition: Condition, wanted: bool = True) -> Iterator[_Conjunction]:
    """The disjunctive normal form, lazily: conjunctions of tests, each wanted to hold or not to.

    ``wanted`` false asks for that of its opposite.
    """
    while isinstance(condition, Not):
        condition, wanted = condition.part, not wanted
    if not isinstance(condition, (All, Any_)):
        yield ((condition, wanted),)
    elif isinstance(condition, All) is wanted:
        yield from _product(condition.parts, wanted)
    else:
        for part in condition.parts:
            yield from alternatives(part, wanted)


def _product(parts: tuple[Condition, ...], wanted: bool) -> Iterator[_Conjunction]:
    """Every way to take one alternative of each part; by halves, so that a long list is no deep recursion."""
    if not parts:
        yield ()
    elif len(parts) == 1:
        yield from alternatives(parts[0], wanted)
    else:
        half = len(parts) // 2
        for first in _product(parts[:half], wanted):
            for rest in _product(parts[half:], wanted):
                yield first + rest
