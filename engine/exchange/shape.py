"""What a target asks of a request's encoding: its model's name, overridden fields, declared quirks."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw, Struct, field


class Shape(Struct, frozen=True):
    """Everything that encoding a request for one target depends on; prepared once, shared by all requests.

    ``model`` is the upstream's name as JSON text, ``name`` the same as plain text. ``set`` always wins over the
    client's fields, ``default`` fills in where the client is silent, then ``rename`` and ``drop`` apply the provider's
    quirks, and ``always`` is set last. ``max_output`` is tokens; ``paths`` are templates with ``{model}`` by what is
    asked for (``chat``, ``stream``, ``embeddings``, ...) and replace the dialect's own; ``roles`` are roles of messages
    to send under another name.
    """

    model: Raw
    name: str = ""
    set: tuple[tuple[str, Raw], ...] = ()
    default: tuple[tuple[str, Raw], ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    drop: frozenset[str] = frozenset()
    always: tuple[tuple[str, Raw], ...] = ()
    stream_usage: bool = True
    max_output: int | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
