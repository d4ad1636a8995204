"""Globs: ``*`` is any run of characters (also none), ``?`` exactly one. No brackets, no escapes; case matters.

Matching takes time in proportion to the text and never backtracks, whatever the pattern: texts come from clients.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

Matcher = Callable[[str], bool]

_COVERS_BOUND = 20_000


def is_glob(pattern: str) -> bool:
    """Whether the pattern has a wildcard; one without is an exact name."""
    return "*" in pattern or "?" in pattern


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches the pattern."""
    return matcher(pattern)(text)


def literal_prefix(pattern: str) -> str:
    """What every match begins with: the pattern up to its first wildcard."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def literal_suffix(pattern: str) -> str:
    """What every match ends with: the pattern after its last wildcard."""
    return re.split(r"[*?]", pattern)[-1]


@lru_cache(maxsize=65_536)
def matcher(pattern: str) -> Matcher:
    """The pattern's test, built once: patterns come from configurations, so there are few."""
    head, *rest = pattern.split("*")
    if not rest:
        return _fixed(pattern)
    *middle, tail = rest
    middle = [segment for segment in middle if segment]
    if "?" in pattern:
        return _with_single(head, middle, tail)
    shortest = len(head) + len(tail)
    if not middle:
        return lambda text: len(text) >= shortest and text.startswith(head) and text.endswith(tail)
    segments = tuple(middle)

    def match(text: str) -> bool:
        end = len(text) - len(tail)
        if end < len(head) or not text.startswith(head) or not text.endswith(tail):
            return False
        at = len(head)
        for segment in segments:
            at = text.find(segment, at, end)
            if at < 0:
                return False
            at += len(segment)
        return True

    return match


def _fixed(pattern: str) -> Matcher:
    """No ``*``: a match has the pattern's own length."""
    if "?" not in pattern:
        return lambda text: text == pattern
    whole = _segment(pattern)
    return lambda text: whole.fullmatch(text) is not None


def _with_single(head: str, middle: list[str], tail: str) -> Matcher:
    """Both wildcards. Every segment has a fixed length, so that taking its leftmost place is always right."""
    first, last = _segment(head), _segment(tail)
    segments = tuple(_segment(segment) for segment in middle)

    def match(text: str) -> bool:
        end = len(text) - len(tail)
        if end < len(head) or first.match(text) is None or last.match(text, end) is None:
            return False
        at = len(head)
        for segment in segments:
            found = segment.search(text, at, end)
            if found is None:
                return False
            at = found.end()
        return True

    return match


def _segment(segment: str) -> re.Pattern[str]:
    return re.compile("".join("." if c == "?" else re.escape(c) for c in segment), re.DOTALL)


def overlap(a: str, b: str) -> bool:
    """Whether some text matches both patterns. Exact."""
    todo, seen = [(0, 0)], {(0, 0)}
    while todo:
        i, j = todo.pop()
        if i == len(a) and j == len(b):
            return True
        x = a[i] if i < len(a) else ""
        y = b[j] if j < len(b) else ""
        steps: list[tuple[int, int]] = []
        if x == "*":
            steps.append((i + 1, j))
        if y == "*":
            steps.append((i, j + 1))
        if x == "*" and y and y != "*":
            steps.append((i, j + 1))
        elif y == "*" and x and x != "*":
            steps.append((i + 1, j))
        elif x and y and x != "*" and (x == y or x == "?" or y == "?"):
            steps.append((i + 1, j + 1))
        for step in steps:
            if step not in seen:
                seen.add(step)
                todo.append(step)
    return False


def covers(a: str, b: str) -> bool:
    """Whether every text that matches ``b`` matches ``a``.

    ``True`` is always right. ``False`` is right too, except for patterns so knotted that deciding would take too long.
    """
    if not is_glob(b):
        return matches(a, b)
    head = literal_prefix(a)
    if a == head + "*":
        return literal_prefix(b).startswith(head)
    alphabet = (set(a) | set(b)) - {"*", "?"} | {""}  # "" stands for any character that neither pattern names
    start = (0, closure(a, {0}))
    todo, seen = [start], {start}
    while todo:
        j, reached = todo.pop()
        if j == len(b):
            if len(a) not in reached:
                return False
            continue
        steps = [(j + 1, reached)] if b[j] == "*" else []
        after = j if b[j] == "*" else j + 1
        steps += [(after, step(a, reached, char)) for char in (alphabet if b[j] in "*?" else (b[j],))]
        for state in steps:
            if state not in seen:
                seen.add(state)
                todo.append(state)
        if len(seen) > _COVERS_BOUND:
            return False
    return True


def closure(pattern: str, positions: set[int]) -> frozenset[int]:
    """The positions together with those reached by letting a ``*`` match nothing."""
    out = set(positions)
    for position in sorted(positions):
        at = position
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            out.add(at)
    return frozenset(out)


def step(pattern: str, positions: frozenset[int], char: str) -> frozenset[int]:
    """Where a match can be after one more character; none at all means the text cannot match any more."""
    after: set[int] = set()
    for at in positions:
        if at == len(pattern):
            continue
        if pattern[at] == "*":
            after.add(at)
        elif pattern[at] == "?" or pattern[at] == char:
            after.add(at + 1)
    return closure(pattern, after)
