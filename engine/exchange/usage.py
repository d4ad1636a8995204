"""Token usage as upstreams report it. A field nobody reported is ``None``: unknown, never zero."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one attempt.

    ``input`` includes ``cached`` (read from a cache), ``cache_write`` and ``input_audio``; ``output`` includes
    ``reasoning`` and ``output_audio``; ``cached`` includes ``cached_audio``. ``cache_write_1h`` is the part of
    ``cache_write`` that is kept for an hour. ``searches`` counts units of search or ranking that are billed.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    input_audio: int | None = None
    cached_audio: int | None = None
    output_audio: int | None = None
    searches: int | None = None

    def to_dict(self) -> dict[str, int]:
        """The known fields only."""
        known: dict[str, int] = msgspec.to_builtins(self)
        return known
