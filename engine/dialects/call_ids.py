"""Ids of tool calls for protocols that have none, or none always.

The canonical form needs one for each call. Those made here are told from a service's own by what they begin with, so
that the protocol they were made for does not get them back as if they were its own.
"""

from __future__ import annotations

from msgspec import Struct, field


class CallIds(Struct):
    """Makes up ids for calls that have none, and finds the call that a result without an id answers.

    ``prefix`` is what made-up ids begin with, before ``_`` and a number.
    """

    prefix: str
    made: int = 0
    open: list[tuple[str, str]] = field(default_factory=list)
    """Calls without a result yet: function and id, in order."""

    def call(self, given: str, name: str) -> str:
        """The id of a call of function ``name``; ``given`` is the one that it came with, or empty."""
        known = given or self._make()
        self.open.append((name, known))
        return known

    def result(self, given: str, name: str) -> str:
        """The id of the call that a result belongs to.

        It is the ``given`` one, else that of the oldest call of function ``name`` (of any, if that is empty) that has
        no result yet.
        """
        for place, (function, known) in enumerate(self.open):
            if known == given or (not given and name in ("", function)):
                del self.open[place]
                return known
        return given or self._make()

    def _make(self) -> str:
        self.made += 1
        return f"{self.prefix}_{self.made}"


def was_made(known: str, prefix: str) -> bool:
    """Whether an id was made up here for the protocol whose ids begin with ``prefix``."""
    return known.startswith(f"{prefix}_")


def prefix_of(protocol: str, reply: str) -> str:
    """What the ids of one reply's calls begin with: ``reply`` tells it from all others, so that no two share an id.

    Only letters, digits, ``-`` and ``_`` go in: no protocol takes others in an id.
    """
    clean = "".join(sign for sign in reply if sign.isascii() and (sign.isalnum() or sign in "-_"))
    return f"{protocol}_{clean}" if clean else protocol
