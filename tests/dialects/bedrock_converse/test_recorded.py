"""What Bedrock and its clients really said."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from engine.dialects import dialects
from engine.exchange import OutcomeClass, Usage
from engine.exchange.canonical import ChatReply, Text, Thinking, ToolCall

from ..play import shape, streamed, tree
from ..recordings import Exchange, cassette

NAME = "bedrock-converse"
DIALECT = dialects()[NAME]
CHAT: Any = DIALECT.chat


def reply_of(told: Exchange) -> ChatReply:
    """The reply, streamed or not; a stream is read whole and in small pieces, which must not differ."""
    if not told.path.endswith("-stream"):
        reply = CHAT.read_reply(told.body)
        assert isinstance(reply, ChatReply), told.name
        return reply
    whole = streamed(CHAT, told.body, NAME)
    assert streamed(CHAT, told.body, NAME, range(0, len(told.body), 11)) == whole
    return whole


@pytest.mark.parametrize(
    ("name", "kinds", "finish", "usage"),
    [
        ("tools", [Text, ToolCall], "tool_calls", Usage(269, 77)),
        ("tools-stream", [Text, ToolCall], "tool_calls", Usage(471, 91)),
        ("tool-result-stream", [Text], "stop", Usage(577, 18)),
        ("guardrail-stream", [Text], "content_filter", Usage(28, 22)),
        ("redacted-thinking-stream", [Thinking, Thinking, Text], "stop", Usage(92, 253)),
        ("cache", [Text], "stop", Usage(1040, 185, 1028, cache_write=0)),
        ("cited-document", [Text], "stop", Usage(672, 39, 0, cache_write=0)),
        ("structured", [Text], "stop", Usage(40, 15)),
    ],
)
def test_replies(name: str, kinds: list[type], finish: str, usage: Usage) -> None:
    reply = reply_of(cassette(NAME, name))
    (choice,) = reply.choices
    assert [type(part) for part in choice.parts] == kinds
    assert (choice.finish, reply.usage) == (finish, usage)


def test_what_they_say() -> None:
    call = reply_of(cassette(NAME, "tools-stream")).choices[0].parts[1]
    assert isinstance(call, ToolCall)
    assert (call.name, call.arguments) == ("get_temperature", '{"city":"Paris"}')
    cited = reply_of(cassette(NAME, "cited-document")).choices[0].parts[0]
    assert isinstance(cited, Text)
    assert cited.citations[0].quote == "The Ruby programming language was created by Yukihiro Matsumoto in 1993. "
    assert json.loads(reply_of(cassette(NAME, "structured")).text) == {"score_eval": 8}


def test_redacted_thought_is_what_anthropics_own_protocol_calls_it() -> None:
    thought = reply_of(cassette(NAME, "redacted-thinking-stream")).choices[0].parts[0]
    assert isinstance(thought, Thinking)
    assert thought.redacted is not None
    assert thought.redacted.startswith("E")


@pytest.mark.parametrize(
    ("name", "outcome"), [("too-long", OutcomeClass.CONTEXT_EXCEEDED), ("end-of-life", OutcomeClass.MODEL_GONE)]
)
def test_errors(name: str, outcome: OutcomeClass) -> None:
    told = cassette(NAME, name)
    assert DIALECT.classify(told.status, told.header, told.body, 0.0).outcome_class is outcome


def joined(body: Any) -> Any:
    """The request as the service takes it: adjacent turns of one side are one, what says nothing is left out."""
    turns: list[Any] = []
    for turn in body["messages"]:
        content = [_plain(block) for block in turn["content"] if block.get("text") != ""]
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1]["content"] += content
        elif content:
            turns.append({"role": turn["role"], "content": content})
    found = {name: value for name, value in {**body, "messages": turns}.items() if value not in ({}, [])}
    config = found.get("inferenceConfig", {})
    if config.get("stopSequences") == []:
        found["inferenceConfig"] = {name: value for name, value in config.items() if name != "stopSequences"}
    form = found.get("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema", {})
    if "schema" in form:
        form["schema"] = json.loads(form["schema"])
    return found


def _plain(block: dict[str, Any]) -> dict[str, Any]:
    result = block.get("toolResult")
    if result and result.get("status") == "success":
        return {"toolResult": {name: value for name, value in result.items() if name != "status"}}
    return block


def check_request(told: Exchange) -> None:
    model = unquote(urlsplit(told.path).path.split("/")[2])
    written = CHAT.write_request(CHAT.read_request(tree(told.request)), shape(model))
    assert written.dropped == []
    assert joined(tree(written.body)) == joined(tree(told.request)), told.name
    stream = told.path.endswith("-stream")
    assert unquote(DIALECT.path("chat", model, stream)) == unquote(urlsplit(told.path).path)


@pytest.mark.parametrize("name", ["tools", "tool-result-stream", "cache", "cited-document", "structured"])
def test_requests_survive_the_canonical_form(name: str) -> None:
    check_request(cassette(NAME, name))
