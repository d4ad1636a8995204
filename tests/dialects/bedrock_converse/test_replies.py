"""Replies and streams."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects import dialects
from engine.dialects.bedrock_converse.usage import read_usage
from engine.exchange import OutcomeClass, Usage, Verdict
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Citation,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from engine.exchange.events import Ended, Event, Failed, TextPiece

from ..play import CUTS, added, events, odd_json, pieces
from .wire import event, exception, message

NAME = "bedrock-converse"
CHAT: Any = dialects()[NAME].chat
USAGE = {"inputTokens": 11, "outputTokens": 264, "totalTokens": 1303, "cacheWriteInputTokens": 1028}


def reply(*blocks: Any, **fields: Any) -> bytes:
    tree = {"output": {"message": {"role": "assistant", "content": list(blocks)}}, "stopReason": "end_turn"}
    return json.dumps({**tree, "usage": USAGE, **fields}).encode()


def test_a_reply() -> None:
    location = {
        "title": "D",
        "source": "s",
        "sourceContent": [{"text": "q"}],
        "location": {"web": {"url": "https://x"}},
    }
    found = CHAT.read_reply(
        reply(
            {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
            {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": [location]}},
            {"toolUse": {"toolUseId": "1", "name": "f", "input": {"x": 1}}},
            {"unheard": "of"},
            stopReason="tool_use",
            metrics={"latencyMs": 5},
            serviceTier={"type": "priority"},
        )
    )
    cited = Text("ab", [Citation("https://x", "D", "q", document="s", extra=location)])
    call, odd = ToolCall("1", "f", '{"x":1}'), Opaque(NAME, {"unheard": "of"})
    assert found == ChatReply(
        choices=[Choice([Thinking("Hm.", "c2ln"), cited, call, odd], "tool_calls", "tool_use")],
        usage=Usage(1039, 264, cache_write=1028),
        service_tier="priority",
        extra={"metrics": {"latencyMs": 5}},
        origin=NAME,
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "error"),
        ("unheard_of", "stop"),
    ],
)
def test_why_it_ended(reason: str, finish: str) -> None:
    choice = CHAT.read_reply(reply({"text": "a"}, stopReason=reason)).choices[0]
    assert (choice.finish, choice.finish_raw) == (finish, reason)


def test_usage() -> None:
    assert read_usage({"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}) == Usage(1, 2)
    assert read_usage({"inputTokens": 0, "cacheReadInputTokenCount": 27}) == Usage(27, cached=27)
    spans = [{"ttl": "1h", "inputTokens": 5}, {"ttl": "5m", "inputTokens": 2}]
    told = {"inputTokens": 1, "cacheWriteInputTokens": 7, "cacheDetails": spans}
    assert read_usage(told) == Usage(8, cache_write=7, cache_write_1h=5)
    assert read_usage({"inputTokens": "1"}) == Usage()
    assert read_usage(None) is None


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", OutcomeClass.GARBLED),
        (b"[1]", OutcomeClass.GARBLED),
        (b"{}", OutcomeClass.GARBLED),
        (b'{"output": 5}', OutcomeClass.GARBLED),
        (b'{"__type": "ThrottlingException", "message": "slow"}', OutcomeClass.RATE_LIMITED),
        (b'{"message": "Internal"}', OutcomeClass.SERVER_ERROR),
    ],
)
def test_what_is_no_reply(body: bytes, outcome: OutcomeClass) -> None:
    found = CHAT.read_reply(body)
    assert isinstance(found, Verdict)
    assert found.outcome_class is outcome


def test_a_reply_of_another_protocol_is_written() -> None:
    told = ChatReply("r", "m", choices=[Choice([Refusal("No."), Opaque("x", 1)], "refusal")], origin="x")
    assert CHAT.write_reply(told, ChatRequest()) == {
        "output": {"message": {"role": "assistant", "content": [{"text": "No."}]}},
        "stopReason": "content_filtered",
    }


END = event("messageStop", stopReason="tool_use") + event("metadata", usage=USAGE, metrics={"latencyMs": 5})


def read(data: bytes, cuts: Any = ()) -> list[Event]:
    return events(CHAT, pieces(data, cuts))


def test_a_stream() -> None:
    data = event("messageStart", role="assistant", p="abc")
    data += event("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hi"})
    data += event("contentBlockStop", contentBlockIndex=0)
    start = {"toolUse": {"toolUseId": "1", "name": "f"}}
    data += event("contentBlockStart", contentBlockIndex=1, start=start)
    data += event("contentBlockStop", contentBlockIndex=1)
    server = {"toolUse": {"toolUseId": "2", "name": "g", "type": "server_tool_use"}}
    data += event("contentBlockStart", contentBlockIndex=2, start=server)
    data += event("contentBlockDelta", contentBlockIndex=2, delta={"toolUse": {"input": '{"q":1}'}})
    data += event("contentBlockStop", contentBlockIndex=2)
    data += event("contentBlockStart", contentBlockIndex=3, start={"toolResult": {"toolUseId": "2"}})
    data += event("contentBlockDelta", contentBlockIndex=3, delta={"toolResult": [{"text": "r"}]})
    data += event("contentBlockStop", contentBlockIndex=3) + event("unheardOf") + END
    sum_ = added(read(data), NAME)
    assert (sum_.failure, sum_.ended) == (None, True)
    found = sum_.reply()
    used = {"toolUse": {**server["toolUse"], "input": {"q": 1}}}
    got = {"toolResult": {"toolUseId": "2", "content": [{"text": "r"}]}}
    assert found.choices[0].parts == [Text("Hi"), ToolCall("1", "f"), Opaque(NAME, used), Opaque(NAME, got)]
    assert (found.choices[0].finish, found.usage) == ("tool_calls", Usage(1039, 264, cache_write=1028))
    assert found.extra == {"metrics": {"latencyMs": 5}}


def test_the_end_is_the_stop_and_the_usage_whichever_comes_first() -> None:
    stop, usage = event("messageStop", stopReason="end_turn"), event("metadata", usage=USAGE)
    assert read(stop + usage + event("messageStart"))[-1] == Ended()
    assert read(usage + stop)[-1] == Ended()
    assert read(stop)[-1] == Ended()
    assert Ended() not in read(usage)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (exception("throttlingException", message="slow"), OutcomeClass.RATE_LIMITED),
        (exception("modelStreamErrorException", message="x", originalStatusCode=500), OutcomeClass.SERVER_ERROR),
        (exception("modelStreamErrorException", message="x", originalStatusCode=429), OutcomeClass.RATE_LIMITED),
        (exception("validationException", message="Input is too long"), OutcomeClass.CONTEXT_EXCEEDED),
        (exception("validationException", message="odd"), OutcomeClass.INVALID_REQUEST),
        (exception("serviceUnavailableException"), OutcomeClass.OVERLOADED),
        (exception("unheardOfException"), OutcomeClass.SERVER_ERROR),
        (message({":message-type": "error", ":error-code": "InternalFailure"}, b""), OutcomeClass.SERVER_ERROR),
    ],
)
def test_exceptions_inside(data: bytes, outcome: OutcomeClass) -> None:
    (failed,) = read(data)
    assert isinstance(failed, Failed)
    assert failed.verdict.outcome_class is outcome


@given(CUTS)
def test_bytes_come_in_any_pieces(cuts: list[int]) -> None:
    data = event("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hi"}) + END
    assert read(data, cuts) == read(data)


def test_damage_is_noticed() -> None:
    data = bytearray(event("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hi"}))
    data[-10] ^= 1
    with pytest.raises(ValueError, match="event stream"):
        read(bytes(data))
    with pytest.raises(ValueError, match="JSON"):
        read(message({":message-type": "event", ":event-type": "metadata"}, b"<html>"))


@given(st.binary(max_size=99), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, framed: bool) -> None:
    headers = {":message-type": "event", ":event-type": "contentBlockDelta"}
    told = message(headers, data) if framed else data
    try:
        found = read(told)
    except ValueError:
        return
    assert not any(isinstance(one, TextPiece) and one.text for one in found)


FIELDS = ["delta", "start", "contentBlockIndex", "text", "toolUse", "input", "usage", "stopReason", "reasoningContent"]


@given(st.sampled_from(["contentBlockDelta", "contentBlockStart", "contentBlockStop", "metadata"]), odd_json(FIELDS))
def test_odd_events_are_read(name: str, tree: Any) -> None:
    told = message({":message-type": "event", ":event-type": name}, json.dumps(tree).encode())
    read(told + told)


def test_without_botocore_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("botocore"):
            raise ImportError(name)
        return imported(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ValueError, match=r"interlock\[bedrock\]"):
        read(END)


def test_no_client_is_answered_in_it() -> None:
    with pytest.raises(TypeError):
        CHAT.writer(ChatRequest())
