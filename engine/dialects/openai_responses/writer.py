"""Writing canonical events as the stream of a response.

Every part of the answer is an item of the output, or a content part of a message; each begins and ends with events of
its own. What is said or thought ends when something else begins; calls, whose pieces may alternate, end with the
answer.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.dialects.openai_chat.ids import made_id
from engine.exchange import Usage
from engine.exchange.canonical import ChatRequest, Finish, Opaque
from engine.exchange.events import (
    Began,
    Ended,
    Event,
    Finished,
    Logprobs,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    ToolCallPiece,
    Used,
    WholePart,
    merged,
)

from .names import NAME
from .reply_write import close, envelope, image_item, write_usage
from .written import Call, Said, Thought

_encode = msgspec.json.encode
_TEXT = (
    b"event: response.output_text.delta\n"
    b'data: {"type":"response.output_text.delta","sequence_number":%d,%b,"delta":%b,"logprobs":[]}\n\n'
)


class ResponsesWriter:
    """Writes one stream. Of several choices the first is told."""

    def __init__(self, asked: ChatRequest) -> None:
        self._response = envelope("", asked.model, 0, asked)
        self._sequence = 0
        self._started = False
        self._said: Said | None = None
        self._thought: Thought | None = None
        self._calls: dict[int, Call] = {}
        self._finish: Finish | None = None
        self._refused = False
        self._usage: Usage | None = None
        self._out: list[bytes] = []

    def write(self, event: Event) -> bytes:
        """See :class:`engine.dialects.protocol.EventWriter`."""
        if type(event) is TextPiece and event.choice == 0:  # what nearly every event is
            self._tell(event)
        elif isinstance(event, Began):
            self._begin(event)
        elif isinstance(event, Used):
            self._usage = merged(self._usage, event.usage)
        elif isinstance(event, Ended):
            self._end()
        elif getattr(event, "choice", 1) == 0:
            self._tell(event)
        out, self._out = self._out, []
        return b"".join(out)

    def emit(self, kind: str, **fields: Any) -> None:
        """One event, numbered."""
        body = _encode({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        self._out.append(b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n")

    def more_text(self, where: bytes, piece: str) -> None:
        """``response.output_text.delta``, which is nearly every event; ``where`` are its fields of place as JSON."""
        self._out.append(_TEXT % (self._sequence, where, _encode(piece)))
        self._sequence += 1

    def next_item(self, prefix: str) -> tuple[int, str]:
        """The place of an item that begins, which is kept for it, and an id for it."""
        output = self._response["output"]
        output.append(None)
        return len(output) - 1, made_id(prefix, self._response["id"], len(output) - 1)

    def put(self, place: int, item: dict[str, Any]) -> None:
        """The item at ``place`` is done."""
        self._response["output"][place] = item
        self.emit("response.output_item.done", output_index=place, item=item)

    def _begin(self, event: Began) -> None:
        response = self._response
        if not self._started:
            response["id"] = event.id or response["id"]
        response["model"] = event.model or response["model"]
        response["created_at"] = event.created or response["created_at"]
        response["service_tier"] = event.service_tier or response["service_tier"]

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        self._response["id"] = self._response["id"] or "resp"
        self.emit("response.created", response=self._response)
        self.emit("response.in_progress", response=self._response)

    def _tell(self, event: Event) -> None:
        self._start()
        if isinstance(event, TextPiece):
            if event.text or event.citations:
                said = self._say()
                said.text(event.block, event.text)
                said.cite(event.citations)
        elif isinstance(event, RefusalPiece):
            self._refused = True
            self._say().refusal(event.block, event.text)
        elif isinstance(event, ThinkingPiece):
            self._think(event)
        elif isinstance(event, ToolCallPiece):
            call = self._calls.get(event.block)
            if call is None:
                self._close_said()
                self._close_thought()
                call = self._calls[event.block] = Call(self, event)
            call.piece(event)
        elif isinstance(event, Logprobs):
            if self._said is not None:
                self._said.logprobs(event.tokens)
        elif isinstance(event, WholePart):
            self._whole(event)
        elif isinstance(event, Finished):
            self._finish = event.finish

    def _say(self) -> Said:
        self._close_thought()
        if self._said is None:
            self._said = Said(self)
        return self._said

    def _think(self, event: ThinkingPiece) -> None:
        goes_on = self._thought is not None and self._thought.continues(event)
        if not goes_on and not (event.text or event.signature or event.redacted or "encrypted_content" in event.extra):
            return  # a service's last word on a thought that has been told
        self._close_said()
        if self._thought is not None and not self._thought.continues(event):
            self._close_thought()
        if self._thought is None:
            self._thought = Thought(self, event)
        self._thought.piece(event)

    def _whole(self, event: WholePart) -> None:
        self._close_said()
        self._close_thought()
        part = event.part
        if isinstance(part, Opaque):
            if part.origin == NAME and isinstance(part.value, dict):
                self._whole_item(part.value)
            return
        item = image_item(part, made_id("ig", self._response["id"], len(self._response["output"])), False)
        if item is not None:
            self._whole_item(item)

    def _whole_item(self, item: dict[str, Any]) -> None:
        place, _ = self.next_item("")
        self.emit("response.output_item.added", output_index=place, item=item)
        self.put(place, item)

    def _close_said(self) -> None:
        said, self._said = self._said, None
        if said is not None:
            said.close()

    def _close_thought(self) -> None:
        thought, self._thought = self._thought, None
        if thought is not None:
            thought.close()

    def _end(self) -> None:
        self._start()
        self._close_said()
        self._close_thought()
        for call in self._calls.values():
            call.close()
        close(self._response, self._finish, self._refused)
        if self._usage is not None:
            self._response["usage"] = write_usage(self._usage, False)
        self.emit(f"response.{self._response['status']}", response=self._response)
