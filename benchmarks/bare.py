"""What the best ready-made parts for Python cost by themselves: parse, pick, splice and relay, and nothing else.

An ASGI application for uvicorn (uvloop, httptools), and the in-process loop over the same transport. No errors are
handled, nothing is retried, timed, counted, logged or checked: it is a ruler, not a gateway.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from pyreqwest.client import Client, ClientBuilder

UPSTREAM = os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:9/v1") + "/chat/completions"
#: model -> (the upstream's name as JSON, its URL)
ROUTES: dict[str, tuple[msgspec.Raw, str]] = {"chat": (msgspec.Raw(b'"gpt-4o-mini"'), UPSTREAM)}

_parse = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

_client: Client | None = None


def client() -> Client:
    """The one client of this process, made at first use inside the running loop."""
    global _client
    if _client is None:
        headers = {"content-type": "application/json", "authorization": "Bearer upstream"}
        _client = ClientBuilder().tcp_nodelay(True).no_proxy().default_headers(headers).build()
    return _client


def splice(content: bytes) -> tuple[bytes, str, bool]:
    """The body with the upstream's model in place of the client's, where it goes, and whether it asks for a stream."""
    fields = _parse(content)
    model, url = ROUTES[_text(fields["model"])]
    fields["model"] = model
    stream = fields.get("stream")
    return _encode(fields), url, stream is not None and bytes(stream) == b"true"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers POST /v1/chat/completions."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    message = await receive()
    content = message["body"]
    while message.get("more_body"):
        message = await receive()
        content += message["body"]
    content, url, stream = splice(content)
    builder = client().post(url).body_bytes(content)
    if stream:
        await _relay(builder, send)
        return
    reply = await builder.build().send()
    data = await reply.bytes()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


async def _relay(builder: Any, send: Any) -> None:
    async with builder.streamed_read_buffer_limit(0).build_streamed() as reply:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        read = reply.body_reader.read_chunk
        while (chunk := await read()) is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def chat(request: dict[str, Any]) -> str:
    """The same in process: the answer's text for a request in OpenAI's shape."""
    model, url = ROUTES[request["model"]]
    body = _encode({**request, "model": model})
    reply = await client().post(url).body_bytes(body).build().send()
    content: str = msgspec.json.decode(await reply.bytes())["choices"][0]["message"]["content"]
    return content
