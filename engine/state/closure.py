"""Why a target is left alone for a while: the one word that every reason speaks to the planner in."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Reason = Literal["breaker", "held", "credential", "limit"]


class Closure(Struct, frozen=True):
    """A target is passed over until ``until`` (Unix seconds, absolute) while another can serve.

    ``breaker``: it failed too often. ``held``: it asked to be left alone. ``credential``: its provider refuses us.
    ``limit``: what we may send it is used up. ``tried`` is when it was last attempted in spite of it (0: never), so
    that the planner can keep last resorts rare; ``free`` closures need no such bound, because the target mostly serves.
    """

    until: float
    reason: Reason
    detail: str = ""
    tried: float = 0.0
    free: bool = False
