"""Writing a stream for a client: from canonical events to server-sent ones."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.exchange.canonical import ChatRequest
from engine.exchange.events import (
    Began,
    Ended,
    Event,
    Finished,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    ToolCallPiece,
    Used,
    WholePart,
    merged,
)
from engine.exchange.usage import Usage

from .citations import write_citations
from .reply import reason_of, write_part, write_tier
from .usage import write_usage

Piece = TextPiece | ThinkingPiece | RefusalPiece | ToolCallPiece | WholePart

_encode = msgspec.json.encode
#: What of a canonical ``extra`` is this protocol's own, whatever the upstream was.
_OWN = ("caller", "container", "context_management", "stop_details")

#: More of a text block: its index, and the text as JSON.
_TEXT = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}\n\n'
)


class Writer:
    """Writes one stream: blocks of rising index, one open at a time, as the protocol's clients put them together.

    Pieces of a block that may not begin yet, because a tool call before it is still being written, wait until it is
    complete; blocks that took turns come one after the other.
    """

    __slots__ = (
        "_arguments",
        "_began",
        "_calls",
        "_extra",
        "_finish",
        "_index",
        "_judged",
        "_kind",
        "_model",
        "_open",
        "_refused",
        "_started",
        "_usage",
        "_waiting",
    )

    def __init__(self, asked: ChatRequest) -> None:
        self._model = asked.model
        self._began = Began()
        self._started = False
        self._usage: Usage | None = None
        self._finish: Finished | None = None
        self._extra: dict[str, Any] = {}
        self._index = -1
        self._open: int | None = None
        """The canonical number of the open block."""
        self._kind = ""
        self._arguments: list[str] = []
        self._judged = -1
        """How many pieces of arguments were found not to be whole."""
        self._waiting: dict[int, list[Piece]] = {}
        self._calls = False
        self._refused = False

    def write(self, event: Event) -> bytes:
        """See :class:`engine.dialects.protocol.EventWriter`. Of several answers only the first is told."""
        if type(event) is TextPiece and event.block == self._open and self._goes_on(event):
            return _TEXT % (self._index, _encode(event.text))
        if isinstance(event, TextPiece | ThinkingPiece | RefusalPiece | ToolCallPiece | WholePart):
            return self._piece(event) if event.choice == 0 else b""
        if isinstance(event, Began):
            self._begin(event)
        elif isinstance(event, Used):
            self._usage = merged(self._usage, event.usage)
        elif isinstance(event, Finished):
            if event.choice == 0:
                self._finish = event
        elif isinstance(event, Ended):
            return self._end()
        return b""

    def _goes_on(self, piece: TextPiece) -> bool:
        """Whether it is more of the open text and nothing else, as nearly every piece is."""
        return self._kind == "text" and piece.choice == 0 and piece.text != "" and not piece.citations

    def _begin(self, event: Began) -> None:
        known = self._began
        known.id = event.id or known.id
        known.model = event.model or known.model
        known.service_tier = event.service_tier or known.service_tier
        self._extra.update(own(event.extra))

    def _piece(self, piece: Piece) -> bytes:
        if piece.block == self._open:
            return self._tell(piece)
        self._waiting.setdefault(piece.block, []).append(piece)
        if self._open is not None and self._unfinished():
            return b""
        out = [self._start()]
        while self._waiting and not self._unfinished():
            out += self._next()
        return b"".join(out)

    def _next(self) -> list[bytes]:
        """The block that has waited longest."""
        number = next(iter(self._waiting))
        return [self._tell(piece) for piece in self._waiting.pop(number)]

    def _unfinished(self) -> bool:
        """Whether the open block is a tool call whose arguments are not whole yet."""
        if self._kind != "tool_use":
            return False
        if len(self._arguments) == self._judged:
            return True
        try:
            msgspec.json.decode("".join(self._arguments))
        except (msgspec.DecodeError, RecursionError):
            self._judged = len(self._arguments)
            return True
        return False

    def _start(self) -> bytes:
        """``message_start``, once. What is not known of the usage by then follows at the end."""
        if self._started:
            return b""
        self._started = True
        usage = write_usage(self._usage)
        if self._began.service_tier is not None:
            usage["service_tier"] = write_tier(self._began.service_tier)
        message: dict[str, Any] = {
            "id": self._began.id,
            "type": "message",
            "role": "assistant",
            "model": self._began.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        return _event({"type": "message_start", "message": message})

    def _tell(self, piece: Piece) -> bytes:
        if isinstance(piece, WholePart):
            block = write_part(piece.part, True)
            return b"" if block is None else self._open_block(piece.block, "", block) + self._close()
        if isinstance(piece, TextPiece | RefusalPiece):
            return self._text(piece)
        if isinstance(piece, ThinkingPiece):
            return self._thinking(piece)
        return self._tool_call(piece)

    def _text(self, piece: TextPiece | RefusalPiece) -> bytes:
        self._refused = self._refused or isinstance(piece, RefusalPiece)
        out = self._ensure(piece.block, "text", {"type": "text", "text": ""})
        if piece.text:
            out += self._delta({"type": "text_delta", "text": piece.text})
        if isinstance(piece, TextPiece):
            for citation in write_citations(piece.citations):
                out += self._delta({"type": "citations_delta", "citation": citation})
        return out

    def _thinking(self, piece: ThinkingPiece) -> bytes:
        if piece.redacted is not None:
            block = {"type": "redacted_thinking", "data": piece.redacted}
            return self._open_block(piece.block, "", block) + self._close()
        out = self._ensure(piece.block, "thinking", {"type": "thinking", "thinking": "", "signature": ""})
        if piece.text:
            out += self._delta({"type": "thinking_delta", "thinking": piece.text})
        if piece.signature:
            out += self._delta({"type": "signature_delta", "signature": piece.signature})
        return out

    def _tool_call(self, piece: ToolCallPiece) -> bytes:
        out = b""
        if self._open != piece.block or self._kind != "tool_use":
            if not piece.name:
                return b""  # more of a call that was complete
            self._calls = True
            block = {"type": "tool_use", "id": piece.id, "name": piece.name, "input": {}, **own(piece.extra)}
            out = self._open_block(piece.block, "tool_use", block)
        if piece.arguments:
            self._arguments.append(piece.arguments)
            out += self._delta({"type": "input_json_delta", "partial_json": piece.arguments})
        return out

    def _ensure(self, number: int, kind: str, block: dict[str, Any]) -> bytes:
        return b"" if self._open == number and self._kind == kind else self._open_block(number, kind, block)

    def _open_block(self, number: int, kind: str, block: dict[str, Any]) -> bytes:
        out = self._close()
        self._index += 1
        self._open, self._kind = number, kind
        return out + _event({"type": "content_block_start", "index": self._index, "content_block": block})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open, self._kind = None, ""
        self._arguments.clear()
        self._judged = -1
        return _event({"type": "content_block_stop", "index": self._index})

    def _end(self) -> bytes:
        out = [self._start()]
        while self._waiting:
            out += self._next()
        out.append(self._close())
        finish = self._finish or Finished("stop")
        delta: dict[str, Any] = {
            "stop_reason": reason_of(
                finish.finish, finish.raw, finish.stop_sequence, calls=self._calls, refused=self._refused
            ),
            "stop_sequence": finish.stop_sequence,
            **own(finish.extra),
        }
        if "container" in self._extra:
            delta["container"] = self._extra.pop("container")
        usage = write_usage(self._usage)
        out += (
            _event({"type": "message_delta", "delta": delta, **self._extra, "usage": usage}),
            _event({"type": "message_stop"}),
        )
        return b"".join(out)


def own(extra: dict[str, Any]) -> dict[str, Any]:
    """What of a canonical ``extra`` clients of this protocol know."""
    return {name: extra[name] for name in _OWN if name in extra} if extra else {}


def _event(tree: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (tree["type"].encode(), _encode(tree))
