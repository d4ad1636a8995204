"""The hedge budget: a strict bound on requests that are sent to a second target, as a share of all that come."""

from __future__ import annotations

#: How many requests' worth of unused share is kept, so that a slow minute can be bridged and not a slow hour.
RECENT = 100
#: Shares are no binary fractions: ten times a tenth must be one.
_ROUNDING = 1e-9


class HedgeBudget:
    """Counts what one hedge may still send. Not thread-safe: one event loop owns it.

    Every request adds its share, every hedged attempt takes one, and what is not used is kept up to the share of
    :data:`RECENT` requests. So however traffic comes, ``n`` requests are never hedged more than ``share * n`` times.
    """

    __slots__ = ("_room",)

    def __init__(self) -> None:
        self._room = 0.0

    def request(self, share: float) -> None:
        """One more request came to the hedge; ``share`` is 0..1."""
        self._room = min(self._room + share, max(1.0, share * RECENT))

    def allows(self) -> bool:
        """Whether one more attempt stays within the share."""
        return self._room >= 1.0 - _ROUNDING

    def hedge(self) -> None:
        """One more attempt began; :meth:`allows` was asked."""
        self._room -= 1.0
