"""What Anthropic and its clients really said."""

from __future__ import annotations

from typing import Any

import pytest

from engine.dialects import dialects
from engine.dialects.claude import signed
from engine.exchange import OutcomeClass, Usage
from engine.exchange.canonical import ChatReply, Opaque, Text, Thinking, ToolCall
from engine.exchange.events import Failed

from ..play import events, shape, streamed, tree
from ..recordings import Exchange, cassette

NAME = "anthropic-messages"
DIALECT = dialects()[NAME]
CHAT: Any = DIALECT.chat


def reply_of(told: Exchange) -> ChatReply:
    """The reply, streamed or not; a stream is read whole and in small pieces, which must not differ."""
    if not told.streams:
        reply = CHAT.read_reply(told.body)
        assert isinstance(reply, ChatReply)
        return reply
    whole = streamed(CHAT, told.body, NAME)
    assert streamed(CHAT, told.body, NAME, range(0, len(told.body), 11)) == whole
    return whole


def usage(*counts: int | None) -> Usage:
    names = ("input", "output", "cached", "cache_write", "cache_write_1h", "reasoning", "searches")
    return Usage(**dict(zip(names, counts, strict=False)))


@pytest.mark.parametrize(
    ("name", "kinds", "finish", "expected"),
    [
        ("stop-sequence-stream", [Text], "stop", usage(16, 28, 0, 0, 0)),
        ("parallel-tools-stream", [Text, ToolCall, ToolCall], "tool_calls", usage(721, 113, 0, 0, 0)),
        ("thinking-stream", [Text, Thinking, Text], "stop", usage(34, 44, 0, 0, 0)),
        ("thinking-tool-result", [Text], "stop", usage(707, 89, 0, 0, 0, 0)),
        ("cited-search-results", [Text], "stop", usage(1253, 39, 0, 0, 0)),
        ("cited-stream", [Text], "stop", usage(672, 39, 0, 0, 0)),
        ("cache-write-and-read", [Thinking, Text], "stop", usage(1453, 13, 0, 1425, 1425, 7)),
        ("structured", [Text], "stop", usage(309, 76, 0, 0, 0)),
        ("refusal", [], "refusal", usage(18, 5, 0, 0, 0)),
        ("mcp-stream", [Opaque, Opaque, Text], "stop", usage(1250, 83, 0, 0, 0, None, 0)),
    ],
)
def test_replies(name: str, kinds: list[type], finish: str, expected: Usage) -> None:
    reply = reply_of(cassette(NAME, name))
    (choice,) = reply.choices
    assert choice.finish == finish
    assert reply.id.startswith("msg_")
    assert [type(part) for part in choice.parts] == kinds
    assert reply.usage == expected


def test_what_they_say() -> None:
    stopped = reply_of(cassette(NAME, "stop-sequence-stream")).choices[0]
    assert stopped.stop_sequence == "```"
    assert stopped.parts[0] == Text(
        '\ndef pelican():\n    return "A large waterbird with a long bill and a throat pouch for catching fish."\n'
    )
    calls = [p for p in reply_of(cassette(NAME, "parallel-tools-stream")).choices[0].parts if isinstance(p, ToolCall)]
    assert len({call.id for call in calls}) == 2
    assert [(call.name, call.arguments) for call in calls] == [
        ("get_weather", '{"location": "New York, NY"}'),
        ("get_time", '{"timezone": "America/New_York"}'),
    ]
    thought = reply_of(cassette(NAME, "thinking-stream")).choices[0].parts[1]
    assert isinstance(thought, Thinking)
    assert thought.text == "Brief answer with two pet pelican names."
    assert signed(thought.signature)
    for name in ("cited-search-results", "cited-stream"):
        cited = [part for part in reply_of(cassette(NAME, name)).choices[0].parts if isinstance(part, Text)]
        citations = [citation for part in cited for citation in part.citations]
        assert citations
        assert all(citation.quote and citation.title for citation in citations)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("prompt-too-long", OutcomeClass.CONTEXT_EXCEEDED), ("unknown-model", OutcomeClass.MODEL_GONE)],
)
def test_errors(name: str, outcome: OutcomeClass) -> None:
    told = cassette(NAME, name)
    assert DIALECT.classify(told.status, told.header, told.body, 0.0).outcome_class is outcome


def test_a_spliced_stream_fails_instead_of_telling_two_answers() -> None:
    found = events(CHAT, [cassette(NAME, "spliced-stream").body])
    failed = next(event for event in found if isinstance(event, Failed))
    assert failed.verdict.outcome_class is OutcomeClass.GARBLED


def plain(body: Any) -> Any:
    """A request in which texts are blocks and what says nothing is left out, as both notations are the same."""
    if isinstance(body, list):
        return [plain(value) for value in body]
    if not isinstance(body, dict):
        return body
    found = {name: plain(value) for name, value in body.items() if value not in (None, [], False)}
    for name in ("content", "system"):
        if isinstance(found.get(name), str):
            found[name] = [{"type": "text", "text": found[name]}]
    return found


def joined(body: dict[str, Any]) -> dict[str, Any]:
    """The request as the service takes it: adjacent turns of one side are one, and the form has its newer name."""
    body = plain(body)
    turns: list[Any] = []
    for turn in body["messages"]:
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1]["content"] += turn["content"]
        elif turn.get("content"):
            turns.append(turn)
    body["messages"] = turns
    form = body.pop("output_format", None) or body.get("output_config", {}).get("format")
    if form:
        body["output_config"] = {
            **body.get("output_config", {}),
            "format": {"type": "json_schema", "schema": form["schema"]},
        }
    return body


def check_request(told: Exchange) -> None:
    request = CHAT.read_request(told.request)
    written = CHAT.write_request(request, shape(told.request["model"]))
    assert written.dropped == []
    ours = joined(tree(written.body))
    if "max_tokens" not in told.request:  # of counting
        del ours["max_tokens"]
    assert ours == joined(told.request)


@pytest.mark.parametrize(
    "name", ["parallel-tools-stream", "thinking-tool-result", "cited-search-results", "structured", "count-tokens"]
)
def test_requests_survive_the_canonical_form(name: str) -> None:
    check_request(cassette(NAME, name))
