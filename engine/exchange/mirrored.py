"""What came of a copy of a request: the frozen record of one mirrored answer beside the one that the client got."""

from __future__ import annotations

from typing import Any

import msgspec

from .outcome import OutcomeClass
from .usage import Usage


class Answered(msgspec.Struct, frozen=True):
    """One answer by its figures, without its content. ``duration`` is seconds from first byte sent to last received.

    ``finish`` is the canonical reason why the model stopped, empty where there is none to know.
    """

    target: str
    outcome_class: OutcomeClass = msgspec.field(name="outcome")
    status: int | None
    duration: float
    usage: Usage | None = None
    finish: str = ""


class Mirrored(msgspec.Struct, frozen=True):
    """A copy of one request, answered by another target than the client's. No content of either is in it.

    ``equal`` says whether both wrote the same text and the same tool calls, ``similarity`` how many of their words they
    share: twice the words in common by all words of both, 0..1 (Dice). Both are ``None`` where one has no text to
    compare. ``started_at`` is Unix time; ``detail`` is for the operator.
    """

    request_id: str
    route: str
    fingerprint: str = msgspec.field(name="graph")
    started_at: float
    served: Answered
    copy: Answered
    equal: bool | None = None
    similarity: float | None = None
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        record: dict[str, Any] = msgspec.to_builtins(self)
        return record
