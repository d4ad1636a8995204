"""An upstream of many virtual targets, a port each, that fails as it is told and can be told otherwise meanwhile."""

from __future__ import annotations

import asyncio
import math
import random
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from benchmarks.chaos.answers import SERVED, Asked, Do, Fault, Part

TOKEN = b"tok-"
TOKEN_LENGTH = 12


@dataclass(frozen=True)
class Behaviour:
    """How a target answers from now on.

    ``latency`` is the median in seconds before the head, drawn from a log-normal distribution whose spread is
    ``jitter`` (sigma; 0 is always the median). Of ``mix`` each fault has its share of the calls, the rest is served.
    ``every`` (n, fault) lets the request's token decide instead, one in n: it meets the same fate everywhere.
    ``up`` False refuses connections and resets those there are.
    """

    latency: float = 0.02
    jitter: float = 0.0
    mix: tuple[tuple[float, Fault], ...] = ()
    every: tuple[int, Fault] | None = None
    gap: float = 0.002
    up: bool = True

    def but(self, *mix: tuple[float, Fault], **changes: object) -> Behaviour:
        """The same with another mix, and with other fields changed."""
        return replace(self, mix=mix, **changes)  # type: ignore[arg-type]

    def fate(self, token: str, dice: random.Random) -> Fault:
        """What becomes of one call."""
        if self.every is not None:
            chance = int(token[len(TOKEN) :]) * 2_654_435_761 % 2**32
            return self.every[1] if chance % self.every[0] == 0 else SERVED
        drawn = dice.random()
        for share, fault in self.mix:
            if (drawn := drawn - share) < 0:
                return fault
        return SERVED

    def pause(self, dice: random.Random) -> float:
        """Seconds before the head of one answer."""
        return self.latency * math.exp(dice.gauss(0, self.jitter)) if self.jitter else self.latency


@dataclass
class Call:
    """One request as it arrived; times are of ``time.monotonic``. ``left`` is when its client closed before the end."""

    at: float
    token: str
    fate: str
    output: bool = False
    left: float | None = None


@dataclass
class Target:
    """A virtual target: a port of its own, a behaviour, and the calls that it has seen.

    ``count`` is their number, ``calls`` remembers each unless ``remembers`` is False.
    """

    name: str
    behaviour: Behaviour
    dice: random.Random
    tls: ssl.SSLContext | None = None
    port: int = 0
    calls: list[Call] = field(default_factory=list)
    count: int = 0
    remembers: bool = True
    connections: set[_Connection] = field(default_factory=set)
    _server: asyncio.Server | None = None
    _placeholder: socket.socket | None = None

    async def behave(self, behaviour: Behaviour) -> None:
        """Answers so from now on."""
        self.behaviour = behaviour
        if behaviour.up and self._server is None:
            await self._listen()
        elif not behaviour.up and self._server is not None:
            self._refuse()

    async def _listen(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self.port, backlog=1000, ssl=self.tls, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _refuse(self) -> None:
        """Keeps the port, so that nobody else gets it, and refuses whoever connects."""
        assert self._server is not None
        self._server.close()
        self._server = None
        for connection in list(self.connections):
            connection.reset()
        self._placeholder = socket.socket()
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._placeholder.bind(("127.0.0.1", self.port))

    def close(self) -> None:
        """Ends everything under way."""
        if self._server is not None:
            self._server.close()
        if self._placeholder is not None:
            self._placeholder.close()
        for connection in list(self.connections):
            connection.end()


class Upstream:
    """Makes targets. A context manager; leaving it ends them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._targets: list[Target] = []

    async def target(self, name: str, behaviour: Behaviour, *, tls: bool = False) -> Target:
        """A new target that listens, or refuses, on a port of its own. Its dice fall by its name alone."""
        made = Target(name, behaviour, random.Random(name), _self_signed(self._folder) if tls else None)
        await made.behave(replace(behaviour, up=True))
        await made.behave(behaviour)
        self._targets.append(made)
        return made

    async def __aenter__(self) -> Upstream:
        return self

    async def __aexit__(self, *_: object) -> None:
        for target in self._targets:
            target.close()


def _self_signed(folder: Path) -> ssl.SSLContext:
    """A context with a certificate that nobody trusts. Raises ``OSError`` where there is no ``openssl`` command."""
    certificate = folder / "self-signed.pem"
    if not certificate.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
        key = folder / "self-signed.key"
        subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
        certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


class _Connection(asyncio.Protocol):
    """One connection: requests one after the other, each answered as the target behaves at its arrival."""

    _transport: asyncio.Transport

    def __init__(self, target: Target) -> None:
        self._target = target
        self._buffer = b""
        self._call: Call | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._target.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        length = _length(head) if blank else 0
        if not blank or len(rest) < length:
            return
        self._buffer = rest[length:]
        place = rest.find(TOKEN)
        token = rest[place : place + TOKEN_LENGTH].decode() if place >= 0 else "tok-00000000"
        stream = b'"stream":true' in rest or b'"stream": true' in rest or b"streamGenerate" in head
        behaviour, dice = self._target.behaviour, self._target.dice
        fate = behaviour.fate(token, dice)
        self._call = Call(time.monotonic(), token, fate.name)
        self._target.count += 1
        if self._target.remembers:
            self._target.calls.append(self._call)
        parts = fate.parts(Asked(token, stream, behaviour.gap))
        self._later(behaviour.pause(dice), parts)

    def _later(self, seconds: float, parts: Iterator[Part]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._go_on, parts)

    def _go_on(self, parts: Iterator[Part]) -> None:
        for part in parts:
            if isinstance(part, bytes):
                self._transport.write(part)
                continue
            if part is Do.OUTPUT:
                assert self._call is not None
                self._call.output = True
                continue
            if part is Do.RESET:
                self.reset()
            elif part is Do.CLOSE:
                self._call = None
                self._transport.close()
            elif part is not Do.STALL:
                self._later(part, parts)
            return
        self._call = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._call is not None:
            self._call.left = time.monotonic()
        self.end()

    def reset(self) -> None:
        """Ends it with a reset instead of an orderly end."""
        self._call = None
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.end()

    def end(self) -> None:
        """Stops what is under way."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        self._target.connections.discard(self)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0
