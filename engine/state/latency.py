"""How long targets take: an estimate to balance by, and percentiles to look at. No clock: times are arguments.

The estimate is an average that goes up faster than it comes down, after Finagle's peak EWMA. Finagle's jumps to every
longer time; times of models vary so much that the busiest targets would then always be held for slow ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from math import exp, log2
from typing import Any

from engine.exchange import RULES, Effect, OutcomeClass

_C = OutcomeClass
#: What a longer and a shorter time count for beside what was known. Both count by answers and not by time alone, so
#: that the estimates of a busy target and of an idle one mean the same.
RISE, FALL = 0.3, 0.1
#: Seconds after which what was known counts for 1/e, however few answers there were (the value that Finagle has).
SMOOTHING = 10.0
#: Below this many seconds between two answers it is :data:`FALL` that counts.
_SHORT = 1.0
#: Seconds without any answer after which an estimate is forgotten, so that the target is tried like a new one.
FORGET = 600.0
#: What a failure adds at least, and what it adds at most unless it took longer itself, in seconds: an error that comes
#: quickly must not look fast. Failures in a row add twice as much each time.
FAILED_LEAST, FAILED_MOST = 1.0, 60.0
#: Attempts that were given up (by the client, or at the request's deadline): they took at least as long as they did.
GIVEN_UP = frozenset({_C.CANCELLED, _C.DEADLINE})

#: Percentiles are over the last :data:`HALF` to twice as many seconds.
HALF = 60.0
#: Four buckets an octave (each 19 % wider than the one before) from one millisecond to half an hour.
BUCKETS = 84
_FIRST, _AN_OCTAVE = 0.001, 4


class Estimate:
    """Seconds to expect. ``at`` is when it was last told something (Unix seconds).

    A failure is a penalty on top, which only time takes away: a target that fails is not sent what would show that it
    does no longer.
    """

    __slots__ = ("_failed_at", "_penalty", "at", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self.at = 0.0
        self._penalty = 0.0
        self._failed_at = 0.0

    def observe(self, seconds: float, now: float) -> None:
        """It took this long."""
        value = self.value
        if value:
            weight, age = RISE if seconds > value else FALL, now - self.at
            if age > _SHORT:
                weight = max(weight, 1.0 - exp(-age / SMOOTHING))
            seconds = value + (seconds - value) * weight
        self.value = seconds
        self.at = now

    def failed(self, seconds: float, now: float) -> None:
        """It failed after this long."""
        self._penalty = max(seconds, FAILED_LEAST, min(2.0 * self.penalty(now), FAILED_MOST))
        self.at = self._failed_at = now

    def penalty(self, now: float) -> float:
        """What is left of the penalty for failures, in seconds."""
        return self._penalty and self._penalty * exp((self._failed_at - now) / SMOOTHING)

    def read(self, now: float) -> float:
        """Seconds to expect; 0.0 where nothing is known, or nothing was heard for :data:`FORGET` seconds."""
        if now - self.at >= FORGET:
            return 0.0
        if not self._penalty:
            return self.value
        penalty = self.penalty(now)
        # One that never answered is new again once its failure is a while ago.
        return self.value + penalty if self.value or penalty > FAILED_LEAST / 2 else 0.0


class Percentiles:
    """Seconds, counted in buckets of fixed logarithmic width over two halves that roll; an answer is 10 % off at most.

    Its memory does not grow: twice :data:`BUCKETS` counts.
    """

    __slots__ = ("_counts", "_half", "_old")

    def __init__(self) -> None:
        self._half = 0
        self._counts = [0] * BUCKETS
        self._old = [0] * BUCKETS

    def add(self, seconds: float, now: float) -> None:
        """Count one."""
        half = int(now / HALF)
        # A clock that was set back a little is no reason to forget.
        if half != self._half and half != self._half - 1:
            self._roll(half)
        at = int(log2(seconds / _FIRST) * _AN_OCTAVE) + 1 if seconds > _FIRST else 0
        self._counts[at if at < BUCKETS else BUCKETS - 1] += 1

    def _roll(self, half: int) -> None:
        self._old = self._counts if half == self._half + 1 else [0] * BUCKETS
        self._counts = [0] * BUCKETS
        self._half = half

    def read(self, shares: Iterable[float], now: float) -> list[float | None]:
        """For each share (0..1) the time within which that share was done; ``None`` where nothing was counted."""
        half = int(now / HALF)
        if half > self._half:
            self._roll(half)
        counts = [new + old for new, old in zip(self._counts, self._old, strict=True)]
        total = sum(counts)
        return [_quantile(counts, share * total) if total else None for share in shares]

    def count(self) -> int:
        """How many are counted."""
        return sum(self._counts) + sum(self._old)


def _quantile(counts: list[int], wanted: float) -> float:
    bucket = next(at for at, seen in enumerate(accumulate(counts)) if seen and seen >= wanted)
    return float(_FIRST * 2.0 ** ((bucket - 0.5) / _AN_OCTAVE)) if bucket else _FIRST


class _Target:
    """Of streams the time to first output, of other answers the whole; ``total`` counts the whole of both."""

    __slots__ = ("first", "first_spread", "plain", "total_spread")

    def __init__(self) -> None:
        self.first = Estimate()
        self.plain = Estimate()
        self.first_spread = Percentiles()
        self.total_spread = Percentiles()


class Latency:
    """The times of every target, by its id. It belongs to one event loop."""

    __slots__ = ("_kept", "_targets")

    def __init__(self) -> None:
        self._kept: frozenset[str] | None = None
        self._targets: dict[str, _Target] = {}

    def expected(self, target: str, stream: bool, now: float) -> float:
        """Seconds to expect at ``now`` (Unix seconds): to first output of a stream, else to the end; 0.0 is unknown."""
        found = self._targets.get(target)
        if found is None:
            return 0.0
        return (found.first if stream else found.plain).read(now)

    def output(self, target: str, seconds: float, now: float) -> None:
        """A stream's first output came after ``seconds``; how it ends is for :meth:`note`."""
        found = self._of(target)
        found.first.observe(seconds, now)
        found.first_spread.add(seconds, now)

    def note(
        self,
        target: str,
        outcome: OutcomeClass,
        seconds: float,
        first_token: float | None,
        now: float,
        streamed: bool = False,
    ) -> None:
        """An attempt ended ``seconds`` after it began; ``first_token`` is set where :meth:`output` was told of it.

        ``streamed`` is whether a stream was asked for.
        """
        found = self._of(target)
        if outcome is _C.SERVED:
            if first_token is None:
                found.plain.observe(seconds, now)
            found.total_spread.add(seconds, now)
        elif outcome in GIVEN_UP:
            # Whoever gave up shows that it takes longer than this, and no more.
            estimate = found.first if streamed else found.plain
            if first_token is None and 0.0 < estimate.value < seconds:
                estimate.observe(seconds, now)
        elif RULES[outcome].breaker is not Effect.NEUTRAL:
            # A target that fails in one way of asking is in no state to be preferred in the other.
            found.first.failed(seconds if first_token is None else first_token, now)
            found.plain.failed(seconds, now)

    def _of(self, target: str) -> _Target:
        found = self._targets.get(target)
        if found is None:
            found = _Target()
            # The last word of a target that is gone is nothing to keep.
            if self._kept is None or target in self._kept:
                self._targets[target] = found
        return found

    def retain(self, targets: Iterable[str]) -> None:
        """Forget every target but these, and learn of no others."""
        self._kept = frozenset(targets)
        for target in self._targets.keys() - self._kept:
            del self._targets[target]

    def export(self, now: float) -> dict[str, dict[str, Any]]:
        """By target: what is expected (seconds, ``None`` unknown), and percentiles of the last one to two minutes."""
        shares = (0.5, 0.9, 0.99)
        out = {}
        for target, found in sorted(self._targets.items()):
            row: dict[str, Any] = {}
            for name, estimate, spread in (
                ("first_token", found.first, found.first_spread),
                ("total", found.plain, found.total_spread),
            ):
                p50, p90, p99 = spread.read(shares, now)
                expected = estimate.read(now) or None
                row[name] = {"expected": expected, "p50": p50, "p90": p90, "p99": p99, "count": spread.count()}
            out[target] = row
        return out
