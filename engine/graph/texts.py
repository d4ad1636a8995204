"""The kinds of string that a set of globs and a set of plain texts tell apart, one example of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from .globs import closure, step

#: How many steps of the search are taken before it gives up.
_MOST_STEPS = 30_000

_DIGITS = "0123456789"
_START, _MINUS, _ZERO, _WHOLE, _POINT, _FRACTION, _NO_NUMBER = range(7)


class TooMany(Exception):  # noqa: N818  - not an error: the caller has an answer for it
    """There are more kinds than are worth enumerating."""


def kinds_of_text(globs: tuple[str, ...], texts: Iterable[str], numeric: bool) -> Iterator[str]:
    """An example of every kind of string, shortest first.

    Two strings are of one kind if the same globs match them and neither or both are one and the same of ``texts``;
    where ``numeric``, also if both spell a number in decimal notation or neither does. Raises :class:`TooMany`.
    """
    trie = _trie(texts)
    letters = {c for pattern in globs for c in pattern if c not in "*?"} | {c for node in trie for c in node}
    letters |= set("01-.") if numeric else set()
    other = next(chr(c) for c in range(0x61, 0x110000) if chr(c) not in letters and chr(c) not in _DIGITS)
    alphabet = (*sorted(letters), other)

    @cache
    def advance(index: int, reached: frozenset[int], char: str) -> frozenset[int]:
        return step(globs[index], reached, char)

    start = (0, _START if numeric else _NO_NUMBER, tuple(closure(pattern, {0}) for pattern in globs))
    todo, seen, steps = [(start, "")], {start}, 0
    while todo:
        following = []
        for (node, spelled, reached), text in todo:
            yield text
            for char in alphabet:
                steps += 1
                if steps > _MOST_STEPS:
                    raise TooMany
                state = (
                    trie[node].get(char, -1) if node >= 0 else -1,
                    _spell(spelled, char),
                    tuple(advance(i, positions, char) for i, positions in enumerate(reached)),
                )
                if state not in seen:
                    seen.add(state)
                    following.append((state, text + char))
        todo = following


def _trie(texts: Iterable[str]) -> list[dict[str, int]]:
    nodes: list[dict[str, int]] = [{}]
    for text in texts:
        at = 0
        for char in text:
            if char not in nodes[at]:
                nodes[at][char] = len(nodes)
                nodes.append({})
            at = nodes[at][char]
    return nodes


def _spell(state: int, char: str) -> int:
    """One step of reading ``-?(0|[1-9][0-9]*)(.[0-9]+)?``."""
    digit = char in _DIGITS
    if state == _START and char == "-":
        return _MINUS
    if state in (_START, _MINUS) and digit:
        return _ZERO if char == "0" else _WHOLE
    if state == _WHOLE and digit:
        return _WHOLE
    if state in (_ZERO, _WHOLE) and char == ".":
        return _POINT
    if state in (_POINT, _FRACTION) and digit:
        return _FRACTION
    return _NO_NUMBER
