"""What a dialect and a transport hand each other: bytes with a path, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from .outcome import OutcomeClass
from .usage import Usage

Header = Callable[[str], "str | None"]
"""A reply's header by lower-case name; ``None`` where absent."""


class UncarriedError(ValueError):
    """A request holds something without which its answer would mean another thing, and which this wire cannot carry.

    ``param`` is the request's field, ``message`` a sentence for the client.
    """

    def __init__(self, param: str, message: str) -> None:
        self.param = param
        self.message = message
        super().__init__(message)


class WireRequest(Struct, frozen=True):
    """One encoded request. ``path`` follows the provider's ``base_url``; ``dropped`` names the fields not carried."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    dropped: tuple[str, ...] = ()


class Verdict(Struct, frozen=True):
    """What a reply means. ``message`` and ``code`` are the upstream's own; ``detail`` is for the operator only.

    ``retry_after`` is seconds. ``param`` is the request field that the upstream complains of, if it says.
    """

    outcome_class: OutcomeClass
    code: str = ""
    message: str = ""
    param: str | None = None
    detail: str = ""
    retry_after: float | None = None
    usage: Usage | None = None
    conversation: str = ""
    """The id under which the upstream keeps this conversation, if it does."""


class StreamDecoder(Protocol):
    """Follows one upstream stream. The executor feeds bytes as they arrive and relays what comes back.

    ``committed`` turns true with the first event that carries output; until then nothing may be relayed, and ``feed``
    keeps start-up events to itself. An error event or unreadable data sets ``failure``, the end marker ``ended``.
    """

    committed: bool
    ended: bool
    failure: Verdict | None
    usage: Usage | None
    conversation: str
    """The id under which the upstream keeps this conversation; empty if it does not."""

    def feed(self, data: bytes) -> bytes:
        """Whole events to relay to the client, in the client's dialect; empty while there is nothing to relay."""

    def finish(self) -> tuple[bytes, Verdict | None]:
        """The upstream closed: the last bytes to relay, and why it is a failure (``None``: it ended as it should)."""
