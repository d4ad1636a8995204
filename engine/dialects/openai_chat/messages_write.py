"""From canonical messages to those of a chat completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.dialects.trees import text
from engine.exchange.canonical import (
    ChatRequest,
    Media,
    Message,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

from .citations import write_annotations
from .media import write_media
from .messages_read import NAME
from .thoughts import needs_list, stands_in_content, write_thinking_part, write_thoughts

_BREAKPOINT = "prompt_cache_breakpoint"


class MessageWriter:
    """Writes the messages of one request; ``dropped`` collects what this protocol cannot carry.

    Results of tools are text here. What else they hold (images above all) follows in a message of the user's right
    after the results, under a line that says which result it belongs to.
    """

    def __init__(self, request: ChatRequest, roles: Mapping[str, str], dropped: list[str]) -> None:
        self.messages: list[dict[str, Any]] = []
        self._own = request.origin == NAME
        self._roles = roles
        self._dropped = dropped
        self._waiting: list[dict[str, Any]] = []
        for message in request.messages:
            self._write(message)
        self._release()

    def _write(self, message: Message) -> None:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for result in results:
            self._result(result)
        rest: list[Part] = [part for part in message.parts if not isinstance(part, ToolResult)]
        if not rest and (results or message.role == "tool"):
            return
        self._release()
        role = "user" if message.role == "tool" else message.role
        written: dict[str, Any] = {"role": self._roles.get(role, role)}
        if message.name is not None:
            written["name"] = message.name
        if message.role == "assistant":
            self._assistant(written, rest)
        else:
            written["content"] = self._content(rest, "\n\n")
        if self._own:
            written.update(message.extra)
        if self._own or not rest or written["content"] or written.keys() - {"role", "name", "content"}:
            self.messages.append(written)  # else nothing of the message could be carried

    def _release(self) -> None:
        if self._waiting:
            self.messages.append({"role": self._roles.get("user", "user"), "content": self._waiting})
            self._waiting = []

    def _result(self, result: ToolResult) -> None:
        extra = dict(result.extra) if self._own else {}
        if extra.pop("legacy", False):
            written = {"role": "function", "name": result.name, "content": self._content([*result.content], "\n")}
        else:
            told: list[Part] = [part for part in result.content if self._own or not isinstance(part, Media)]
            written = {"role": "tool", "tool_call_id": result.id, "content": self._content(told, "\n")}
            if not self._own:
                self._show(result)
        if result.is_error:
            self._dropped.append("is_error")
        written.update(extra)
        self.messages.append(written)

    def _show(self, result: ToolResult) -> None:
        shown = [write_media(part, self._own) for part in result.content if isinstance(part, Media)]
        if shown:
            self._waiting.append({"type": "text", "text": f"From the result of tool call {result.id}:"})
            self._waiting.extend(shown)

    def _assistant(self, written: dict[str, Any], parts: list[Part]) -> None:
        written["content"] = self._content([part for part in parts if self._in_content(part)], "") or None
        refusals = [part.text for part in parts if isinstance(part, Refusal)]
        if refusals:
            written["refusal"] = "".join(refusals)
        thoughts = [part for part in parts if isinstance(part, Thinking) and not self._in_content(part)]
        written.update(write_thoughts(self._sendable(thoughts), self._own))
        self._spoken(written, parts)
        calls: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, ToolCall):
                self._call(written, calls, part)
            elif isinstance(part, Opaque) and is_call(part):
                calls.append(part.value)
        if calls:
            written["tool_calls"] = calls
        annotations = self._annotations(parts)
        if annotations:
            written["annotations"] = annotations

    def _in_content(self, part: Part) -> bool:
        if isinstance(part, Thinking):
            return self._own and stands_in_content(part)
        if isinstance(part, Media):
            return part.kind != "audio"
        return isinstance(part, Text) or (isinstance(part, Opaque) and not is_call(part))

    def _sendable(self, thoughts: list[Thinking]) -> list[Thinking]:
        """The thoughts that can go back: all of this protocol's, and such as none of the signing makers made.

        A service of this protocol that thinks aloud may insist on its unsigned thoughts; one that never saw a signature
        may refuse the field that holds it.
        """
        if self._own:
            return thoughts
        unsigned = [thought for thought in thoughts if not needs_list(thought)]
        if len(unsigned) < len(thoughts):
            self._dropped.append("reasoning_details")
        return unsigned

    def _spoken(self, written: dict[str, Any], parts: list[Part]) -> None:
        for part in parts:
            if isinstance(part, Media) and part.kind == "audio":
                if part.id is not None:
                    written["audio"] = {"id": part.id}
                elif part.text:
                    written["content"] = (written["content"] or "") + part.text

    def _call(self, written: dict[str, Any], calls: list[dict[str, Any]], call: ToolCall) -> None:
        extra = dict(call.extra) if self._own else {}
        if extra.pop("legacy", False):
            written["function_call"] = {"name": call.name, "arguments": call.arguments}
            return
        if call.cache is not None:
            if self._own:
                extra["cache_control"] = call.cache
            else:
                self._dropped.append("cache_control")
        function = {"name": call.name, "arguments": call.arguments}
        calls.append({"id": call.id, "type": "function", "function": function, **extra})

    def _annotations(self, parts: list[Part]) -> list[dict[str, Any]]:
        found, before = [], 0
        for part in parts:
            if isinstance(part, Text):
                if self._own:
                    found.extend(write_annotations(part, before, True))
                before += len(part.text)
        return found

    def _content(self, parts: list[Part], between: str) -> Any:
        """A string where that says it all, else a list of parts.

        Texts of another protocol are joined, since not every service takes lists of texts.
        """
        parts = [part for part in parts if self._carried(part)]
        texts = [part for part in parts if isinstance(part, Text)]
        if len(texts) == len(parts) and not (self._own and (len(texts) > 1 or any(t.extra or t.cache for t in texts))):
            return between.join(part.text for part in texts)
        return [self._part(part) for part in parts]

    def _carried(self, part: Part) -> bool:
        if isinstance(part, ToolCall | ToolResult) or (isinstance(part, Thinking) and not self._own):
            return False  # out of place here
        if self._own:
            return True
        if isinstance(part, Text | Media) and part.cache is not None:
            self._dropped.append("cache_control")
        if isinstance(part, Opaque):
            self._dropped.append(kind_of(part))
        return not isinstance(part, Opaque)

    def _part(self, part: Part) -> dict[str, Any]:
        if isinstance(part, Text):
            return self._text(part)
        if isinstance(part, Media):
            return write_media(part, self._own)
        if isinstance(part, Thinking):
            return write_thinking_part(part)
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        if isinstance(part, Opaque) and isinstance(part.value, dict):
            return part.value
        raise TypeError(f"a {type(part).__name__} is no part of a message's content")

    def _text(self, part: Text) -> dict[str, Any]:
        written: dict[str, Any] = {"type": "text", "text": part.text}
        if self._own:
            if part.cache is not None and _BREAKPOINT not in part.extra:
                written["cache_control"] = part.cache
            written.update(part.extra)
        return written


def is_call(part: Opaque) -> bool:
    """Whether it stands among this protocol's tool calls rather than in the content."""
    return (
        part.origin == NAME
        and isinstance(part.value, dict)
        and text(part.value.get("type")) in part.value
        and "id" in part.value
    )


def kind_of(part: Opaque) -> str:
    """What a part of another protocol is called there, for the list of what was dropped."""
    kind = part.value.get("type") if isinstance(part.value, dict) else None
    return kind if isinstance(kind, str) else "content"
