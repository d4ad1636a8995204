"""The items of a response while they are being written to its stream."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from engine.exchange.canonical import Citation, Thinking
from engine.exchange.events import ThinkingPiece, ToolCallPiece

from .items_write import thought_item
from .names import FOREIGN_THOUGHT
from .parts import write_annotation


class Out(Protocol):
    """Where items go."""

    def emit(self, kind: str, **fields: Any) -> None:
        """One event, numbered."""

    def more_text(self, where: bytes, piece: str) -> None:
        """More of a text, at the place that these fields name as JSON."""

    def next_item(self, prefix: str) -> tuple[int, str]:
        """The place of an item that begins, which is kept for it, and an id for it."""

    def put(self, place: int, item: dict[str, Any]) -> None:
        """The item at ``place`` is done."""


class Said:
    """A message: texts and refusals, one content part after the other."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._place, self._id = out.next_item("msg")
        self._content: list[dict[str, Any]] = []
        self._block: int | None = None
        self._place_text = b""
        self._pieces: list[str] = []
        self._tokens: list[dict[str, Any]] = []
        out.emit("response.output_item.added", output_index=self._place, item=self._item("in_progress"))

    def _item(self, status: str) -> dict[str, Any]:
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": [*self._content]}

    def _where(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": self._place, "content_index": len(self._content) - 1}

    def _open(self, block: int, part: dict[str, Any]) -> None:
        self._close_part()
        self._block = block
        self._content.append(part)
        self._place_text = msgspec.json.encode(self._where())[1:-1]
        self._out.emit("response.content_part.added", **self._where(), part=part)

    def text(self, block: int, piece: str) -> None:
        """More text of a block."""
        if self._block != block:
            self._open(block, {"type": "output_text", "text": "", "annotations": [], "logprobs": []})
        if piece:
            self._pieces.append(piece)
            if not self._tokens:
                self._out.more_text(self._place_text, piece)
                return
            tokens, self._tokens = self._tokens, []
            self._out.emit("response.output_text.delta", **self._where(), delta=piece, logprobs=tokens)

    def refusal(self, block: int, piece: str) -> None:
        """More of a refusal."""
        if self._block != block:
            self._open(block, {"type": "refusal", "refusal": ""})
        self._pieces.append(piece)
        self._out.emit("response.refusal.delta", **self._where(), delta=piece)

    def cite(self, citations: list[Citation]) -> None:
        """Citations of the text that is going on."""
        notes = self._content[-1].get("annotations") if self._content else None
        if notes is None:
            return
        for citation in citations:
            note = write_annotation(citation, sum(map(len, self._pieces)), False)
            self._out.emit(
                "response.output_text.annotation.added", **self._where(), annotation_index=len(notes), annotation=note
            )
            notes.append(note)

    def logprobs(self, tokens: list[dict[str, Any]]) -> None:
        """Log probabilities: they go with the next piece of text, and all of them with the whole."""
        if self._content and self._content[-1]["type"] == "output_text":
            self._tokens = [*self._tokens, *tokens]
            self._content[-1]["logprobs"] = [*self._content[-1]["logprobs"], *tokens]

    def _close_part(self) -> None:
        if self._block is None:
            return
        whole, self._pieces, self._block = "".join(self._pieces), [], None
        part = self._content[-1]
        if part["type"] == "refusal":
            part["refusal"] = whole
            self._out.emit("response.refusal.done", **self._where(), refusal=whole)
        else:
            part["text"] = whole
            self._out.emit("response.output_text.done", **self._where(), text=whole, logprobs=part["logprobs"])
        self._out.emit("response.content_part.done", **self._where(), part=part)

    def close(self) -> None:
        """The message is done."""
        self._close_part()
        self._out.put(self._place, self._item("completed"))


class Thought:
    """A thought, told as a summary of one part."""

    def __init__(self, out: Out, first: ThinkingPiece) -> None:
        self._out = out
        self._place, self._id = out.next_item(FOREIGN_THOUGHT)
        if first.id is not None and "encrypted_content" in first.extra:
            self._id = first.id
        self._block = first.block
        self._told = Thinking(id=first.id)
        self._opened = False
        item = {"id": self._id, "type": "reasoning", "summary": []}
        out.emit("response.output_item.added", output_index=self._place, item=item)

    def continues(self, piece: ThinkingPiece) -> bool:
        """Whether the piece belongs to this thought."""
        return piece.block == self._block

    def _where(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": self._place, "summary_index": 0}

    def piece(self, piece: ThinkingPiece) -> None:
        """More of the thought."""
        told = self._told
        told.text += piece.text
        told.signature = piece.signature or told.signature
        told.redacted = piece.redacted or told.redacted
        told.extra.update(piece.extra)
        if not piece.text:
            return
        if not self._opened:
            self._opened = True
            part = {"type": "summary_text", "text": ""}
            self._out.emit("response.reasoning_summary_part.added", **self._where(), part=part)
        self._out.emit("response.reasoning_summary_text.delta", **self._where(), delta=piece.text)

    def close(self) -> None:
        """The thought is done."""
        if self._opened:
            part = {"type": "summary_text", "text": self._told.text}
            self._out.emit("response.reasoning_summary_text.done", **self._where(), text=self._told.text)
            self._out.emit("response.reasoning_summary_part.done", **self._where(), part=part)
        self._out.put(self._place, {**thought_item([self._told], False), "id": self._id})


class Call:
    """A function call."""

    def __init__(self, out: Out, first: ToolCallPiece) -> None:
        self._out = out
        self._place, self._id = out.next_item("fc")
        self._call_id, self._name = first.id, first.name
        self._pieces: list[str] = []
        out.emit("response.output_item.added", output_index=self._place, item=self._item("in_progress", ""))

    def _item(self, status: str, arguments: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "function_call",
            "status": status,
            "call_id": self._call_id,
            "name": self._name,
            "arguments": arguments,
        }

    def piece(self, piece: ToolCallPiece) -> None:
        """More of the call."""
        self._name = self._name or piece.name
        if piece.arguments:
            self._pieces.append(piece.arguments)
            self._out.emit(
                "response.function_call_arguments.delta",
                item_id=self._id,
                output_index=self._place,
                delta=piece.arguments,
            )

    def close(self) -> None:
        """The call is done."""
        whole = "".join(self._pieces) or "{}"
        self._out.emit(
            "response.function_call_arguments.done",
            item_id=self._id,
            output_index=self._place,
            name=self._name,
            arguments=whole,
        )
        self._out.put(self._place, self._item("completed", whole))
