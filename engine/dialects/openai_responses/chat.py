"""Chat in this dialect, both ways."""

from __future__ import annotations

from typing import Any

from engine.dialects.protocol import EventReader, EventWriter, Written
from engine.exchange import Shape, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest

from .reader import ResponsesReader
from .reply_read import read_reply
from .reply_write import write_reply
from .request_read import read_request
from .request_write import write_request
from .writer import ResponsesWriter


class Responses:
    """The :class:`engine.dialects.protocol.ChatCodec` of responses."""

    def read_request(self, body: dict[str, Any]) -> ChatRequest:
        """See :func:`engine.dialects.openai_responses.request_read.read_request`."""
        return read_request(body)

    def write_request(self, request: ChatRequest, shape: Shape) -> Written:
        """See :func:`engine.dialects.openai_responses.request_write.write_request`."""
        return write_request(request, shape)

    def read_reply(self, body: bytes) -> ChatReply | Verdict:
        """See :func:`engine.dialects.openai_responses.reply_read.read_reply`."""
        return read_reply(body)

    def write_reply(self, reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
        """See :func:`engine.dialects.openai_responses.reply_write.write_reply`."""
        return write_reply(reply, asked)

    def reader(self) -> EventReader:
        """See :class:`engine.dialects.openai_responses.reader.ResponsesReader`."""
        return ResponsesReader()

    def writer(self, asked: ChatRequest) -> EventWriter:
        """See :class:`engine.dialects.openai_responses.writer.ResponsesWriter`."""
        return ResponsesWriter(asked)
