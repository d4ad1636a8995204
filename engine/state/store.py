"""Where limits are counted: the protocol of stores, and the one in this process's memory.

A *claim* asks for a part of one limit; a *grant* holds what was claimed. Windows are exact: whatever ``per`` seconds
one looks at, what was granted within them is at most ``limit``. A bucket that refills would let twice as much pass in
one window, which is what an upstream answers with 429.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import Literal, Protocol

from msgspec import Struct

from .closure import Closure

#: Grants of one window that are kept apart. Beyond, those of the same ``per / GRAINS`` seconds are kept together, as if
#: all were of the latest moment: memory stays bounded, and the limit is kept, at that much less precision.
GRAINS = 2048
#: Seconds after which to ask again for a place among requests under way: nobody knows when one of them ends.
CONCURRENCY_AGAIN = 1.0
#: Windows below which nobody looks for idle ones.
SWEEP_FROM = 1024


class Claim(Struct, frozen=True):
    """A part of one limit: ``cost`` out of ``limit`` in any ``per`` seconds; ``per=None`` is so many at a time.

    ``key`` says whose limit it is (``limit/NAME/BUCKET/requests``, ``provider/NAME/tokens``). Keys of one ``take`` are
    distinct.
    """

    key: str
    limit: int
    per: float | None
    cost: int = 1
    unit: Literal["requests", "tokens", "concurrency"] = "requests"
    """What is counted: for people and headers; stores do not read it."""


class Grant(Struct, eq=False):
    """What was taken. To be settled at most once, where real costs differ, and released once, at the end of the work.

    ``left`` is what each claim's limit has left at this moment, ``resets`` the seconds until the earliest of what
    counts against it leaves its window (for concurrency 0).
    """

    claims: tuple[Claim, ...]
    left: tuple[int, ...]
    resets: tuple[float, ...]
    holds: list[Entry | None] = []
    """For the store that made it."""
    settled: bool = False
    released: bool = False


class Refusal(Struct, frozen=True):
    """The claim that has to wait longest, and the seconds after which it has room if nothing else is granted.

    Infinity where it asks for more than the whole limit. ``left`` is what its limit has left: less than it asks for.
    """

    key: str
    retry_after: float
    left: int = 0


class Store(Protocol):
    """Counts limits. ``now`` is seconds on a clock that never goes back; a store with a clock of its own ignores it."""

    def take(self, claims: tuple[Claim, ...], now: float) -> Grant | Refusal | Awaitable[Grant | Refusal]:
        """All of the claims or none. What answers at once returns the answer itself, to be told by its type.

        Never raises for a store that is away: that is decided by its own policy.
        """

    def peek(self, claims: tuple[Claim, ...], now: float) -> Refusal | None:
        """What ``take`` would refuse for at this moment, as far as this process knows; takes nothing, never waits."""

    def settle(self, grant: Grant, costs: Mapping[str, int]) -> None:
        """The real costs of windowed claims, by key, in place of those claimed; what is not named stays as it is.

        What was claimed and not used is free again at once. What was used beyond the claim counts too, from the moment
        of the claim, though nobody can be refused for it any more. At most once; never waits.
        """

    def release(self, grant: Grant) -> None:
        """The work has ended: concurrent places are free again. May be repeated; never waits."""

    def publish(self, id_: str, closure: Closure | None) -> None:
        """Tell the other processes that this is closed, or (``None``) open again. Never waits."""

    def closures(self) -> Mapping[str, Closure]:
        """What other processes have said is closed; some may be over."""

    def export(self) -> dict[str, float]:
        """How a store that processes share does, for metrics; nothing where there is none."""


class Entry:
    """What counts against a window from one moment on."""

    __slots__ = ("cost", "first", "since")

    def __init__(self, since: float, cost: int) -> None:
        self.first = self.since = since
        self.cost = cost


class _Window:
    """A sliding log: every grant of the last ``per`` seconds."""

    __slots__ = ("log", "per", "used")

    def __init__(self, per: float) -> None:
        self.per = per
        self.log: deque[Entry] = deque()
        self.used = 0

    def expire(self, now: float) -> None:
        log, per = self.log, self.per
        while log and log[0].since + per <= now:
            gone = log.popleft()
            self.used -= gone.cost
            gone.since = -math.inf

    def wait(self, claim: Claim, now: float) -> float:
        """Seconds until the claim has room; 0 if it has now."""
        self.per = claim.per or self.per
        self.expire(now)
        excess = self.used + claim.cost - claim.limit
        if excess <= 0:
            return 0.0
        for entry in self.log:
            excess -= entry.cost
            if excess <= 0:
                return _until(entry.since + self.per, now)
        return math.inf

    def add(self, claim: Claim, now: float) -> Entry:
        log = self.log
        self.used += claim.cost
        if len(log) >= GRAINS:
            last = log[-1]
            if now - last.first < self.per / GRAINS:
                last.since = now
                last.cost += claim.cost
                return last
        entry = Entry(now, claim.cost)
        log.append(entry)
        return entry

    def reset(self, now: float) -> float:
        return self.log[0].since + self.per - now if self.log else 0.0

    def idle(self, now: float) -> bool:
        self.expire(now)
        return not self.log


class _Places:
    """Requests under way at the same time."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = 0

    def wait(self, claim: Claim, now: float) -> float:
        return 0.0 if self.used + claim.cost <= claim.limit else _fresh(claim) or CONCURRENCY_AGAIN

    def add(self, claim: Claim, now: float) -> None:
        self.used += claim.cost

    def reset(self, now: float) -> float:
        return 0.0

    def idle(self, now: float) -> bool:
        return not self.used


class MemoryStore:
    """Counts in this process's memory, for one event loop. Every call takes constant time, amortised.

    Keys that nothing counts against are forgotten, so that memory is bounded by what ``per`` seconds bring.
    """

    __slots__ = ("_counts", "_sweep_at")

    def __init__(self) -> None:
        self._counts: dict[str, _Window | _Places] = {}
        self._sweep_at = SWEEP_FROM

    def __len__(self) -> int:
        """Keys that are remembered."""
        return len(self._counts)

    def take(self, claims: tuple[Claim, ...], now: float) -> Grant | Refusal:
        """See :class:`Store`."""
        refused = self.peek(claims, now)
        if refused is not None:
            return refused
        holds: list[Entry | None] = []
        left: list[int] = []
        resets: list[float] = []
        for claim in claims:
            count = self._counts.get(claim.key)
            if count is None:
                count = self._new(claim, now)
            holds.append(count.add(claim, now))
            left.append(claim.limit - count.used)
            resets.append(count.reset(now))
        return Grant(claims, tuple(left), tuple(resets), holds)

    def peek(self, claims: tuple[Claim, ...], now: float) -> Refusal | None:
        """See :class:`Store`."""
        refused: Refusal | None = None
        for claim in claims:
            count = self._counts.get(claim.key)
            wait = _fresh(claim) if count is None else count.wait(claim, now)
            if wait and (refused is None or wait > refused.retry_after):
                used = 0 if count is None else count.used
                refused = Refusal(claim.key, wait, max(0, claim.limit - used))
        return refused

    def settle(self, grant: Grant, costs: Mapping[str, int]) -> None:
        """See :class:`Store`."""
        if grant.settled:
            return
        grant.settled = True
        for claim, entry in zip(grant.claims, grant.holds, strict=True):
            real = costs.get(claim.key)
            # An entry that has left its window counts no more, whatever it turns out to have cost.
            if real is None or entry is None or entry.since == -math.inf:
                continue
            window = self._counts[claim.key]
            entry.cost += real - claim.cost
            window.used += real - claim.cost

    def release(self, grant: Grant) -> None:
        """See :class:`Store`."""
        if grant.released:
            return
        grant.released = True
        for claim in grant.claims:
            if claim.per is None:
                places = self._counts[claim.key]
                places.used -= claim.cost
                if not places.used:
                    del self._counts[claim.key]

    def publish(self, id_: str, closure: Closure | None) -> None:
        """Nothing: there is no other process."""

    def closures(self) -> Mapping[str, Closure]:
        """Nothing: there is no other process."""
        return {}

    def export(self) -> dict[str, float]:
        """Nothing: it is always there."""
        return {}

    def used(self, key: str, now: float) -> int:
        """What counts against this key at this moment."""
        count = self._counts.get(key)
        if count is None or count.idle(now):
            return 0
        return count.used

    def under_way(self) -> dict[str, int]:
        """How many places of each concurrency limit are taken, where any is."""
        return {key: count.used for key, count in self._counts.items() if isinstance(count, _Places)}

    def _new(self, claim: Claim, now: float) -> _Window | _Places:
        if len(self._counts) >= self._sweep_at:
            self._sweep(now)
        made = self._counts[claim.key] = _Places() if claim.per is None else _Window(claim.per)
        return made

    def _sweep(self, now: float) -> None:
        """Forget what is idle; again when there is twice as much, so that each key's share of the work is constant."""
        for key in [key for key, count in self._counts.items() if count.idle(now)]:
            del self._counts[key]
        self._sweep_at = max(SWEEP_FROM, 2 * len(self._counts))


def _fresh(claim: Claim) -> float:
    """Seconds that a claim waits where nothing counts against it."""
    return math.inf if claim.cost > claim.limit else 0.0


def _until(moment: float, now: float) -> float:
    """Seconds from ``now`` to ``moment``, never short of it in double precision: whoever waits so long has room."""
    wait = moment - now
    while now + wait < moment:
        wait = math.nextafter(wait, math.inf)
    return wait
