"""A stand-in for a model server: it speaks as much of the protocol as the pages need, and always says the same."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ("It keeps ", "two trains ", "off one track.")
USAGE = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        base = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if self.path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]
            self._send("application/json", _text({"object": "list", "data": data, "model": body["model"]}))
        elif body.get("stream"):
            chunk = {**base, "object": "chat.completion.chunk"}
            events = [{**chunk, "choices": [_choice("delta", {"content": word}, None)]} for word in WORDS]
            events.append({**chunk, "choices": [_choice("delta", {}, "stop")]})
            lines = [*map(_text, events), b"[DONE]"]
            self._send("text/event-stream", b"".join(b"data: %b\n\n" % line for line in lines))
        else:
            choice = _choice("message", {"role": "assistant", "content": "".join(WORDS)}, "stop")
            reply = {**base, "object": "chat.completion", "choices": [choice], "usage": USAGE}
            self._send("application/json", _text(reply))

    def _send(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        """Says nothing."""


def _text(tree: object) -> bytes:
    return json.dumps(tree, separators=(",", ":")).encode()


def _choice(kind: str, content: dict[str, str], finish: str | None) -> dict[str, Any]:
    return {"index": 0, kind: content, "finish_reason": finish}


@contextmanager
def answering() -> Iterator[int]:
    """Its port on the loopback interface, while it answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
