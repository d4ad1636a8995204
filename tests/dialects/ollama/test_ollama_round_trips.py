"""What the protocol can carry survives it: requests, replies, and replies told as streams."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.dialects.ollama import Ollama
from engine.exchange import Usage
from engine.exchange.canonical import ChatReply, ChatRequest, Choice, Media, Part, Reasoning, Text, Thinking, ToolCall

from ..canon import FORMATS, LARGE, NUMBERS, TOOLS, WORDS, conversations, plain, said_with
from ..play import CUTS, encode, shape, streamed, tree

CHAT = Ollama().chat
assert CHAT is not None

THOUGHTS = st.builds(Thinking, WORDS)
FILES = st.builds(Media, st.just("image"), data=st.sampled_from(["aGk=", "iVBORw0KGgo="]))


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    maybe: dict[str, st.SearchStrategy[Any]] = {
        "max_tokens": st.integers(0, 9000),
        "temperature": NUMBERS,
        "top_p": NUMBERS,
        "top_k": st.integers(1, 99),
        "min_p": NUMBERS,
        "seed": st.sampled_from([-5, 0, 7]),
        "frequency_penalty": NUMBERS,
        "presence_penalty": NUMBERS,
        "logprobs": st.booleans(),
        "top_logprobs": st.integers(0, 5),
        "stop": st.lists(WORDS, max_size=3),
        "format": FORMATS,
        "reasoning": st.sampled_from([Reasoning(True), Reasoning(False)]),
        "stream": st.booleans(),
    }
    fields: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=maybe))
    messages = draw(conversations(said_with(FILES, texts=1), plain(THOUGHTS), results_apart=True))
    return ChatRequest("up", messages, draw(TOOLS), **fields)


@LARGE
@given(requests())
def test_requests(request: ChatRequest) -> None:
    written = CHAT.write_request(request, shape("up"))
    assert written.dropped == []
    assert CHAT.read_request(tree(written.body)) == structs.replace(request, origin="ollama", include_usage=True)


@st.composite
def replies(draw: st.DrawFn) -> ChatReply:
    parts: list[Part] = draw(plain(THOUGHTS)(0))
    called = any(isinstance(part, ToolCall) for part in parts)
    finish = draw(st.sampled_from(["length", "tool_calls" if called else "stop"]))
    tokens = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    choice = Choice(parts, finish, "length" if finish == "length" else "stop")
    choice.logprobs = draw(st.none() | st.just(tokens))
    counts = st.none() | st.integers(0, 999)
    usage = Usage(draw(counts), draw(counts))
    created = draw(st.none() | st.integers(0, 2**31))
    return ChatReply("", "m", created, [choice], usage if usage != Usage() else None)


@LARGE
@given(replies())
def test_replies(reply: ChatReply) -> None:
    again = CHAT.read_reply(encode(CHAT.write_reply(reply, ChatRequest())))
    assert again == structs.replace(reply, origin="ollama")


def told(body: dict[str, Any], cuts: list[int]) -> bytes:
    """The stream that the service would tell a whole reply in, with texts in pieces."""
    message = body.pop("message")
    last = {**body, "message": {"role": "assistant", "content": ""}}
    lines: list[dict[str, Any]] = []
    for name in ("thinking", "content"):
        text = message.get(name, "")
        places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
        lines.extend({name: text[start:end]} for start, end in itertools.pairwise(places))
    lines.extend({"content": "", "tool_calls": [call]} for call in message.get("tool_calls", []))
    base = {name: body[name] for name in ("model", "created_at") if name in body}
    whole = [{**base, "message": {"role": "assistant", **line}, "done": False} for line in lines]
    return b"".join(encode(line) + b"\n" for line in [*whole, last])


@LARGE
@given(replies(), CUTS, CUTS)
def test_replies_told_as_streams(reply: ChatReply, cuts: list[int], splits: list[int]) -> None:
    body = CHAT.write_reply(reply, ChatRequest())
    whole = CHAT.read_reply(encode(body))
    assert streamed(CHAT, told(body, splits), "ollama", cuts) == whole


def test_the_text_of_a_reply_is_that_of_its_stream() -> None:
    reply = ChatReply("", "m", None, [Choice([Text("a\nb")], "stop", "stop")], None)
    body = CHAT.write_reply(reply, ChatRequest())
    assert streamed(CHAT, told(body, [1, 2]), "ollama").text == "a\nb"
