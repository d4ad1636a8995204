"""Conversations for protocols in which the user and the assistant take turns and instructions stand apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from engine.exchange.canonical import Message


class Turn(Struct):
    """What one side says before the other answers, in the protocol's own blocks; ``first`` is the message it began."""

    role: str
    blocks: list[dict[str, Any]]
    first: Message


def take_turns(
    messages: list[Message], write: Callable[[Message], list[dict[str, Any]]], *, same: bool
) -> tuple[list[Message], list[Turn]]:
    """The instructions, wherever they stand, and the turns.

    Adjacent messages of one side are one turn, and results of tools are the user's; they come first in their turn, as
    such protocols want them right after the calls. Messages without blocks are left out. A conversation of nothing but
    instructions asks the last of them. ``same`` is whether it came in the same protocol: then instructions in the
    midst stay where they are, and nothing is moved.
    """
    instructions: list[Message] = []
    turns: list[Turn] = []
    results = False
    for message in messages:
        if message.role in ("system", "developer") and not (same and turns):
            instructions.append(message)
            continue
        blocks = write(message)
        if not blocks:
            continue
        role = {"tool": "user", "developer": "system"}.get(message.role, message.role)
        last = turns[-1] if turns else None
        if last is None or last.role != role or role == "system":
            turns.append(Turn(role, blocks, message))
        elif message.role == "tool" and not results and not same:
            last.blocks[:0] = blocks
        else:
            last.blocks += blocks
        results = message.role == "tool"
    while not turns and instructions and not same:
        asked = instructions.pop()
        blocks = write(asked)
        if blocks:
            turns.append(Turn("user", blocks, asked))
    return instructions, turns
