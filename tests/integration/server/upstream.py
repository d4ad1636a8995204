"""A well-behaved upstream on a thread of its own: it answers as OpenAI's API does and keeps what it was sent."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Self

import uvicorn

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


@dataclass
class Seen:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        tree: dict[str, Any] = json.loads(self.raw)
        return tree


class Upstream:
    """Models with a meaning: ``limited`` answers 429, ``picky`` 400, ``slow`` waits for :attr:`gate`, ``cut`` breaks its
    stream off after the first word. Everything else is served."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.gate = threading.Event()
        self.open_streams = 0
        self.left = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port: int = self._listener.getsockname()[1]
        config = uvicorn.Config(self, lifespan="off", log_config=None, access_log=False, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        raw = b""
        while True:
            message = await receive()
            raw += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        seen = Seen(scope["path"], headers, raw)
        self.seen.append(seen)
        surface = scope["path"].removeprefix("/v1")
        if surface.startswith("/audio/") or surface.startswith("/images/"):
            await self._other(surface, send)
            return
        body = seen.body
        if await self._refused(body, send):
            return
        if body.get("stream"):
            await self._stream(surface, body, receive, send)
        elif surface == "/embeddings":
            data = [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]
            usage = {"prompt_tokens": 2, "total_tokens": 2}
            await _json(send, {"object": "list", "model": body["model"], "data": data, "usage": usage})
        elif surface == "/moderations":
            result = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
            await _json(send, {"id": "modr-1", "model": body["model"], "results": [result]})
        elif surface == "/completions":
            choices = [{"index": 0, "text": "once upon a time", "finish_reason": "stop", "logprobs": None}]
            await _json(send, _wrapped("text_completion", body, choices) | {"usage": _USAGE})
        else:
            await _json(send, completion(body))

    async def _refused(self, body: dict[str, Any], send: Send) -> bool:
        if body["model"] == "limited":
            error = {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded", "param": None}
            await _json(send, {"error": error}, 429, [(b"retry-after", b"1")])
        elif body["model"] == "picky":
            error = {
                "message": "'temperature' must be at most 2", "type": "invalid_request_error",
                "code": "invalid_value", "param": "temperature",
            }  # fmt: skip
            await _json(send, {"error": error}, 400)
        else:
            if body["model"] == "slow" and not body.get("stream"):
                await self._wait_for_gate()
            return False
        return True

    async def _wait_for_gate(self) -> None:
        while not self.gate.is_set():
            await asyncio.sleep(0.01)

    async def _other(self, surface: str, send: Send) -> None:
        if surface == "/audio/speech":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"audio/mpeg")]})
            await send({"type": "http.response.body", "body": SPEECH})
        elif surface.startswith("/audio/"):
            await _json(send, {"text": "what was said"})
        else:
            await _json(send, {"created": 1, "data": [{"b64_json": "aGk="}]})

    async def _stream(self, surface: str, body: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        watching = asyncio.create_task(self._watch(receive))
        self.open_streams += 1
        try:
            for number, chunk in enumerate(_chunks(surface, body)):
                if number == 2 and body["model"] == "slow":
                    await self._wait_for_gate()
                if number == 2 and body["model"] == "cut":
                    await send({"type": "http.response.body", "body": b""})
                    return
                data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
        finally:
            self.open_streams -= 1
            watching.cancel()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


SPEECH = bytes(range(256)) * 64
_USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}


def _wrapped(kind: str, body: dict[str, Any], choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "cmpl-1", "object": kind, "created": 1, "model": body["model"], "choices": choices}


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """A chat completion that shows what the request asked for."""
    message: dict[str, Any] = {"role": "assistant", "content": "hello there"}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
    if body.get("tools"):
        message |= {"content": None, "tool_calls": [_CALL]}
        choice["finish_reason"] = "tool_calls"
    if body.get("response_format"):
        message["content"] = '{"city":"Oslo"}'
    if body.get("logprobs"):
        choice["logprobs"] = {"content": [{"token": "hello", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    choices = [choice | {"index": index} for index in range(body.get("n", 1))]
    return _wrapped("chat.completion", body, choices) | {"usage": _USAGE, "x_upstream": {"kept": [1, 2.50, "x"]}}


def _chunks(surface: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    if surface == "/completions":
        texts = [{"index": 0, "text": word, "finish_reason": None} for word in ("once ", "upon ", "a time")]
        chunks = [_wrapped("text_completion", body, [text]) for text in texts]
    elif body.get("tools"):
        opening = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None, "tool_calls": [opening]}]
        for piece in ('{"city"', ':"Oslo"}'):
            deltas.append({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        chunks = [_delta(body, delta) for delta in deltas] + [_delta(body, {}, "tool_calls")]
    else:
        deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in ("hello", " ", "there"))]
        chunks = [_delta(body, delta) for delta in deltas] + [_delta(body, {}, "stop")]
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append(_wrapped("chat.completion.chunk", body, []) | {"usage": _USAGE})
    return chunks


def _delta(body: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _wrapped("chat.completion.chunk", body, [choice]) | {"x_upstream": "kept"}


async def _json(
    send: Send, tree: dict[str, Any], status: int = 200, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    fields = [(b"content-type", b"application/json"), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": json.dumps(tree).encode()})
