"""Why a target is passed over, and until when."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Closure(Struct, frozen=True):
    """``until`` is Unix seconds, absolute: whoever reads it compares, and nobody has to expire it."""

    until: float
    reason: Literal["breaker", "held", "credential", "limit"]
    detail: str = ""
