"""An upstream that speaks seven protocols by playing what services really sent, and says no in the words of each."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import unquote

import yaml

from ...dialects.bedrock_converse.wire import exception
from ...dialects.recordings import CASSETTES, cassette
from ..upstream import LAST, Answer, Seen, ThreadedUpstream, head, piece, whole
from .told import DIALECTS, Dialect
from .wires import pieces, results

#: The media types of streams; the recorders of some projects kept none.
STREAMS = {"bedrock-converse": "application/vnd.amazon.eventstream", "ollama": "application/x-ndjson"}
#: Recorded complaints.
_TOO_LONG = {
    "anthropic-messages": "prompt-too-long",
    "bedrock-converse": "too-long",
    "cohere": "too-long",
    "gemini": "too-long",
}
#: An error as the dialects' references show it: by status, the words of Anthropic, Google and AWS for it.
_WORDS = {
    401: ("authentication_error", "UNAUTHENTICATED", "UnrecognizedClientException", "invalid_api_key"),
    429: ("rate_limit_error", "RESOURCE_EXHAUSTED", "ThrottlingException", "rate_limit_exceeded"),
    503: ("overloaded_error", "UNAVAILABLE", "ServiceUnavailableException", "overloaded"),
}
#: A service's own words, which are for its customer and no one else's eyes.
INNER = "upstream words: account 4711"


class Played(ThreadedUpstream):
    """Serves ``/<dialect>/v1/...``; the model's name says what is played.

    ``text``, ``calls`` and ``structured`` are the recordings of :mod:`.told` (after the result of a tool, ``calls`` are
    the text), ``too-long`` a recorded complaint, a number an error of that status, ``broken`` a recorded stream that an
    error ends in the middle. Streams pause in the middle until :attr:`gate` is set, which it usually is.
    """

    def __init__(self) -> None:
        super().__init__(**dict.fromkeys(DIALECTS, self._play))
        self.gate = threading.Event()
        self.gate.set()

    def __exit__(self, *details: object) -> None:
        self.gate.set()
        super().__exit__(*details)

    def _play(self, seen: Seen) -> Answer:
        dialect, body = seen.account, seen.body
        scene = unquote(body["model"] if "model" in body else seen.path.rpartition("/models/")[2].partition(":")[0])
        if dialect == "bedrock-converse":
            scene = unquote(seen.path.split("/")[2])
        streamed = bool(body.get("stream")) or "tream" in seen.path.rpartition("/")[2]
        if seen.path.endswith("/count_tokens"):
            return whole(200, _counted())
        if scene.isdecimal():
            return refusal(dialect, int(scene))
        if scene == "too-long":
            return too_long(dialect)
        if scene == "calls" and results(dialect, body):
            scene = "text"
        return self._scene(dialect, scene, streamed)

    def _scene(self, dialect: str, scene: str, streamed: bool) -> Answer:
        told = DIALECTS[dialect]
        if not streamed:
            name = {"text": told.text.recording, "calls": told.calls.recording}.get(scene, told.structured)
            return whole(200, recording(dialect, name))
        name = told.calls_stream.recording if scene == "calls" else told.text_stream.recording
        parts = pieces(dialect, recording(dialect, name))
        middle = until_text(parts, told) if scene != "calls" else len(parts) // 2
        opening = head(200, STREAMS.get(dialect, "text/event-stream"), transfer_encoding="chunked")
        begun = [piece(part) for part in parts[:middle]]
        if scene == "broken":
            return (opening, *begun, self.gate.is_set, piece(broken(dialect)), LAST)
        return (opening, *begun, self.gate.is_set, *(piece(part) for part in parts[middle:]), LAST)


def _counted() -> bytes:
    return cassette("anthropic-messages", "count-tokens").body


def recording(dialect: str, name: str) -> bytes:
    """The bytes that were recorded under this name."""
    written = CASSETTES / dialect / f"{name}.yaml"
    if written.exists():
        reply = yaml.safe_load(written.read_text(encoding="utf-8"))["reply"]
        return json.dumps(reply["json"]).encode() if "json" in reply else reply["text"].encode()
    return cassette("openai-chat-recorded" if dialect == "openai-chat" else dialect, name).body


def until_text(parts: list[bytes], told: Dialect) -> int:
    """Up to where a stream has told some of its text, and not all of it."""
    words = told.text_stream.text[:3].encode()
    return 1 + next(at for at, part in enumerate(parts) if words in part and b"thinking" not in part)


def too_long(dialect: str) -> Answer:
    """The complaint about a prompt that is too long, recorded where there is a recording."""
    if dialect in _TOO_LONG:
        told = cassette(dialect, _TOO_LONG[dialect])
        kind = {"x_amzn_errortype": "ValidationException"} if dialect == "bedrock-converse" else {}
        return whole(told.status, told.body, **kind)
    return whole(400, recording("openai-chat", "context-exceeded-by-words"))


def refusal(dialect: str, status: int) -> Answer:
    """An error of this status with a message that no client may see."""
    anthropic, google, aws, openai = _WORDS[status]
    match dialect:
        case "anthropic-messages":
            return whole(529 if status == 503 else status, {"type": "error", "error": _error(anthropic)})
        case "bedrock-converse":
            return whole(403 if status == 401 else status, {"message": INNER}, x_amzn_errortype=aws)
        case "gemini":
            return whole(status, {"error": {"code": status, "message": INNER, "status": google}})
        case "cohere":
            return whole(status, {"id": "1", "message": INNER})
        case "ollama":
            return whole(status, {"error": INNER})
    return whole(status, {"error": {**_error("some_error"), "code": openai, "param": None}})


def broken(dialect: str) -> bytes:
    """An error inside a stream, as the protocol's reference (or a recording) has it: the service is overloaded."""
    match dialect:
        case "anthropic-messages":
            return _event({"type": "error", "error": _error("overloaded_error")}, "error")
        case "bedrock-converse":
            return exception("serviceUnavailableException", message=INNER)
        case "gemini":
            return _event({"error": {"code": 503, "message": INNER, "status": "UNAVAILABLE"}})
        case "cohere":
            return pieces("cohere", cassette("cohere", "failed-stream").body)[-2]
        case "ollama":
            return json.dumps({"error": INNER}).encode() + b"\n"
        case "openai-responses":
            return pieces(dialect, cassette(dialect, "failed-stream").body)[-1]
    return _event({"error": {**_error("server_error"), "code": 503}})


def _error(kind: str) -> dict[str, Any]:
    return {"type": kind, "message": INNER}


def _event(tree: object, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(tree).encode() + b"\n\n"
