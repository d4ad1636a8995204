"""A server process on a configuration folder, and raw connections to it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

REQUEST_ID = re.compile(r"^req_[0-9a-f]{24}$")
#: Seconds within which everything in these tests happens; only a hang takes longer.
PATIENCE = 20.0


class Server:
    """``interlock serve`` as a process, on a free port. ``with`` starts it and, if it still runs, stops it."""

    def __init__(self, config: Path, *options: str, environ: Mapping[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", "engine.cli", "serve", "--config", str(config), "--port", "0", *options]
        self._environ = {**os.environ, **(environ or {})}
        self._log: list[str] = []
        self._out = bytearray()
        self._serving = threading.Event()
        self.client = httpx.Client(timeout=PATIENCE, trust_env=False)
        self.port = 0

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self._command, stdout=pipe, stderr=pipe, env=self._environ)
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read_log, self._read_out)]
        for reader in self._readers:
            reader.start()
        self._serving.wait(PATIENCE)
        if not self.port:
            self.__exit__()
            raise AssertionError(f"the server did not start: {self.stderr}")
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._log.append(line.decode())
            if found := re.search(r"serving \w+ on http://\S+:(\d+)", self._log[-1]):
                self.port = int(found[1])
                self._serving.set()
        self._serving.set()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        with suppress(ValueError, OSError):  # closed by us
            while data := os.read(self.process.stdout.fileno(), 65536):
                self._out += data

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit status, once the process has ended and everything it wrote is here."""
        status = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return status

    def close_stdout(self) -> None:
        """Be a reader of the log that ends."""
        assert self.process.stdout is not None
        self.process.stdout.close()

    def stop(self) -> int:
        """End it in an orderly way."""
        self.signal(signal.SIGTERM)
        return self.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stderr(self) -> str:
        return "".join(self._log)

    @property
    def stdout(self) -> str:
        return self._out.decode()

    def access_lines(self) -> list[dict[str, Any]]:
        """The access log so far; every line must be JSON."""
        whole = self.stdout[: self.stdout.rfind("\n") + 1]
        return [json.loads(line) for line in whole.splitlines()]

    def line(self, request_id: str) -> dict[str, Any]:
        """The access log's line of this request, once it is written."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := [line for line in self.access_lines() if line["request_id"] == request_id]:
                (line,) = found
                return line
            time.sleep(0.02)
        raise AssertionError(f"no line of {request_id}: {self.stdout}")

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(self.url + path, headers=_dashed(headers))

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.post(self.url + path, json=body, headers=_dashed(headers))

    def chat(self, model: str = "chat", **headers: str) -> httpx.Response:
        return self.post("/v1/chat/completions", {"model": model, "messages": HELLO}, **headers)

    def raw(self, data: bytes) -> list[Answer]:
        """Send bytes on a connection of their own; the answers that come until the server closes or falls silent."""
        with self.connect() as peer:
            peer.send(data)
            return peer.answers()

    def connect(self) -> Peer:
        return Peer(socket.create_connection(("127.0.0.1", self.port), PATIENCE))

    def assert_healthy(self) -> None:
        """It serves, and nothing it did not expect has happened."""
        assert self.get("/healthz").status_code == 200
        assert self.chat().status_code == 200
        assert "Traceback" not in self.stderr, self.stderr


@dataclass
class Answer:
    """One HTTP answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes = b""
    """What followed until the close, where nothing says how long the body is."""

    def error(self) -> dict[str, Any]:
        """The error in it, which must have OpenAI's shape and the headers of every reply."""
        tree = json.loads(self.body)
        assert set(tree) == {"error"}
        error: dict[str, Any] = tree["error"]
        assert set(error) == {"message", "type", "code", "param"}
        assert isinstance(error["message"], str)
        assert error["message"].isprintable()
        assert error["type"]
        assert self.headers["content-type"] == "application/json"
        assert self.headers["x-request-id"]
        assert self.headers["x-interlock-graph"]
        return error


class Peer:
    """A raw connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._buffer = b""
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send as much as the server takes: it may refuse and close in the middle."""
        try:
            self.socket.sendall(data)
        except OSError:
            self.closed = True

    def finish(self) -> None:
        """Close the sending half, as a client does that leaves."""
        self.socket.shutdown(socket.SHUT_WR)

    def answer(self, *, head: bool = False) -> Answer | None:
        """The next answer; ``None`` if the server closes, or says nothing for a while."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive():
                return None
        top, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) if ": " in line else (line, "") for line in lines)
        status = int(first.split()[1])
        if status < 200:
            return Answer(status, headers, b"")
        length = int(headers.get("content-length", 0))
        if "transfer-encoding" in headers:
            return Answer(status, headers, self._chunked())
        while len(self._buffer) < length and not head:
            if not self._receive():
                break
        if "content-length" not in headers and headers.get("connection") == "close":
            while self._receive():
                pass
            rest, self._buffer = self._buffer, b""
            return Answer(status, headers, b"", rest)
        body, self._buffer = (b"", self._buffer) if head else (self._buffer[:length], self._buffer[length:])
        return Answer(status, headers, body)

    def _chunked(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._buffer:
                assert self._receive()
            size, _, rest = self._buffer.partition(b"\r\n")
            while len(rest) < int(size, 16) + 2:
                assert self._receive()
                rest = self._buffer.partition(b"\r\n")[2]
            body += rest[: int(size, 16)]
            self._buffer = rest[int(size, 16) + 2 :]
            if int(size, 16) == 0:
                return body

    def answers(self) -> list[Answer]:
        """Every answer until the server closes or falls silent."""
        found = []
        while (answer := self.answer()) is not None:
            found.append(answer)
        return found

    def _receive(self, patience: float = 2.5) -> bool:
        self.socket.settimeout(patience)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        self._buffer += data
        self.closed = self.closed or not data
        return bool(data)

    def wait_closed(self) -> bool:
        """Whether the server closes the connection."""
        end = time.monotonic() + PATIENCE
        while not self.closed and time.monotonic() < end:
            self._receive()
        return self.closed


HELLO = [{"role": "user", "content": "hello"}]


def request(
    body: bytes, *headers: bytes, path: bytes = b"/v1/chat/completions", length: bool = True, method: bytes = b"POST"
) -> bytes:
    """The text of a request."""
    lines = [b"%b %b HTTP/1.1" % (method, path), b"Host: x", b"Content-Type: application/json", *headers]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def wait_for(holds: Callable[[], object]) -> None:
    """Wait until ``holds``."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def is_refused(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def settings(**fields: object) -> str:
    """A settings document."""
    return json.dumps({"version": 1, "kind": "settings", "name": "server", **fields}) + "\n"


def chat_body(**fields: Any) -> bytes:
    return json.dumps({"model": "chat", "messages": HELLO, **fields}).encode()


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
