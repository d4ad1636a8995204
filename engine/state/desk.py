"""What is known of one provider's accounts at this moment: who waits for them, whose turn it is, which are shut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .line import Line


class Desk:
    """One provider's. Moments are seconds on a clock that never goes back.

    ``alarm`` is called when something was given back, as long as somebody waits; ``shut`` says until when an account
    is left alone because it was refused, and why.
    """

    __slots__ = ("_owner", "alarm", "clerk", "line", "shut", "turn")

    def __init__(self) -> None:
        self.line: Line[Any] = Line()
        self.turn = 0
        self.shut: dict[str, tuple[float, str]] = {}
        self.alarm: Callable[[], None] | None = None
        self.clerk: object = None
        """Whoever serves the line at this moment."""
        self._owner: object = None

    def attend(self, owner: object) -> None:
        """Whose secrets are used from here on; what is known of others' accounts is forgotten."""
        if owner is not self._owner:
            self._owner = owner
            self.shut.clear()

    def left_alone(self, account: str, now: float) -> float:
        """Seconds for which this account is left alone; 0 if it is not."""
        row = self.shut.get(account)
        if row is None:
            return 0.0
        if row[0] <= now:
            del self.shut[account]
            return 0.0
        return row[0] - now

    def shut_until(self, account: str, until: float, why: str) -> None:
        """Leave the account alone; never for less long than was said before."""
        known = self.shut.get(account)
        if known is None or known[0] < until:
            self.shut[account] = (until, why)
