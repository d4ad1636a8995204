"""The outcome table, row by row: what the upstream does, what the client sees, what follows, what the records say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine import Outcome

from .gateway import Gateway, Got, chat, environ, play
from .upstream import (
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
    head,
    served,
    stream,
    whole,
)

#: In the messages of upstreams; clients may read it only for the classes marked 400.
WORDS = "the upstream's own words"
INVALID, UP = "invalid_request_error", "upstream_error"


@dataclass
class Row:
    """A class of section 5's table: what a client sees of it, and whether it is tried again, here and elsewhere."""

    status: int
    type: str
    code: str
    again: bool
    onward: bool
    terminal: bool
    shown: bool = False
    waits: bool = False
    """Whether the client is told when to come back."""


ROWS = {
    "invalid_request": Row(400, INVALID, "invalid_request", False, False, True, shown=True),
    "context_exceeded": Row(400, INVALID, "context_length_exceeded", False, True, True, shown=True),
    "content_refused": Row(400, INVALID, "content_filter", False, False, True, shown=True),
    "unauthorized": Row(502, UP, "unauthorized", False, True, True),
    "quota_exhausted": Row(502, UP, "quota_exhausted", False, True, True),
    "model_gone": Row(502, UP, "model_gone", False, True, True),
    "rate_limited": Row(429, "rate_limit_error", "rate_limited", False, True, False, waits=True),
    "overloaded": Row(503, UP, "overloaded", True, True, False, waits=True),
    "server_error": Row(502, UP, "server_error", True, True, False),
    "connection": Row(502, UP, "connection", True, True, False),
    "timeout": Row(504, UP, "timeout", False, True, False),
    "garbled": Row(502, UP, "garbled", False, True, False),
}
#: What upstreams answer, and the class that it is, streamed or not.
ANSWERS: list[tuple[str, Answer]] = [
    ("invalid_request", error(400, WORDS)),
    ("invalid_request", error(422, WORDS)),
    ("invalid_request", error(405, WORDS)),
    ("context_exceeded", error(400, WORDS, "context_length_exceeded")),
    ("context_exceeded", error(413, WORDS, "request_too_large")),
    ("invalid_request", error(413, WORDS)),
    ("content_refused", error(400, WORDS, "content_filter")),
    ("content_refused", error(403, WORDS, "content_policy_violation")),
    ("unauthorized", error(401, WORDS, "invalid_api_key")),
    ("unauthorized", error(403, WORDS)),
    ("quota_exhausted", error(402, WORDS)),
    ("quota_exhausted", error(429, WORDS, "insufficient_quota")),
    ("model_gone", error(404, WORDS)),
    ("model_gone", error(410, WORDS)),
    ("rate_limited", error(429, WORDS)),
    ("overloaded", error(503, WORDS)),
    ("overloaded", error(529, WORDS)),
    ("server_error", error(500, WORDS)),
    ("server_error", error(409, WORDS)),
    ("server_error", whole(502, b"<html>" + WORDS.encode(), "text/html")),
    ("connection", (Do.RESET,)),
    ("connection", (Do.CLOSE,)),
    ("connection", (b"SSH-2.0-OpenSSH_9.6\r\n", Do.CLOSE)),
    ("timeout", error(408, WORDS)),
    ("garbled", whole(302, b"", location="http://127.0.0.1:1/elsewhere")),
]
UNSTREAMED: list[tuple[str, Answer]] = [
    ("timeout", (Do.STALL,)),
    ("timeout", (head(200, content_length="100") + b"{", Do.STALL)),
    ("connection", (head(200, content_length="100") + b"{", Do.CLOSE)),
    ("garbled", whole(200, b"")),
    ("garbled", whole(200, b"<html>" + WORDS.encode(), "text/html")),
    ("garbled", whole(200, {"choices": []})),
    ("garbled", whole(200, completion(""))),
    ("content_refused", whole(200, completion("", finish_reason="content_filter"))),
    ("rate_limited", whole(200, {"error": {"message": WORDS, "code": 429}})),
]
STREAMED: list[tuple[str, Answer]] = [
    ("timeout", stream(START, Do.STALL)),
    ("connection", stream(START, Do.RESET)),
    ("garbled", stream(START)),
    ("garbled", stream(START, b"data: {nonsense\n\n", DONE)),
    ("garbled", stream(START, STOP, DONE)),
    ("content_refused", stream(START, chunk(finish="content_filter"), DONE)),
    ("overloaded", stream(START, event({"error": {"message": WORDS, "type": "overloaded_error"}}))),
    ("rate_limited", whole(200, {"error": {"message": WORDS, "code": "rate_limit_exceeded"}})),
]
BY_MODE = {False: ANSWERS + UNSTREAMED, True: ANSWERS + STREAMED}
CASES = [(name, mode, at) for mode, answers in BY_MODE.items() for at, (name, _) in enumerate(answers)]
LIMITS = {"first_token": "150ms", "attempt": "150ms"}


def check_error(got: Got, row: Row, outcome: Outcome) -> None:
    """The reply is an error of this row, in OpenAI's shape, with the headers of every routed reply."""
    error = got.error
    assert (got.status, error["type"], error["code"]) == (row.status, row.type, row.code)
    assert set(error) == {"message", "type", "code", "param"}
    assert got.headers["content-type"] == "application/json"
    assert got.headers.get("x-should-retry") == ("false" if row.terminal else None)
    assert ("retry-after" in got.headers) == row.waits
    assert got.headers["x-request-id"] == outcome.request_id
    assert got.headers["x-interlock-graph"] == outcome.fingerprint
    assert (got.headers["x-interlock-route"], got.headers["x-interlock-target"]) == (outcome.route, outcome.target)
    assert got.headers["x-interlock-attempts"] == str(len(outcome.attempts))
    assert (WORDS in error["message"] or "filtered" in error["message"]) == row.shown
    assert row.shown or outcome.request_id in error["message"]


@pytest.mark.parametrize(("name", "streamed", "at"), CASES)
def test_a_row_of_the_table(tmp_path: Path, name: str, streamed: bool, at: int) -> None:
    """One target that fails so, then a second one behind it that serves."""
    row, answer = ROWS[name], BY_MODE[streamed][at][1]
    last_resort = name == "rate_limited"

    async def one(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed))
        alone = gateway.outcome
        check_error(got, row, alone)
        tries = 2 if row.again or last_resort else 1
        assert upstream.calls("one") == tries
        assert [(a.target, a.outcome_class) for a in alone.attempts] == [("one/m", name)] * tries
        assert (alone.outcome_class, alone.status, alone.code) == (name, row.status, row.code)
        assert (alone.stream, alone.usage, alone.key) == (streamed, None, None)

    async def two(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed))
        both = gateway.outcome
        tries = 2 if row.again else 1
        assert (upstream.calls("one"), upstream.calls("two")) == (tries, int(row.onward))
        if not row.onward:
            check_error(got, row, both)
            return
        assert (got.status, got.headers["x-interlock-target"]) == (200, "two/m")
        assert got.headers["x-interlock-attempts"] == str(tries + 1)
        assert [a.outcome_class for a in both.attempts] == [name] * tries + ["served"]
        assert got.text == "Hello" if streamed else got.json["choices"][0]["message"]["content"] == "Hello"

    # Apart from each other, because what the first finds out of the target would let the second pass it over.
    scripts = {"one": answer, "two": served(streamed)}
    for number, (scenario, steps) in enumerate(((one, ["one/m"]), (two, ["one/m", "two/m"]))):
        folder = tmp_path / str(number)
        folder.mkdir()
        play(folder, scenario, scripts=scripts, policy={"timeouts": LIMITS}, step={"fallback": steps})


@pytest.mark.parametrize("streamed", [False, True])
def test_served(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed), x_request_id="mine-1")
        outcome = gateway.outcome
        assert got.status == 200
        assert got.headers["x-request-id"] == outcome.request_id == "mine-1"
        assert got.headers["x-interlock-graph"] == outcome.fingerprint == gateway.engine.graph.fingerprint
        assert (got.headers["x-interlock-route"], got.headers["x-interlock-target"]) == ("chat", "one/m")
        assert got.headers["x-interlock-attempts"] == "1"
        assert "x-should-retry" not in got.headers
        assert (outcome.outcome_class, outcome.status, outcome.code) == ("served", 200, "")
        assert (outcome.route, outcome.target, outcome.model, outcome.surface) == ("chat", "one/m", "chat", "chat")
        assert outcome.usage is not None
        assert (outcome.usage.input, outcome.usage.output) == (7, 3)
        (attempt,) = outcome.attempts
        assert (attempt.status, attempt.detail, attempt.usage) == (200, "", outcome.usage)
        assert (attempt.first_token is not None) == (outcome.first_token is not None) == streamed
        assert 0 <= attempt.started <= attempt.started + attempt.duration <= outcome.duration < 5
        if streamed:
            assert got.headers["content-type"] == "text/event-stream"
            assert got.clean
        else:
            assert got.body == served(False)[0].partition(b"\r\n\r\n")[2]
        (seen,) = upstream.seen
        assert (seen.path, seen.headers["authorization"]) == ("/chat/completions", f"Bearer {environ()['ONE_KEY']}")
        assert seen.body["model"] == "m-of-one"
        assert "x-request-id" not in seen.headers

    play(tmp_path, scenario, scripts={"one": served(streamed)})


@pytest.mark.parametrize("streamed", [False, True])
def test_the_upstreams_code_and_param_reach_the_client_of_an_invalid_request(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        error = (await gateway.ask(chat(streamed))).error
        assert error == {"message": WORDS, "type": INVALID, "code": "invalid_value", "param": "temperature"}
        assert gateway.outcome.code == "invalid_value"

    play(tmp_path, scenario, scripts={"one": error(400, WORDS, "invalid_value", "temperature")})


@pytest.mark.parametrize("streamed", [False, True])
def test_a_service_that_cannot_be_connected_to(tmp_path: Path, streamed: bool) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed))
        check_error(got, ROWS["connection"], gateway.outcome)
        assert {attempt.status for attempt in gateway.outcome.attempts} == {None}
        assert "127.0.0.1" not in got.error["message"]

    play(tmp_path, scenario, scripts={}, providers={"one": {"base_url": "http://127.0.0.1:9/v1"}})


@pytest.mark.parametrize("streamed", [False, True])
def test_through_a_proxy(tmp_path: Path, streamed: bool) -> None:
    """The upstream stands in for the proxy: it is asked for the whole URL, of a host that nobody here can resolve."""
    where = "http://models.invalid/one"

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        settings = {"version": 1, "kind": "settings", "name": "server"}
        settings["upstream"] = {"proxy": f"http://127.0.0.1:{upstream.port}"}
        (tmp_path / "policies" / "settings.yaml").write_text(json.dumps(settings), encoding="utf-8")
        assert await gateway.engine.reload() == ()
        assert (await gateway.ask(chat(streamed))).status == 200
        assert [(seen.account, seen.path) for seen in upstream.seen] == [(where, "/chat/completions")]
        assert gateway.outcome.outcome_class == "served"

    provider = {"one": {"base_url": f"{where}/v1"}}
    play(tmp_path, scenario, scripts={where: served(streamed)}, providers=provider)


def test_requests_that_never_reach_a_target(tmp_path: Path) -> None:
    """``unroutable`` and ``rejected``."""
    refusal = {"reject": {"status": 451, "message": "not in this country"}}
    wanted = {
        "caht": (404, INVALID, "model_not_found", "No route answers to model 'caht'. Did you mean 'chat'?"),
        "legal": (451, "policy_error", "rejected", "not in this country"),
        "late": (451, "policy_error", "rejected", "not in this country"),
    }

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for streamed in (False, True):
            for model, (status, kind, code, message) in wanted.items():
                got = await gateway.ask(chat(streamed, model=model))
                assert got.status == status
                assert got.error == {"message": message, "type": kind, "code": code, "param": None}
                assert got.headers["x-should-retry"] == "false"
                outcome = gateway.outcomes[-1]
                assert (outcome.status, outcome.model) == (status, model)
                assert outcome.outcome_class == ("unroutable" if model == "caht" else "rejected")
        assert [outcome.target for outcome in gateway.outcomes] == [None, None, "one/m"] * 2
        assert upstream.calls("one") == 2

    more = [
        {"version": 1, "kind": "route", "name": "legal", "step": refusal},
        {"version": 1, "kind": "route", "name": "late", "step": {"fallback": ["one/m", refusal]}},
    ]
    play(tmp_path, scenario, scripts={"one": error(404)}, more=more)


@pytest.mark.parametrize("size", [0, 300_000])
def test_a_stream_that_never_gets_to_its_output(tmp_path: Path, size: int) -> None:
    """Comments only; or start-up events without end, which are cut off before they fill the memory."""
    parts = [b": still here\n\n"] * 10 if size == 0 else [event({"choices": [], "x": "1" * size}), Do.STALL]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        check_error(got, ROWS["garbled"], gateway.outcome)

    play(tmp_path, scenario, scripts={"one": stream(*parts)})
