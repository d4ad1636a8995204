"""A provider that is people: requests wait in an :class:`Inbox` until somebody answers, or their time is up."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from msgspec import json

from engine.places import state_folder

from .inbox import Inbox
from .transport import Answer, StreamAnswer, header_of
from .transport_poll import Piece

_JSON = header_of({"content-type": "application/json"})


def inbox_path(provider: str, declared: str | None) -> Path:
    """Where a provider's requests wait: the declared file, or one in the system's folder for state."""
    return Path(declared) if declared else state_folder() / f"{provider}.sqlite"


class QueueTransport:
    """Puts chat requests into an inbox; what a person writes comes back in OpenAI's shape."""

    def __init__(self, provider: str, inbox: Inbox) -> None:
        self.inbox = inbox
        self._provider = provider

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """See :class:`engine.executor.transport.Transport`."""
        id_ = f"relay_{uuid.uuid4().hex}"
        text = await self.inbox.ask(id_, self._provider, body)
        message = {"role": "assistant", "content": text}
        reply = {
            "id": id_,
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self._provider,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        return Answer(200, _JSON, json.encode(reply))

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        """The whole answer as a reply of one piece."""
        return Piece(await self.send(method, url, headers, body))

    async def close(self) -> None:
        """The inbox stays: another configuration may have the same."""
