"""Whether some value of one attribute passes several tests at once, and which.

The values an attribute can take are infinite, but the tests tell only finitely many kinds apart. For each kind one
representative is tried with ``holds``, the very function that decides requests; so there is no second reading of what
an operator means. Where there would be too many kinds the answer is yes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import Enum
from itertools import pairwise
from math import ceil, floor
from typing import Any

from .conditions import LONGEST_NUMBER, Number, Test, holds, number
from .texts import TooMany, kinds_of_text

Literal = tuple[Test, bool]
"""A test, and whether it is to hold or not to hold."""

_EQUALITY = frozenset({"eq", "ne", "in", "not_in"})
_ORDER = frozenset({"gt", "gte", "lt", "lte"})
_HALVE = Context(prec=400)  # a midpoint of two numbers that people write is exact
_NEITHER_TEXT_NOR_NUMBER = ()  # stands for lists and mappings, which a client's metadata may hold


class _Domain(Enum):
    """The values an attribute can take."""

    FLAG = "true or false, never absent"
    COUNT = "a whole number from 0, never absent"
    WHOLE = "a whole number, or absent"
    TEXT = "a string, or absent"
    ANY = "whatever JSON can say, or absent"


_DOMAINS = {
    **dict.fromkeys(("stream", "tools", "vision", "json_schema"), _Domain.FLAG),
    **dict.fromkeys(("model", "surface", "user", "key", "team"), _Domain.TEXT),
    "input_tokens": _Domain.COUNT,
    "max_tokens": _Domain.WHOLE,
}


@dataclass(frozen=True, slots=True)
class Example:
    """A value that satisfies every literal; ``None`` is the absent attribute."""

    value: Any


class Undecided(Enum):
    """Deciding would take too long: there may be such a value, or not."""

    UNDECIDED = "may be"


Answer = Example | Undecided | None
"""A value, or that it was not decided, or (``None``) that there certainly is none."""

_UNDECIDED = Undecided.UNDECIDED


def may_hold(attribute: str, literals: Sequence[Literal]) -> bool:
    """Whether some value of the attribute may satisfy every literal (all are about it); ``False`` is certain."""
    return example(attribute, literals) is not None


def example(attribute: str, literals: Sequence[Literal]) -> Answer:
    """A value of the attribute that satisfies every literal (all are about it), an absent one where that does."""
    domain = _DOMAINS.get(attribute, _Domain.TEXT if attribute.startswith("header.") else _Domain.ANY)
    if domain is _Domain.FLAG:
        return _first(literals, (False, True))
    if domain is not _Domain.COUNT and _all_hold(literals, None):
        return Example(None)
    wanted = _wanted(literals)
    if wanted is not None:
        return _first(literals, (v for v in _equal_to(wanted) if _belongs(v, domain)))
    points = _points(literals)
    if domain in (_Domain.COUNT, _Domain.WHOLE):
        whole = sorted(_whole(points), key=lambda n: (abs(n), n))
        return _first(literals, (n for n in whole if n >= 0 or domain is _Domain.WHOLE))
    text = _text(literals, points)
    if isinstance(text, Example) or domain is not _Domain.ANY:
        return text
    others = (True, False, *points, *_gaps(points), _NEITHER_TEXT_NOR_NUMBER)
    return _first(literals, others) or text


def representatives(attribute: str, tests: Sequence[Test], plain: Sequence[Any] = ()) -> list[Any]:
    """A value of the attribute (``None``: absent) for each way that the tests are known to come out together.

    Each is the plainest there is: of ``plain`` first, then absent. Where globs tell too many kinds of string apart,
    one is given for each glob instead of each combination of them.
    """
    domain = _DOMAINS.get(attribute, _Domain.TEXT if attribute.startswith("header.") else _Domain.ANY)
    found: dict[tuple[bool, ...], Any] = {}
    for value in (*plain, *_candidates(domain, [(test, True) for test in tests])):
        found.setdefault(tuple(holds(test, value) for test in tests), value)
    return list(found.values())


def _candidates(domain: _Domain, literals: Sequence[Literal]) -> Iterator[Any]:
    if domain is _Domain.FLAG:
        yield from (False, True)
        return
    points = _points(literals)
    if domain is not _Domain.COUNT:
        yield None
    if domain in (_Domain.COUNT, _Domain.WHOLE):
        yield from sorted(n for n in _whole(points) if n >= 0)
        return
    values = [v for test, _ in literals if test.operator in _EQUALITY for v in _values(test)]
    texts = [v if isinstance(v, str) else next(iter(_equal_texts(v))) for v in values]
    yield from texts
    if domain is _Domain.ANY:
        yield from (*values, *points, *_gaps(points))
    yield from (text for n in (*points, *_gaps(points)) for text in _spellings(n)[:1])
    yield max((*texts, "other"), key=len) + "_" if "other" in texts else "other"
    globs = tuple(dict.fromkeys(v for test, _ in literals if test.operator == "glob" for v in _values(test)))
    if globs:
        yield from (pattern.replace("*", "x").replace("?", "x") for pattern in globs)
        with suppress(TooMany):
            yield from kinds_of_text(globs, texts, bool(points))


def _equal_texts(value: Any) -> list[str]:
    """Strings that equal a value that is none."""
    return ["true" if value else "false"] if isinstance(value, bool) else _spellings(value) or [str(value)]


def _all_hold(literals: Iterable[Literal], value: Any) -> bool:
    return all(holds(test, value) is wanted for test, wanted in literals)


def _first(literals: Sequence[Literal], values: Iterable[Any]) -> Example | None:
    return next((Example(value) for value in values if _all_hold(literals, value)), None)


def _values(test: Test) -> tuple[Any, ...]:
    return test.value if isinstance(test.value, tuple) else (test.value,)


def _wanted(literals: Sequence[Literal]) -> tuple[Any, ...] | None:
    """The shortest list that the value must be one of, if any literal names such a list."""
    lists = [
        _values(test)
        for test, wanted in literals
        if (test.operator in ("eq", "in") and wanted) or (test.operator in ("ne", "not_in") and not wanted)
    ]
    return min(lists, key=len, default=None)


def _equal_to(values: tuple[Any, ...]) -> Iterator[Any]:
    """Every value that equals one of these."""
    for value in values:
        if isinstance(value, bool):
            yield value
            yield "true" if value else "false"
            continue
        if isinstance(value, str):
            yield value
            if value in ("true", "false"):
                yield value == "true"
        exact = number(value)
        if exact is not None:
            yield exact
            if not isinstance(value, str):
                yield from _spellings(exact)


def _belongs(value: Any, domain: _Domain) -> bool:
    if domain is _Domain.TEXT:
        return isinstance(value, str)
    if domain in (_Domain.COUNT, _Domain.WHOLE):
        whole = not isinstance(value, (str, bool)) and value == floor(value)
        return whole and (domain is _Domain.WHOLE or value >= 0)
    return True


def _points(literals: Sequence[Literal]) -> list[Number]:
    """The numbers that the literals mention, ascending: between two of them nothing changes."""
    found = (
        number(value)
        for test, _ in literals
        if test.operator in _EQUALITY or test.operator in _ORDER
        for value in _values(test)
    )
    return sorted({n for n in found if n is not None})


def _gaps(points: Sequence[Number]) -> list[Number]:
    """One number strictly between each two neighbours, one below them all and one above."""
    if not points:
        return [0]
    between = [_HALVE.divide(_HALVE.add(Decimal(a), Decimal(b)), Decimal(2)) for a, b in pairwise(points)]
    return [floor(points[0]) - 1, *between, ceil(points[-1]) + 1]


def _whole(points: Sequence[Number]) -> set[int]:
    """Whole numbers of every kind: at, just below and just above each point, and 0."""
    return (
        {0}
        | {n for p in points for n in (floor(p) - 1, floor(p), ceil(p), ceil(p) + 1)}
        | {floor(p) + 1 for p in points}
    )


def _spellings(value: Number) -> list[str]:
    """Every string that is read as this number."""
    plain = format(Decimal(value), "f")
    head, _, tail = plain.partition(".")
    tail = tail.rstrip("0")
    heads = (head.lstrip("-"), "-" + head.lstrip("-")) if value == 0 else (head,)
    out = [] if tail else list(heads)
    for start in heads:
        out += [f"{start}.{tail}{'0' * n}" for n in range(0 if tail else 1, LONGEST_NUMBER - len(start) - len(tail))]
    return [text for text in out if len(text) <= LONGEST_NUMBER]


def _text(literals: Sequence[Literal], points: Sequence[Number]) -> Answer:
    """The same question for strings alone, where no literal names a list to be one of."""
    values = [v for test, _ in literals if test.operator in _EQUALITY for v in _values(test)]
    texts = {"true", "false", *(v for v in values if isinstance(v, str))}
    globs = tuple(dict.fromkeys(v for test, _ in literals if test.operator == "glob" for v in _values(test)))
    numeric = any(test.operator in _ORDER for test, _ in literals) or any(
        not isinstance(v, (str, bool)) for v in values
    )
    if named := _first(literals, sorted(texts)):
        return named
    if not globs:
        return _unpatterned(literals, points, texts, numeric)
    if numeric and max(map(len, (*globs, *texts))) > LONGEST_NUMBER:
        return _UNDECIDED  # such a string looks like a number but is not read as one: not worth a kind of its own
    if numeric and (spelled := _first(literals, (text for point in points for text in _spellings(point)))):
        return spelled
    rest = [_without_numbers(literal) for literal in literals if literal[0].operator not in _ORDER]
    order = [literal for literal in literals if literal[0].operator in _ORDER]
    gap = numeric and any(_all_hold(order, n) for n in _gaps(points))
    try:
        for text in kinds_of_text(globs, texts, numeric):
            if _all_hold(literals, text):
                return Example(text)
            if gap and number(text) is not None and _all_hold(rest, text):
                # Numbers of many sizes are of this kind. One may well lie in the gap, and yes is the safe answer.
                return _UNDECIDED
    except TooMany:
        return _UNDECIDED
    return None


def _unpatterned(literals: Sequence[Literal], points: Sequence[Number], texts: set[str], numeric: bool) -> Answer:
    other = max(sorted(texts), key=len) + "_"  # longer than any that is named: a string like no other
    if _all_hold(literals, other):
        return Example(other)
    if not numeric:
        return None
    for value in (*points, *_gaps(points)):
        spellings = _spellings(value)
        if not spellings:
            return _UNDECIDED  # takes more digits than are read; not worth deciding
        if found := _first(literals, [text for text in spellings if text not in texts][:1]):
            return found
    return None


def _without_numbers(literal: Literal) -> Literal:
    """The literal as a number sees it that equals none of those named."""
    test, wanted = literal
    if test.operator not in _EQUALITY:
        return literal
    kept = tuple(v for v in _values(test) if isinstance(v, (str, bool)))
    return Test(test.attribute, "in" if test.operator in ("eq", "in") else "not_in", kept), wanted
