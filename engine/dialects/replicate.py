"""Replicate's predictions: a prompt and settings go in, a ticket comes back, and the output is asked for later.

Follows Replicate's HTTP reference (``POST /models/{owner}/{name}/predictions``, ``GET /predictions/{id}``); the asking
is the transport's (``transport: poll``). Language models there share the input fields written here; what a model calls
otherwise is renamed by a provider's or a target's ``params``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import msgspec

from engine.exchange import Header, OutcomeClass, Shape, UncarriedError, Usage, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Choice, Media, Message, Text
from engine.exchange.events import Event

from .discovery import Discovery
from .functions import no_writer
from .protocol import ChatCodec, Codec, EventReader, Written
from .registry import dialect
from .retry_after import retry_after
from .statuses import MAX_CODE, MAX_MESSAGE, class_of, detail_of
from .trees import count, text

_C = OutcomeClass
_UNCARRIED = (
    "min_p", "n", "logprobs", "top_logprobs", "logit_bias", "metadata", "service_tier", "store", "verbosity",
    "modalities", "reasoning", "parallel_tool_calls", "user",
)  # fmt: skip
#: Canonical field -> the input's name for it.
_CARRIED = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}


class Chat:
    """See :class:`engine.dialects.protocol.ChatCodec`."""

    writer = staticmethod(no_writer)

    def read_request(self, body: dict[str, Any]) -> ChatRequest:
        """The prompt as one message."""
        inner = body.get("input")
        given = inner if isinstance(inner, dict) else {}
        request = ChatRequest(origin="replicate")
        if system := text(given.get("system_prompt")):
            request.messages.append(Message("system", [Text(system)]))
        request.messages.append(Message("user", [Text(text(given.get("prompt")))]))
        for field, name in _CARRIED.items():
            value = given.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                setattr(request, field, value)
        return request

    def write_request(self, request: ChatRequest, shape: Shape) -> Written:
        """The conversation as one prompt; a single question as it is."""
        if request.tools:
            raise UncarriedError("tools", "Predictions have no tools.")
        if request.format is not None and request.format.kind != "text":
            raise UncarriedError("response_format", "Predictions promise no form of their output.")
        inner: dict[str, Any] = {}
        turns = [m for m in request.messages if m.role not in ("system", "developer")]
        system = "\n\n".join(_text(m) for m in request.messages if m.role in ("system", "developer"))
        if system:
            inner["system_prompt"] = system
        if len(turns) == 1:
            inner["prompt"] = _text(turns[0])
        else:
            told = [f"{'Assistant' if m.role == 'assistant' else 'User'}: {_text(m)}" for m in turns]
            inner["prompt"] = "\n\n".join([*told, "Assistant:"])
        for field, name in _CARRIED.items():
            value = getattr(request, field)
            if value is not None:
                inner[name] = value
        if request.stop:
            inner["stop_sequences"] = ",".join(request.stop)
        dropped = [name for name in _UNCARRIED if getattr(request, name) not in (None, [], "")]
        return Written({"input": inner}, [*dropped, *sorted(request.extra)])

    def read_reply(self, body: bytes) -> ChatReply | Verdict:
        """The output of a prediction that succeeded, or what its failure means."""
        try:
            tree = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Verdict(_C.GARBLED, detail="the prediction is not JSON")
        if not isinstance(tree, dict):
            return Verdict(_C.GARBLED, detail="the prediction is no JSON object")
        status = text(tree.get("status"))
        if status in ("failed", "canceled", "aborted"):
            message = text(tree.get("error"))[:MAX_MESSAGE]
            return Verdict(_C.SERVER_ERROR, status, message, detail=f"the prediction {status}: {message}")
        output = tree.get("output")
        if isinstance(output, list) and all(isinstance(piece, str) for piece in output):
            output = "".join(output)
        if not isinstance(output, str):
            return Verdict(_C.GARBLED, detail=f"a prediction ({status or 'no status'}) without a text as output")
        metrics = tree.get("metrics")
        usage = None
        if isinstance(metrics, dict):
            usage = Usage(count(metrics.get("input_token_count")), count(metrics.get("output_token_count")))
            usage = None if usage == Usage() else usage
        name = text(tree.get("model"))
        return ChatReply(text(tree.get("id")), name, None, [Choice([Text(output)], "stop", status)], usage)

    def write_reply(self, reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
        """A prediction that succeeded."""
        return {"id": reply.id, "model": reply.model, "status": "succeeded", "output": [reply.text]}

    def reader(self) -> EventReader:
        """A reader that takes no bytes: streams lie at another host, to which no key may go, so output comes whole."""
        return _Whole()


class _Whole:
    def feed(self, data: bytes) -> list[Event]:
        raise ValueError("a prediction came as a stream")

    def finish(self) -> list[Event]:
        return []


def _text(message: Message) -> str:
    for part in message.parts:
        if isinstance(part, Media):
            raise UncarriedError("messages", f"Predictions are given text here, and no {part.kind}.")
    return "".join(part.text for part in message.parts if isinstance(part, Text))


@dialect("replicate")
class Replicate:
    """The protocol of predictions."""

    name = "replicate"
    prefix = "/v1"
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset({"image_url"})
    discovery: Discovery | None = None
    chat: ChatCodec | None = Chat()
    codecs: Mapping[str, Codec] = MappingProxyType({})

    def path(self, kind: str, model: str, stream: bool) -> str:
        """Under the model's owner and name."""
        return f"/models/{quote(model, safe='/')}/predictions"

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """By the status: errors have a ``title`` and a ``detail`` and no code (RFC 9457)."""
        try:
            tree = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            tree = None
        said = tree if isinstance(tree, dict) else {}
        message = text(said.get("detail"))[:MAX_MESSAGE]
        code = text(said.get("title"))[:MAX_CODE]
        wait = retry_after(header, now)
        return Verdict(class_of(status), code, message, None, detail_of(status, message), wait)
