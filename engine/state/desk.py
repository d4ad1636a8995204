"""What is known of one provider's accounts at this moment: who waits for them, whose turn it is, which are shut."""

from __future__ import annotations

from collections.abc import Callable, Collection
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


class Desks:
    """The desks of all providers that have limits or several accounts, made when somebody first asks."""

    __slots__ = ("_desks",)

    def __init__(self) -> None:
        self._desks: dict[str, Desk] = {}

    def of(self, provider: str) -> Desk:
        """The provider's."""
        found = self._desks.get(provider)
        if found is None:
            found = self._desks[provider] = Desk()
        return found

    def waiting(self) -> dict[str, int]:
        """Requests that wait for the limits of a provider, by its name."""
        return {name: len(desk.line) for name, desk in self._desks.items() if len(desk.line)}

    def lengths(self) -> dict[str, int]:
        """How many requests wait for each provider that has limits or several accounts, as far as it was asked."""
        return {name: len(desk.line) for name, desk in sorted(self._desks.items())}

    def export(self, now: float) -> list[dict[str, Any]]:
        """For each provider how many requests of how many callers wait, and its accounts that are left alone.

        ``now`` is of the clock of the desks; ``seconds`` is how much longer.
        """
        return [
            {
                "provider": name,
                "waiting": len(desk.line),
                "callers": desk.line.callers(),
                "accounts": [
                    {"account": account, "reason": why, "seconds": until - now}
                    for account, (until, why) in sorted(desk.shut.items())
                    if until > now
                ],
            }
            for name, desk in sorted(self._desks.items())
        ]

    def retain(self, providers: Collection[str]) -> None:
        """Forget the providers that are not among these, once nobody waits for them."""
        for name in [name for name in self._desks.keys() - set(providers) if not len(self._desks[name].line)]:
            del self._desks[name]
