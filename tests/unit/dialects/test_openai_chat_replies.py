"""What replies and streams mean beyond the cassettes: other surfaces, and the bounds on what is held back."""

from __future__ import annotations

from typing import Any, cast

import pytest

from engine.dialects import dialects
from engine.dialects.openai_chat import OpenAIChat
from engine.dialects.openai_chat.stream import DONE, MAX_HELD
from engine.dialects.sse import MAX_EVENT
from engine.exchange import Call, OutcomeClass, StreamDecoder, Verdict

OPENAI = cast(OpenAIChat, dialects()["openai-chat"])
C = OutcomeClass
OUTPUT = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
START = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'


def call(surface: str, **changes: Any) -> Call:
    return Call("r-1", surface, f"/{surface}", "m", surface, **changes)


def decode(surface: str, body: bytes) -> Verdict:
    verdict, told = OPENAI.decode(call(surface), {}.get, body)
    assert told is body
    return verdict


def stream(surface: str = "chat") -> StreamDecoder:
    return OPENAI.stream(call(surface, stream=True), {}.get)


def test_embeddings_are_served_with_their_usage() -> None:
    verdict = decode("embeddings", b'{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":3,"total_tokens":3}}')
    assert verdict.outcome_class is C.SERVED
    assert verdict.usage is not None
    assert verdict.usage.to_dict() == {"input": 3}


@pytest.mark.parametrize("body", [b'{"data":[]}', b'{"object":"list"}', b"{}"])
def test_no_embedding_is_no_success(body: bytes) -> None:
    assert decode("embeddings", body) == Verdict(C.GARBLED, detail="the reply holds no embedding")


def test_completions_have_their_text_in_the_choice() -> None:
    assert decode("completions", b'{"choices":[{"text":"x","finish_reason":"stop"}]}').outcome_class is C.SERVED
    assert decode("completions", b'{"choices":[{"text":"","finish_reason":"stop"}]}').outcome_class is C.GARBLED
    decoder = stream("completions")
    assert decoder.feed(b'data: {"choices":[{"text":""}]}\n\n') == b""
    assert decoder.feed(b'data: {"choices":[{"text":"x"}]}\n\n') != b""


@pytest.mark.parametrize("surface", ["moderations", "images", "audio"])
def test_of_other_surfaces_only_the_status_counts(surface: str) -> None:
    assert decode(surface, b"\x00not json") == Verdict(C.SERVED)
    decoder = stream(surface)
    assert (decoder.feed(b"\x00"), decoder.committed, decoder.finish()) == (b"\x00", True, (b"", None))


def test_a_relayed_stream_of_nothing_is_a_failure() -> None:
    decoder = stream("audio")
    assert (decoder.feed(b""), decoder.committed) == (b"", False)
    assert decoder.finish() == (b"", Verdict(C.GARBLED, detail="the reply is empty"))


def test_text_that_is_not_utf_8_is_garbled_wherever_it_stands() -> None:
    assert decode("chat", b'{"x":"\xff","choices":[{"message":{"content":"x"}}]}').outcome_class is C.GARBLED
    decoder = stream()
    decoder.feed(b'data: {"x":"\xff","choices":[{"delta":{"content":"x"}}]}\n\n')
    assert (decoder.failure and decoder.failure.outcome_class, decoder.committed) == (C.GARBLED, False)


def test_a_reply_nested_without_end_is_garbled_and_not_a_crash() -> None:
    assert decode("chat", b'{"choices":' + b"[" * 100_000).outcome_class is C.GARBLED


@pytest.mark.parametrize("body", [b"[]", b"3", b'"x"', b'{"choices":{"0":1}}', b'{"choices":[1]}', b"[[]]"])
def test_json_of_another_shape_is_garbled(body: bytes) -> None:
    assert decode("chat", body).outcome_class is C.GARBLED


@pytest.mark.parametrize("size", [len(START), 97, MAX_HELD])
def test_start_up_events_are_held_back_up_to_a_bound_however_they_are_cut(size: int) -> None:
    fits = MAX_HELD // len(START)
    for count, failed in ((fits, False), (fits + 1, True)):
        decoder, relayed = stream(), b""
        wire = START * count + OUTPUT + DONE
        for at in range(0, len(wire), size):
            relayed += decoder.feed(wire[at : at + size])
        relayed += decoder.finish()[0]
        assert (decoder.failure is not None, relayed == wire) == (failed, not failed)


def test_an_event_without_end_is_garbled() -> None:
    decoder = stream()
    decoder.feed(OUTPUT + b"data: ")
    assert decoder.feed(b"x" * MAX_EVENT) == b""
    assert decoder.failure == Verdict(C.GARBLED, detail=f"an event of more than {MAX_EVENT} bytes")


def test_after_the_end_and_after_a_failure_nothing_is_relayed_any_more() -> None:
    ended = stream()
    ended.feed(OUTPUT + DONE)
    assert (ended.ended, ended.feed(OUTPUT), ended.finish()) == (True, b"", (b"", None))
    failed = stream()
    failed.feed(b'data: {"error":{"code":429}}\n\n')
    assert (failed.feed(OUTPUT), failed.finish()) == (b"", (b"", failed.failure))


@pytest.mark.parametrize("index", [b"null", b'"0"', b"[0]", b"1.5"])
def test_a_choice_of_an_odd_number_is_the_first(index: bytes) -> None:
    decoder = stream()
    decoder.feed(b'data: {"choices":[{"index":%s,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n' % index)
    assert decoder.finish() == (DONE, None)
