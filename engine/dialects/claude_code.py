"""The headless mode of the ``claude`` command: arguments and a conversation in, lines of JSON out.

Flags and messages are those that ``claude --help`` and the documents on its headless mode describe
(``--output-format stream-json``). The lines wrap the events of Anthropic's Messages, whose reader takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from engine.exchange import Header, OutcomeClass, Shape, UncarriedError, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Choice, Message, Text
from engine.exchange.events import Ended, Event, Failed, Finished, Used

from .anthropic_messages import CHAT as MESSAGES
from .anthropic_messages.usage import read_usage
from .discovery import Discovery
from .functions import no_writer
from .ndjson import Lines
from .protocol import ChatCodec, Codec, EventReader, Written
from .registry import dialect
from .statuses import MAX_MESSAGE, class_of

_C = OutcomeClass
_FLAGS = (
    "-p",
    "--output-format", "stream-json", "--verbose", "--include-partial-messages",
    "--input-format", "stream-json",
    "--no-session-persistence",
    "--tools", "",
)  # fmt: skip
#: What the command says of a failed turn.
_ERRORS = {
    "authentication_failed": _C.UNAUTHORIZED,
    "billing_error": _C.QUOTA_EXHAUSTED,
    "rate_limit": _C.RATE_LIMITED,
    "invalid_request": _C.INVALID_REQUEST,
    "server_error": _C.SERVER_ERROR,
    "overloaded": _C.OVERLOADED,
    "max_output_tokens": _C.INVALID_REQUEST,
}
_UNCARRIED = (
    "max_tokens", "temperature", "top_p", "top_k", "min_p", "stop", "seed", "frequency_penalty", "presence_penalty",
    "n", "logprobs", "top_logprobs", "logit_bias", "metadata", "service_tier", "store", "verbosity", "modalities",
)  # fmt: skip


class Chat:
    """See :class:`engine.dialects.protocol.ChatCodec`."""

    writer = staticmethod(no_writer)

    def read_request(self, body: dict[str, Any]) -> ChatRequest:
        """Nobody sends us such requests."""
        raise TypeError("the command's arguments are only written")

    def write_request(self, request: ChatRequest, shape: Shape) -> Written:
        """Arguments, and the conversation as one message: earlier turns are quoted in it, the last one asks."""
        if request.tools:
            raise UncarriedError("tools", "The command runs its own tools, and cannot be given others.")
        dropped = [name for name in _UNCARRIED if getattr(request, name) not in (None, [], "")]
        dropped += sorted(request.extra)
        arguments = [*_FLAGS, "--model", shape.name]
        system = "\n\n".join(_text(m) for m in request.messages if m.role in ("system", "developer"))
        if system:
            arguments += ["--system-prompt", system]
        if request.reasoning is not None and request.reasoning.effort:
            arguments += ["--effort", request.reasoning.effort]
        if request.format is not None and request.format.kind == "schema" and request.format.schema is not None:
            arguments += ["--json-schema", msgspec.json.encode(request.format.schema).decode()]
        turns = [m for m in request.messages if m.role not in ("system", "developer")]
        line = {"type": "user", "message": {"role": "user", "content": self._content(turns, shape)}}
        return Written({"arguments": arguments, "input": msgspec.json.encode(line).decode() + "\n"}, dropped)

    def _content(self, turns: list[Message], shape: Shape) -> list[Any]:
        if not turns:
            raise UncarriedError("messages", "There is no message to answer.")
        earlier, last = turns[:-1], turns[-1]
        blocks: list[Any] = []
        if earlier:
            told = "\n\n".join(f"{message.role}: {_text(message)}" for message in earlier)
            blocks.append({"type": "text", "text": f"The conversation so far:\n\n{told}\n\nNow answer this:"})
        asked = MESSAGES.write_request(ChatRequest(model=shape.name, messages=[last]), shape).body["messages"]
        content = asked[-1]["content"] if asked else ""
        return [*blocks, *(content if isinstance(content, list) else [{"type": "text", "text": content}])]

    def read_reply(self, body: bytes) -> ChatReply | Verdict:
        """The answer out of all lines."""
        last: dict[str, Any] = {}
        failure = ""
        model = ""
        for line in [*(lines := Lines()).feed(body), *lines.flush()]:
            try:
                entry = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if isinstance(entry, dict):
                last = entry if entry.get("type") == "result" else last
                failure = _failure(entry) or failure
                message = entry.get("message")
                model = message.get("model", model) if isinstance(message, dict) else model
        if not last:
            return Verdict(_C.GARBLED, detail="the command ended without a result")
        if last.get("is_error"):
            return _verdict(last, failure)
        structured = last.get("structured_output")
        text = last.get("result")
        if structured is not None:
            text = msgspec.json.encode(structured).decode()
        if not isinstance(text, str):
            return Verdict(_C.GARBLED, detail="the command's result has no text")
        cut = last.get("stop_reason") == "max_tokens"
        choice = Choice([Text(text)], "length" if cut else "stop", "max_tokens" if cut else "end_turn")
        session = last.get("session_id")
        usage = read_usage(last.get("usage"))
        return ChatReply(str(session or ""), str(model), None, [choice], usage, origin="claude-code")

    def write_reply(self, reply: ChatReply, asked: ChatRequest) -> dict[str, Any]:
        """Nobody reads such replies."""
        raise TypeError("the command's lines are only read")

    def reader(self) -> EventReader:
        """A reader of the command's lines."""
        return Reader(MESSAGES.reader())


class Reader:
    """Lines of the command as events: those wrapped in ``stream_event`` are the Messages protocol's own."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._lines = Lines()
        self._failure = ""
        self._finished = False

    def feed(self, data: bytes) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return [event for line in self._lines.feed(data) for event in self._line(line)]

    def finish(self) -> list[Event]:
        """See :class:`engine.dialects.protocol.EventReader`."""
        return [event for line in self._lines.flush() for event in self._line(line)]

    def _line(self, line: bytes) -> list[Event]:
        try:
            entry = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as problem:
            raise ValueError(f"a line of the command is not JSON: {problem}") from None
        if not isinstance(entry, dict):
            return []
        self._failure = _failure(entry) or self._failure
        if entry.get("type") == "stream_event" and isinstance(entry.get("event"), dict):
            event = entry["event"]
            found = self._inner.frame(str(event.get("type", "")), msgspec.json.encode(event))
            # The command's own last line ends the stream: until then another turn may follow.
            kept = [e for e in found if not isinstance(e, Ended)]
            self._finished = self._finished or any(isinstance(e, Finished) for e in kept)
            return kept
        return self._result(entry) if entry.get("type") == "result" else []

    def _result(self, entry: dict[str, Any]) -> list[Event]:
        if entry.get("is_error"):
            return [Failed(_verdict(entry, self._failure))]
        usage = read_usage(entry.get("usage"))
        events: list[Event] = [] if usage is None else [Used(usage)]
        if not self._finished:
            events.append(Finished("stop", raw="end_turn"))
        return [*events, Ended()]


def _text(message: Message) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, Text))


def _failure(entry: Mapping[str, Any]) -> str:
    """The word for what went wrong in a turn, if the line has one."""
    said = entry.get("error")
    return said if isinstance(said, str) else ""


def _verdict(result: Mapping[str, Any], failure: str) -> Verdict:
    status = result.get("api_error_status")
    found = _ERRORS.get(failure)
    if found is None:
        found = class_of(status) if isinstance(status, int) and status >= 400 else _C.SERVER_ERROR
    said = result.get("result")
    message = said[:MAX_MESSAGE] if isinstance(said, str) else str(result.get("subtype", ""))
    return Verdict(found, code=failure, message=message, detail=f"the command failed: {message}")


@dialect("claude-code")
class ClaudeCode:
    """The command's headless mode."""

    name = "claude-code"
    prefix = ""
    headers: tuple[tuple[str, str], ...] = ()
    lacks: frozenset[str] = frozenset({"image_url"})
    discovery: Discovery | None = None
    chat: ChatCodec | None = Chat()
    codecs: Mapping[str, Codec] = MappingProxyType({})

    def path(self, kind: str, model: str, stream: bool) -> str:
        """Arguments say it all."""
        return ""

    def classify(self, status: int, header: Header, body: bytes, now: float) -> Verdict:
        """A command has no status but its exit, which the transport tells."""
        return Verdict(class_of(status), detail=f"status {status}")
