"""Which protocol a recorded exchange speaks, told by its address and by the shapes of its bodies alone."""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import Any

from ..recorders import Exchange
from .shapes import (
    ANTHROPIC,
    CHAT,
    COHERE,
    CONVERSE,
    COUNT,
    EMBED,
    GEMINI,
    OLLAMA,
    OPENAI,
    RERANK,
    RESPONSES,
    Event,
    Spoken,
    by_shape,
    events_in,
)

#: Ends of paths, the first that fits decides.
_BY_PATH: list[tuple[str, Spoken]] = [
    (r"/chat/completions$", Spoken(OPENAI, CHAT)),
    (r"/responses$", Spoken(RESPONSES, CHAT)),
    (r"^(?!.*/threads/).*/messages$", Spoken(ANTHROPIC, CHAT)),
    (r"/messages/count_tokens$", Spoken(ANTHROPIC, COUNT)),
    (r":(stream)?[gG]enerateContent$", Spoken(GEMINI, CHAT)),
    (r":(batchEmbedContents|embedContent)$", Spoken(GEMINI, EMBED)),
    (r"/converse(-stream)?$", Spoken(CONVERSE, CHAT)),
    (r"/v2/chat$", Spoken(COHERE, CHAT)),
    (r"/v[12]/embed$", Spoken(COHERE, EMBED)),
    (r"/api/chat$", Spoken(OLLAMA, CHAT)),
    (r"/api/embed$", Spoken(OLLAMA, EMBED)),
    (r"/v2/rerank$", Spoken(COHERE, RERANK)),
    (r"/embeddings$", Spoken(OPENAI, EMBED)),
    (r"/rerank$", Spoken(OPENAI, RERANK)),
]

#: Ends of paths at which several protocols are spoken, so that only the reply tells which.
_BY_SHAPE = r"/invoke$|/v1/chat$|/prompts/[^/]+/completions$|:predict$"

#: What addresses name that is chat, but in a protocol that this product does not speak.
FOREIGN: list[tuple[str, str]] = [
    (r"/invoke(-with-response-stream)?$", "a model's own form of Bedrock's InvokeModel; we speak Converse"),
    (r"/interactions$", "Google's Interactions API; we speak generateContent"),
    (r"/v1/chat$", "Cohere's chat of version 1; we speak version 2"),
]
#: What addresses name that is no chat, no embedding and no ranking.
OTHERS: list[tuple[str, str]] = [
    (r"/api/generate$|/(v1/)?completions?$|/complete$|/v1/generate$", "completion of bare text, not chat"),
    (r"[:/]count-?[tT]okens$", "counting of tokens by a provider's own protocol"),
    (r"/models(/|$)|/props$|/v1/models/", "a list of models"),
    (r"/files(/|$)|[Ff]ileSearchStores?|/vector_stores", "files"),
    (r"/images/|/images$|/audio/|/ocr$", "images, sounds and scans"),
    (r"/cachedContents", "caches of prompts"),
    (r"/batches", "batches"),
    (r"/tokenize$|/moderations$", "texts cut into tokens or judged"),
    (r"/predictions$|/streams/", "predictions, whose protocol a test of its own plays"),
    (r"/agents/|/retrieveAndGenerate$|/apply$|/inference-profiles/", "agents, guardrails and profiles"),
    (r"/assistants|/threads|/conversations", "conversations that a service keeps"),
    (r"/invocations$|/pipeline/|endpoints\.huggingface\.cloud/?$", "a hosted model's own form"),
    (r"/token$|/login$|traces?|telemetry|batches|/meta$|/schema|/objects$|agent-card", "no model is asked"),
    (r"/functions/hash|/api/(repos|spaces|models)/|localhost:\d+/?$", "no model is asked"),
    (r"\.(pdf|txt|mp3|mp4|jpg|jpeg|png|webp)$|/image/", "a file of the web"),
]


class Recorded:
    """A recorded exchange, and what can be told of it without any codec."""

    def __init__(self, exchange: Exchange, provider: str) -> None:
        self.exchange = exchange
        self.provider = provider
        self.name = exchange.name
        self.status = exchange.status
        self.body = exchange.body

    @cached_property
    def path(self) -> str:
        """The address without query, fragment and the breaks of lines that one recorder makes."""
        return re.split(r"[?#]", re.sub(r"\s", "", self.exchange.path))[0].replace("/v1/v1/", "/v1/").rstrip("/")

    @cached_property
    def request(self) -> dict[str, Any] | None:
        """The request's JSON, if it is an object; not what a recorder replaced by a number or a text."""
        return self.exchange.request if isinstance(self.exchange.request, dict) else None

    @cached_property
    def tree(self) -> Any:
        """The reply's JSON; ``None`` for streams and for what is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @cached_property
    def chunks(self) -> list[Event]:
        """The stream's events; none for whole replies."""
        return [] if isinstance(self.tree, dict) else events_in(self.body)

    @property
    def streams(self) -> bool:
        """Whether the reply is a stream: events, lines or an array of chunks."""
        return bool(self.chunks)

    @cached_property
    def spoken(self) -> Spoken | None:
        """Its protocol; ``None`` for others, of which :attr:`other` says what they are."""
        if self.path:
            for pattern, found in _BY_PATH:
                if re.search(pattern, self.path):
                    return self._refined(found)
            return self._by_shape() if re.search(_BY_SHAPE, self.path) else None
        return self._by_shape()

    @cached_property
    def other(self) -> str:
        """What it is, if none of the exchanges of this product; empty if nobody knows."""
        alone = "" if self.path else "a reply alone, of none of these kinds"
        return (
            self.foreign or alone or next((reason for pattern, reason in OTHERS if re.search(pattern, self.path)), "")
        )

    @cached_property
    def foreign(self) -> str:
        """Which protocol it is, if it is chat in one that this product does not speak; else empty."""
        if self.spoken is not None:
            return ""
        if any(chunk.data and "interaction" in chunk.data for chunk in self.chunks):
            return FOREIGN[1][1]
        return next((reason for pattern, reason in FOREIGN if re.search(pattern, self.path)), "")

    def _refined(self, found: Spoken) -> Spoken:
        """Two services once had a path that others have too: only what they say tells them apart."""
        if found.kind == RERANK and isinstance(self.tree, dict) and "api_version" in (self.tree.get("meta") or {}):
            return Spoken(COHERE, RERANK)
        if found.kind == EMBED and "prompt" in (self.request or {}):
            return Spoken(OLLAMA, EMBED)
        return found

    def _by_shape(self) -> Spoken | None:
        first = self.chunks[0] if self.chunks else Event("", self.tree)
        converse = first.name in ("messageStart", "contentBlockStart", "contentBlockDelta")
        return Spoken(CONVERSE, CHAT) if converse else by_shape(first.data)
