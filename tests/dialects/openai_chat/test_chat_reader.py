"""Streams of chat completions as events."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.dialects.openai_chat import OpenAIChat
from engine.dialects.openai_chat.ids import made_id
from engine.exchange import Usage
from engine.exchange.canonical import ChatReply, Citation, Media, Opaque, Refusal, Text, Thinking, ToolCall
from engine.exchange.events import Ended, Event, Failed, Finished, TextPiece, Used, is_output

from ..play import CUTS, added, encode, events, odd_json, streamed
from ..recordings import cassette

CHAT = OpenAIChat().chat
assert CHAT is not None
NAME = "openai-chat"
RECORDED = "openai-chat-recorded"


def sse(*chunks: Any) -> bytes:
    return b"".join(b"data: " + encode(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "r", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(
    index: int | None = None, id_: str | None = None, name: str | None = None, arguments: str = ""
) -> dict[str, Any]:
    tree: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        tree["index"] = index
    if id_ is not None:
        tree["id"] = id_
    if name is not None:
        tree["function"]["name"] = name
    return tree


def reply(*chunks: Any) -> ChatReply:
    return streamed(CHAT, sse(*chunks), NAME)  # type: ignore[arg-type]


def parts(*deltas: dict[str, Any]) -> list[Any]:
    return reply(*(chunk(**delta) for delta in deltas), chunk("stop")).choices[0].parts


def calls(*entries: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = parts(*({"tool_calls": [entry]} for entry in entries))
    return [(part.id, part.name, part.arguments) for part in found]


def recorded(name: str) -> list[Event]:
    return events(CHAT, [cassette(RECORDED, name).body])  # type: ignore[arg-type]


def test_a_whole_stream() -> None:
    found = reply(
        {**chunk(role="assistant", content=""), "created": 5, "service_tier": "flex", "system_fingerprint": "f"},
        chunk(reasoning_content="h"),
        chunk(reasoning_content="m"),
        chunk(content="he"),
        chunk(content="llo"),
        chunk("length"),
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    )
    assert found.choices[0].parts == [Thinking("hm"), Text("hello")]
    assert (found.id, found.model, found.created, found.service_tier) == ("r", "m", 5, "flex")
    assert found.extra == {"system_fingerprint": "f"}
    assert (found.choices[0].finish, found.usage) == ("length", Usage(input=1, output=2))


def test_several_choices() -> None:
    def piece(index: int, text: str) -> dict[str, Any]:
        return {"id": "r", "choices": [{"index": index, "delta": {"content": text}}]}

    found = reply(piece(1, "x"), piece(0, "a"), piece(1, "y"), piece(0, "b"))
    assert [choice.parts for choice in found.choices] == [[Text("ab")], [Text("xy")]]


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        # As the protocol says, with pieces that alternate.
        (
            [
                call(0, "a", "f"), call(1, "b", "g"), call(0, arguments="{"), call(1, arguments="[]"),
                call(0, arguments="}"),
            ],
            [("a", "f", "{}"), ("b", "g", "[]")],
        ),
        # Every call is counted as 0; the ids tell them apart.
        ([call(0, "a", "f", "{}"), call(0, "b", "f", "{}")], [("a", "f", "{}"), ("b", "f", "{}")]),
        # No index at all.
        (
            [call(None, "a", "f", "{"), call(None, arguments="}"), call(None, "b", "g", "{}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        # The id is repeated with every piece, or is another with every piece.
        ([call(0, "a", "f"), call(0, "a", "f", "{"), call(0, "a", "", "}")], [("a", "f", "{}")]),
        ([call(0, "a", "f", "{"), call(0, "b", None, "}")], [("a", "f", "{}")]),
        # Neither index nor id.
        (
            [call(None, None, "f", "{}"), call(None, None, "f", "{}")],
            [(made_id("call", "r", 0), "f", "{}"), (made_id("call", "r", 1), "f", "{}")],
        ),
        # No id, and every call counted as 0: the end of the arguments tells them apart.
        (
            [call(0, "", "f", '{"a":1}'), call(0, "", "f", '{"a":2}')],
            [(made_id("call", "r", 0), "f", '{"a":1}'), (made_id("call", "r", 1), "f", '{"a":2}')],
        ),
        ([call(0, "", "f", '{"a"'), call(0, "", "f", ":1}")], [(made_id("call", "r", 0), "f", '{"a":1}')]),
        # The name comes after the id, and no arguments at all.
        ([call(0, "a"), call(0, None, "f")], [("a", "f", "{}")]),
    ],
)  # fmt: skip
def test_calls_however_services_number_them(entries: list[dict[str, Any]], found: list[tuple[str, str, str]]) -> None:
    assert calls(*entries) == found


def test_calls_in_one_delta_and_an_end_that_does_not_tell_of_them() -> None:
    found = reply(chunk(tool_calls=[call(0, "a", "f"), call(1, "b", "g")]), chunk("stop")).choices[0]
    assert [part.id for part in found.parts if isinstance(part, ToolCall)] == ["a", "b"]
    assert (found.finish, found.finish_raw) == ("tool_calls", "stop")


def test_the_older_form_of_a_call() -> None:
    found = parts({"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}})
    assert found == [ToolCall(made_id("call", "r", 0), "f", "{}", extra={"legacy": True})]
    assert parts({"function_call": {"name": "", "arguments": ""}}) == []


def test_calls_of_another_kind_come_whole() -> None:
    found = parts(
        {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "y"}}]},
    )
    assert found == [Opaque(NAME, {"id": "a", "type": "custom", "custom": {"name": "f", "input": "xy"}})]


def test_thoughts_in_a_list() -> None:
    entry = {"type": "reasoning.text", "index": 0, "format": "f"}
    found = parts(
        {"reasoning": "a", "reasoning_details": [{**entry, "text": "a"}]},
        {"reasoning": "b", "reasoning_details": [{**entry, "text": "b"}]},
        {"reasoning_details": [{**entry, "signature": "s"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "index": 1}]},
    )
    assert found == [
        Thinking("ab", signature="s", extra={"detail": entry}),
        Thinking(redacted="x", extra={"detail": {"type": "reasoning.encrypted", "index": 1}}),
    ]


def test_a_thought_that_is_told_twice_counts_once() -> None:
    entry = {"type": "reasoning.text", "text": "ab", "signature": "s", "index": 0}
    found = parts({"reasoning_content": "a"}, {"reasoning_content": "b"}, {"reasoning_details": [entry]})
    assert [(part.text, part.signature) for part in found] == [("ab", "s")]


def test_content_as_a_list_of_parts() -> None:
    def thought(text: str) -> dict[str, Any]:
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}

    found = parts(
        thought("a"), thought("b"), {"content": [{"type": "text", "text": "c"}]}, {"content": "d"}, thought("e")
    )
    assert [(type(part), part.text) for part in found] == [(Thinking, "ab"), (Text, "cd"), (Thinking, "e")]


def test_refusals_and_annotations() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "https://x.example", "start_index": 0, "end_index": 0}}
    assert parts({"refusal": "n"}, {"refusal": "o"}) == [Refusal("no")]
    assert parts({"content": "a"}, {"content": "", "annotations": [note]}) == [
        Text("a", [Citation("https://x.example", extra=note)])
    ]


def test_audio_is_put_together() -> None:
    first, second = (base64.b64encode(data).decode() for data in (b"ab", b"cde"))
    found = parts(
        {"audio": {"id": "audio_1", "transcript": "he"}},
        {"audio": {"data": first, "transcript": "llo"}},
        {"audio": {"data": second}},
        {"audio": {"expires_at": 9, "data": "not base64"}},
    )
    data = base64.b64encode(b"abcde").decode()
    assert found == [Media("audio", data=data, id="audio_1", text="hello", extra={"expires_at": 9})]


def test_log_probabilities() -> None:
    token = {"token": "a", "logprob": -1.0}
    first = chunk(content="a")
    first["choices"][0]["logprobs"] = {"content": [token]}
    second = chunk(content="b")
    second["choices"][0]["logprobs"] = {"content": None, "refusal": None}
    assert reply(first, second).choices[0].logprobs == [token]


def test_usage_where_one_service_puts_it_and_with_every_chunk() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    found = events(CHAT, [sse({**chunk("stop", content="a"), "x_groq": {"usage": usage}})])
    assert [event.usage for event in found if isinstance(event, Used)] == [Usage(input=1, output=2)]
    found = events(CHAT, [sse(*({**chunk(content="a"), "usage": usage} for _ in range(3)))])
    assert sum(isinstance(event, Used) for event in found) == 1


def test_sources_hang_on_the_text_once() -> None:
    found = [event for event in recorded("sources-stream") if isinstance(event, TextPiece) and event.citations]
    assert len(found) == 1
    assert all((citation.url or "").startswith("https://") for citation in found[0].citations)


def test_what_changes_with_every_chunk_is_not_told() -> None:
    found = events(CHAT, [sse(*({**chunk(content="a"), "p": "x" * n, "obfuscation": "y" * n} for n in range(4)))])
    assert sum(type(event).__name__ == "Began" for event in found) == 1


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (sse(chunk(content="a"), {"error": {"code": 429, "message": "slow"}}), "rate_limited"),
        (sse({"object": "error", "message": "gone", "code": 404}), "model_gone"),
        (sse({"choices": [{"delta": {}, "error": {"code": 502}}]}), "server_error"),
        (sse(chunk("error", content="a")), "server_error"),
        (b'event: error\ndata: {"message": "broken"}\n\n', "server_error"),
        (cassette(RECORDED, "error-in-stream").body, "invalid_request"),
    ],
)
def test_failures_inside(data: bytes, outcome: str) -> None:
    found = events(CHAT, [data])  # type: ignore[arg-type]
    assert isinstance(found[-1], Failed)
    assert found[-1].verdict.outcome_class == outcome


def test_only_the_marker_is_the_end() -> None:
    body = cassette(RECORDED, "no-finish-stream").body
    found = events(CHAT, [body])  # type: ignore[arg-type]
    assert isinstance(found[-1], Ended)
    assert not any(isinstance(event, Finished) for event in found)
    cut = events(CHAT, [body[: body.index(b"data: [DONE]")]])  # type: ignore[arg-type]
    assert not any(isinstance(event, Ended) for event in cut)


def test_what_comes_before_output_commits_nothing() -> None:
    found = events(CHAT, [sse({"choices": [], "prompt_filter_results": []}, chunk(role="assistant", content=""))])
    assert not any(map(is_output, found))


def test_bytes_that_are_not_this_protocol_s() -> None:
    for data in (b"data: <html>\n\n", b'data: {"a": \n\n', b'data: {"a": "\xff"}\n\n'):
        with pytest.raises(ValueError, match="JSON"):
            events(CHAT, [data])  # type: ignore[arg-type]
    assert events(CHAT, [b": ping\n\ndata: 7\n\ndata: []\n\nevent: x\n\n"]) == []  # type: ignore[arg-type]


STREAMS = [
    "reasoning-apart-stream",
    "listed-thoughts-stream",
    "sources-stream",
    "parallel-calls-stream",
    "logprobs-stream",
]


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=25)
@given(cuts=CUTS)
def test_recorded_streams_in_any_pieces(name: str, cuts: list[int]) -> None:
    body = cassette(RECORDED, name).body
    whole = added(recorded(name), NAME).reply()
    if b"[DONE]" not in body:
        body += b"data: [DONE]\n\n"
    assert streamed(CHAT, body, NAME, cuts) == whole  # type: ignore[arg-type]


def test_a_recorded_stream() -> None:
    found = added(recorded("reasoning-apart-stream"), NAME).reply()
    assert found.choices[0].parts == [
        Thinking("First, the user is"),
        ToolCall("call_55117580", "weather", '{"location":"San Francisco"}'),
    ]
    assert found.usage == Usage(input=291, output=222, cached=290, reasoning=196, input_audio=0, output_audio=0)


_NAMES = ["choices", "delta", "index", "content", "tool_calls", "function", "name", "id", "arguments", "usage", "type",
          "logprobs", "reasoning_details", "finish_reason", "audio", "thinking", "text", "data"]  # fmt: skip


@settings(max_examples=150)
@given(st.lists(odd_json(_NAMES), max_size=4))
def test_any_chunks_are_read(chunks: list[Any]) -> None:
    wrapped = [{"choices": [{"delta": inner, "index": 0}]} for inner in chunks]
    for told in (chunks, wrapped):
        added(events(CHAT, [sse(*told)]), NAME).reply()  # type: ignore[arg-type]


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        events(CHAT, [data, b"\n\n"])  # type: ignore[arg-type]
    except ValueError:
        return
