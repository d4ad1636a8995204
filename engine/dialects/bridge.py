"""Two dialects: requests and answers are translated through the canonical form."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from msgspec import Raw, structs

from engine.exchange import Call, Header, OutcomeClass, Shape, UncarriedError, Usage, Verdict, WireRequest
from engine.exchange.canonical import ChatReply, ChatRequest, carries_output
from engine.exchange.events import Began, Ended, Event, TextPiece, ThinkingPiece, ToolCallPiece, events_of

from .following import Following, empty
from .link import JSON, apply_quirks, overrides, path_of
from .protocol import ChatCodec, Codec, Dialect, EventReader, EventWriter, Written
from .registry import dialects

_encode = msgspec.json.encode
EVENTS = "text/event-stream; charset=utf-8"
#: Fields of a canonical request that no override may touch.
_FIXED = frozenset({"model", "messages", "tools", "stream", "include_usage", "origin"})


class Bridge:
    """Chat between a client that speaks ``front`` and a provider that speaks ``back``."""

    def __init__(self, front: Dialect, back: Dialect) -> None:
        self._front = front
        self._back = back
        self._client = _chat(front)
        self._provider = _chat(back)

    def encode(self, call: Call, shape: Shape) -> WireRequest:
        """See :class:`engine.dialects.link.Link`."""
        asked = self._asked(call)
        _refuse_what_is_kept(asked)
        overrides = _overrides(shape)
        request = _adjusted(asked, overrides) if overrides is not None else asked
        written = self._provider.write_request(request, shape)
        body = written.body
        if overrides is not None:
            _apply_foreign(body, overrides)
        return _finished(self._back, "chat", call.stream, shape, written)

    def decode(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """See :class:`engine.dialects.link.Link`."""
        reply = self._read(call, body)
        if isinstance(reply, Verdict):
            return reply, b""
        return _served(reply), _encode(self._client.write_reply(reply, self._asked(call)))

    def stream(self, call: Call, header: Header) -> BridgeStream:
        """See :class:`engine.dialects.link.Link`."""
        return BridgeStream(self._provider.reader(), self._client.writer(self._asked(call)), call)

    def replay(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """See :class:`engine.dialects.link.Link`."""
        reply = self._read(call, body)
        if isinstance(reply, Verdict):
            return reply, b""
        writer = self._client.writer(self._asked(call))
        return _served(reply), b"".join(map(writer.write, events_of(reply)))

    def content_type(self, call: Call, header: Header) -> str:
        """Of the client's dialect."""
        return EVENTS if call.stream else "application/json"

    def _read(self, call: Call, body: bytes) -> ChatReply | Verdict:
        reply = self._provider.read_reply(body)
        if isinstance(reply, Verdict):
            return reply
        # Clients insist on what some protocols do not say.
        reply.id = reply.id or call.request_id
        reply.model = reply.model or call.model
        if any(carries_output(part) for choice in reply.choices for part in choice.parts):
            return reply
        return empty([choice.finish for choice in reply.choices], reply.usage) or reply

    def _asked(self, call: Call) -> ChatRequest:
        if call.canonical is None:
            request = self._client.read_request(tree_of(call))
            request.model, request.stream = call.model, call.stream
            call.canonical = request
        asked: ChatRequest = call.canonical
        return asked


class CodecBridge:
    """Embeddings or reranking between two dialects."""

    def __init__(self, front: Dialect, back: Dialect, kind: str) -> None:
        self._back = back
        self._kind = kind
        self._client: Codec = front.codecs[kind]
        self._provider: Codec = back.codecs[kind]

    def encode(self, call: Call, shape: Shape) -> WireRequest:
        """See :class:`engine.dialects.link.Link`."""
        written = self._provider.write_request(self._asked(call), shape)
        default, fixed = overrides(call, shape)
        for name, value in default:
            written.body.setdefault(name, value)
        written.body.update(fixed)
        return _finished(self._back, self._kind, False, shape, written)

    def decode(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """See :class:`engine.dialects.link.Link`."""
        reply = self._provider.read_reply(body)
        if isinstance(reply, Verdict):
            return reply, b""
        reply.model = reply.model or call.model
        if hasattr(reply, "id"):
            reply.id = reply.id or call.request_id
        return _served(reply), _encode(self._client.write_reply(reply, self._asked(call)))

    def stream(self, call: Call, header: Header) -> BridgeStream:
        """Nothing of these kinds streams."""
        raise TypeError(f"{self._kind} does not stream")

    def replay(self, call: Call, header: Header, body: bytes) -> tuple[Verdict, bytes]:
        """Nothing of these kinds streams."""
        raise TypeError(f"{self._kind} does not stream")

    def content_type(self, call: Call, header: Header) -> str:
        """JSON."""
        return "application/json"

    def _asked(self, call: Call) -> Any:
        if call.canonical is None:
            call.canonical = self._client.read_request(tree_of(call))
        return call.canonical


class Whole:
    """A reply that came whole, told as a stream: nothing is left to read."""

    __slots__ = ("committed", "conversation", "ended", "failure", "usage")

    def __init__(self, usage: Usage | None) -> None:
        self.committed = self.ended = True
        self.failure: Verdict | None = None
        self.usage = usage
        self.conversation = ""

    def feed(self, data: bytes) -> bytes:
        """Nothing more is told."""
        return b""

    def finish(self) -> tuple[bytes, Verdict | None]:
        """It ended as it should."""
        return b"", None


#: What nearly all events of a stream are, which say nothing of the stream itself.
_PIECES = frozenset({TextPiece, ThinkingPiece, ToolCallPiece})


class BridgeStream(Following):
    """Reads one protocol's stream and writes another's.

    Start-up events are held back as events, so that what a client sees first is written at the commit point.
    """

    #: Start-up events that are held back at most.
    MAX_HELD = 10_000

    def __init__(self, reader: EventReader, writer: EventWriter, call: Call | None = None) -> None:
        super().__init__()
        self._call = call
        self._reader = reader
        self._write = writer.write
        self._held: list[Event] = []

    def _take(self, data: bytes) -> bytes:
        return self._written(self._reader.feed(data))

    def _rest(self) -> bytes:
        return self._written(self._reader.finish())

    def _release(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(map(self._write, held))

    def _end(self) -> bytes:
        return b"" if self._finish is None else self._write(Ended())

    def _note(self, event: Event) -> None:
        super()._note(event)
        if self._call is not None and isinstance(event, Began):
            event.id = event.id or self._call.request_id
            event.model = event.model or self._call.model

    def _written(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self.ended:
                break
            if self.committed and type(event) in _PIECES and not self._held:
                out.append(self._write(event))
                continue
            self._note(event)
            if self.failure is not None:
                break
            if self.committed:
                if self._held:
                    out.append(self._release())
                out.append(self._write(event))
            else:
                self._held.append(event)
                if len(self._held) > self.MAX_HELD:
                    self.failure = Verdict(OutcomeClass.GARBLED, detail=f"{self.MAX_HELD} events without any output")
        return b"".join(out)


#: Fields that name what only the service holds that keeps it; an answer without it would be another.
_KEPT = {
    "previous_response_id": "the conversation before this message",
    "conversation": "a conversation",
    "prompt": "a stored prompt",
}


def _refuse_what_is_kept(asked: ChatRequest) -> None:
    """Raises ``UncarriedError`` for a request that builds on what the provider of its own dialect keeps."""
    for name in asked.extra.keys() & _KEPT.keys():
        message = f"`{name}` names {_KEPT[name]} that another provider keeps; send the whole conversation instead."
        raise UncarriedError(name, message)


def tree_of(call: Call) -> dict[str, Any]:
    """The client's body as a JSON tree."""
    return {name: msgspec.json.decode(value) for name, value in (call.body or {}).items()}


def _chat(dialect: Dialect) -> ChatCodec:
    if dialect.chat is None:
        raise TypeError(f"the dialect {dialect.name} has no chat")
    return dialect.chat


def _served(reply: Any) -> Verdict:
    return Verdict(OutcomeClass.SERVED, usage=reply.usage)


class Overrides(msgspec.Struct):
    """A target's ``params``, read as a client's fields would be: what has a canonical form, and the rest."""

    default: ChatRequest
    set: ChatRequest


@functools.lru_cache(maxsize=4096)
def _read_overrides(default: tuple[tuple[str, bytes], ...], set_: tuple[tuple[str, bytes], ...]) -> Overrides:
    chat = _chat(dialects()["openai-chat"])
    read = [chat.read_request({name: msgspec.json.decode(value) for name, value in pairs}) for pairs in (default, set_)]
    return Overrides(*read)


def _overrides(shape: Shape) -> Overrides | None:
    if not shape.default and not shape.set:
        return None
    default, set_ = (tuple((name, bytes(value)) for name, value in pairs) for pairs in (shape.default, shape.set))
    return _read_overrides(default, set_)


def _adjusted(asked: ChatRequest, overrides: Overrides) -> ChatRequest:
    changes: dict[str, Any] = {}
    blank = ChatRequest()
    for name in ChatRequest.__struct_fields__:
        if name in _FIXED or name == "extra":
            continue
        nothing = getattr(blank, name)
        default, fixed = getattr(overrides.default, name), getattr(overrides.set, name)
        if fixed != nothing:
            changes[name] = fixed
        elif default != nothing and getattr(asked, name) == nothing:
            changes[name] = default
    return structs.replace(asked, **changes) if changes else asked


def _apply_foreign(body: dict[str, Any], overrides: Overrides) -> None:
    """What has no canonical form is a field of the target's own protocol.

    An object goes into the one that was written there: protocols have objects (``options``) that hold sampling too.
    """
    for name, value in overrides.default.extra.items():
        body[name] = _over(value, body.get(name, value))
    for name, value in overrides.set.extra.items():
        body[name] = _over(body.get(name), value)


def _over(under: Any, value: Any) -> Any:
    return {**under, **value} if isinstance(under, dict) and isinstance(value, dict) else value


def _finished(back: Dialect, kind: str, stream: bool, shape: Shape, written: Written) -> WireRequest:
    body = written.body
    dropped = (*written.dropped, *apply_quirks(body, shape)) if shape.rename or shape.drop else tuple(written.dropped)
    for name, value in shape.always:
        body[name] = Raw(bytes(value))
    path = path_of(back.path(kind, shape.name, stream), kind, shape, stream)
    headers = (*JSON, *back.headers, *written.headers)
    return WireRequest("POST", path, headers, _encode(body), tuple(dict.fromkeys(dropped)))
