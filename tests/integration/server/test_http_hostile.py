"""What no well-behaved client sends: each gets a clear answer in bounded time, and the server goes on serving."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from .harness import PATIENCE, Answer, Server, chat_body, request

CLOSE = b"Connection: close"
CHUNKED = b"Transfer-Encoding: chunked"
JAVA = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAA")
OK = chat_body()
BIG = chat_body(pad="x" * 100_000)
MANY = b",".join(b'"k%d":"v"' % i for i in range(4000))


def chunked(body: bytes, after: bytes = b"") -> bytes:
    return b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, after)


def body(data: bytes) -> bytes:
    """A request of this body."""
    return request(data, CLOSE)


def deep(levels: int) -> bytes:
    """A body of so many levels."""
    return body(chat_body(x=json.loads("[" * (levels - 1) + "]" * (levels - 1))))


def header(line: bytes) -> bytes:
    """A request with this header."""
    return request(OK, line, CLOSE)


@dataclass
class Case:
    """``wanted`` are the statuses of the answers in order; ``says`` is in the last one's message."""

    sent: bytes
    wanted: tuple[int, ...]
    code: str = ""
    says: str = ""
    half_close: bool = False


def malformed(sent: bytes) -> Case:
    return Case(sent, (400,), "malformed_http", "not a well-formed HTTP/1.1 request")


def invalid(sent: bytes, says: str) -> Case:
    return Case(sent, (400,), "invalid_request", says)


def fine(sent: bytes) -> Case:
    return Case(sent, (200,))


def large_head(sent: bytes) -> Case:
    return Case(sent, (431,), "headers_too_large", "larger than 65536 bytes")


META, DEADLINE = "x-interlock-metadata must be a JSON object", "x-interlock-deadline must be seconds"
HTTP = {
    "a huge header": large_head(request(OK, b"X: " + b"a" * 200_000)),
    "a header just too large": large_head(request(OK, b"X: " + b"a" * 65_536)),
    "a huge URL": large_head(request(OK, path=b"/v1/" + b"a" * 200_000)),
    "20,000 headers": large_head(request(OK, *(b"X%d: a" % i for i in range(20_000)))),
    "headers without end": large_head(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000),
    "chunks without sizes": malformed(request(b"zzzz\r\nhello\r\n", CHUNKED, length=False)),
    "a length and chunks": malformed(request(b"0\r\n\r\n", CHUNKED)),
    "chunks, then a length": malformed(request(b"0\r\n\r\n", CHUNKED, b"Content-Length: 5", length=False)),
    "another transfer coding": malformed(request(b"0\r\n\r\n", b"Transfer-Encoding: gzip", length=False)),
    "chunked is not the last coding": malformed(request(b"0\r\n\r\n", b"Transfer-Encoding: chunked, x", length=False)),
    "two lengths": malformed(request(OK, b"Content-Length: 3")),
    "two lengths that agree": malformed(request(OK, b"Content-Length: %d" % len(OK))),
    "a length with a sign": malformed(request(OK, b"Content-Length: +5", length=False)),
    "a length that is negative": malformed(request(OK, b"Content-Length: -5", length=False)),
    "a length that is empty": malformed(request(OK, b"Content-Length: ", length=False)),
    "a length in hex": malformed(request(OK, b"Content-Length: 0x10", length=False)),
    "a length beyond 64 bits": malformed(request(OK, b"Content-Length: " + b"9" * 50, length=False)),
    "a space before the colon": malformed(header(b"X-Y : z")),
    "a folded header": malformed(header(b"X: y\r\n  z")),
    "bare line feeds": malformed(header(b"X: y").replace(b"\r\n", b"\n")),
    "a NUL in a header": malformed(header(b"X: a\0b")),
    "a NUL in the URL": malformed(request(OK, path=b"/v1/\0")),
    "a CR in the request id": malformed(header(b"X-Request-Id: a\rb")),
    "a control character in the request id": malformed(header(b"X-Request-Id: a b\x01")),
    "an unknown method": malformed(request(b"", CLOSE, method=b"BREW")),
    "HTTP/2 without asking": malformed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/3.0": malformed(request(OK).replace(b"HTTP/1.1", b"HTTP/3.0")),
    "TLS": malformed(bytes.fromhex("16030100a5010000a10303") + bytes(150)),
    "a length that is too short": Case(request(OK, b"Content-Length: 5", length=False), (400, 400), "malformed_http"),
    "a length of 100 MB": Case(
        request(b"", b"Content-Length: 100000000", length=False), (413,), "request_too_large", "limits.body"
    ),
    "25 MB in chunks": Case(
        request(chunked(b"x" * 25_000_000), CHUNKED, length=False), (413,), "request_too_large", "limits.body"
    ),
    "half a head": Case(request(OK)[:30], (), half_close=True),
    "half a body": Case(request(OK)[:-5], (), half_close=True),
    "gone before the answer": Case(request(OK), (), half_close=True),
}
PROTOCOL = {
    "HTTP/0.9": Case(b"GET /\r\n\r\n", (404,), "not_found"),
    "HTTP/1.0": fine(request(OK).replace(b"HTTP/1.1", b"HTTP/1.0")),
    "CONNECT": Case(b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", (405,), "method_not_allowed"),
    "the absolute form": fine(request(OK, CLOSE, path=b"http://x/v1/chat/completions")),
    "a path with escapes": fine(request(OK, CLOSE, path=b"/v1/chat%2Fcompletions")),
    "a path with odd escapes": Case(
        request(b"", CLOSE, path=b"/v1/models/%ff%00%0d%0a", method=b"GET"), (404,), "model_not_found"
    ),
    "20 requests at once": Case(request(OK) * 19 + request(OK, CLOSE), (200,) * 20),
    "bad bodies at once": Case(request(b"[]") * 30 + request(b"1", CLOSE), (400,) * 31, "invalid_request"),
    "garbage after a request": Case(request(OK) + b"garbage\r\n\r\n", (200, 400), "malformed_http"),
    "garbage after two requests": Case(request(OK) * 2 + b"garbage\r\n\r\n", (200, 200, 400), "malformed_http"),
    "garbage after the last request": fine(request(OK, CLOSE) + b"garbage\r\n\r\n"),
    "a large body, then half a head": Case(request(BIG) + request(OK)[:20], (200,), half_close=False),
    "expecting 100": Case(request(OK, b"Expect: 100-continue", CLOSE), (100, 200)),
    "expecting 100 behind another": Case(request(OK) + request(OK, b"Expect: 100-continue", CLOSE), (200, 200)),
    "a WebSocket": fine(
        request(b"", b"Connection: Upgrade, close", b"Upgrade: websocket", method=b"GET", path=b"/healthz")
    ),
    "HTTP/2 by upgrade": fine(request(OK, b"Connection: close", *JAVA)),
    "HTTP/2 by upgrade, then more": Case(request(OK, *JAVA) * 2 + request(OK, CLOSE), (200, 200, 200)),
    "a bad body with an upgrade": Case(
        request(b"[]", *JAVA) + request(b"", CLOSE), (400, 400), "invalid_request", "The body is empty"
    ),
    "a large body with an upgrade": Case(
        request(b"", *JAVA, b"Content-Length: 100000000", length=False), (413,), "request_too_large"
    ),
    "trailers": fine(request(chunked(OK, b"X-A: b\r\n"), CHUNKED, CLOSE, length=False)),
    "trailers after much": fine(request(chunked(BIG, b"X-A: b\r\n"), CHUNKED, CLOSE, length=False)),
    "no such path": Case(request(b"", CLOSE, path=b"/v1/nothing"), (404,), "not_found"),
    "a path without /v1": Case(request(OK, CLOSE, path=b"/chat/completions"), (404,), says="did you mean /v1/chat"),
    "GET": Case(request(b"", CLOSE, method=b"GET"), (405,), "method_not_allowed", "Send POST"),
    "OPTIONS": Case(request(b"", CLOSE, method=b"OPTIONS"), (405,), "method_not_allowed"),
}
BODIES = {
    "a value that is not UTF-8": invalid(body(OK.replace(b"hello", b"\xff\xfe")), "not valid UTF-8"),
    "a model that is not UTF-8": invalid(body(b'{"model":"\xff","messages":[]}'), "not valid UTF-8"),
    "a name that is not UTF-8": invalid(body(b'{"\xff":1,"model":"chat","messages":[]}'), "not valid UTF-8"),
    "half a surrogate pair": invalid(body(OK.replace(b"hello", b"\\ud83d")), "not valid JSON"),
    "half a surrogate pair as the model": invalid(body(b'{"model":"\\ud83d","messages":[]}'), "not valid JSON"),
    "100 levels": fine(deep(100)),
    "101 levels": invalid(deep(101), "at most 100 levels"),
    "100,000 levels": invalid(deep(900).replace(b"[[", b"[" * 100_000).replace(b"]]", b"]" * 100_000), "nested too"),
    "100,000 levels that never end": invalid(body(b'{"a":' + b"[" * 100_000), "The body is"),
    "nothing": invalid(body(b""), "The body is empty"),
    "an array": invalid(body(b"[]"), "must be a JSON object"),
    "a number": invalid(body(b"1"), "must be a JSON object"),
    "a string": invalid(body(b'"x"'), "must be a JSON object"),
    "null": invalid(body(b"null"), "must be a JSON object"),
    "half of JSON": invalid(body(OK[:-5]), "not valid JSON"),
    "two models": fine(body(b'{"model":"nope","model":"chat","messages":[]}')),
    "no model": invalid(body(b'{"messages":[]}'), "You must provide a 'model'"),
    "a number for a model": invalid(body(b'{"model":1,"messages":[]}'), "'model' must be a string"),
    "a word for stream": invalid(body(chat_body(stream="yes")), "'stream' must be true or false"),
    "no messages": invalid(body(b'{"model":"chat"}'), "'messages' must be an array"),
    "a number too large in an image": fine(
        body(b'{"model":"chat","messages":[{"content":[{"type":"image_url","n":1e999}]}]}')
    ),
    "a number too large in a format": fine(body(OK[:-1] + b',"response_format":{"type":"json_schema","x":1e999}}')),
    "a number too large in options": fine(body(OK[:-1] + b',"stream":true,"stream_options":{"a":1e999}}')),
}
HEADERS = {
    "a request id of our own": fine(header(b"X-Request-Id: abc-1")),
    "44 KB of metadata": fine(header(b"X-Interlock-Metadata: {" + MANY + b"}")),
    "metadata in an array": invalid(header(b"X-Interlock-Metadata: []"), META),
    "metadata that ends early": invalid(header(b"X-Interlock-Metadata: {"), META),
    "metadata in metadata": invalid(header(b'X-Interlock-Metadata: {"a":[1]}'), META),
    "a number of 6,000 digits": invalid(header(b'X-Interlock-Metadata: {"a":' + b"1" * 6000 + b"}"), META),
    "metadata that is no text": invalid(header(b"X-Interlock-Metadata: \xff"), META),
    **{f"deadline {text!r}": invalid(header(b"X-Interlock-Deadline: " + text), DEADLINE) for text in
       (b"-1", b"nan", b"inf", b"0", b"1e3", b"soon", b"\xb2", b"1_0", b".", b"ms")},
    **{f"deadline {text.decode()}": fine(header(b"X-Interlock-Deadline: " + text)) for text in
       (b"9" * 400, b"5s", b"5", b"2500ms", b"2.5")},
}  # fmt: skip
CASES = {**HTTP, **PROTOCOL, **BODIES, **HEADERS}
#: Seconds in which each must be over; refusals take one, in which the sender may still read them.
BOUND = 10.0


@dataclass
class Result:
    answers: list[Answer]
    closed: bool
    seconds: float


@pytest.fixture(scope="module")
def results(server: Server) -> Iterator[dict[str, Result]]:
    """All cases, played at once: most take the second that the server waits before it closes."""

    def play(case: Case) -> Result:
        began = time.monotonic()
        with server.connect() as peer:
            peer.send(case.sent)
            if case.half_close:
                peer.finish()
            answers = peer.answers()
            return Result(answers, peer.closed, time.monotonic() - began)

    with ThreadPoolExecutor(64) as pool:
        yield dict(zip(CASES, pool.map(play, CASES.values()), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_hostile(results: dict[str, Result], name: str) -> None:
    case, result = CASES[name], results[name]
    assert tuple(answer.status for answer in result.answers) == case.wanted
    assert result.closed or name == "a large body, then half a head"
    assert result.seconds < BOUND
    for answer in result.answers:
        if answer.status >= 400:
            error = answer.error()
            assert error["type"] == "invalid_request_error"
            assert answer.headers["x-should-retry"] == "false"
            assert len(error["message"]) < 400
    if case.code:
        assert error["code"] == case.code
    if case.says:
        assert case.says in error["message"]


def test_the_server_is_healthy_after_all_that(results: dict[str, Result], server: Server) -> None:
    server.assert_healthy()
    assert "interlock.server: serving" in server.stderr
    assert not [line for line in server.stderr.splitlines() if " INFO " not in line]


def test_the_answer_is_streamed_to_a_client_without_chunks(server: Server) -> None:
    (answer,) = server.raw(request(chat_body(stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert answer.headers["connection"] == "close"
    assert "transfer-encoding" not in answer.headers
    assert answer.rest.endswith(b"data: [DONE]\n\n")


def test_garbage_behind_a_request_that_takes_long_does_not_cut_its_answer_off(server: Server, upstream: object) -> None:
    """The refusal waits its turn."""
    with server.connect() as peer:
        peer.send(request(chat_body(model="slow")) + b"garbage\r\n\r\n")
        time.sleep(1.3)  # a refused sender is listened to for a second
        upstream.gate.set()
        assert [answer.status for answer in peer.answers()] == [200, 400]


def test_two_hundred_connections_that_say_nothing_are_no_burden(server: Server) -> None:
    peers = [server.connect() for _ in range(200)]
    try:
        peers[0].send(b"POST /v1/chat/completions HTTP/1.1\r\n")
        began = time.monotonic()
        server.assert_healthy()
        assert time.monotonic() - began < PATIENCE / 4
    finally:
        for peer in peers:
            peer.socket.close()
