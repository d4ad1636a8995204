"""Token usage as upstreams report it. A field nobody reported is ``None``: unknown, never zero."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one attempt. ``input`` includes ``cached``; ``output`` includes ``reasoning``."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None

    def to_dict(self) -> dict[str, int]:
        """The known fields only."""
        known: dict[str, int] = msgspec.to_builtins(self)
        return known
