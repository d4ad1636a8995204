"""The same protocol on both sides: what is passed on, and what is changed on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from engine.dialects import dialects, link
from engine.exchange import Call, OutcomeClass, Shape, Usage, WireRequest

from ..play import encode, pieces, shape
from ..recordings import cassette

NAME = "anthropic-messages"
DIALECT = dialects()[NAME]
LINK: Any = link(NAME, NAME, "chat")
MODEL = "claude-sonnet-4-5"
ASK = {"model": "chat", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], "odd": {"a": 1}}


def call(body: Mapping[str, Any], kind: str = "chat", stream: bool = False, **headers: str) -> Call:
    path = "/messages" if kind == "chat" else "/messages/count_tokens"
    fields = {name: Raw(encode(value)) for name, value in body.items()}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call("r", "messages", path, "chat", kind, NAME, stream, fields, headers=named)


def encoded(body: Mapping[str, Any], to: Shape | None = None, **more: Any) -> tuple[WireRequest, dict[str, Any]]:
    wire = LINK.encode(call(body, **more), to or shape(MODEL))
    return wire, json.loads(wire.body)


def test_only_the_model_changes() -> None:
    wire, body = encoded(ASK)
    assert body == {**ASK, "model": MODEL}
    assert (wire.method, wire.path, wire.dropped) == ("POST", "/messages", ())
    assert wire.headers == (("content-type", "application/json"), ("anthropic-version", "2023-06-01"))


def test_a_clients_version_and_betas_are_passed_on() -> None:
    wire, _ = encoded(ASK, anthropic_version="2026-10-21", anthropic_beta="a,b")
    assert dict(wire.headers)["anthropic-version"] == "2026-10-21"
    assert dict(wire.headers)["anthropic-beta"] == "a,b"


def test_overrides_and_quirks() -> None:
    to = shape(
        MODEL,
        set=(("max_completion_tokens", Raw(b"9")), ("stop", Raw(b'"END"'))),
        default=(("temperature", Raw(b"0.5")),),
        drop=frozenset({"model"}),
        always=(("anthropic_version", Raw(b'"vertex-2023-10-16"')),),
        paths={"chat": "/models/{model}:rawPredict", "stream": "/models/{model}:streamRawPredict"},
    )
    wire, body = encoded(ASK, to)
    assert (body["max_tokens"], body["stop_sequences"], body["temperature"]) == (9, ["END"], 0.5)
    assert (body["anthropic_version"], "model" in body) == ("vertex-2023-10-16", False)
    assert wire.path == "/models/claude-sonnet-4-5:rawPredict"
    assert encoded(ASK, to, stream=True)[0].path == "/models/claude-sonnet-4-5:streamRawPredict"


def test_counting_goes_to_its_own_place() -> None:
    assert encoded(ASK, kind="count_tokens")[0].path == "/messages/count_tokens"
    assert DIALECT.path("count_tokens", "m", False) == "/messages/count_tokens"


def test_thoughts_of_other_makers_are_taken_out_for_claude_only() -> None:
    def thought(signature: str) -> dict[str, str]:
        return {"type": "thinking", "thinking": "Hm.", "signature": signature}

    text = {"type": "text", "text": "t", "signature": ""}
    mine, theirs = thought("EqoB+/=="), [thought(""), thought("elsewhere:EqoB")]
    turns = [
        {"role": "assistant", "content": [*theirs, mine, text]},
        {"role": "assistant", "content": theirs},
        {"role": "user", "content": "Hi"},
    ]
    wire, body = encoded({**ASK, "messages": turns})
    assert body["messages"] == [{"role": "assistant", "content": [mine, text]}, turns[2]]
    assert wire.dropped == ("reasoning_content",)
    for to, messages in ((shape("glm-4.6"), turns), (shape(MODEL), [{"role": "assistant", "content": [mine, text]}])):
        wire, body = encoded({**ASK, "messages": messages}, to)
        assert (body["messages"], wire.dropped) == (messages, ())
    escaped = Raw(b'[{"role":"assistant","content":[{"type":"thinking","thinking":"H","signature":"Eq\\/B"}]}]')
    asked = call(ASK)
    assert asked.body is not None
    asked.body["messages"] = escaped
    assert LINK.encode(asked, shape(MODEL)).dropped == ()


def test_a_reply_is_passed_on_as_it_is() -> None:
    told = cassette(NAME, "structured")
    verdict, body = LINK.decode(call(ASK), told.header, told.body)
    assert body == told.body
    assert verdict.outcome_class is OutcomeClass.SERVED
    assert verdict.usage is not None
    assert verdict.usage.output


def test_a_stream_is_relayed_byte_for_byte() -> None:
    told = cassette(NAME, "parallel-tools-stream").body
    for cuts in ((), (1, 100, 500), range(0, len(told), 7)):
        stream = LINK.stream(call(ASK, stream=True), lambda _: None)
        got = b"".join(stream.feed(piece) for piece in pieces(told, cuts))
        tail, failure = stream.finish()
        assert (got + tail, failure, stream.ended) == (told, None, True)
        assert stream.usage == Usage(input=721, output=113, cached=0, cache_write=0, cache_write_1h=0)


def test_blank_lines_and_comments_between_events_end_nothing() -> None:
    told = cassette(NAME, "parallel-tools-stream").body.replace(b"\n\n", b"\n\n\n: still here\n\n\n\n")
    for size in (1, 7, len(told)):
        stream = LINK.stream(call(ASK, stream=True), lambda _: None)
        got = b"".join(stream.feed(told[at : at + size]) for at in range(0, len(told), size))
        assert (stream.finish(), stream.ended) == ((b"", None), True)
        assert told.startswith(got)
        assert b"message_stop" in got


def test_a_stream_that_breaks_off_is_a_failure_unless_the_answer_had_ended() -> None:
    told = cassette(NAME, "stop-sequence-stream").body
    stop = told.index(b"event: message_stop")
    stream = LINK.stream(call(ASK, stream=True), lambda _: None)
    got = stream.feed(told[:stop])
    tail, failure = stream.finish()
    assert failure is None
    assert (got + tail).endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    stream = LINK.stream(call(ASK, stream=True), lambda _: None)
    stream.feed(told[: told.index(b"event: message_delta")])
    failure = stream.finish()[1]
    assert failure is not None
    assert failure.outcome_class is OutcomeClass.GARBLED


def test_a_stream_that_is_nothing_but_a_refusal_can_fail_over() -> None:
    told = b'data: {"type":"message_start","message":{"id":"m"}}\n\n'
    told += b'data: {"type":"message_delta","delta":{"stop_reason":"refusal"}}\n\ndata: {"type":"message_stop"}\n\n'
    stream = LINK.stream(call(ASK, stream=True), lambda _: None)
    assert stream.feed(told) == b""
    tail, failure = stream.finish()
    assert tail == b""
    assert failure.outcome_class is OutcomeClass.CONTENT_REFUSED


def test_a_whole_reply_is_told_as_a_stream() -> None:
    told = cassette(NAME, "cache-write-and-read")
    verdict, body = LINK.replay(call(ASK, stream=True), told.header, told.body)
    assert verdict.outcome_class is OutcomeClass.SERVED
    assert body.startswith(b"event: message_start\n")
    assert body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
