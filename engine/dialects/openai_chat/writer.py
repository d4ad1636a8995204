"""Writing canonical events as a stream of chat completion chunks."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.exchange import Usage
from engine.exchange.canonical import ChatRequest, Media, Opaque, Thinking
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

from .citations import write_annotation
from .media import write_media
from .messages_read import NAME
from .messages_write import is_call
from .reply_write import asks_legacy, write_audio
from .thoughts import details_of
from .usage import write_usage
from .words import word_of

_encode = msgspec.json.encode
_DONE = b"data: [DONE]\n\n"
#: What services put beside a function in a tool call, and their clients send back.
_CALL_EXTRA = frozenset({"extra_content"})


class _Choice:
    """What has been told of one choice."""

    __slots__ = ("calls", "finished", "length", "places", "refused", "started", "thoughts")

    def __init__(self) -> None:
        self.started = self.finished = self.refused = False
        #: Numbers of tool calls by block.
        self.calls: dict[int, int] = {}
        #: Characters of text before each block of it, and in all.
        self.places: dict[int, int] = {}
        self.length = 0
        self.thoughts: dict[int, Thinking] = {}


class ChatWriter:
    """Writes one stream; the usage comes last, if the client asked for it."""

    def __init__(self, asked: ChatRequest) -> None:
        self._include_usage = asked.include_usage
        self._legacy = asks_legacy(asked)
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": asked.model}
        self._usage: Usage | None = None
        self._choices: dict[int, _Choice] = {}

    def write(self, event: Event) -> bytes:
        """See :class:`engine.dialects.protocol.EventWriter`."""
        if isinstance(event, TextPiece):
            return self._text(event)
        if isinstance(event, ToolCallPiece):
            return self._call(event)
        if isinstance(event, ThinkingPiece):
            return self._think(event)
        if isinstance(event, RefusalPiece):
            self._choice(event.choice).refused = True
            return self._delta(event.choice, {"refusal": event.text})
        if isinstance(event, WholePart):
            return self._whole(event)
        if isinstance(event, Logprobs):
            tokens = {"content": event.tokens, "refusal": None}
            return self._chunk(event.choice, self._opened(event.choice, {}), None, tokens)
        if isinstance(event, Finished):
            return self._finish(event)
        if isinstance(event, Used):
            self._usage = merged(self._usage, event.usage)
        elif isinstance(event, Began):
            self._begin(event)
        elif isinstance(event, Ended):
            return self._end()
        return b""

    def _begin(self, event: Began) -> None:
        head = self._head
        head["id"] = event.id or head["id"]
        head["model"] = event.model or head["model"]
        head["created"] = event.created or head["created"]
        if event.service_tier is not None:
            head["service_tier"] = event.service_tier
        fingerprint = event.extra.get("system_fingerprint")
        if isinstance(fingerprint, str):
            head["system_fingerprint"] = fingerprint

    def _choice(self, index: int) -> _Choice:
        found = self._choices.get(index)
        if found is None:
            found = self._choices[index] = _Choice()
        return found

    def _opened(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        """The delta; the first one of a choice says who speaks."""
        choice = self._choice(index)
        if choice.started:
            return delta
        choice.started = True
        return {"role": "assistant", "content": None if delta else "", **delta}

    def _delta(self, index: int, delta: dict[str, Any]) -> bytes:
        return self._chunk(index, self._opened(index, delta), None, None)

    def _chunk(self, index: int, delta: dict[str, Any], word: str | None, tokens: Any) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": tokens, "finish_reason": word}
        return b"data: " + _encode({**self._head, "choices": [choice]}) + b"\n\n"

    def _text(self, event: TextPiece) -> bytes:
        choice = self._choice(event.choice)
        before = choice.places.setdefault(event.block, choice.length)
        choice.length += len(event.text)
        if not event.citations:
            return self._delta(event.choice, {"content": event.text}) if event.text else b""
        so_far = choice.length - before
        notes = [write_annotation(citation, before, so_far, False) for citation in event.citations]
        return self._delta(event.choice, {"content": event.text, "annotations": notes})

    def _think(self, event: ThinkingPiece) -> bytes:
        """A thought is told as text while it comes; what only a list can carry follows once, with the whole text."""
        known = self._choice(event.choice).thoughts.setdefault(event.block, Thinking())
        known.text += event.text
        known.id = event.id or known.id
        known.extra.update(event.extra)
        delta: dict[str, Any] = {"reasoning_content": event.text} if event.text else {}
        if event.signature is not None or event.redacted is not None or "encrypted_content" in event.extra:
            sealed = Thinking(known.text, event.signature, event.redacted, known.id, known.extra)
            delta["reasoning_details"] = details_of(sealed, event.block)
        return self._delta(event.choice, delta) if delta else b""

    def _call(self, event: ToolCallPiece) -> bytes:
        calls = self._choice(event.choice).calls
        function: dict[str, Any] = {"arguments": event.arguments}
        first = event.block not in calls
        extra = {name: value for name, value in event.extra.items() if name in _CALL_EXTRA}
        if not (first or event.name or event.arguments or extra):
            return b""
        place = calls.setdefault(event.block, len(calls))
        if first or event.name:
            function = {"name": event.name, **function}
        if self._legacy:
            return self._delta(event.choice, {"function_call": function}) if place == 0 else b""
        call: dict[str, Any] = {"index": place}
        if first:
            call.update(id=event.id, type="function")
        call["function"] = function
        return self._delta(event.choice, {"tool_calls": [{**call, **extra}]})

    def _whole(self, event: WholePart) -> bytes:
        part = event.part
        if isinstance(part, Opaque):
            if part.origin != NAME or not is_call(part):
                return b""
            calls = self._choice(event.choice).calls
            place = calls.setdefault(event.block, len(calls))
            return self._delta(event.choice, {"tool_calls": [{"index": place, **part.value}]})
        return self._media(event.choice, part)

    def _media(self, index: int, part: Media) -> bytes:
        if part.kind == "audio":
            return self._delta(index, {"audio": write_audio(part)})
        if part.kind == "image" and (part.url or part.data):
            return self._delta(index, {"images": [write_media(part, False)]})
        return b""

    def _finish(self, event: Finished) -> bytes:
        choice = self._choice(event.choice)
        choice.finished = True
        word = word_of(event.finish, refused=choice.refused)
        if self._legacy and word == "tool_calls":
            word = "function_call"
        return self._chunk(event.choice, self._opened(event.choice, {}), word, None)

    def _end(self) -> bytes:
        out = []
        for index, choice in self._choices.items():
            if not choice.finished:
                out.append(self._finish(Finished("tool_calls" if choice.calls else "stop", index)))
        if self._include_usage and self._usage is not None:
            out.append(b"data: " + _encode({**self._head, "choices": [], "usage": write_usage(self._usage)}) + b"\n\n")
        return b"".join(out) + _DONE
