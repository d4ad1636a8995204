"""Limits: how much may be asked, and which of those on callers apply to a request, found without looking at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from .conditions import All, Condition, Test, evaluate


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests or tokens in any window of ``per`` seconds; of ``concurrency``, whose ``per`` is ``None``, so
    many requests at a time. ``suffix`` ends the keys it is counted under, so that a changed number keeps the count."""

    unit: Literal["requests", "tokens", "concurrency"]
    limit: int
    per: float | None = None
    suffix: str = field(init=False)

    def __post_init__(self) -> None:
        window = "" if self.per is None else f"/{self.per:g}"
        object.__setattr__(self, "suffix", f"/{self.unit}{window}")


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """What callers may use: for all that meet ``when`` together, or for each distinct value of the attribute ``each``.

    ``trusted`` says that clients cannot choose that value: it is fixed by their key.
    """

    name: str
    rates: tuple[Rate, ...]
    each: str | None = None
    when: Condition | None = None
    trusted: bool = True


class LimitIndex:
    """The limits by name, and by what they demand of a request. Immutable; false where there are none.

    A limit whose condition demands one of certain words of an attribute (``when: {key: [a, b]}``) is looked up by the
    request's own word; the others are tried one by one.
    """

    __slots__ = ("_by_word", "_general", "all")

    def __init__(self, limits: Iterable[Limit] = ()) -> None:
        ordered = sorted(limits, key=lambda limit: limit.name)
        self.all: Mapping[str, Limit] = MappingProxyType({limit.name: limit for limit in ordered})
        by_word: dict[str, dict[str, list[Limit]]] = {}
        general = []
        for limit in ordered:
            wanted = _demanded(limit.when)
            if wanted is None:
                general.append(limit)
                continue
            for word in wanted.value if wanted.operator == "in" else (wanted.value,):
                by_word.setdefault(wanted.attribute, {}).setdefault(word, []).append(limit)
        self._general = tuple(general)
        self._by_word = tuple((attribute, MappingProxyType(words)) for attribute, words in sorted(by_word.items()))

    def __bool__(self) -> bool:
        return bool(self.all)

    def of(self, get: Callable[[str], Any]) -> list[Limit]:
        """The limits whose condition holds for the request whose attributes ``get`` answers, always in one order."""
        found = [limit for limit in self._general if limit.when is None or evaluate(limit.when, get)]
        for attribute, words in self._by_word:
            near = words.get(get(attribute), ())
            found += [limit for limit in near if limit.when is not None and evaluate(limit.when, get)]
        return found


def _demanded(when: Condition | None) -> Test | None:
    """A test of the condition that only certain words pass, the one of the fewest."""
    parts = when.parts if isinstance(when, All) else (when,)
    tests = [part for part in parts if isinstance(part, Test) and _words(part)]
    return min(tests, key=lambda test: len(test.value) if test.operator == "in" else 1, default=None)


def _words(test: Test) -> bool:
    """Whether the test is passed by certain words and nothing else; numbers have several spellings."""
    if test.operator == "eq":
        return isinstance(test.value, str)
    return test.operator == "in" and all(isinstance(value, str) for value in test.value)
