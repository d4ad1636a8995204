"""The server as a plain ASGI app: under uvicorn, or mounted in any ASGI service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from engine.executor.reply import Reply, StreamReply

from .departures import Departures
from .front import Aside, Front

if TYPE_CHECKING:
    from engine.runtime import Engine

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class App:
    """Serves HTTP with an engine that somebody else opens and closes. Answers lifespan messages, refuses WebSockets."""

    def __init__(self, engine: Engine, *, aside: Aside | None = None) -> None:
        self._front = Front(engine)
        self._departures = Departures()
        self._aside = aside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request of the ASGI server, or its lifespan."""
        # A coroutine function: by that servers tell this interface from the one before it.
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await _refuse(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        body = await self._read(scope, receive)
        if body is None:
            return
        if isinstance(body, Reply):
            await self._send(scope, body, send, began)
            return
        path = scope["path"]
        root = scope.get("root_path")
        if root and (path + "/").startswith(root.rstrip("/") + "/"):
            path = path[len(root.rstrip("/")) :]
        stay = self._departures.enter(receive)
        try:
            begun = self._front.begin(scope["method"], path, scope["query_string"], scope["headers"], body)
            reply = begun if isinstance(begun, Reply) else await begun
            if isinstance(reply, Reply):
                await self._send(scope, reply, send, began)
            else:
                await _send_stream(reply, send)
        except asyncio.CancelledError:
            if not stay.took_cancellation():
                raise
        finally:
            self._departures.leave(stay)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | Reply | None:
        """The whole body; a refusal where it is too large, ``None`` where the client left while sending it."""
        limit = self._front.max_body
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:19]) > limit:
                return self._front.too_large()
        message = await receive()
        if message["type"] != "http.request":
            return None
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            parts = [body]
            size = len(body)
            while message.get("more_body", False):
                message = await receive()
                if message["type"] != "http.request":
                    return None
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    return self._front.too_large()
            body = b"".join(parts)
        return self._front.too_large() if len(body) > limit else body

    async def _send(self, scope: Scope, reply: Reply, send: Send, began: float) -> None:
        reply.headers.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})
        if reply.outcome is None and self._aside is not None:
            self._aside(scope["method"], scope["path"], reply.status, time.monotonic() - began, reply)


async def _send_stream(reply: StreamReply, send: Send) -> None:
    """Pass every piece on as it comes. However it ends, the upstream's connection is let go."""
    reply.headers.append((b"cache-control", b"no-cache"))
    # Proxies such as nginx would collect a stream before they pass it on.
    reply.headers.append((b"x-accel-buffering", b"no"))
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        async for piece in reply.chunks:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await reply.aclose()


async def _refuse(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1003, "reason": "only HTTP is served here"})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
