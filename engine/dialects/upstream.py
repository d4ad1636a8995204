"""Dialects that no client speaks to us."""

from __future__ import annotations

from engine.exchange.canonical import ChatRequest

from .protocol import EventWriter


class NoWriter:
    """The missing half of a chat codec whose streams are only read."""

    def writer(self, asked: ChatRequest) -> EventWriter:
        """No client is answered in this protocol."""
        raise TypeError(f"{type(self).__name__} is a provider's protocol: no client's stream is written in it")
