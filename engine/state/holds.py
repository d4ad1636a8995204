"""Who asked to be left alone: targets by 429, and providers that refuse our credential or say that it is used up."""

from __future__ import annotations

import sys
from typing import Any

from .closure import Reason
from .gate import Gate

#: Seconds that a 429 without Retry-After holds a target; twice as long for each one in a row, up to the second number.
UNSAID, LONGEST_UNSAID = 1.0, 60.0
#: Refusals in a row before last resorts become rare: fewer are strays of a target that mostly serves.
STRAYS = 3
#: Seconds that a refused credential is left alone: at first, and at most.
REFUSED, LONGEST_REFUSED = 10.0, 300.0
#: The same where the account is out of credit, which people mend and not time.
SPENT, LONGEST_SPENT = 60.0, 3600.0


class Hold(Gate):
    """A target that answered 429 (``held``), or a provider that refused the credential (``credential``)."""

    __slots__ = ("_begun", "_entered", "name", "row")

    def __init__(self, name: str, reason: Reason) -> None:
        super().__init__(reason)
        self.name = name
        self.row = 0
        """How often it refused, with nothing served in between."""
        self._begun = 0.0
        """When the first of that row ended."""
        self._entered = 0
        """Attempts begun since then."""

    @property
    def probes(self) -> int:
        """One at a time finds out, unless the target was seen to serve meanwhile."""
        return 1 if self.row else sys.maxsize

    def limited(self, began: float, now: float, retry_after: float | None) -> None:
        """The target answered 429, and asked for ``retry_after`` seconds if it said so."""
        self._count(now)
        said = min(UNSAID * 2.0 ** min(self.row - 1, 16), LONGEST_UNSAID) if retry_after is None else retry_after
        # An attempt that began before an earlier 429 knows of it no more than that one did, but its wish counts too.
        self.shut(now + said, now, "it answered 429" + ("" if self.row == 1 else f" {self.row} times in a row"))
        self.free = self._stray()

    def refused(self, began: float, now: float, why: str, *, spent: bool, retry_after: float | None) -> bool:
        """The provider refused our credential; whether that is news."""
        if began < self.since:
            return False
        self._count(now)
        first, longest = (SPENT, LONGEST_SPENT) if spent else (REFUSED, LONGEST_REFUSED)
        span = min(first * 2.0 ** min(self.row - 1, 16), longest)
        self.shut(now + max(span, retry_after or 0.0), now, why)
        self.free = self._stray()
        return True

    def learn(self, until: float, now: float, why: str) -> None:
        """Another process was told so."""
        if self.row == 0:
            self._count(now)
        self.shut(until, now, why)

    def _count(self, now: float) -> None:
        if self.row == 0:
            self._begun = now
            self._entered = 0
        self.row += 1

    def _stray(self) -> bool:
        """Whether these refusals are few: by themselves, or among the attempts since, which mostly have yet to end."""
        return self.row < STRAYS or self.row * 2 < self._entered

    def enter(self, now: float, longest: float, recovered: float) -> None:
        """See :class:`Gate`."""
        super().enter(now, longest, recovered)
        self._entered += 1

    def served(self, began: float, now: float, took: float) -> bool:
        """An attempt was served. A credential that works opens; a target that answered 429 keeps the time it asked for.

        That time is a preference among targets, so that it costs nothing to honour it; and as the target serves, it may
        be tried beyond it.
        """
        if not self.is_shut or (self.reason == "credential" and began < self._begun):
            return False
        if self.reason == "held" and self.until > now:
            self.row = 0
            self.free = True
            return False
        self.row = 0
        self.open(now)
        return True

    def export(self, now: float) -> dict[str, Any]:
        """Its state as plain JSON values; times are Unix seconds."""
        state = "held" if self.until > now else "half_open"
        out = {"state": state, "since": self.since, "until": self.until, "reason": self.detail, "in_a_row": self.row}
        return {"target" if self.reason == "held" else "provider": self.name, **out}
