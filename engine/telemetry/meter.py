"""Counting as requests end: plain numbers in plain lists, a few dictionary look-ups a request.

Label sets come from the graph and from closed lists, never from what clients send. Those of routes and targets that are
gone are forgotten when room is needed; beyond :data:`LIMIT` everything new is counted under ``_overflow``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Set
from typing import Final

from msgspec import Struct

from engine.exchange import Attempt, Outcome, OutcomeClass, Usage

from .definitions import ADDED, DURATIONS, FIRST, OVERFLOW, TOKENS

#: Label sets that are kept apart, of requests and of attempts each.
LIMIT: Final = 2_000

_SERVED = OutcomeClass.SERVED

Known = Callable[[], tuple[str, Set[str], Set[str]]]
"""The fingerprint of the graph that serves, and the names of its routes and targets."""


class Histogram(Struct):
    """``counts`` are of the buckets one by one, the last one for what is beyond the last bound."""

    counts: list[int]
    sum: float = 0.0


class Requests(Struct):
    """Requests that ended in the same way. ``first`` is of streams only."""

    route: str
    target: str
    outcome: str
    status: int
    surface: str
    count: int
    duration: Histogram
    added: Histogram
    first: Histogram


class Attempts(Struct):
    """Attempts at one target that ended in the same way."""

    target: str
    outcome: str
    surface: str
    count: int
    duration: Histogram
    first: Histogram
    input: Histogram
    output: Histogram
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    unreported: int = 0


class Move(Struct):
    """Attempts beyond the first of a request: ``retry``, ``failover``, ``fallback`` or ``hedge``."""

    kind: str
    route: str
    target: str
    outcome: str
    count: int


def _histogram(bounds: tuple[float, ...]) -> Histogram:
    return Histogram([0] * (len(bounds) + 1))


_Key = tuple[str | None, str | None, OutcomeClass, int, str]
_AttemptKey = tuple[str, OutcomeClass, str]
_MoveKey = tuple[str, str, str, str]


class Meter:
    """An observer that counts. Belongs to one event loop; ``known`` is asked only when room runs out."""

    __slots__ = ("_attempts", "_known", "_moves", "_requests", "_swept", "limit", "overflown", "refused")

    def __init__(self, known: Known, limit: int = LIMIT) -> None:
        self._known = known
        self._requests: dict[_Key, tuple[Requests, Attempts | None]] = {}
        self._attempts: dict[_AttemptKey, Attempts] = {}
        self._moves: dict[_MoveKey, Move] = {}
        self._swept = ""
        self.limit = limit
        self.overflown = 0
        self.refused: dict[str, int] = {}

    def __call__(self, outcome: Outcome) -> None:
        """Count a request and its attempts."""
        kind = outcome.outcome_class
        key = (outcome.route, outcome.target, kind, outcome.status, outcome.surface)
        found = self._requests.get(key)
        series, usual = found if found is not None else self._begin(key)
        series.count += 1
        value, histogram = outcome.duration, series.duration
        histogram.sum += value
        histogram.counts[bisect_left(DURATIONS, value)] += 1
        value, histogram = outcome.added, series.added
        histogram.sum += value
        histogram.counts[bisect_left(ADDED, value)] += 1
        first = outcome.first_token
        if first is not None:
            histogram = series.first
            histogram.sum += first
            histogram.counts[bisect_left(FIRST, first)] += 1
        attempts = outcome.attempts
        if len(attempts) == 1 and usual is not None and attempts[0].outcome_class is kind:
            _count(usual, attempts[0])  # nearly always
        elif attempts:
            self._count_all(outcome)

    def refuse(self, code: str) -> None:
        """Count a request that was refused before routing. ``code`` is one of ours, never of a client's making."""
        self.refused[code] = self.refused.get(code, 0) + 1

    def series(self) -> int:
        """Label sets of requests and attempts that are kept apart."""
        return len(self._requests) + len(self._attempts)

    def requests(self) -> list[Requests]:
        """What was counted of requests."""
        return [series for series, _ in self._requests.values()]

    def attempts(self) -> list[Attempts]:
        """What was counted of attempts."""
        return [series for series in self._attempts.values() if series.count]

    def moves(self) -> list[Move]:
        """What was counted of attempts after the first."""
        return list(self._moves.values())

    def _begin(self, key: _Key) -> tuple[Requests, Attempts | None]:
        """The series of a label set that is new."""
        route, target, outcome, status, surface = key
        if not self._room("_requests"):
            self.overflown += 1
            key = (route and OVERFLOW, target and OVERFLOW, outcome, status, surface)
            route, target = key[:2]
            if key in self._requests:
                return self._requests[key]
        series = Requests(
            route or "",
            target or "",
            outcome.value,
            status,
            surface,
            0,
            _histogram(DURATIONS),
            _histogram(ADDED),
            _histogram(FIRST),
        )
        usual = self._series(target, outcome, surface) if target and target != OVERFLOW else None
        found = self._requests[key] = (series, usual)
        return found

    def _count_all(self, outcome: Outcome) -> None:
        route = outcome.route or ""
        before: Attempt | None = None
        first = ""
        for attempt in outcome.attempts:
            _count(self._series(attempt.target, attempt.outcome_class, outcome.surface), attempt)
            if attempt.hedged:
                self._move("hedge", route, attempt.target, attempt.outcome_class.value)
                continue
            if before is not None:
                kind = "retry" if attempt.target == before.target else "failover"
                self._move(kind, route, before.target, before.outcome_class.value)
            before, first = attempt, first or attempt.target
        last = outcome.attempts[-1]
        if outcome.outcome_class is _SERVED and not last.hedged and last.target != first:
            self._move("fallback", route, outcome.target or "", "")

    def _series(self, target: str, outcome: OutcomeClass, surface: str) -> Attempts:
        key = (target, outcome, surface)
        found = self._attempts.get(key)
        if found is None and target != OVERFLOW and not self._room("_attempts"):
            key = (OVERFLOW, outcome, surface)
            found = self._attempts.get(key)
        if found is None:
            found = self._attempts[key] = Attempts(
                key[0],
                outcome.value,
                surface,
                0,
                _histogram(DURATIONS),
                _histogram(FIRST),
                _histogram(TOKENS),
                _histogram(TOKENS),
            )
        return found

    def _move(self, kind: str, route: str, target: str, outcome: str) -> None:
        key = (kind, route, target, outcome)
        found = self._moves.get(key)
        if found is None:
            if not self._room("_moves"):
                key = (kind, OVERFLOW, OVERFLOW, outcome)
            found = self._moves.setdefault(key, Move(*key, 0))
        found.count += 1

    def _room(self, kept: str) -> bool:
        """Whether another label set may be kept there. Once for each graph, what it no longer names is forgotten."""
        if len(getattr(self, kept)) < self.limit:
            return True
        fingerprint, routes, targets = self._known()
        if fingerprint == self._swept:
            return False
        self._swept = fingerprint
        routes, targets = {*routes, "", OVERFLOW}, {*targets, "", OVERFLOW}
        self._requests = {
            key: pair for key, pair in self._requests.items() if pair[0].route in routes and pair[0].target in targets
        }
        self._attempts = {key: one for key, one in self._attempts.items() if one.target in targets}
        self._moves = {key: one for key, one in self._moves.items() if one.route in routes and one.target in targets}
        return len(getattr(self, kept)) < self.limit


def _count(series: Attempts, attempt: Attempt) -> None:
    series.count += 1
    value, histogram = attempt.duration, series.duration
    histogram.sum += value
    histogram.counts[bisect_left(DURATIONS, value)] += 1
    first = attempt.first_token
    if first is not None:
        histogram = series.first
        histogram.sum += first
        histogram.counts[bisect_left(FIRST, first)] += 1
    usage = attempt.usage
    if usage is not None:
        _count_tokens(series, usage)
    elif attempt.outcome_class is _SERVED:
        series.unreported += 1


def _count_tokens(series: Attempts, usage: Usage) -> None:
    tokens = usage.input
    if tokens is not None:
        histogram = series.input
        histogram.sum += tokens
        histogram.counts[bisect_left(TOKENS, tokens)] += 1
    tokens = usage.output
    if tokens is not None:
        histogram = series.output
        histogram.sum += tokens
        histogram.counts[bisect_left(TOKENS, tokens)] += 1
    series.cached += usage.cached or 0
    series.cache_write += usage.cache_write or 0
    series.reasoning += usage.reasoning or 0
