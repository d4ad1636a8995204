"""Which target keeps which conversation, for as long as there is room to remember."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable
from typing import Protocol

#: Conversations remembered; the ones that were used longest ago are forgotten first.
ROOM = 50_000


class Elsewhere(Protocol):
    """Where processes tell each other of conversations."""

    def keep(self, conversation: str, target: str) -> None:
        """Tell that ``target`` keeps this conversation. Never waits."""

    def holder(self, conversation: str) -> Awaitable[str | None]:
        """The target that keeps it as far as any process has told, within the store's timeout."""


class Conversations:
    """From an upstream's id of a kept conversation to the target that keeps it."""

    __slots__ = ("_holders", "elsewhere")

    def __init__(self) -> None:
        self._holders: OrderedDict[str, str] = OrderedDict()
        self.elsewhere: Elsewhere | None = None
        """Where other processes are told and asked, if there are any."""

    def keep(self, conversation: str, target: str) -> None:
        """``target`` keeps this conversation."""
        if self.elsewhere is not None and self._holders.get(conversation) != target:
            self.elsewhere.keep(conversation, target)
        self._remember(conversation, target)

    def _remember(self, conversation: str, target: str) -> None:
        self._holders[conversation] = target
        self._holders.move_to_end(conversation)
        if len(self._holders) > ROOM:
            self._holders.popitem(last=False)

    def holder(self, conversation: str) -> str | None:
        """The target that keeps it, ``None`` where this process does not know."""
        return self._holders.get(conversation)

    async def find(self, conversation: str) -> None:
        """Ask the other processes about a conversation that this one does not know."""
        if self.elsewhere is not None and conversation not in self._holders:
            target = await self.elsewhere.holder(conversation)
            if target is not None:
                self._remember(conversation, target)
