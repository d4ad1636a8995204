"""Complaints 8 to 15 and 20: what a failure leads to, and what clients are told of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..gateway import Gateway, chat, play
from ..upstream import (
    DONE,
    START,
    STOP,
    Answer,
    Do,
    Upstream,
    chunk,
    completion,
    error,
    event,
    served,
    stream,
    whole,
)

BOTH = {"fallback": ["one/m", "two/m"]}
ONCE: dict[str, Any] = {"retry": {"per_target": 1}}
LIMITED = event({"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}})

# -- 9: three layers that retry, of which nobody knows the others -----------------------------------------------------


@pytest.mark.parametrize("answer", [(Do.RESET,), (Do.CLOSE,), error(500), error(503), error(429)], ids=repr)
@pytest.mark.parametrize("streamed", [False, True])
def test_09_what_the_records_call_an_attempt_is_one_request_on_the_wire(
    tmp_path: Path, answer: Answer, streamed: bool
) -> None:
    """On fresh connections and on kept ones: below the planner nothing tries again."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        upstream.scripts["one"] = served(streamed)
        assert (await gateway.ask(chat(streamed))).status == 200  # a connection that is kept
        upstream.scripts["one"] = answer
        for _ in range(3):
            got = await gateway.ask(chat(streamed))
            assert got.status >= 429
        attempts = sum(len(outcome.attempts) for outcome in gateway.outcomes)
        assert len(upstream.seen) == attempts
        assert attempts <= 1 + 3 * 2

    play(tmp_path, scenario, scripts={"one": answer})


@pytest.mark.parametrize("status", [400, 401, 402, 404])
def test_09_official_clients_are_told_not_to_try_again_what_is_final(tmp_path: Path, status: int) -> None:
    """They would otherwise multiply our retries by theirs."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).headers["x-should-retry"] == "false"

    play(tmp_path, scenario, scripts={"one": error(status)})


# -- 10: a stream that is cut, stalls or holds an odd line gets no fallback -------------------------------------------

#: Lines that services send to keep a connection open, well formed and not.
ODD_LINES = {
    "a comment": b": keep-alive\n\n",
    "a bare colon": b":\n\n",
    "blank lines": b"\n\n\n",
    "a ping without data": b"event: ping\n\n",
    "empty data": b"data:\n\n",
    "a retry field": b"retry: 1000\n\n",
    "an id": b"id: 7\n\n",
    "a field nobody knows": b"keepalive\n\n",
    "an unknown field with a value": b"x-queue: 3\n\n",
    "carriage returns": b": hi\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD_LINES)
def test_10_an_odd_line_to_keep_alive_does_not_end_a_stream(tmp_path: Path, name: str) -> None:
    line = ODD_LINES[name]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.status, got.clean) == (200, True)
        assert got.body.endswith(DONE)
        assert b'"x"' in got.body
        assert b'"y"' in got.body
        assert gateway.outcome.outcome_class == "served"
        assert upstream.calls("two") == 0

    answer = stream(line, START, line, chunk("x"), line, chunk("y"), line, STOP, line, DONE)
    play(tmp_path, scenario, scripts={"one": answer, "two": served(True)}, step=BOTH)


#: What goes wrong before the first output.
EARLY: dict[str, tuple[Any, ...]] = {
    "cut": (START, Do.CLOSE),
    "reset": (START, Do.RESET),
    "stalled": (START, Do.STALL),
    "ended": (START,),
    "a bad line": (START, b"data: {nonsense\n\n"),
    "an error event": (START, event({"error": {"message": "x", "type": "server_error"}})),
    "a limit inside": (START, LIMITED),
}


@pytest.mark.parametrize("name", EARLY)
def test_10_before_the_first_output_every_break_fails_over(tmp_path: Path, name: str) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.status, got.text, got.headers["x-interlock-target"]) == (200, "Hello", "two/m")
        assert got.body.endswith(DONE)
        assert "error" not in repr(got.events)

    policy = {**ONCE, "timeouts": {"first_token": "200ms", "idle": "200ms"}}
    scripts = {"one": stream(*EARLY[name], end=name != "cut"), "two": served(True)}
    play(tmp_path, scenario, scripts=scripts, step=BOTH, policy=policy)


# -- 11: half an answer ends as if it were whole ----------------------------------------------------------------------


@pytest.mark.parametrize("ending", [(Do.CLOSE,), (Do.RESET,), ()], ids=["closed", "reset", "ended without a mark"])
def test_11_half_an_answer_is_an_error_and_counts_as_a_failure_of_its_provider(tmp_path: Path, ending: Any) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert got.text == "half"
        assert "error" in got.events[-1]
        assert b"[DONE]" not in got.body
        assert gateway.engine.state.health("one").state == "failing"

    play(tmp_path, scenario, scripts={"one": stream(START, chunk("half"), *ending, end=not ending)})


# -- 12, 13, 14: one front, one protocol or one kind of failure that recovery forgot ----------------------------------

MESSAGES = [{"role": "user", "content": "Hi"}]
FRONTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": MESSAGES}),
    "responses": ("/v1/responses", {"input": "Hi"}),
    "messages": ("/v1/messages", {"messages": MESSAGES, "max_tokens": 50}),
}
CREATED = event(
    {"type": "response.created", "response": {"id": "r", "object": "response", "status": "in_progress", "output": []}}
)


def failed(code: str) -> bytes:
    """The event by which Responses says that it failed."""
    problem = {"code": code, "message": "You exceeded your current quota"}
    response = {"id": "r", "object": "response", "status": "failed", "error": problem, "output": []}
    return event({"type": "response.failed", "response": response})


#: A protocol of the first target, and how it fails after a beginning that looks fine.
FALSE_STARTS: dict[str, tuple[str, Answer, str]] = {
    "chat: a limit in the stream": ("openai-chat", stream(START, LIMITED), "rate_limited"),
    "chat: a limit for an answer": ("openai-chat", error(429), "rate_limited"),
    "responses: created, then out of quota": (
        "openai-responses",
        stream(CREATED, event({"type": "error", "code": "insufficient_quota", "message": "You exceeded"})),
        "quota_exhausted",
    ),
    "responses: created, then failed": ("openai-responses", stream(CREATED, failed("server_error")), "server_error"),
    "messages: started, then overloaded": (
        "anthropic-messages",
        stream(
            event(
                {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": []}}
            ),
            event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        ),
        "overloaded",
    ),
}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("name", FALSE_STARTS)
def test_12_13_recovery_is_the_same_behind_every_front(tmp_path: Path, name: str, front: str) -> None:
    """What commits is the first output, not the first byte and not ``response.created``."""
    dialect, answer, outcome = FALSE_STARTS[name]
    path, body = FRONTS[front]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask({"model": "chat", "stream": True, **body}, path)
        assert (got.status, got.headers["x-interlock-target"]) == (200, "two/m")
        assert [attempt.outcome_class for attempt in gateway.outcome.attempts] == [outcome, "served"]
        assert all(b'"%c"' % letter in got.body for letter in b"Helo")
        assert b"quota" not in got.body

    play(
        tmp_path,
        scenario,
        scripts={"one": answer, "two": served(True)},
        step=BOTH,
        policy=ONCE,
        providers={"one": {"dialect": dialect}},
        models={"one": {"max_output": 100}},
    )


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("streamed", [False, True])
def test_14_a_failed_response_is_no_empty_success(tmp_path: Path, front: str, streamed: bool) -> None:
    path, body = FRONTS[front]
    problem = {"code": "server_error", "message": "x"}
    response = {"id": "r", "object": "response", "status": "failed", "error": problem, "output": []}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask({"model": "chat", "stream": streamed, **body}, path)
        assert got.status == 502
        assert gateway.outcome.outcome_class == "server_error"

    answer = stream(CREATED, failed("server_error")) if streamed else whole(200, response)
    play(tmp_path, scenario, scripts={"one": answer}, policy=ONCE, providers={"one": {"dialect": "openai-responses"}})


@pytest.mark.parametrize("streamed", [False, True])
def test_14_a_success_without_any_output_is_a_failure(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed))
        assert got.headers["x-interlock-target"] == "two/m"
        assert [attempt.outcome_class for attempt in gateway.outcome.attempts] == ["garbled", "served"]

    nothing = stream(START, STOP, DONE) if streamed else whole(200, completion(""))
    play(tmp_path, scenario, scripts={"one": nothing, "two": served(streamed)}, step=BOTH)


# -- 15: the prompt is sent again after half an answer; "no fallbacks" is forgotten in the middle ---------------------


@pytest.mark.parametrize("where", ["before output", "in output"])
def test_15_a_client_that_forbids_failover_is_obeyed_in_every_phase(tmp_path: Path, where: str) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True), x_interlock_no_fallback="true")
        assert [seen.account for seen in upstream.seen] == ["one"]
        assert got.status == (502 if where == "before output" else 200)
        assert got.text if where == "in output" else got.error

    output = (chunk("x"),) if where == "in output" else ()
    scripts = {"one": stream(START, *output, b"data: {nonsense\n\n"), "two": served(True)}
    play(tmp_path, scenario, scripts=scripts, step=BOTH)


def test_15_after_output_nothing_is_sent_again_and_nothing_said_twice(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.text, len(upstream.seen)) == ("once", 1)
        assert got.events[-1]["error"]["code"] == "connection"

    play(tmp_path, scenario, scripts={"one": stream(START, chunk("once"), Do.RESET), "two": served(True)}, step=BOTH)


# -- 20: no failover where the name, the connection or the certificate is bad -----------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody trusts, with its key."""
    file = tmp_path_factory.mktemp("certificate") / "self-signed.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", str(file), "-out", str(file) + ".crt"], check=True, capture_output=True)
    file.write_text(file.read_text() + Path(str(file) + ".crt").read_text())
    return file


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "place", ["a name that does not exist", "nobody listens", "a bad certificate", "nobody accepts"]
)
def test_20_what_cannot_be_connected_to_fails_over_without_being_told_to(
    tmp_path: Path, place: str, streamed: bool, certificate: Path
) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        began = asyncio.get_running_loop().time()
        got = await gateway.ask(chat(streamed))
        assert (got.status, got.headers["x-interlock-target"]) == (200, "two/m")
        assert gateway.outcome.attempts[0].outcome_class in ("connection", "timeout")
        assert asyncio.get_running_loop().time() - began < 5.0

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.socket() as closed, socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        closed.bind(("127.0.0.1", 0))
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:  # its backlog is full: further connections get no answer at all
            one.setblocking(False)
            one.connect_ex(full.getsockname())

        async def with_tls(gateway: Gateway, upstream: Upstream) -> None:
            async with await asyncio.start_server(lambda r, w: None, "127.0.0.1", tls_port, ssl=context):
                await scenario(gateway, upstream)

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            tls_port = free.getsockname()[1]
        addresses = {
            "a name that does not exist": "http://no-such-host.invalid/v1",
            "nobody listens": f"http://127.0.0.1:{closed.getsockname()[1]}/v1",
            "a bad certificate": f"https://localhost:{tls_port}/v1",
            "nobody accepts": f"http://127.0.0.1:{full.getsockname()[1]}/v1",
        }
        play(
            tmp_path,
            with_tls if "certificate" in place else scenario,
            scripts={"two": served(streamed)},
            step=BOTH,
            policy={**ONCE, "timeouts": {"connect": "1s"}},
            providers={"one": {"base_url": addresses[place]}},
        )
        for one in crowd:
            one.close()
