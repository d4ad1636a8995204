"""The transports against byte-exact upstreams: how replies end, what is used again, what a cancelled call leaves."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.errors import PrepareError
from engine.executor import transport_http11
from engine.executor.transport import Answer as Whole
from engine.executor.transport import Transport, TransportError, TransportOptions
from engine.executor.transport_http11 import Http11Transport
from engine.executor.transport_httpx import HttpxTransport

from .upstream import LAST, Answer, Do, Script, Upstream, head, piece, until, whole

BOTH = [Http11Transport, HttpxTransport]
#: Seconds within which a connection is closed that nobody needs.
AT_ONCE = 0.1


def play(
    script: Script, scenario: Callable[[Any, Upstream, str], Awaitable[None]], make: Any = Http11Transport
) -> None:
    """Run ``scenario(transport, upstream, url)``; afterwards no connection may be left."""

    async def main() -> None:
        async with Upstream(one=script) as upstream:
            transport: Transport = make(TransportOptions(2.0))
            try:
                await scenario(transport, upstream, f"http://127.0.0.1:{upstream.port}/one/v1/chat")
            finally:
                await transport.close()
            await until(lambda: not upstream.connections)

    asyncio.run(main())


async def send(transport: Transport, url: str, body: bytes = b"{}") -> Whole:
    return await transport.send("POST", url, [("x-one", "1")], body)


async def read_all(transport: Transport, url: str) -> tuple[int, bytes]:
    answer = await transport.open("POST", url, [], b"{}")
    try:
        parts = []
        while (part := await answer.read()) is not None:
            parts.append(part)
        assert await answer.read() is None
        return answer.status, b"".join(parts)
    finally:
        await answer.close()


PLAIN = head(200, content_length="2") + b"hi"
#: How a reply may be framed; the status, the body, and whether the connection can be used again.
FRAMES: dict[str, tuple[Answer, int, bytes, bool]] = {
    "a length": ((PLAIN,), 200, b"hi", True),
    "no body": ((head(204, None),), 204, b"", True),
    "a length of zero": ((head(500, content_length="0"),), 500, b"", True),
    "chunks": ((head(200, transfer_encoding="chunked"), piece(b"h"), piece(b"i"), LAST), 200, b"hi", True),
    "chunks with extensions and trailers": (
        (head(200, transfer_encoding="chunked"), b"2;x=y\r\nhi\r\n0\r\nx-a: b\r\n\r\n"),
        200,
        b"hi",
        True,
    ),
    "the close": ((head(200), b"hi", Do.CLOSE), 200, b"hi", False),
    "the close, without any body": ((head(200), Do.CLOSE), 200, b"", False),
    "a length, then the close": ((head(200, content_length="2", connection="close") + b"hi",), 200, b"hi", False),
    "HTTP/1.0": ((PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"), Do.CLOSE), 200, b"hi", False),
    "behind 100 and 103": (
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", 0.01, PLAIN),
        200,
        b"hi",
        True,
    ),
    "byte by byte": (tuple(part for at in range(len(PLAIN)) for part in (PLAIN[at : at + 1], 0.001)), 200, b"hi", True),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("make", BOTH)
def test_how_replies_end(name: str, make: Any) -> None:
    answer, status, body, again = FRAMES[name]

    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        got = await send(transport, url)
        assert (got.status, got.body) == (status, body)
        if status != 204 and "content-length" not in name:
            assert got.header("content-type") == "application/json"
        assert got.header("x-nothing") is None
        assert await read_all(transport, url) == (status, body)
        assert len({id(seen.connection) for seen in upstream.seen}) == (1 if again else 2)
        assert upstream.seen[0].headers["x-one"] == "1"
        assert upstream.seen[0].headers["content-length"] == "2"
        assert upstream.seen[0].headers["accept-encoding"] == "identity"
        assert upstream.seen[0].headers["user-agent"] == "interlock"

    play(answer, scenario, make)


BROKEN: dict[str, Answer] = {
    "nothing": (Do.CLOSE,),
    "a reset": (Do.RESET,),
    "half a head": (b"HTTP/1.1 200 OK\r\ncontent-", Do.CLOSE),
    "half a body": (head(200, content_length="9") + b"hi", Do.CLOSE),
    "half a chunk": (head(200, transfer_encoding="chunked"), b"9\r\nhi", Do.CLOSE),
    "no last chunk": (head(200, transfer_encoding="chunked"), piece(b"hi"), Do.CLOSE),
    "a reset in the body": (head(200), b"hi", 0.05, Do.RESET),
    "another protocol": (b"220 mail.example ESMTP\r\n",),
    "another protocol, agreed": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",),
    "headers without end": (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000, Do.STALL),
}


@pytest.mark.parametrize("name", BROKEN)
def test_replies_that_break(name: str) -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        for ask in (send, read_all):
            with pytest.raises(TransportError) as caught:
                await ask(transport, url)
            assert (caught.value.kind, bool(caught.value.detail)) == ("connection", True)
            await until(lambda: not upstream.connections)

    play(BROKEN[name], scenario)


def test_what_is_read_before_a_break_is_not_lost() -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        answer = await transport.open("POST", url, [], b"")
        assert (answer.status, await answer.read()) == (200, b"hi")
        with pytest.raises(TransportError, match="too early"):
            await answer.read()
        await answer.close()

    play((head(200, transfer_encoding="chunked"), piece(b"hi"), Do.CLOSE), scenario)


@pytest.mark.parametrize(
    "answer",
    [(Do.STALL,), (b"HTTP/1.1 200 OK\r\n", Do.STALL), (head(200, content_length="9") + b"hi", Do.STALL)],
    ids=["before the head", "in the head", "in the body"],
)
@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("ask", [send, read_all])
def test_a_cancelled_call_closes_its_connection(answer: Answer, make: Any, ask: Any) -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        call = asyncio.create_task(ask(transport, url))
        await until(lambda: upstream.seen)
        await asyncio.sleep(0.02)
        call.cancel()
        assert await until(lambda: upstream.seen[0].left) < AT_ONCE * 5
        assert call.cancelled()

    play(answer, scenario, make)


@pytest.mark.parametrize("make", BOTH)
def test_a_stream_that_is_closed_early_closes_its_connection(make: Any) -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        answer = await transport.open("POST", url, [], b"")
        assert await answer.read() == b"hi"
        await answer.close()
        assert await until(lambda: upstream.seen[0].left) < AT_ONCE * 5

    play((head(200, transfer_encoding="chunked"), piece(b"hi"), Do.STALL), scenario, make)


def test_connections_are_shared_and_none_twice_at_once() -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        for _ in range(3):
            await asyncio.gather(*(send(transport, url) for _ in range(10)))
        assert len(upstream.seen) == 30
        assert len(upstream.connections) == 10

    play((0.02, PLAIN), scenario)


def test_a_connection_that_the_upstream_closed_is_not_used_again() -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        for _ in range(3):
            assert (await send(transport, url)).body == b"hi"
            await asyncio.sleep(0.05)
        assert len({id(seen.connection) for seen in upstream.seen}) == 3

    play((PLAIN, 0.01, Do.CLOSE), scenario)


def test_a_connection_that_idled_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        await send(transport, url)
        await asyncio.sleep(0.05)
        await send(transport, url)
        assert len({id(seen.connection) for seen in upstream.seen}) == 2

    monkeypatch.setattr(transport_http11, "IDLE", 0.01)
    play((PLAIN,), scenario)


def test_what_a_burst_has_left_behind_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        await asyncio.gather(*(send(transport, url) for _ in range(10)))
        assert len(upstream.connections) == 10
        for _ in range(10):
            await asyncio.sleep(0.03)
            await send(transport, url)
        await until(lambda: len(upstream.connections) == 1)

    monkeypatch.setattr(transport_http11, "IDLE", 0.05)
    play((0.02, PLAIN), scenario)


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\n\r\n", b"nonsense"])
def test_a_connection_that_says_more_than_it_was_asked_is_not_used_again(more: bytes) -> None:
    """Else the rest would be read as the answer to somebody else's request."""

    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        for _ in range(2):
            assert (await send(transport, url)).body == b"hi"
        assert len({id(seen.connection) for seen in upstream.seen}) == 2

    play((PLAIN + more,), scenario)


def test_a_stream_nobody_reads_is_not_read_ahead_for_ever() -> None:
    block = b"x" * 65536

    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        answer = await transport.open("POST", url, [], b"")
        await asyncio.sleep(0.1)
        (connection,) = upstream.connections
        assert connection.unsent() > 32 * 1024 * 1024
        size = 0
        while (part := await answer.read()) is not None:
            assert len(part) < 4 * transport_http11.AHEAD
            size += len(part)
        assert size == 1000 * len(block)
        await answer.close()

    play((head(200, transfer_encoding="chunked"), *[piece(block)] * 1000, LAST), scenario)


def test_a_reply_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        with pytest.raises(TransportError, match="larger than 100000 bytes"):
            await send(transport, url)

    monkeypatch.setattr(transport_http11, "MAX_BODY", 100_000)
    play((head(200), *[b"x" * 60_000] * 3, Do.STALL), scenario)


def test_a_large_request_arrives_whole_and_an_early_reply_is_read() -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        body = b"x" * 5_000_000
        assert (await send(transport, url, body)).body == b"hi"
        assert upstream.seen[0].raw == body

    play((PLAIN,), scenario)


def test_a_header_that_would_break_out_of_its_line_is_not_sent() -> None:
    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        with pytest.raises(TransportError, match="line break"):
            await transport.send("POST", url, [("authorization", "Bearer x\r\nx-evil: 1")], b"")
        assert upstream.seen == []

    play((PLAIN,), scenario)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_an_address_that_cannot_be_reached(host: str) -> None:
    async def main() -> None:
        transport = Http11Transport(TransportOptions(5.0))
        with pytest.raises(TransportError) as caught:
            await transport.send("POST", f"http://{host}:9/v1", [], b"")
        assert caught.value.kind == "connection"

    asyncio.run(main())


def test_ipv6_and_the_host_header() -> None:
    async def main() -> None:
        seen: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(PLAIN)
            writer.close()

        server = await asyncio.start_server(answer, "::1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = Http11Transport(TransportOptions(2.0))
        assert (await transport.send("GET", f"http://[::1]:{port}?a=b", [], b"")).body == b"hi"
        assert seen[0].startswith(b"GET /?a=b HTTP/1.1\r\nhost: [::1]:%d\r\n" % port)
        await transport.close()
        server.close()

    with socket.socket(socket.AF_INET6) as probe:
        if probe.connect_ex(("::1", 9)) not in (0, 111):
            pytest.skip("this machine has no IPv6 loopback")
    asyncio.run(main())


# -- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for ``localhost`` that nobody trusts, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*made, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
    (folder / "both").write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return folder


@asynccontextmanager
async def tls_server(certificate: Path) -> Any:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "both")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(whole(200, {"secure": True})[0])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize("make", BOTH)
def test_a_certificate_counts_only_if_it_is_trusted_and_for_this_host(certificate: Path, make: Any) -> None:
    ca = (certificate / "cert").read_bytes()

    async def main() -> None:
        async with tls_server(certificate) as port:
            trusting, usual = make(TransportOptions(5.0, None, ca)), make(TransportOptions(5.0))
            assert (await trusting.send("GET", f"https://localhost:{port}/", [], b"")).body == b'{"secure": true}'
            for transport, host in ((usual, "localhost"), (trusting, "127.0.0.1")):
                with pytest.raises(TransportError) as caught:
                    await transport.send("GET", f"https://{host}:{port}/", [], b"")
                assert caught.value.kind == "connection"
                assert "certificate" in caught.value.detail.lower()
            await trusting.close()
            await usual.close()

    asyncio.run(main())


@pytest.mark.parametrize("make", BOTH)
def test_a_file_of_certificates_without_any_is_found_before_it_serves(make: Any) -> None:
    for text in (b"nothing of that kind", b"\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(PrepareError, match="ca_file"):
            make(TransportOptions(2.0, None, text))


def test_many_calls_leave_nothing_behind() -> None:
    """300 calls that are answered, or break, or never end."""
    kinds: list[Answer] = [(0.05, PLAIN), (Do.STALL,), (0.01, Do.RESET), (PLAIN,)]

    async def scenario(transport: Transport, upstream: Upstream, url: str) -> None:
        calls = [asyncio.create_task(send(transport, url)) for _ in range(300)]
        await until(lambda: sum(call.done() for call in calls) == 225)  # all but those that never end
        for call in calls:
            call.cancel()
        ends = [type(end) for end in await asyncio.gather(*calls, return_exceptions=True)]
        assert set(ends) == {Whole, TransportError, asyncio.CancelledError}
        assert (await send(transport, url)).status == 200
        await until(lambda: len(upstream.connections) == ends.count(Whole))

    play([kinds[at % 4] for at in range(300)] + [(PLAIN,)], scenario)
