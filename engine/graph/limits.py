"""Which client limits apply to a request, found in time that does not depend on how many limits there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from .conditions import All, Condition, Test, evaluate
from .nodes import Limit


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
