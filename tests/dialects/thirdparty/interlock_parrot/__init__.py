"""The parrot's protocol: ``POST /say`` with ``{"words": text}``, answered with ``{"said": text}``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.dialects import ChatCodec, Codec, EventReader, EventWriter, Written, dialect
from engine.dialects.discovery import Discovery
from engine.exchange import Header, OutcomeClass, Shape, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Choice, Message, Text


class Chat:
    def read_request(self, body: dict[str, Any]) -> ChatRequest:
        return ChatRequest(messages=[Message("user", [Text(body["words"])])], origin="parrot")

    def write_request(self, request: ChatRequest, shape: Shape) -> Written:
        texts = [part.text for part in request.messages[-1].parts if isinstance(part, Text)]
        return Written({"words": "".join(texts), "voice": shape.name})

    def read_reply(self, body: bytes) -> ChatReply | Verdict:
        return ChatReply(choices=[Choice([Text(json.loads(body)["said"])], "stop")])

    def write_reply(self, reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
        return {"said": reply.text}

    def reader(self) -> EventReader:
        raise ValueError("a parrot does not stream")

    def writer(self, asked: ChatRequest) -> EventWriter:
        raise ValueError("a parrot does not stream")


@dialect("parrot")
class Parrot:
    name = "parrot"
    prefix = ""
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset()
    discovery: Discovery | None = None
    chat: ChatCodec | None = Chat()
    codecs: Mapping[str, Codec] = {}

    def path(self, kind: str, model: str, stream: bool) -> str:
        return "/say"

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        return Verdict(OutcomeClass.SERVER_ERROR, detail=f"HTTP {status}")
