"""What the library hands out: answers, streams and exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RequestError, StreamError
from engine.exchange import Outcome, OutcomeClass
from engine.executor.reply import Reply, StreamReply
from engine.runtime.replies import ChatStream, answer


def outcome(how: OutcomeClass = OutcomeClass.SERVED, status: int = 200) -> Outcome:
    return Outcome("req_1", how, status, "chat", "chat", "chat", "p/m", "f00d", False, 0.0, 0.1)


def reply(body: Any, how: OutcomeClass = OutcomeClass.SERVED, status: int = 200) -> Reply:
    return Reply(status, [(b"retry-after", b"7")], msgspec.json.encode(body), outcome(how, status))


class Pieces:
    def __init__(self, pieces: Sequence[bytes], how: OutcomeClass = OutcomeClass.SERVED) -> None:
        self._pieces = list(pieces)
        self._how = how
        self.outcome: Outcome | None = None
        self.closed = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        self.outcome = self.outcome or outcome(self._how)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1
        self.outcome = self.outcome or outcome(OutcomeClass.CANCELLED)


def stream_of(pieces: Pieces) -> ChatStream:
    async def start() -> StreamReply:
        return StreamReply(200, [], pieces)

    return ChatStream(start)


def event(text: str) -> bytes:
    return b"data: " + msgspec.json.encode({"choices": [{"delta": {"content": text}}]}) + b"\n\n"


def text_of(chunk: dict[str, Any]) -> str:
    return str(chunk["choices"][0]["delta"]["content"])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"choices": [{"message": {"content": "hello"}}]}, "hello"),
        ({"choices": [{"text": "hello"}]}, "hello"),
        ({"choices": [{"message": {"content": None, "tool_calls": []}}]}, ""),
        ({"choices": []}, ""),
        ({"data": [{"embedding": [0.5]}]}, ""),
    ],
)
def test_text(body: Any, text: str) -> None:
    got = answer(reply(body))
    assert got.text == text
    assert got.body == body
    assert (got.target, got.route, got.request_id) == ("p/m", "chat", "req_1")
    assert got.headers == {"retry-after": "7"}


def test_a_failure_says_what_a_client_of_the_server_would_see() -> None:
    error = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limited"}}
    with pytest.raises(RequestError, match="slow down") as caught:
        answer(reply(error, OutcomeClass.RATE_LIMITED, 429))
    assert caught.value.status == 429
    assert caught.value.body == error
    assert caught.value.headers["retry-after"] == "7"
    assert caught.value.outcome.outcome_class is OutcomeClass.RATE_LIMITED


@given(st.lists(st.text(), max_size=5), st.lists(st.integers(0, 200), max_size=8))
def test_chunks_are_the_same_however_the_bytes_arrive(texts: list[str], cuts: list[int]) -> None:
    whole = b": hello\n\n" + b"".join(map(event, texts)) + b"data: [DONE]\n\n"
    at = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = Pieces([whole[a:b] for a, b in pairwise(at)])

    async def scenario() -> list[str]:
        stream = stream_of(pieces)
        assert stream.outcome is None
        got = [text_of(chunk) async for chunk in stream]
        assert stream.outcome is not None
        return got

    assert asyncio.run(scenario()) == texts
    assert pieces.closed == 1


def test_leaving_a_loop_ends_the_request() -> None:
    pieces = Pieces([event("a"), event("b")])

    async def scenario() -> None:
        async for chunk in stream_of(pieces):
            assert text_of(chunk) == "a"
            break
        await asyncio.sleep(0.01)
        assert pieces.closed == 1

    asyncio.run(scenario())


def test_closing_ends_the_request() -> None:
    pieces = Pieces([event("a"), event("b")])

    async def scenario() -> None:
        async with stream_of(pieces) as stream:
            assert text_of(await anext(stream)) == "a"
        await stream.aclose()
        assert pieces.closed == 1
        assert stream.outcome is not None
        assert stream.outcome.outcome_class is OutcomeClass.CANCELLED

    asyncio.run(scenario())


def test_a_stream_that_fails_before_output_raises_as_an_answer_would() -> None:
    async def scenario() -> None:
        async def start() -> Reply:
            return reply({"error": {"message": "no"}}, OutcomeClass.OVERLOADED, 503)

        with pytest.raises(RequestError, match="no") as caught:
            await anext(ChatStream(start))
        assert not isinstance(caught.value, StreamError)
        assert caught.value.status == 503

    asyncio.run(scenario())


def test_a_stream_that_breaks_raises_after_what_came() -> None:
    broken = b'data: {"error": {"message": "it broke", "code": "connection"}}\n\n'
    pieces = Pieces([event("a") + broken], OutcomeClass.CONNECTION)

    async def scenario() -> None:
        stream = stream_of(pieces)
        assert text_of(await anext(stream)) == "a"
        with pytest.raises(StreamError, match="it broke") as caught:
            await anext(stream)
        assert caught.value.status == 502
        assert caught.value.outcome.outcome_class is OutcomeClass.CONNECTION
        assert pieces.closed == 1

    asyncio.run(scenario())
