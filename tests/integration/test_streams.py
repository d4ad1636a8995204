"""Streams: the commit point, what follows it, when pieces arrive, and clients that leave or dawdle."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from .gateway import Gateway, chat, play, read_body, read_head
from .upstream import (
    DONE,
    START,
    STOP,
    USAGE,
    Answer,
    Do,
    Upstream,
    chunk,
    completion,
    event,
    head,
    served,
    stream,
    whole,
)

ONCE: dict[str, Any] = {"retry": {"per_target": 1}}
BOTH = {"fallback": ["one/m", "two/m"]}
#: Seconds within which an upstream must be told that its client has left.
AT_ONCE = 0.1
OOPS = event({"error": {"message": "the upstream's own words", "type": "overloaded_error"}})

# -- the commit point ----------------------------------------------------------------------------------------------

#: First events that are output, and those that are not.
OUTPUT = {
    "text": chunk("x"),
    "reasoning": chunk(reasoning_content="hm"),
    "a tool call": chunk(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]),
    "a refusal": chunk(refusal="no"),
}
NO_OUTPUT = {
    "a role": START,
    "empty text": chunk(""),
    "nothing": chunk(),
    "a comment": b": waiting\n\n",
    "an event without choices": event({"id": "c", "object": "chat.completion.chunk", "choices": []}),
}


def test_a_whole_answer_is_told_as_the_stream_that_was_asked_for(tmp_path: Path) -> None:
    """Some models of some services do not stream."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.status, got.clean, got.headers["content-type"]) == (200, True, "text/event-stream; charset=utf-8")
        assert b'"content":"Hello"' in got.body
        assert got.body.endswith(DONE)
        assert gateway.outcome.outcome_class == "served"
        assert gateway.outcome.usage is not None

    play(tmp_path, scenario, scripts={"one": whole(200, completion())})


@pytest.mark.parametrize("name", OUTPUT)
def test_output_commits(tmp_path: Path, name: str) -> None:
    """From here on the client keeps what it got, and no other target is asked."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.status, got.clean, got.headers["x-interlock-target"]) == (200, True, "one/m")
        assert got.body.startswith(START + OUTPUT[name])
        assert got.events[-1]["error"]["code"] == "overloaded"
        assert b"[DONE]" not in got.body
        assert upstream.calls("two") == 0

    scripts: dict[str, Answer] = {"one": stream(START, OUTPUT[name], OOPS), "two": served(True)}
    play(tmp_path, scenario, scripts=scripts, step=BOTH)


@pytest.mark.parametrize("name", NO_OUTPUT)
def test_what_comes_before_output_does_not_commit(tmp_path: Path, name: str) -> None:
    """Nothing of it reaches the client of another target's stream."""

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.status, got.headers["x-interlock-target"], got.text) == (200, "two/m", "Hello")
        assert got.body == START + b"".join(chunk(letter) for letter in "Hello") + STOP + DONE
        assert [a.outcome_class for a in gateway.outcome.attempts] == ["overloaded", "served"]

    scripts: dict[str, Answer] = {"one": stream(NO_OUTPUT[name], 0.02, NO_OUTPUT[name], OOPS), "two": served(True)}
    play(tmp_path, scenario, scripts=scripts, step=BOTH, policy=ONCE)


def test_the_head_waits_for_output_and_start_up_events_come_with_it(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        reader, writer = await gateway.send(chat(True))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(1), 0.15)
        got = await read_head(reader)
        await read_body(reader, got)
        assert got.pieces[0][1] == b": hi\n\n" + START + chunk("x")
        writer.close()

    play(tmp_path, scenario, scripts={"one": stream(b": hi\n\n", START, 0.3, chunk("x"), 0.1, STOP, DONE)})


# -- after it ------------------------------------------------------------------------------------------------------

#: How a stream may go wrong after its first output, and the code of the event that tells.
BREAKS: dict[str, tuple[tuple[Any, ...], bool, str]] = {
    "cut off": ((Do.CLOSE,), False, "connection"),
    "reset": ((Do.RESET,), False, "connection"),
    "stalled": ((Do.STALL,), False, "timeout"),
    "no end marker": ((), True, "garbled"),
    "not JSON": ((b"data: {nonsense\n\n", STOP, DONE), True, "garbled"),
    "not UTF-8": ((b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n', STOP, DONE), True, "garbled"),
    "an error event": ((OOPS, STOP, DONE), True, "overloaded"),
    "an error with a status": ((event({"error": {"message": "x", "code": 500}}), DONE), True, "server_error"),
    "half an event": ((b'data: {"choices": [', Do.CLOSE), False, "connection"),
    "half an event, then a clean end": ((b'data: {"choices": [',), True, "garbled"),
}


@pytest.mark.parametrize("asgi", [False, True])
@pytest.mark.parametrize("name", BREAKS)
def test_a_break_after_output_is_told_in_band(tmp_path: Path, name: str, asgi: bool) -> None:
    parts, end, code = BREAKS[name]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        outcome = gateway.outcome
        assert (got.status, got.text, got.clean) == (200, "Hi", True)
        last = got.events[-1]["error"]
        assert set(last) == {"message", "type", "code", "param"}
        assert (last["type"], last["code"]) == ("upstream_error", code)
        assert outcome.request_id in last["message"]
        assert b"own words" not in got.body
        assert b"[DONE]" not in got.body
        assert len([e for e in got.events if "error" in e]) == 1
        assert (outcome.outcome_class, outcome.code, outcome.status) == (code, code, 200)
        assert [(a.target, a.outcome_class, a.status) for a in outcome.attempts] == [("one/m", code, 200)]
        assert outcome.first_token is not None
        assert upstream.calls("two") == 0

    answer = stream(START, chunk("H"), 0.02, chunk("i"), *parts, end=end)
    policy = {"timeouts": {"idle": "200ms"}}
    play(tmp_path, scenario, scripts={"one": answer, "two": served(True)}, step=BOTH, policy=policy, asgi=asgi)


def test_a_refusal_in_band_shows_its_words(tmp_path: Path) -> None:
    """As everywhere, the upstream's words are for the client in the classes marked 400."""
    oops = event({"error": {"message": "this went too far", "code": "content_filter", "param": "messages"}})

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        wanted = {"message": "this went too far", "type": "invalid_request_error", "code": "content_filter"}
        assert got.events[-1]["error"] == {**wanted, "param": "messages"}

    play(tmp_path, scenario, scripts={"one": stream(START, chunk("x"), oops)})


ENDS: dict[str, tuple[Answer, bytes]] = {
    "as it should": (stream(START, chunk("x"), STOP, DONE), START + chunk("x") + STOP + DONE),
    "a finish reason and no marker": (stream(START, chunk("x"), STOP), START + chunk("x") + STOP + DONE),
    "no body's end after the marker": (
        stream(START, chunk("x"), STOP, DONE, Do.STALL, end=False),
        START + chunk("x") + STOP + DONE,
    ),
    "more after the marker": (stream(START, chunk("x"), STOP, DONE, chunk("y")), START + chunk("x") + STOP + DONE),
    "the limit on tokens before any text": (
        stream(START, chunk(finish="length"), DONE),
        START + chunk(finish="length") + DONE,
    ),
    "all in one piece": (stream(START + chunk("x") + STOP + DONE), START + chunk("x") + STOP + DONE),
    "the close ends the body": (
        (head(200, "text/event-stream") + START + chunk("x") + STOP + DONE, Do.CLOSE),
        START + chunk("x") + STOP + DONE,
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_how_streams_end(tmp_path: Path, name: str) -> None:
    answer, body = ENDS[name]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert (got.status, got.clean, got.body) == (200, True, body)
        assert gateway.outcome.outcome_class == "served"

    play(tmp_path, scenario, scripts={"one": answer})


def test_an_ordinary_end_keeps_the_upstreams_connection(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        for streamed in (True, False, True):
            upstream.scripts["one"] = served(streamed)
            assert (await gateway.ask(chat(streamed))).status == 200
        assert len({id(seen.connection) for seen in upstream.seen}) == 1

    play(tmp_path, scenario, scripts={"one": served(True)})


# -- usage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "sent", "kept"),
    [
        ({}, {"include_usage": True}, False),
        ({"stream_options": None}, {"include_usage": True}, False),
        ({"stream_options": {"include_usage": False}}, {"include_usage": True}, False),
        ({"stream_options": {"x": 1}}, {"x": 1, "include_usage": True}, False),
        ({"stream_options": {"include_usage": True}}, {"include_usage": True}, True),
    ],
)
def test_usage_is_asked_for_and_the_chunk_stripped_where_the_client_did_not_ask(
    tmp_path: Path, asked: dict[str, Any], sent: dict[str, Any], kept: bool
) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True, **asked))
        assert upstream.seen[0].body["stream_options"] == sent
        assert (USAGE in got.body) == kept
        assert got.body.replace(USAGE, b"") == START + b"".join(map(chunk, "Hello")) + STOP + DONE
        usage = gateway.outcome.usage
        assert usage is not None
        assert (usage.input, usage.output) == (7, 3)

    play(tmp_path, scenario, scripts={"one": served(True)})


def test_streamed_and_unstreamed_give_the_same_record(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        await gateway.ask(chat(True))
        upstream.scripts["one"] = whole(200, completion())
        await gateway.ask(chat(False))
        streamed, unstreamed = (outcome.to_dict() for outcome in gateway.outcomes)
        for record in (streamed, unstreamed):
            for name in ("request_id", "started_at", "duration", "first_token", "stream", "added"):
                del record[name]
            for attempt in record["attempts"]:
                for name in ("started", "duration", "first_token"):
                    del attempt[name]
        assert streamed == unstreamed

    play(tmp_path, scenario, scripts={"one": served(True)})


def test_a_service_that_knows_no_stream_options_is_sent_none(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True, stream_options={"include_usage": True}))
        assert "stream_options" not in upstream.seen[0].body
        assert got.headers["x-interlock-dropped"] == "stream_options"
        assert gateway.outcome.usage is None

    quirks = {"one": {"quirks": {"stream_usage": False}}}
    play(tmp_path, scenario, scripts={"one": stream(START, chunk("x"), STOP, DONE)}, providers=quirks)


# -- time ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asgi", [False, True])
def test_pieces_arrive_as_they_are_sent(tmp_path: Path, asgi: bool) -> None:
    """Nothing collects them on the way, not even small ones, nor the first or the last."""
    words = [part for word in range(6) for part in (0.08, chunk(str(word)))]

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        got = await gateway.ask(chat(True))
        assert got.text == "012345"
        times = [at for at, data in got.pieces if b'"content"' in data]
        assert len(times) == 6
        gaps = [after - before for before, after in pairwise(times)]
        assert all(0.04 < gap < 1.0 for gap in gaps), gaps
        assert got.headers["cache-control"] == "no-cache"
        assert got.headers["x-accel-buffering"] == "no"
        assert "content-length" not in got.headers

    play(tmp_path, scenario, scripts={"one": stream(START, *words, STOP, DONE)}, asgi=asgi)
