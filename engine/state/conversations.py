"""Which target keeps which conversation, for as long as there is room to remember."""

from __future__ import annotations

from collections import OrderedDict

#: Conversations remembered; the ones that were used longest ago are forgotten first.
ROOM = 50_000


class Conversations:
    """From an upstream's id of a kept conversation to the target that keeps it."""

    __slots__ = ("_holders",)

    def __init__(self) -> None:
        self._holders: OrderedDict[str, str] = OrderedDict()

    def keep(self, conversation: str, target: str) -> None:
        """``target`` keeps this conversation."""
        self._holders[conversation] = target
        self._holders.move_to_end(conversation)
        if len(self._holders) > ROOM:
            self._holders.popitem(last=False)

    def holder(self, conversation: str) -> str | None:
        """The target that keeps it, ``None`` where nobody knows."""
        return self._holders.get(conversation)
