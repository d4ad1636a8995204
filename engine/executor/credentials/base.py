"""What every way to authenticate offers to an attempt."""

from __future__ import annotations

from typing import Protocol

Pairs = tuple[tuple[str, str], ...]


class Credential(Protocol):
    """How the requests to one provider are authenticated.

    ``now`` is any clock in seconds that never goes back. Nothing here raises for a secret that is missing or refused.
    """

    def available(self, now: float) -> bool:
        """Whether there is something to send; what was never tried counts as there."""

    def due(self, now: float) -> bool:
        """Whether :meth:`refresh` must be awaited before :meth:`headers`."""

    async def refresh(self, now: float) -> None:
        """Fetch what is missing or about to expire, off the event loop; one fetch at a time."""

    def headers(self, caller: str | None, now: float) -> Pairs | None:
        """The headers that authenticate, ``None`` if there is nothing to send. ``caller`` is the client's own."""

    def sign(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Pairs:
        """For schemes that sign a whole request: the headers to add, once :meth:`headers` has not said ``None``."""
