"""What a target asks of a request's encoding: its model's name, overridden fields, declared quirks."""

from __future__ import annotations

from msgspec import Raw, Struct


class Shape(Struct, frozen=True):
    """Everything that encoding a request for one target depends on; prepared once, shared by all requests.

    ``model`` is the upstream's name as JSON text. ``set`` always wins over the client's fields, ``default`` fills in
    where the client is silent, then ``rename`` and ``drop`` apply the provider's quirks, and ``always`` is set last.
    """

    model: Raw
    set: tuple[tuple[str, Raw], ...] = ()
    default: tuple[tuple[str, Raw], ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    drop: frozenset[str] = frozenset()
    always: tuple[tuple[str, Raw], ...] = ()
    stream_usage: bool = True
