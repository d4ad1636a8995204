"""An upstream on loopback that does what a script says, byte for byte, however wrong that is."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, Self, cast

#: How long a test waits at most for what should happen at once.
PATIENCE = 10.0


class Do(Enum):
    """What an answer may do besides writing bytes, pausing (a number: seconds) and waiting (until a function holds)."""

    CLOSE = "close the connection"
    RESET = "reset the connection"
    STALL = "say nothing more, and keep the connection"


Part = bytes | float | Do | Callable[[], bool]
Answer = tuple[Part, ...]


class Seen:
    """One request as it arrived. ``left`` is when its client closed the connection before the answer was complete."""

    def __init__(self, connection: _Connection, path: str, headers: dict[str, str], body: bytes) -> None:
        self.connection = connection
        self.account, _, self.path = path.lstrip("/").partition("/v1")
        self.headers = headers
        self.raw = body
        self.arrived = time.monotonic()
        self.left: float | None = None

    @property
    def body(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.raw)
        return decoded


Script = Answer | list[Answer] | Callable[[Seen], Answer]


class Upstream:
    """Answers requests to ``/<account>/v1/...`` with the account's script.

    That is one answer, or answers in turn (the last one for ever), or a function of the request.
    """

    def __init__(self, **scripts: Script) -> None:
        self.scripts = scripts
        self.seen: list[Seen] = []
        self.connections: set[_Connection] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1000)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in list(self.connections):
            connection.end()
        await until(lambda: not self.connections)

    def calls(self, account: str) -> int:
        """How many requests came for this account."""
        return sum(seen.account == account for seen in self.seen)

    def answer(self, seen: Seen) -> Answer:
        """The answer to the request that has just been noted."""
        script = self.scripts[seen.account]
        if callable(script):
            return script(seen)
        return script[min(self.calls(seen.account), len(script)) - 1] if isinstance(script, list) else script


class ThreadedUpstream(Upstream):
    """An upstream with an event loop on a thread of its own, for tests that block."""

    def __enter__(self) -> Self:
        self._up, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), daemon=True)
        self._thread.start()
        assert self._up.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)

    async def _live(self) -> None:
        async with self:
            self._up.set()
            await asyncio.to_thread(self._over.wait)


class _Connection(asyncio.Protocol):
    _transport: asyncio.Transport

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._buffer = b""
        self._playing: asyncio.Task[None] | None = None
        self._now: Seen | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._upstream.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        if not blank or len(rest) < length:
            return
        self._buffer = rest[length:]
        self._now = Seen(self, lines[0].split()[1], headers, rest[:length])
        self._upstream.seen.append(self._now)
        self._playing = asyncio.create_task(self._play(self._upstream.answer(self._now)))

    async def _play(self, answer: Answer) -> None:
        for part in answer:
            if isinstance(part, bytes):
                self._transport.write(part)
            elif part is Do.STALL:
                await asyncio.sleep(3600)
            elif part is Do.CLOSE:
                self._transport.close()
            elif part is Do.RESET:
                connection = self._transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._transport.abort()
            elif callable(part):
                await until(part, 60)
            else:
                await asyncio.sleep(float(part))
        self._now = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._now is not None:
            self._now.left = time.monotonic()
        self.end()
        self._upstream.connections.discard(self)

    def unsent(self) -> int:
        """Bytes that wait for the reader."""
        return self._transport.get_write_buffer_size()

    def end(self) -> None:
        """Stop what is under way."""
        if self._playing is not None:
            self._playing.cancel()
        self._transport.abort()


async def until(holds: Callable[[], object], seconds: float = PATIENCE) -> float:
    """Wait until ``holds``; how long it took."""
    began = time.monotonic()
    while not holds():
        await asyncio.sleep(0.002)
        assert time.monotonic() - began < seconds, "it did not happen in time"
    return time.monotonic() - began


# -- answers -------------------------------------------------------------------------------------------------------


def head(status: int = 200, content_type: str | None = "application/json", **headers: str) -> bytes:
    """A status line and headers, underscores as hyphens; no length."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    if content_type is not None:
        lines.append(f"content-type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def whole(status: int, body: object, content_type: str = "application/json", **headers: str) -> Answer:
    """A complete answer; ``body`` is bytes, or becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (head(status, content_type, content_length=str(len(data)), **headers) + data,)


def error(
    status: int, message: str = "no", code: str | None = None, param: str | None = None, **headers: str
) -> Answer:
    """An error in OpenAI's shape."""
    return whole(status, {"error": {"message": message, "code": code, "type": None, "param": param}}, **headers)


def completion(text: str = "Hello", **changes: object) -> dict[str, Any]:
    """A chat completion; ``changes`` replace fields of its choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **changes}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return {"id": "c", "object": "chat.completion", "model": "upstream-m", "choices": [choice], "usage": usage}


def chunk(content: str | None = None, finish: str | None = None, **delta: object) -> bytes:
    """One event of a stream."""
    piece = {**delta} if content is None else {"content": content, **delta}
    choice = {"index": 0, "delta": piece, "finish_reason": finish}
    return event({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})


def event(data: object) -> bytes:
    """``data:`` with this JSON."""
    return b"data: " + json.dumps(data).encode() + b"\n\n"


START = chunk(role="assistant")
STOP = chunk(finish="stop")
USAGE = event(
    {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
)
DONE = b"data: [DONE]\n\n"
STREAM_HEAD = head(200, "text/event-stream", transfer_encoding="chunked")
LAST = b"0\r\n\r\n"


def piece(data: bytes) -> bytes:
    """``data`` as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream(*parts: Part, end: bool = True) -> Answer:
    """A stream of these events, each a chunk of the body; ``end`` ends the body."""
    events = tuple(piece(part) if isinstance(part, bytes) else part for part in parts)
    return (STREAM_HEAD, *events, *((LAST,) if end else ()))


def served(streamed: bool, text: str = "Hello") -> Answer:
    """A faultless answer."""
    if streamed:
        return stream(START, *(chunk(letter) for letter in text), STOP, USAGE, DONE)
    return whole(200, completion(text))
