"""Clients that leave, at every moment, and clients that do not read what they are sent."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from engine.server import http11

from .gateway import Gateway, chat, play, read_head
from .upstream import DONE, START, STOP, Answer, Do, Upstream, chunk, head, piece, served, stream, until

#: Seconds within which an upstream must be told that its client has left.
AT_ONCE = 0.1
#: The same through another server's protocol, which is asked only now and then.
SOON = 0.2

#: What the upstream is at when the client leaves, whether streamed, and whether the client has read something before.
MOMENTS: dict[str, tuple[Answer, bool, bool]] = {
    "unstreamed, before the headers": ((Do.STALL,), False, False),
    "unstreamed, in the body": ((head(200, content_length="99") + b"{", Do.STALL), False, False),
    "streamed, before the headers": ((Do.STALL,), True, False),
    "streamed, before the first output": (stream(START, Do.STALL), True, False),
    "streamed, in the output": (stream(START, chunk("x"), Do.STALL), True, True),
    "streamed, in a flow of output": (
        stream(START, *[part for _ in range(1000) for part in (chunk("x"), 0.01)]),
        True,
        True,
    ),
    "while it waits to try again": (
        (head(503, content_length="0", retry_after="30") + b"",),
        False,
        False,
    ),
}


@pytest.mark.parametrize("asgi", [False, True])
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("name", MOMENTS)
def test_the_upstream_is_told_at_once(tmp_path: Path, name: str, how: str, asgi: bool) -> None:
    answer, streamed, reads = MOMENTS[name]

    waits = "again" in name

    async def leave(gateway: Gateway, upstream: Upstream) -> float:
        """Seconds from a client's departure to the upstream's notice of it."""
        reader, writer = await gateway.send(chat(streamed))
        if reads:
            assert (await read_head(reader)).status == 200
            await reader.readuntil(b"\n\n")
        await until(lambda: upstream.seen)
        await asyncio.sleep(0.06)
        if how == "reset":
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        left = time.monotonic()
        await until(lambda: gateway.outcomes)
        if waits:
            return time.monotonic() - left
        await until(lambda: upstream.seen[0].left)
        return (upstream.seen[0].left or 0.0) - left

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for _ in range(3):  # a busy machine may be late once or twice
            upstream.seen.clear()
            gateway.outcomes.clear()
            seconds = await leave(gateway, upstream)
            if seconds < (SOON if asgi else AT_ONCE):
                break
        assert seconds < (SOON if asgi else AT_ONCE)
        outcome = gateway.outcome
        assert (outcome.outcome_class, outcome.code) == ("cancelled", "cancelled")
        assert outcome.status == (200 if reads else 499)
        last = "overloaded" if waits else "cancelled"
        assert [(a.target, a.outcome_class) for a in outcome.attempts] == [("one/m", last)]
        await asyncio.sleep(0.05)
        assert len(upstream.seen) == 1

    fallback = "one/m" if waits else {"fallback": ["one/m", "two/m"]}
    policy = {"retry": {"backoff": {"initial": "0ms", "max": "60s"}}}
    play(tmp_path, scenario, scripts={"one": answer, "two": served(streamed)}, step=fallback, policy=policy, asgi=asgi)


def test_an_answer_that_was_complete_was_served(tmp_path: Path) -> None:
    """A client that closes on reading the end marker has not left early."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        reader, writer = await gateway.send(chat(True))
        await reader.readuntil(DONE)
        writer.transport.abort()
        await until(lambda: gateway.outcomes)
        assert gateway.outcome.outcome_class == "served"

    play(tmp_path, scenario, scripts={"one": stream(START, chunk("x"), STOP, DONE, Do.STALL, end=False)})


@pytest.mark.parametrize("asgi", [False, True])
def test_a_client_that_leaves_while_it_sends(tmp_path: Path, asgi: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for part in (20, -10):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            body = json.dumps(chat()).encode()
            head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
            writer.write((head + body)[:part])
            await asyncio.sleep(0.02)
            writer.close()
            await writer.wait_closed()
            assert await reader.read() == b""
        assert (await gateway.ask()).status == 200
        assert len(upstream.seen) == len(gateway.outcomes) == 1

    play(tmp_path, scenario, scripts={"one": served(False)}, asgi=asgi)


# -- slow readers --------------------------------------------------------------------------------------------------

WORD = "x" * 8000
#: About 80 MB of output, as fast as it is taken.
FLOOD = (head(200, "text/event-stream", transfer_encoding="chunked"), *[piece(chunk(WORD))] * 10_000, b"0\r\n\r\n")


def dawdler(port: int) -> socket.socket:
    """A connection with a small window, on which nobody reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    connection.setblocking(False)
    body = json.dumps(chat(True)).encode()
    connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    return connection


@pytest.mark.parametrize("asgi", [False, True])
def test_a_client_that_does_not_read_holds_the_upstream_back(tmp_path: Path, asgi: bool) -> None:
    """What is under way stays bounded: the rest waits where it comes from."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        with dawdler(gateway.port):
            await until(lambda: upstream.seen)
            (connection,) = upstream.connections
            await asyncio.sleep(0.5)
            unsent = connection.unsent()
            assert unsent > 60_000_000
            await asyncio.sleep(0.2)
            assert connection.unsent() == unsent
            assert gateway.outcomes == []
        await until(lambda: gateway.outcomes)
        assert gateway.outcome.outcome_class == "cancelled"

    play(tmp_path, scenario, scripts={"one": FLOOD}, asgi=asgi)


def test_a_client_that_never_reads_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        with dawdler(gateway.port):
            await until(lambda: gateway.outcomes)
            assert gateway.outcome.outcome_class == "cancelled"
            await until(lambda: not upstream.connections)

    monkeypatch.setattr(http11, "IDLE", 0.2)
    play(tmp_path, scenario, scripts={"one": FLOOD})


def test_a_client_that_asks_and_asks_and_never_reads_is_not_answered_into_memory(tmp_path: Path) -> None:
    large = served(False, "x" * 50_000)

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        with dawdler(gateway.port) as connection:
            body = json.dumps(chat()).encode()
            request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                try:
                    connection.send(request * 20)
                except BlockingIOError:
                    await asyncio.sleep(0.01)
            asked = len(upstream.seen)
            assert asked < 200
            await asyncio.sleep(0.1)
            assert len(upstream.seen) == asked

    play(tmp_path, scenario, scripts={"one": large})


@pytest.mark.parametrize(("sent", "status"), [(b"", None), (b"POST / HTTP/1.1\r\nx: ", 408)])
def test_a_connection_that_says_nothing_more_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes, status: int | None
) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(sent)
        if status is not None:
            got = await read_head(reader)
            assert (got.status, got.headers["connection"]) == (status, "close")
            assert json.loads(await reader.read())["error"]["code"] == "request_timeout"
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    monkeypatch.setattr(http11, "IDLE", 0.2)
    monkeypatch.setattr(http11, "ARRIVAL", 0.1)
    play(tmp_path, scenario, scripts={})


def test_a_connection_serves_one_request_after_the_other(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        kinds: list[tuple[dict[str, Any], Answer]] = [
            (chat(), served(False)),
            (chat(True), served(True)),
            (chat(model="none"), served(False)),
            (chat(True), stream(START, chunk("x"), Do.CLOSE, end=False)),
            (chat(), served(False)),
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        for body, answer in kinds:
            upstream.scripts["one"] = answer
            data = json.dumps(body).encode()
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(data) + data
            )
            got = await read_head(reader)
            assert "connection" not in got.headers
            end = int(got.headers["content-length"]) if "content-length" in got.headers else None
            await (reader.readuntil(b"0\r\n\r\n") if end is None else reader.readexactly(end))
        writer.close()
        assert [o.outcome_class for o in gateway.outcomes] == ["served", "served", "unroutable", "connection", "served"]

    play(tmp_path, scenario, scripts={"one": served(False)})
