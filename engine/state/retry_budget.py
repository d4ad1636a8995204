"""The retry budget: a bound on retries of the same target as a share of a route's recent requests."""

from __future__ import annotations

#: Seconds over which requests and retries are counted, in two halves that roll.
WINDOW = 10.0
#: Retries a window always has room for, so that a route with little traffic can retry at all.
FLOOR = 10


class RetryBudget:
    """Counts requests and retries of one route over the last 5 to 10 seconds. Not thread-safe: one event loop owns it.

    The idea and the floor are those of Finagle's and linkerd's retry budgets.
    """

    __slots__ = ("_half", "_old", "_requests", "_retries")

    def __init__(self) -> None:
        self._half = 0
        self._requests = 0
        self._retries = 0
        self._old = (0, 0)

    def _roll(self, now: float) -> None:
        half = int(now / (WINDOW / 2))
        if half != self._half:
            self._old = (self._requests, self._retries) if half == self._half + 1 else (0, 0)
            self._requests = self._retries = 0
            self._half = half

    def request(self, now: float) -> None:
        """One request of the route began. ``now`` is seconds on any clock that never goes back."""
        self._roll(now)
        self._requests += 1

    def allows(self, share: float, now: float) -> bool:
        """Whether one more retry stays within ``share`` (0..1) of the recent requests, or within the floor.

        A share of zero is no retries at all: whoever writes ``budget: 0%`` means it.
        """
        if share <= 0:
            return False
        self._roll(now)
        requests, retries = self._requests + self._old[0], self._retries + self._old[1]
        return retries < FLOOR or retries < share * requests

    def retry(self, now: float) -> None:
        """One retry of the same target began."""
        self._roll(now)
        self._retries += 1
