"""What an upstream may say: answers that prove whose they are, errors as providers shape them, and everything wrong.

A part of an answer is bytes, a pause in seconds, or one of ``Do``. A fault makes the parts of one answer to one call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum
from typing import Any

PIECES = 8
PROMPT_TOKENS, OUTPUT_TOKENS = 20, 24


class Do(Enum):
    """What an answer may do besides writing and pausing."""

    CLOSE = "close the connection"
    RESET = "reset the connection"
    STALL = "say nothing more, and keep the connection"
    OUTPUT = "from here on the call costs money"


Part = bytes | float | Do


@dataclass(frozen=True)
class Asked:
    """What a fault needs to know of the call it answers. ``gap`` is seconds between the pieces of a stream."""

    token: str
    stream: bool
    gap: float = 0.002


@dataclass(frozen=True)
class Fault:
    """A named way to answer. ``parts`` is called once for each call."""

    name: str
    parts: Callable[[Asked], Iterator[Part]]


def pieces(token: str) -> list[str]:
    """The text that belongs to a request, in pieces; it begins and ends with the request's own token."""
    return [f"{token}:", *(f" word{number}" for number in range(PIECES - 2)), f" :{token}"]


def text(token: str) -> str:
    """The whole text that belongs to a request."""
    return "".join(pieces(token))


# -- the wire ------------------------------------------------------------------------------------------------------


def head(status: int, kind: str = "application/json", **headers: str) -> bytes:
    """Status line and headers, underscores as hyphens."""
    lines = [f"HTTP/1.1 {status} Said", f"content-type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def whole(status: int, body: object, kind: str = "application/json", **headers: str) -> bytes:
    """A complete reply; ``body`` is bytes, or becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(status, kind, content_length=str(len(data)), **headers) + data


def event(data: object) -> bytes:
    """One event of a stream, as one HTTP chunk."""
    line = b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(line), line)


def delta(content: str | None = None, finish: str | None = None, **more: object) -> bytes:
    """One chunk of OpenAI's stream."""
    said: dict[str, Any] = {**more} if content is None else {"content": content, **more}
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return event({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "total_tokens": PROMPT_TOKENS + OUTPUT_TOKENS,
}
STREAM = head(200, "text/event-stream", transfer_encoding="chunked")
END = event(b"[DONE]") + b"0\r\n\r\n"


def completion(content: str | None, **more: object) -> dict[str, Any]:
    """A whole reply in OpenAI's shape."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", **more}
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": USAGE}


def _served(asked: Asked) -> Iterator[Part]:
    yield Do.OUTPUT
    if not asked.stream:
        yield whole(200, completion(text(asked.token)))
        return
    yield STREAM + delta(role="assistant")
    for piece in pieces(asked.token):
        yield delta(piece)
        if asked.gap:
            yield asked.gap
    usage = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
    yield delta(finish="stop") + event(usage) + END


SERVED = Fault("served", _served)


# -- before any output ---------------------------------------------------------------------------------------------


def says(name: str, status: int, body: object, kind: str = "application/json", **headers: str) -> Fault:
    """An error or oddity that is one whole reply."""
    reply = whole(status, body, kind, **headers)
    return Fault(name, lambda asked: iter((reply,)))


def openai(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """An error body in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def limited(**headers: str) -> Fault:
    """429 in OpenAI's shape with these headers."""
    return says("429", 429, openai("Rate limit reached", "requests", "rate_limit_exceeded"), **headers)


def limited_until(seconds: float) -> Fault:
    """429 whose Retry-After is a date, at least ``seconds`` from each answer on (dates have whole seconds)."""
    body = openai("Rate limit reached", "requests", "rate_limit_exceeded")

    def parts(asked: Asked) -> Iterator[Part]:
        yield whole(429, body, retry_after=formatdate(time.time() + seconds + 1, usegmt=True))

    return Fault("429 until a date", parts)


#: Gemini says how long to wait in the body, and nowhere else.
GEMINI_LIMITED = says(
    "429 with RetryInfo",
    429,
    {
        "error": {
            "code": 429,
            "message": "Resource has been exhausted",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "5s"}],
        }
    },
)
FAILED = says("500", 500, openai("The server had an error", "server_error"))
OVERLOADED = says("503", 503, openai("The engine is currently overloaded", "server_error"))
ANTHROPIC_OVERLOADED = says(
    "529", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
)
BAD_GATEWAY = says("502 in HTML", 502, b"<html><h1>502 Bad Gateway</h1></html>", "text/html")
HTML = says("200 in HTML", 200, b"<!doctype html><title>Sign in</title>", "text/html")
EMPTY = says("empty 200", 200, b"")
WRONG_JSON = says("200 with other JSON", 200, {"status": "ok", "result": [1, 2, 3]})
NOTHING_SAID = says("200 without an answer", 200, completion(None))
CALLERS = says("400", 400, openai("'temperature' must be at most 2", "invalid_request_error", "invalid_value"))
RESET = Fault("reset before the head", lambda asked: iter((Do.RESET,)))
CLOSED = Fault("closed before the head", lambda asked: iter((Do.CLOSE,)))
STALL = Fault("stall before the head", lambda asked: iter((Do.STALL,)))


def _stall_after_head(asked: Asked) -> Iterator[Part]:
    yield STREAM + delta(role="assistant") if asked.stream else head(200, content_length="400")
    yield Do.STALL


def _reset_after_head(asked: Asked) -> Iterator[Part]:
    yield STREAM + delta(role="assistant") if asked.stream else head(200, content_length="400") + b'{"id"'
    yield 0.002
    yield Do.RESET


STALL_AFTER_HEAD = Fault("stall before the first token", _stall_after_head)
RESET_AFTER_HEAD = Fault("reset after the head", _reset_after_head)


# -- in the middle of the output -----------------------------------------------------------------------------------


def _half(name: str, *end: Part) -> Fault:
    """Half of a stream, or of a body, and then this."""

    def parts(asked: Asked) -> Iterator[Part]:
        yield Do.OUTPUT
        if asked.stream:
            yield STREAM + delta(role="assistant")
            yield b"".join(delta(piece) for piece in pieces(asked.token)[: PIECES // 2])
        else:
            reply = whole(200, completion(text(asked.token)))
            yield reply[: -len(reply) // 3]
        yield 0.002
        yield from end

    return Fault(name, parts)


HALF_RESET = _half("half, then reset", Do.RESET)
HALF_CLOSED = _half("half, then closed", Do.CLOSE)
HALF_ENDED = _half("half, then an end without a mark", b"0\r\n\r\n")
HALF_STALLED = _half("half, then a stall", Do.STALL)
HALF_GARBAGE = _half("half, then garbage", event(b'{"choices": [{"del'), event(b"<html>"), b"0\r\n\r\n")
HALF_ERROR = _half("half, then an error event", event(openai("Overloaded", "server_error")), b"0\r\n\r\n")

HALVES = (HALF_RESET, HALF_CLOSED, HALF_ENDED, HALF_STALLED, HALF_GARBAGE, HALF_ERROR)


def _drip(asked: Asked) -> Iterator[Part]:
    """A whole answer, a piece every 60 ms, with a comment between: slow, and nothing wrong with it."""
    yield from (0.06 if part == asked.gap else part for part in _served(asked))


DRIP = Fault("a slow drip", _drip)
