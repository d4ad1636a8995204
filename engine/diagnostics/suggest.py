"""Did you mean."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

#: How alike two words must be, from 0 to 1, and how many are compared letter by letter at each end of the word.
_ALIKE = 0.6
_COMPARED = 100
_LONGEST = 200


def did_you_mean(word: str, choices: Iterable[str]) -> str | None:
    """The one of ``choices`` that ``word`` most likely stands for, or None if none is close.

    A difference in upper and lower case alone always counts as close; ties go to the first in alphabetical order. Takes
    a few milliseconds with ten thousand choices: of very many that are alike, only those with the longest common start
    or end are compared.
    """
    if not word or len(word) > _LONGEST:
        return None
    slack = max(2, len(word) // 3)
    shortest, longest = len(word) - slack, len(word) + slack
    near = [choice for choice in choices if shortest <= len(choice) <= longest]
    folded = word.casefold()
    same = [choice for choice in near if choice.casefold() == folded]
    if same:
        return min(same)
    if len(near) > 2 * _COMPARED:
        near = [*_sharing(word, near, start=True), *_sharing(word, near, start=False)]
    matcher = SequenceMatcher(b=folded, autojunk=False)
    best: tuple[float, str] | None = None
    for choice in sorted(set(near)):
        matcher.set_seq1(choice.casefold())
        least = _ALIKE if best is None else best[0]
        if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
            continue
        ratio = matcher.ratio()
        if ratio >= _ALIKE and (best is None or ratio > best[0]):
            best = ratio, choice
    return None if best is None else best[1]


def _sharing(word: str, choices: list[str], *, start: bool) -> list[str]:
    """Those of ``choices`` that share the longest start (or end) with ``word``, up to the number that is compared."""
    found = choices
    low, high = 0, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        part = word[:middle] if start else word[-middle:]
        sharing = [choice for choice in found if (choice.startswith(part) if start else choice.endswith(part))]
        if len(sharing) >= _COMPARED // 4:
            found, low = sharing, middle
        else:
            high = middle - 1
    return sorted(found)[:_COMPARED]
