"""What a dialect is: the contract between the wire protocols and the rest.

A dialect translates between its wire and the canonical form, both ways. One whose clients can talk to us (a *front*)
also knows how to pass a body on untouched to an upstream that speaks the same, and how to say an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct, field

from engine.exchange import Call, Header, Shape, StreamDecoder, Verdict, WireRequest
from engine.exchange.canonical import ChatReply, ChatRequest
from engine.exchange.events import Event

from .discovery import Discovery


class Written(Struct):
    """A request in a dialect's own words: the body as a JSON tree, and the canonical fields it could not carry."""

    body: dict[str, Any]
    dropped: list[str] = field(default_factory=list)
    headers: tuple[tuple[str, str], ...] = ()


class EventReader(Protocol):
    """Reads one upstream stream. Pure; takes the bytes in any split."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises ``ValueError`` for bytes that are not this protocol's."""

    def finish(self) -> list[Event]:
        """The upstream closed: the events that were still in the making."""


class EventWriter(Protocol):
    """Writes one stream for a client."""

    def write(self, event: Event) -> bytes:
        """The bytes that tell the client of this event; often none."""


class Codec(Protocol):
    """Embeddings or reranking in one dialect; requests and replies are those of ``engine.exchange.vectors``."""

    def read_request(self, body: dict[str, Any]) -> Any:
        """The client's body in canonical form. Raises ``UncarriedError`` where it makes no sense."""

    def write_request(self, request: Any, shape: Shape) -> Written:
        """The upstream's body."""

    def read_reply(self, body: bytes) -> Any:
        """The upstream's reply in canonical form, or the :class:`Verdict` on what stands there instead."""

    def write_reply(self, reply: Any, asked: Any) -> dict[str, Any]:
        """The client's reply."""


class ChatCodec(Protocol):
    """Chat in one dialect."""

    def read_request(self, body: dict[str, Any], /) -> ChatRequest:
        """The client's body in canonical form. Raises ``UncarriedError`` for what has no meaning (a role unknown)."""

    def write_request(self, request: ChatRequest, shape: Shape, /) -> Written:
        """The upstream's body, for a request of any origin. Never names a field that the request does not have.

        Raises ``UncarriedError`` for what the wire cannot carry and the answer's meaning depends on.
        """

    def read_reply(self, body: bytes, /) -> ChatReply | Verdict:
        """The reply, or the verdict on the error that hid in a success, or on what is unreadable or empty."""

    def write_reply(self, reply: ChatReply, asked: ChatRequest, /) -> dict[str, Any]:
        """The client's reply, for a reply of any origin."""

    def reader(self) -> EventReader:
        """A reader for one stream."""

    def writer(self, asked: ChatRequest, /) -> EventWriter:
        """A writer for the stream that answers ``asked``."""


class Dialect(Protocol):
    """A wire protocol. Pure: no I/O, no clock; ``now`` is Unix time in seconds."""

    name: str
    prefix: str
    """What its paths begin with where a ``base_url`` names no version of its own (``/v1``); often empty."""
    headers: tuple[tuple[str, str], ...]
    """Headers every request has (lower case), unless the provider's own say otherwise."""
    lacks: frozenset[str]
    """Needs of requests that no target can serve through this wire (``image_url``: images by address, say)."""
    chat: ChatCodec | None
    codecs: Mapping[str, Codec]
    """``embeddings`` and ``rerank``, where the protocol has them."""
    discovery: Discovery | None
    """Where a provider lists its models, if the protocol says."""

    def path(self, kind: str, model: str, stream: bool) -> str:
        """Where such a request goes, below ``base_url`` (and ``prefix``)."""

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """What a reply with a status other than success means. Total: every status and every body has an answer."""


@runtime_checkable
class Front(Protocol):
    """A dialect that clients speak to us."""

    aliases: Mapping[str, str | None]
    """Names of fields, as policies write them (OpenAI's), that are called otherwise here; ``None``: not at all."""
    id_header: str
    """The header in which this dialect's clients look for the request's id."""

    def encode(self, call: Call, shape: Shape) -> WireRequest:
        """The client's own body for an upstream that speaks the same, with what the target asks for spliced in."""

    def decode(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """What a reply with a status of success means: served with its usage, or an error in disguise; and the body."""

    def stream(self, call: Call, header: Header) -> StreamDecoder:
        """A decoder that relays one stream of an upstream that speaks the same."""

    def error_body(self, status: int, error: Mapping[str, Any], request_id: str) -> bytes:
        """A whole error reply; ``error`` has OpenAI's fields (``message``, ``type``, ``code``, ``param``)."""

    def error_event(self, status: int, error: Mapping[str, Any], request_id: str) -> bytes:
        """An error in a stream, in a form that this dialect's clients raise."""
