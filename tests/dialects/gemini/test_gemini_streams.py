"""Streams of ``streamGenerateContent``, in both forms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects.gemini import Gemini, json_array, partial
from engine.exchange import OutcomeClass, Usage
from engine.exchange.canonical import Text, Thinking, ToolCall
from engine.exchange.events import Ended, Failed, ThinkingPiece, ToolCallPiece

from ..play import CUTS, added, encode, events, odd_json, pieces, streamed
from ..recordings import cassette

CHAT = Gemini().chat
assert CHAT is not None

RECORDED = [
    "arguments-stream",
    "grounded-stream",
    "image-in-result-stream",
    "numbers-array-stream",
    "thinking-stream",
]


def sse(*chunks: Any) -> bytes:
    return b"".join(b"data: " + encode(chunk) + b"\r\n\r\n" for chunk in chunks)


def chunk(*parts: Any, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, **candidate}]}


@pytest.mark.parametrize("name", RECORDED)
@given(cuts=CUTS)
def test_how_the_bytes_are_cut_makes_no_difference(name: str, cuts: list[int]) -> None:
    body = cassette("gemini", name).body
    assert events(CHAT, pieces(body, cuts)) == events(CHAT, [body])


def test_arguments_that_come_in_pieces() -> None:
    reply = streamed(CHAT, cassette("gemini", "arguments-stream").body, "gemini")
    thought, first, second = reply.choices[0].parts
    assert isinstance(thought, Thinking)
    assert (thought.signature or "").startswith("gemini:CiMB")
    prefix = "gemini_dqHOab6xGLzWodAPkPuViA4"
    assert first == ToolCall(f"{prefix}_1", "getWeather", '{"location":"Boston"}')
    assert second == ToolCall(f"{prefix}_2", "getWeather", '{"location":"San Francisco"}')
    assert reply.choices[0].finish == "tool_calls"
    assert reply.usage == Usage(input=26, output=23 + 132, reasoning=132)


def test_a_signature_that_comes_after_the_text() -> None:
    reply = streamed(CHAT, cassette("gemini", "thinking-stream").body, "gemini")
    text, thought = reply.choices[0].parts
    assert isinstance(text, Text)
    assert text.text.startswith('There are **3** "r"s in strawberry.')
    assert isinstance(thought, Thinking)
    assert (thought.text, (thought.signature or "")[:11]) == ("", "gemini:Eo0H")


def test_sources_are_told_when_the_text_is_whole() -> None:
    reply = streamed(CHAT, cassette("gemini", "grounded-stream").body, "gemini")
    part = reply.choices[0].parts[0]
    assert isinstance(part, Text)
    supports = reply.choices[0].extra["groundingMetadata"]["groundingSupports"]
    words = [support["segment"]["text"] for support in supports for _ in support["groundingChunkIndices"]]
    assert [part.text[c.start : c.end] for c in part.citations] == words


def test_an_array_of_chunks_with_enumerations_as_numbers() -> None:
    reply = streamed(CHAT, cassette("gemini", "numbers-array-stream").body, "gemini")
    assert (reply.choices[0].finish, reply.choices[0].finish_raw) == ("stop", "STOP")
    assert reply.text
    assert reply.usage is not None
    assert reply.usage.input


def test_a_thought_and_its_signature_are_one_thought() -> None:
    body = sse(
        chunk({"text": "Let me ", "thought": True}),
        chunk({"text": "see.", "thought": True}),
        chunk({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}),
        chunk(finishReason="STOP"),
    )
    parts = streamed(CHAT, body, "gemini").choices[0].parts
    assert parts == [Thinking("Let me see.", "gemini:c2ln"), ToolCall("gemini_1", "f", '{"a":1}')]


def test_a_signed_piece_of_a_text_that_has_begun_goes_on_with_it() -> None:
    body = sse(chunk({"text": "a"}), chunk({"text": "b", "thoughtSignature": "c2ln"}, finishReason="STOP"))
    assert streamed(CHAT, body, "gemini").choices[0].parts == [Text("ab"), Thinking(signature="gemini:c2ln")]


def test_the_close_after_a_reason_to_finish_is_the_end_and_any_other_is_not() -> None:
    begun = sse(chunk({"text": "a"}))
    assert not added(events(CHAT, [begun]), "gemini").ended
    assert Ended() in events(CHAT, [begun, sse(chunk(finishReason="STOP"))])
    assert not added(events(CHAT, [b""]), "gemini").ended


def test_an_answer_of_which_nothing_came_but_the_reason_is_broken() -> None:
    told = chunk(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="Malformed function call: f(")
    whole = CHAT.read_reply(encode(told))
    failed = events(CHAT, [sse(told)])[-1]
    assert isinstance(failed, Failed)
    assert failed.verdict == whole
    assert (failed.verdict.outcome_class, failed.verdict.code) == (OutcomeClass.GARBLED, "MALFORMED_FUNCTION_CALL")
    begun = streamed(CHAT, sse(chunk({"text": "a"}), told), "gemini")
    assert begun.choices[0].finish == "error"


def test_several_candidates() -> None:
    both = {
        "candidates": [{"content": {"parts": [{"text": text}]}, "index": at} for at, text in enumerate("ab")],
        "modelVersion": "m",
    }
    ends = {"candidates": [{"index": 1, "finishReason": "STOP"}, {"index": 0, "finishReason": "MAX_TOKENS"}]}
    reply = streamed(CHAT, sse(both, both, ends), "gemini")
    assert [(choice.parts, choice.finish) for choice in reply.choices] == [
        ([Text("aa")], "length"),
        ([Text("bb")], "stop"),
    ]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}},
            OutcomeClass.OVERLOADED,
        ),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, OutcomeClass.CONTENT_REFUSED),
    ],
)
def test_failures_inside_a_stream(told: Any, expected: OutcomeClass) -> None:
    for body in (sse(told), encode([told]), encode(told)):
        failed = events(CHAT, [body])[-1]
        assert isinstance(failed, Failed)
        assert failed.verdict.outcome_class is expected


@pytest.mark.parametrize(
    "body", [b"data: nonsense\n\n", b"data: 3\n\n", b"[3]", b'[{"candidates": [}]', b'[{"a": 1', b"{} x"]
)
def test_what_is_no_stream_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        events(CHAT, [body])


@given(st.binary(max_size=40), CUTS)
def test_arbitrary_bytes_raise_nothing_else(data: bytes, cuts: list[int]) -> None:
    quietly(pieces(data, cuts))


_NAMES = (
    *("candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "name", "args", "id"),
    *("willContinue", "partialArgs", "jsonPath", "$.a", "stringValue", "finishReason", "index", "groundingMetadata"),
    *("groundingChunks", "groundingSupports", "segment", "endIndex", "groundingChunkIndices", "web", "usageMetadata"),
    *("promptTokenCount", "error", "status", "details", "retryDelay", "promptFeedback", "blockReason", "createTime"),
)


@given(st.lists(st.dictionaries(st.sampled_from(_NAMES), odd_json(_NAMES), max_size=5), max_size=3))
def test_chunks_of_the_wrong_types_raise_nothing_else(chunks: list[Any]) -> None:
    quietly([sse(*chunks)])
    body = encode(chunks[0] if chunks else {})
    CHAT.read_reply(body)
    Gemini().classify(500, lambda name: None, body, 0.0)


def quietly(data: list[bytes]) -> None:
    try:
        events(CHAT, data)
    except ValueError as problem:
        assert str(problem)  # noqa: PT017 whether it is raised is the data's affair


@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=6)), max_size=4), CUTS)
def test_objects_are_cut_out_of_an_array_wherever_it_is_cut(objects: list[dict[str, str]], cuts: list[int]) -> None:
    cutter = json_array.Objects()
    found = [whole for piece in pieces(encode(objects), cuts) for whole in cutter.feed(piece)]
    assert found == [encode(item) for item in objects]
    assert not cutter.open


def test_an_object_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_array, "MAX_OBJECT", 10)
    with pytest.raises(ValueError, match="10 bytes"):
        json_array.Objects().feed(b'{"a": "123456')


def test_values_go_where_their_path_says() -> None:
    arguments: dict[str, Any] = {}
    for path, name, value in [
        ("$.a", "stringValue", "x"),
        ("$.a", "stringValue", "y"),
        ("$.list[1].n", "numberValue", 2),
        ("$['odd name']", "boolValue", True),
        ("$.none", "nullValue", "NULL_VALUE"),
    ]:
        partial.apply(arguments, [{"jsonPath": path, name: value}])
    assert arguments == {"a": "xy", "list": [None, {"n": 2}], "odd name": True, "none": None}


@pytest.mark.parametrize("path", ["$.a.b", "$.a[0]", "$[", "$.", "$.l[99999999]"])
def test_a_path_that_leads_nowhere_is_a_value_error(path: str) -> None:
    with pytest.raises(ValueError, match="a place"):
        partial.apply({"a": "text", "l": []}, [{"jsonPath": path, "stringValue": "x"}])


def test_the_first_piece_of_a_call_is_told_at_once() -> None:
    found = events(CHAT, [sse(chunk({"functionCall": {"name": "f", "willContinue": True}}))])
    assert [type(event) for event in found[1:]] == [ToolCallPiece, ToolCallPiece]
    assert not any(isinstance(event, ThinkingPiece) for event in found)
