"""Time: how long upstreams ask to be left alone, and how long each part of a request may take."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from .gateway import Gateway, chat, play
from .upstream import DONE, START, STOP, Answer, Do, Upstream, chunk, error, head, served, stream, until

OK = served(False)
SOON: dict[str, Any] = {"retry": {"per_target": 2, "backoff": {"initial": "0ms", "max": "1s"}}}
ONCE: dict[str, Any] = {"retry": {"per_target": 1}}
BOTH = {"fallback": ["one/m", "two/m"]}
#: Seconds that something quick may take on a busy machine.
QUICK = 2.0


def limited(status: int = 429, **headers: str) -> Answer:
    return error(status, **headers)


def at(seconds: float) -> str:
    """An HTTP date so many seconds from now."""
    return formatdate(time.time() + seconds, usegmt=True)


#: What an upstream sends; the seconds recorded (``None``: it says nothing); what the client is told.
FORMS: list[tuple[dict[str, str], float | None, int]] = [
    ({"retry_after": "7"}, 7, 7),
    ({"retry_after": "1.5"}, 1.5, 2),
    ({"retry_after": "0"}, 0, 1),
    ({"retry_after_ms": "1500"}, 1.5, 2),
    ({"x_ms_retry_after_ms": "2500"}, 2.5, 3),
    ({"retry_after_ms": "400", "retry_after": "9"}, 0.4, 1),
    ({"retry_after": at(3600), "date": at(3591)}, 9, 9),
    ({"retry_after": at(-60)}, 0, 1),
    ({"retry_after": "999999999"}, 3600, 3600),
    ({"retry_after": "soon"}, None, 1),
    ({"retry_after": "nan"}, None, 1),
    ({"retry_after": ""}, None, 1),
    ({}, None, 1),
]


@pytest.mark.parametrize(("headers", "seconds", "told"), FORMS)
@pytest.mark.parametrize("streamed", [False, True])
def test_every_notation(
    tmp_path: Path, headers: dict[str, str], seconds: float | None, told: int, streamed: bool
) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed))
        assert gateway.outcome.attempts[0].retry_after == seconds
        assert (got.status, got.headers["retry-after"]) == (429, str(told))

    play(tmp_path, scenario, scripts={"one": limited(**headers)}, policy=ONCE)


def test_a_client_is_told_when_the_first_target_recovers(tmp_path: Path) -> None:
    """What counts is each target's last word, not what it said before it was tried again."""
    scripts = {
        "one": [limited(503, retry_after_ms="10"), limited(503, retry_after="20")],
        "two": limited(retry_after="30"),
        "three": limited(retry_after="40"),
    }

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(x_interlock_deadline="15s")
        assert [seen.account for seen in upstream.seen] == ["one", "one", "two", "three"]
        assert (got.status, got.error["code"], got.headers["retry-after"]) == (429, "rate_limited", "20")

    play(tmp_path, scenario, scripts=scripts, policy=SOON, step={"fallback": ["one/m", "two/m", "three/m"]})


def test_the_floor_of_a_retry(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        assert (await gateway.ask()).status == 200
        first, second = upstream.seen
        assert 0.29 <= second.arrived - first.arrived < 0.3 + QUICK
        assert gateway.outcome.duration >= 0.29

    play(tmp_path, scenario, scripts={"one": [limited(503, retry_after_ms="300"), OK]}, policy=SOON)


def test_a_longer_wait_than_our_longest_leaves_the_target_to_itself(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask()
        assert [seen.account for seen in upstream.seen] == ["one", "two"]
        assert got.status == 200
        assert gateway.outcome.duration < QUICK

    play(tmp_path, scenario, scripts={"one": limited(503, retry_after="30"), "two": OK}, policy=SOON, step=BOTH)


def test_a_rate_limited_target_is_tried_again_only_if_nothing_else_is_left(tmp_path: Path) -> None:
    scripts = {"one": [limited(retry_after_ms="150"), OK], "two": [limited(retry_after_ms="200"), OK]}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask()
        assert [seen.account for seen in upstream.seen] == ["one", "two", "two"]
        assert upstream.seen[2].arrived - upstream.seen[1].arrived >= 0.19
        assert (got.status, got.headers["x-interlock-target"]) == (200, "two/m")

    play(tmp_path, scenario, scripts=scripts, policy=SOON, step=BOTH)


def test_a_wait_that_does_not_fit_the_deadline_is_not_begun(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(x_interlock_deadline="5")
        assert upstream.calls("one") == 1
        assert (got.status, got.headers["retry-after"]) == (429, "6")
        assert gateway.outcome.duration < QUICK

    play(tmp_path, scenario, scripts={"one": limited(retry_after="6")}, policy=SOON)


SILENT: Answer = (Do.STALL,)
TALK: Answer = stream(START, *[part for _ in range(100) for part in (0.03, b": still here\n\n")])
#: A limit, what goes beyond it, whether streamed, and the class that it is.
LIMITS: dict[str, tuple[dict[str, str], Answer, bool, str]] = {
    "attempt": ({"attempt": "200ms"}, SILENT, False, "timeout"),
    "attempt, in the body": ({"attempt": "200ms"}, (head(200, content_length="9"), Do.STALL), False, "timeout"),
    "attempt, drop by drop": (
        {"attempt": "200ms"},
        (head(200, content_length="999"), *[part for _ in range(100) for part in (0.03, b" ")]),
        False,
        "timeout",
    ),
    "first_token, no headers": ({"first_token": "200ms"}, SILENT, True, "timeout"),
    "first_token, no output": ({"first_token": "200ms"}, stream(START, Do.STALL), True, "timeout"),
    "first_token, comments only": ({"first_token": "200ms"}, TALK, True, "timeout"),
    "first_token, in an error's body": (
        {"first_token": "200ms"},
        (head(500, content_length="9"), Do.STALL),
        True,
        "timeout",
    ),
    "total": ({"total": "200ms"}, SILENT, False, "deadline"),
    "total of a stream": ({"total": "200ms"}, stream(START, Do.STALL), True, "deadline"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit(tmp_path: Path, name: str) -> None:
    limits, answer, streamed, code = LIMITS[name]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed))
        outcome = gateway.outcome
        assert (got.status, got.error["type"], got.error["code"]) == (504, "upstream_error", code)
        assert got.headers.get("x-should-retry") == ("false" if code == "deadline" else None)
        assert outcome.outcome_class == code
        assert [attempt.outcome_class for attempt in outcome.attempts] == ["timeout"]
        assert "0.2s passed" in outcome.attempts[0].detail
        assert 0.19 <= outcome.duration < QUICK
        await until(lambda: upstream.seen[0].left, QUICK)

    play(tmp_path, scenario, scripts={"one": answer}, policy={"timeouts": limits})


@pytest.mark.parametrize("streamed", [False, True])
def test_after_a_limit_another_target_is_tried_with_what_is_left(tmp_path: Path, streamed: bool) -> None:
    limits = {"attempt": "150ms", "first_token": "150ms", "total": "400ms"}
    scripts: dict[str, Answer] = {"one": SILENT, "two": SILENT, "three": SILENT}

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed))
        assert [seen.account for seen in upstream.seen] == ["one", "two", "three"]
        assert got.error["code"] == "deadline"
        assert [attempt.outcome_class for attempt in gateway.outcome.attempts] == ["timeout"] * 3
        assert 0.39 <= gateway.outcome.duration < QUICK

    step = {"fallback": ["one/m", "two/m", "three/m"]}
    play(tmp_path, scenario, scripts=scripts, policy={"timeouts": limits}, step=step)


@pytest.mark.parametrize(("limits", "code"), [({"idle": "200ms"}, "timeout"), ({"total": "300ms"}, "deadline")])
def test_a_limit_after_the_first_output(tmp_path: Path, limits: dict[str, str], code: str) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.status, got.text, got.clean) == (200, "x", True)
        assert got.events[-1]["error"]["code"] == code
        assert gateway.outcome.outcome_class == code
        assert 0.19 <= gateway.outcome.duration < QUICK

    play(tmp_path, scenario, scripts={"one": stream(START, chunk("x"), Do.STALL)}, policy={"timeouts": limits})


def test_comments_and_slow_output_are_no_silence(tmp_path: Path) -> None:
    parts = [part for _ in range(8) for part in (0.05, b": still here\n\n")]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.text, got.events[-1]) == ("xy", b"[DONE]")
        assert gateway.outcome.outcome_class == "served"

    answer = stream(START, chunk("x"), *parts, chunk("y"), STOP, DONE)
    play(tmp_path, scenario, scripts={"one": answer}, policy={"timeouts": {"idle": "200ms", "attempt": "100ms"}})


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("asked", ["0.2", "200ms", "0.2s"])
def test_a_client_shortens_the_deadline(tmp_path: Path, streamed: bool, asked: str) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(streamed), x_interlock_deadline=asked)
        assert (got.status, got.error["code"], got.headers["x-should-retry"]) == (504, "deadline", "false")
        assert 0.19 <= gateway.outcome.duration < QUICK
        await until(lambda: upstream.seen[0].left, QUICK)

    play(tmp_path, scenario, scripts={"one": SILENT})


def test_a_client_cannot_lengthen_it(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(x_interlock_deadline="60")
        assert got.error["code"] == "deadline"
        assert gateway.outcome.duration < QUICK

    play(tmp_path, scenario, scripts={"one": SILENT}, policy={"timeouts": {"total": "200ms"}})


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port that takes no connection in and refuses none: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        filling = [socket.socket() for _ in range(4)]
        for queued in filling:
            queued.setblocking(False)
            queued.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for queued in filling:
            queued.close()


@pytest.mark.parametrize("streamed", [False, True])
def test_connecting_has_a_limit_of_its_own(tmp_path: Path, deaf: int, streamed: bool) -> None:
    """It may differ between routes to the same provider."""
    patient = {"version": 1, "kind": "policy", "name": "patient", "applies_to": {"routes": ["patient"]}}
    more = [
        {"version": 1, "kind": "route", "name": "patient", "step": "one/m"},
        {**patient, "timeouts": {"connect": "600ms"}},
    ]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for model, least, most in (("chat", 0.19, 0.59), ("patient", 0.59, QUICK)):
            got = await gateway.ask(chat(streamed, model=model))
            assert (got.status, got.error["code"]) == (504, "timeout")
            assert least <= gateway.outcomes[-1].duration < most

    where = {"one": {"base_url": f"http://127.0.0.1:{deaf}/v1"}}
    play(tmp_path, scenario, scripts={}, policy={"timeouts": {"connect": "200ms"}}, providers=where, more=more)
