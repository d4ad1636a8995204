"""What is left of the limits of providers, as their own replies say. No clock: times are arguments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.dialects.rate_limits import Limit


class Headroom:
    """The limits that the latest reply of each target told of. It belongs to one event loop."""

    __slots__ = ("_limits",)

    def __init__(self) -> None:
        self._limits: dict[str, tuple[float, tuple[Limit, ...]]] = {}

    def note(self, target: str, limits: tuple[Limit, ...], now: float) -> None:
        """These were told by a reply of ``now`` (Unix seconds); one older than what is known tells nothing."""
        known = self._limits.get(target)
        if limits and (known is None or known[0] <= now):
            self._limits[target] = (now, limits)

    def left(self, target: str, now: float) -> float:
        """The share (0..1) that is left of the limit that is nearest to its end.

        What was said of a limit holds until it begins anew; 1.0 is where nothing is known.
        """
        known = self._limits.get(target)
        if known is None:
            return 1.0
        least = 1.0
        for limit in known[1]:
            if limit.reset > now:
                share = limit.remaining / limit.limit
                if share < least:
                    least = share
        return least

    def retain(self, targets: Iterable[str]) -> None:
        """Forget every target but these."""
        for target in self._limits.keys() - set(targets):
            del self._limits[target]

    def export(self, now: float) -> dict[str, list[dict[str, Any]]]:
        """By target: the limits that still hold, with the seconds to their end."""
        return {
            target: [
                {"name": o.name, "limit": o.limit, "remaining": o.remaining, "resets_in": o.reset - now}
                for o in limits
                if o.reset > now
            ]
            for target, (_, limits) in sorted(self._limits.items())
        }
