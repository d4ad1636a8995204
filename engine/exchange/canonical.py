"""The canonical form: what a chat request and its reply mean, whatever protocol they travel in.

Every codec translates between its own wire and these values, never between two wires. A value that only one protocol
knows is kept in ``extra`` (or as :class:`Opaque`) beside the name of that protocol in ``origin``: the same protocol
writes it again, any other leaves it out and says so.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from .usage import Usage

Role = Literal["system", "developer", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error"]
MediaKind = Literal["image", "audio", "video", "file"]


class Citation(Struct, omit_defaults=True):
    """Where a piece of a text comes from. ``start`` and ``end`` are characters of the text, if the protocol says."""

    url: str | None = None
    title: str | None = None
    quote: str | None = None
    start: int | None = None
    end: int | None = None
    document: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """The citation as it came, for the protocol it came in."""


class Text(Struct, omit_defaults=True):
    """Plain text."""

    text: str
    citations: list[Citation] = field(default_factory=list)
    cache: dict[str, Any] | None = None
    """A mark that what stands up to here is worth caching: ``{"type": "ephemeral", "ttl": ...}``."""
    extra: dict[str, Any] = field(default_factory=dict)


class Media(Struct, omit_defaults=True):
    """An image, audio, a video or a file: inline (``data``, base64), at an address (``url``), or uploaded (``id``)."""

    kind: MediaKind
    mime: str | None = None
    data: str | None = None
    url: str | None = None
    id: str | None = None
    text: str | None = None
    """The content of a file that is plain text and travels as such."""
    name: str | None = None
    detail: str | None = None
    cache: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Thinking(Struct, omit_defaults=True):
    """What a model thought, as far as it shows. ``signature`` proves to its maker that it is unchanged.

    ``redacted`` is thought that only its maker can read; ``text`` is then empty.
    """

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class ToolCall(Struct, omit_defaults=True):
    """A function the model wants called. ``arguments`` is JSON text as the model wrote it, possibly malformed."""

    id: str
    name: str
    arguments: str = "{}"
    cache: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class ToolResult(Struct, omit_defaults=True):
    """What came of a tool call. ``name`` is the function's, where the protocol (or an earlier call) says it."""

    id: str
    content: list[Text | Media | Opaque] = field(default_factory=list)
    name: str | None = None
    is_error: bool = False
    cache: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Refusal(Struct, omit_defaults=True):
    """The model's own words on why it does not answer."""

    text: str
    extra: dict[str, Any] = field(default_factory=dict)


class Opaque(Struct, omit_defaults=True):
    """A part that only the protocol ``origin`` knows (a server's own tool call, say), as it came."""

    origin: str
    value: Any


Part = Text | Media | Thinking | ToolCall | ToolResult | Refusal | Opaque


class Message(Struct, omit_defaults=True):
    """One message. Results of tools stand in messages of role ``tool``, one or several of them in a message."""

    role: Role
    parts: list[Part] = field(default_factory=list)
    name: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Tool(Struct, omit_defaults=True):
    """A function the model may call; ``parameters`` is a JSON Schema. ``strict`` asks for exact obedience to it.

    A tool that the service itself runs (web search, say) is ``builtin``: its declaration as it came.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    builtin: Opaque | None = None
    cache: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class ToolChoice(Struct, omit_defaults=True):
    """Whether tools are called: ``auto``, ``none``, ``required``, or ``named`` with the one function's ``name``.

    ``allowed`` limits ``auto`` and ``required`` to these functions.
    """

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None
    allowed: list[str] = field(default_factory=list)


class Format(Struct, omit_defaults=True):
    """The form of the answer: ``json`` is any JSON object, ``schema`` one that a JSON Schema describes."""

    kind: Literal["text", "json", "schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class Reasoning(Struct, omit_defaults=True):
    """How much the model shall think: ``effort`` in words, ``budget`` in tokens; ``enabled=False`` is not at all.

    ``summary`` asks for a summary of the thoughts (``auto``, ``concise``, ``detailed``); ``show=False`` asks that no
    thoughts be returned.
    """

    enabled: bool | None = None
    effort: str | None = None
    budget: int | None = None
    summary: str | None = None
    show: bool | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class ChatRequest(Struct, omit_defaults=True):
    """A request for a chat answer. ``None`` and empty are «not said», so that nothing is sent that nobody asked for.

    ``origin`` is the protocol it was read from, to which the ``extra`` of all its parts belong. Instructions (system,
    developer) are messages in their place; a protocol with one field for them collects them.
    """

    model: str = ""
    messages: list[Message] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_tokens_name: str = ""
    """What the client called ``max_tokens``, where its protocol has two names for it."""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    format: Format | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    modalities: list[str] = field(default_factory=list)
    user: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream: bool = False
    include_usage: bool = False
    """Whether a streaming client asked for usage; protocols whose streams always carry it say true."""
    extra: dict[str, Any] = field(default_factory=dict)
    origin: str = ""


class Choice(Struct, omit_defaults=True):
    """One answer. ``finish`` is why it ended (``None``: not said), ``finish_raw`` that in the protocol's own word.

    ``logprobs`` is OpenAI's list of tokens (``token``, ``logprob``, ``bytes``, ``top_logprobs``).
    """

    parts: list[Part] = field(default_factory=list)
    finish: Finish | None = None
    finish_raw: str | None = None
    stop_sequence: str | None = None
    logprobs: list[dict[str, Any]] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class ChatReply(Struct, omit_defaults=True):
    """An answer: ``created`` is Unix seconds, ``usage`` is ``None`` where the upstream did not say."""

    id: str = ""
    model: str = ""
    created: int | None = None
    choices: list[Choice] = field(default_factory=list)
    usage: Usage | None = None
    service_tier: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    origin: str = ""

    @property
    def text(self) -> str:
        """All text of the first choice."""
        parts = self.choices[0].parts if self.choices else []
        return "".join(part.text for part in parts if isinstance(part, Text))


def carries_output(part: Part) -> bool:
    """Whether a client could show or act on this part: text, thought, a tool call, a refusal, media."""
    if isinstance(part, Text | Refusal):
        return bool(part.text)
    if isinstance(part, Thinking):
        return bool(part.text or part.redacted)
    return True
