"""Reading one choice of a stream: which pieces belong to which part."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from engine.dialects.trees import count, mapping, mappings, others, text
from engine.exchange.canonical import Citation, Media, Opaque
from engine.exchange.events import (
    Event,
    Finished,
    Logprobs,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    WholePart,
)

from .call_reader import CallReader
from .citations import read_annotations
from .media import read_media
from .messages_read import NAME, read_audio
from .reply_read import read_logprobs, stop_sequence
from .thoughts import field_extra, plain_thought, read_detail, read_thinking_part
from .words import finish_of

_CHOICE = frozenset({"index", "message", "delta", "finish_reason", "logprobs"})


class ChoiceReader:
    """Numbers the parts of one choice as they begin, and turns deltas into pieces of them."""

    def __init__(self, index: int, seed: str) -> None:
        self.spoke = False
        self.uncited = True
        self._index = index
        self._seed = seed
        self._blocks = 0
        self._text: int | None = None
        self._refusal: int | None = None
        #: The block of thought in a string field (or in the content), and its text so far.
        self._plain: int | None = None
        self._plain_text: list[str] = []
        self._details: dict[tuple[int, str], int] = {}
        self._calls = CallReader(index, seed, self._new)
        self._audio: dict[str, Any] = {}
        self._sound: list[bytes] = []
        self._finished = False

    def _new(self) -> int:
        self._blocks += 1
        return self._blocks - 1

    def delta(self, delta: dict[str, Any]) -> list[Event]:
        """The pieces in one delta."""
        content = delta.get("content")
        if content and len(delta) == 1 and isinstance(content, str):
            self.spoke = True  # what nearly every delta is
            return [self._say(content)]
        events: list[Event] = []
        if "reasoning_details" in delta or "reasoning_content" in delta or "reasoning" in delta:
            self._think(delta, events)
        if isinstance(content, str):
            if content:
                events.append(self._say(content))
        elif isinstance(content, list):
            self._content(content, events)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            if self._refusal is None:
                self._refusal = self._new()
            events.append(RefusalPiece(refusal, self._index, self._refusal))
        annotations = delta.get("annotations")
        if annotations:
            events.extend(self.cite(read_annotations(annotations)))
        calls = delta.get("tool_calls")
        if calls:
            for call in mappings(calls):
                events.extend(self._calls.read(call))
        legacy = delta.get("function_call")
        if legacy:
            events.extend(self._calls.legacy(mapping(legacy)))
        if delta.get("audio"):
            self._hear(mapping(delta["audio"]))
        for image in mappings(delta.get("images")):
            found = read_media(image, "image_url")
            if found is not None:
                events.append(WholePart(found, self._index, self._new()))
        self.spoke = self.spoke or bool(events)
        return events

    def _say(self, piece: str) -> TextPiece:
        if self._text is None:
            self._text = self._new()
        return TextPiece(piece, self._index, self._text)

    def _content(self, content: list[Any], events: list[Event]) -> None:
        """Content as a list of parts, of which the pieces of one part come one after the other."""
        for part in content:
            kind = text(part.get("type")) if isinstance(part, dict) else ""
            if isinstance(part, str) or kind in ("text", "output_text"):
                piece = part if isinstance(part, str) else text(part.get("text"))
                if piece:
                    events.append(self._say(piece))
            elif kind == "thinking":
                if self._text is not None:
                    self._plain = self._text = None  # thought after text is another part, and so is text after it
                thought = read_thinking_part(part)
                block = self._plain_block()
                self._plain_text.append(thought.text)
                signature = thought.signature
                events.append(ThinkingPiece(thought.text, self._index, block, signature, extra=thought.extra))
            elif isinstance(part, dict):
                media = read_media(part, kind)
                events.append(WholePart(media or Opaque(NAME, part), self._index, self._new()))

    def _plain_block(self) -> int:
        if self._plain is None:
            self._plain = self._new()
            self._plain_text = []
        return self._plain

    def _think(self, delta: dict[str, Any], events: list[Event]) -> None:
        details = mappings(delta.get("reasoning_details"))
        plain, name = plain_thought(delta)
        if plain and not any(text(entry.get("text")) or text(entry.get("summary")) for entry in details):
            extra = field_extra(name) if self._plain is None else {}
            block = self._plain_block()
            self._plain_text.append(plain)
            events.append(ThinkingPiece(plain, self._index, block, extra=extra))
        for place, entry in enumerate(details):
            events.append(self._detail(entry, place))

    def _detail(self, entry: dict[str, Any], place: int) -> ThinkingPiece:
        thought = read_detail(entry)
        kind = text(entry.get("type"))
        key = (count(entry.get("index")) or place, kind)
        block = self._details.get(key)
        told = thought.text
        if block is None and self._repeats(kind, told):
            block, told = self._plain, ""
            self._plain = None
        if block is None:
            block = self._new()
        self._details[key] = block
        return ThinkingPiece(told, self._index, block, thought.signature, thought.redacted, thought.id, thought.extra)

    def _repeats(self, kind: str, told: str) -> bool:
        """Whether a thought told in a string field before comes once more as a whole, with its signature."""
        if self._plain is None or kind == "reasoning.encrypted":
            return False
        return "".join(self._plain_text).endswith(told)

    def cite(self, citations: list[Citation]) -> list[Event]:
        """Citations of the text as a whole; the first ones count."""
        if not citations:
            return []
        if self._text is None:
            self._text = self._new()
        self.uncited = False
        return [TextPiece("", self._index, self._text, citations)]

    def logprobs(self, tree: Any) -> list[Event]:
        """The log probabilities beside a delta."""
        tokens = read_logprobs(tree)
        return [Logprobs(tokens, self._index)] if tokens is not None else []

    def _hear(self, audio: dict[str, Any]) -> None:
        """Audio comes in pieces, each of them base64 on its own; the whole is told at the end."""
        for name, value in audio.items():
            if name == "data" and isinstance(value, str):
                try:
                    self._sound.append(base64.b64decode(value))
                except binascii.Error:
                    continue
            elif name == "transcript" and isinstance(value, str):
                self._audio["transcript"] = self._audio.get("transcript", "") + value
            elif value is not None:
                self._audio[name] = value

    def close(self) -> list[Event]:
        """What can be told only once the choice has ended."""
        events: list[Event] = self._calls.close()
        if self._audio or self._sound:
            data = base64.b64encode(b"".join(self._sound)).decode()
            audio: Media | None = read_audio({**self._audio, "data": data})
            self._audio, self._sound = {}, []
            if audio is not None:
                events.append(WholePart(audio, self._index, self._new()))
        return events

    def finish(self, word: str, tree: dict[str, Any]) -> list[Event]:
        """The choice ended with ``word``; once more told, it counts no more."""
        if self._finished:
            return []
        self._finished = True
        finish = finish_of(word, called=self._calls.any, refused=self._refusal is not None)
        ended = Finished(finish, self._index, word, stop_sequence(tree), others(tree, _CHOICE))
        return [*self.close(), ended]
