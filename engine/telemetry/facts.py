"""What one process knows at one moment, as plain data: copied quickly, rendered elsewhere, passed between processes."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from .meter import Attempts, Histogram, Move, Requests


class Facts(Struct):
    """``state`` is the export of live state at ``at``; times are Unix seconds. :mod:`.definitions` has the rest."""

    version: str
    pid: int
    requests: list[Requests]
    attempts: list[Attempts]
    moves: list[Move]
    refused: dict[str, int]
    overflown: int
    series: int
    under_way: int
    busy: dict[str, int]
    failures: dict[str, int]
    loop_delay: Histogram
    reloads: dict[str, int]
    fingerprint: str
    git_commit: str
    loaded_at: float
    pending: bool
    on_last_good: bool
    at: float = 0.0
    state: dict[str, Any] = {}
    garbage: list[dict[str, int]] = []
    worker: str = ""


#: A copy of everything at once, made by C code: nothing may count on while half of it is written down.
freeze = msgspec.msgpack.Encoder().encode
thaw = msgspec.msgpack.Decoder(Facts).decode
