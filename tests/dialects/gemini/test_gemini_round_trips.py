"""What the protocol can carry survives it: requests, replies, and replies told as streams."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.dialects.gemini import Gemini
from engine.exchange import Usage
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Citation,
    Media,
    Message,
    Part,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
)

from ..canon import FORMATS, INLINE, LARGE, NAMES, NUMBERS, TOOLS, WORDS, conversations, plain, said_with
from ..play import CUTS, encode, shape, streamed, tree

CHAT = Gemini().chat
assert CHAT is not None

SIGNATURES = st.none() | st.sampled_from(["gemini:c2ln", "gemini:AQ=="])
THOUGHTS = st.builds(Thinking, WORDS, SIGNATURES) | st.builds(Thinking, st.just(""), st.just("gemini:c2ln"))
FILES = INLINE | st.builds(Media, st.just("file"), st.just("application/pdf"), url=st.just("gs://bucket/file"))
CHOICES = (
    st.sampled_from([ToolChoice("auto"), ToolChoice("none"), ToolChoice("required"), ToolChoice("auto", allowed=["a"])])
    | st.builds(ToolChoice, st.just("named"), NAMES)
    | st.just(ToolChoice("required", allowed=["a", "b"]))
)
WISHES = st.builds(Reasoning, st.just(True), budget=st.none() | st.integers(1, 9000), show=st.booleans()) | st.builds(
    Reasoning, st.just(False), show=st.none() | st.booleans()
)


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    maybe: dict[str, st.SearchStrategy[Any]] = {
        "max_tokens": st.integers(1, 9000),
        "temperature": NUMBERS,
        "top_p": NUMBERS,
        "top_k": st.integers(1, 99),
        "seed": st.sampled_from([-5, 0, 7]),
        "frequency_penalty": NUMBERS,
        "presence_penalty": NUMBERS,
        "n": st.integers(1, 4),
        "logprobs": st.booleans(),
        "top_logprobs": st.integers(0, 5),
        "stop": st.lists(WORDS, max_size=3),
        "modalities": st.just(["text", "image"]),
        "format": FORMATS,
        "reasoning": WISHES,
        "tool_choice": CHOICES,
        "service_tier": st.sampled_from(["flex", "priority", "default"]),
    }
    fields: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=maybe))
    messages = draw(conversations(said_with(FILES), plain(THOUGHTS), results_apart=False))
    return ChatRequest(messages=messages, tools=draw(TOOLS), **fields)


@LARGE
@given(requests())
def test_requests(request: ChatRequest) -> None:
    written = CHAT.write_request(request, shape("gemini-2.5-flash"))
    assert written.dropped == []
    assert CHAT.read_request(tree(written.body)) == structs.replace(request, origin="gemini", include_usage=True)


def citations(text: str) -> st.SearchStrategy[list[Citation]]:
    """Citations of ``text``, each with a place in it or none."""
    places = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(sorted)
    built = st.builds(
        lambda place, title, quote: Citation("https://x.example", title, quote, place[0], place[1]),
        places,
        st.none() | WORDS,
        st.none() | WORDS,
    )
    return st.lists(built, max_size=2)


@st.composite
def replies(draw: st.DrawFn) -> ChatReply:
    choices = []
    for _ in range(draw(st.integers(1, 2))):
        parts: list[Part] = draw(plain(THOUGHTS)(0))
        for part in parts:
            if isinstance(part, Text):
                part.citations = draw(citations(part.text))
        called = any(isinstance(part, ToolCall) for part in parts)
        finish = draw(st.sampled_from(["length", "content_filter", "tool_calls" if called else "stop"]))
        choices.append(Choice(parts, finish, {"length": "MAX_TOKENS", "content_filter": "SAFETY"}.get(finish, "STOP")))
    counts = st.none() | st.integers(0, 999)
    reasoning = draw(counts)
    output = draw(st.integers(reasoning, 2000)) if reasoning is not None else draw(counts)
    usage = Usage(draw(st.integers(0, 999)), output, draw(counts), reasoning, input_audio=draw(counts))
    return ChatReply("r-1", "gemini-x", draw(st.none() | st.integers(0, 2**31)), choices, usage)


def without_raw(reply: ChatReply) -> ChatReply:
    """Without what only this protocol knows: how citations were told."""
    for choice in reply.choices:
        choice.extra.pop("groundingMetadata", None)
        for part in choice.parts:
            if isinstance(part, Text):
                for citation in part.citations:
                    citation.extra = {}
    return reply


@LARGE
@given(replies())
def test_replies(reply: ChatReply) -> None:
    again = CHAT.read_reply(encode(CHAT.write_reply(reply, ChatRequest())))
    assert isinstance(again, ChatReply)
    assert without_raw(again) == structs.replace(reply, origin="gemini")


def told(body: dict[str, Any], cuts: list[int]) -> bytes:
    """The stream that a service would tell a whole reply in: text in pieces, what else it says with the last chunk."""
    chunks: list[dict[str, Any]] = []
    for candidate in body["candidates"]:
        index = candidate["index"]
        for part in candidate["content"].pop("parts"):
            bits = [part]
            if part.get("text") and "thoughtSignature" not in part:
                places = sorted({0, len(part["text"]), *(cut % len(part["text"]) for cut in cuts)})
                bits = [{**part, "text": part["text"][a:b]} for a, b in itertools.pairwise(places)]
            chunks.extend({"candidates": [{"content": {"parts": [bit]}, "index": index}]} for bit in bits)
        chunks.append({"candidates": [candidate]})
    rest = {name: value for name, value in body.items() if name != "candidates"}
    events = [{**chunk, "responseId": body["responseId"], "modelVersion": body["modelVersion"]} for chunk in chunks]
    events[-1] |= rest
    return b"".join(b"data: " + encode(event) + b"\n\n" for event in events)


@LARGE
@given(replies(), CUTS, CUTS)
def test_replies_told_as_streams(reply: ChatReply, cuts: list[int], splits: list[int]) -> None:
    body = CHAT.write_reply(reply, ChatRequest())
    whole = CHAT.read_reply(encode(body))
    assert isinstance(whole, ChatReply)
    assert streamed(CHAT, told(body, splits), "gemini", cuts) == whole


def test_a_signature_survives_a_client_that_shows_thoughts_as_parts_of_their_own() -> None:
    asked = {"contents": [{"role": "user", "parts": [{"text": "?"}]}]}
    parts = [{"functionCall": {"name": "f", "args": {}, "id": "x1"}, "thoughtSignature": "c2ln"}]
    reply = CHAT.read_reply(encode({"candidates": [{"content": {"parts": parts}}]}))
    assert isinstance(reply, ChatReply)
    request = CHAT.read_request(asked)
    request.messages.append(Message("assistant", reply.choices[0].parts))
    request.origin = "anthropic-messages"
    assert tree(CHAT.write_request(request, shape("gemini-3")).body)["contents"][1]["parts"] == parts
