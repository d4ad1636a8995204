"""Reading the tool calls of one choice of a stream.

The protocol numbers the calls by ``index`` and gives id and name with the first piece. Services stray from that: they
leave the index out, count every call as 0 and tell them apart by id only, give no id, or repeat the name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.dialects.trees import count, json_tree, mapping, others, text
from engine.exchange.canonical import Opaque
from engine.exchange.events import Event, ToolCallPiece, WholePart

from .ids import made_id
from .messages_read import NAME, call_arguments

_FIELDS = frozenset({"id", "index", "type", "function"})


class CallReader:
    """Tells which call a piece belongs to; ``new`` numbers the blocks of the choice."""

    def __init__(self, choice: int, seed: str, new: Callable[[], int]) -> None:
        self.any = False
        self._choice = choice
        self._seed = seed
        self._new = new
        self._made = 0
        self._last: int | None = None
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}
        self._names: dict[int, str] = {}
        #: The arguments so far of calls without an id, of which only their end tells that the next one begins.
        self._unnamed: dict[int, list[str]] = {}
        #: Calls of other kinds than functions, by index: they are told as a whole.
        self._custom: dict[int, tuple[int, dict[str, Any]]] = {}

    def read(self, call: dict[str, Any]) -> list[Event]:
        """The piece in one entry of ``tool_calls``."""
        kind, index = text(call.get("type")), count(call.get("index"))
        if "function" not in call and (kind not in ("", "function") or index in self._custom):
            self._hold(call, kind, index or 0)
            return []
        function = mapping(call.get("function"))
        id_, name = text(call.get("id")), text(function.get("name"))
        arguments = call_arguments(function.get("arguments"))
        block = self._block(id_, name, index, arguments)
        if block is None:
            return [self._begin(id_, name, index, arguments, others(call, _FIELDS))]
        self._last = block
        told = "" if self._names[block] else name
        self._names[block] = self._names[block] or name
        if block in self._unnamed:
            self._unnamed[block].append(arguments)
        extra = others(call, _FIELDS)
        if not arguments and not told and not extra:
            return []
        return [ToolCallPiece(self._choice, block, "", told, arguments, extra)]

    def legacy(self, call: dict[str, Any]) -> list[Event]:
        """The piece in a ``function_call``, of which a choice has one at most."""
        name, arguments = text(call.get("name")), call_arguments(call.get("arguments"))
        if self._last is None:
            return [self._begin("", name, None, arguments, {"legacy": True})] if name else []
        return [ToolCallPiece(self._choice, self._last, "", "", arguments)] if arguments else []

    def close(self) -> list[Event]:
        """The calls that are told as a whole."""
        held, self._custom = self._custom, {}
        return [WholePart(Opaque(NAME, call), self._choice, block) for block, call in held.values()]

    def _block(self, id_: str, name: str, index: int | None, arguments: str) -> int | None:
        """The call that is going on and that the piece belongs to; ``None`` if it begins a new one."""
        if id_ in self._by_id:
            return self._by_id[id_]
        if index is None:
            return None if id_ or name else self._last
        found = self._by_index.get(index)
        if found is None or not name:
            return found
        if found in self._unnamed:
            return None if arguments.startswith("{") and _is_json(self._unnamed[found]) else found
        # Another id and a name under an index that is taken: the service counts every call alike.
        return None if id_ else found

    def _begin(self, id_: str, name: str, index: int | None, arguments: str, extra: dict[str, Any]) -> ToolCallPiece:
        block = self._last = self._new()
        self.any = True
        self._names[block] = name
        if index is not None:
            self._by_index[index] = block
        if id_:
            self._by_id[id_] = block
        else:
            id_ = made_id("call", self._seed, self._made)
            self._made += 1
            self._unnamed[block] = [arguments]
        return ToolCallPiece(self._choice, block, id_, name, arguments, extra)

    def _hold(self, call: dict[str, Any], kind: str, index: int) -> None:
        held = self._custom.get(index)
        if held is None or (call.get("id") and call["id"] != held[1].get("id")):
            if held is not None:
                self._custom[-len(self._custom) - 1] = held
            self._custom[index] = (self._new(), others(call, ("index",)))
            return
        kind = kind or text(held[1].get("type"))
        whole, more = held[1].setdefault(kind, {}), mapping(call.get(kind))
        if isinstance(whole, dict):
            for name, value in more.items():
                whole[name] = text(whole.get(name)) + value if isinstance(value, str) else value


def _is_json(pieces: list[str]) -> bool:
    try:
        json_tree("".join(pieces))
    except ValueError:
        return False
    return True
