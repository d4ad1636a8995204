"""What the protocol can carry survives it: requests, replies, and replies told as streams."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.dialects.cohere import Cohere
from engine.exchange import Usage
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Choice,
    Citation,
    Message,
    Part,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)

from ..canon import CALLS, FORMATS, INLINE, LARGE, LINKED, NUMBERS, TOOLS, WORDS, conversations, plain, said_with
from ..play import CUTS, encode, shape, streamed, tree

CHAT = Cohere().chat
assert CHAT is not None

THOUGHTS = st.builds(Thinking, WORDS)
PLANS = st.builds(Thinking, WORDS, extra=st.just({"tool_plan": True}))


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
        "logprobs": st.booleans(),
        "stop": st.lists(WORDS, max_size=3),
        "format": FORMATS,
        "reasoning": st.builds(Reasoning, st.just(True), budget=st.none() | st.integers(1, 99))
        | st.just(Reasoning(False)),
        "tool_choice": st.sampled_from([ToolChoice("none"), ToolChoice("required")]),
        "stream": st.booleans(),
    }
    fields: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=maybe))
    messages = draw(conversations(said_with(INLINE | LINKED), plain(THOUGHTS), results_apart=True))
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolResult):
                part.name = None  # the wire does not say it
    return ChatRequest("up", messages, draw(TOOLS), **fields)


@LARGE
@given(requests())
def test_requests(request: ChatRequest) -> None:
    request.origin = "cohere"  # whose thoughts before a call are no plans
    written = CHAT.write_request(request, shape("up"))
    assert written.dropped == []
    assert CHAT.read_request(tree(written.body)) == structs.replace(request, include_usage=True)


@LARGE
@given(WORDS, WORDS, CALLS)
def test_a_plan_beside_a_thought(thought: str, plan: str, called: list[ToolCall]) -> None:
    message = Message("assistant", [Thinking(thought), Thinking(plan, extra={"tool_plan": True}), *called])
    written = CHAT.write_request(ChatRequest(messages=[message], origin="cohere"), shape())
    assert CHAT.read_request(tree(written.body)).messages == [message]


@st.composite
def replies(draw: st.DrawFn) -> ChatReply:
    parts: list[Part] = draw(plain(THOUGHTS)(0))
    for part in parts:
        if isinstance(part, Text):
            places = st.tuples(st.integers(0, len(part.text)), st.integers(0, len(part.text))).map(sorted)
            made = st.builds(
                lambda place, title: Citation("https://x.example", title, None, place[0], place[1], "doc"),
                places,
                st.none() | WORDS,
            )
            part.citations = draw(st.lists(made, max_size=2))
    if parts and isinstance(parts[-1], ToolCall) and not isinstance(parts[0], Thinking):
        at = next(at for at, part in enumerate(parts) if isinstance(part, ToolCall))
        parts[at:at] = draw(st.lists(PLANS, max_size=1))
    finish = draw(st.sampled_from(["stop", "length", "tool_calls"]))
    raw = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}[finish]
    counts = st.none() | st.integers(0, 99)
    usage = Usage(draw(st.integers(99, 999)), draw(st.integers(99, 999)), draw(counts), draw(counts))
    return ChatReply("r-1", choices=[Choice(parts, finish, raw)], usage=usage, origin="cohere")


def without_raw(reply: ChatReply) -> ChatReply:
    """Without what only this protocol knows: how citations were told."""
    for part in reply.choices[0].parts:
        if isinstance(part, Text):
            for citation in part.citations:
                citation.extra = {}
    return reply


@LARGE
@given(replies())
def test_replies(reply: ChatReply) -> None:
    again = CHAT.read_reply(encode(CHAT.write_reply(reply, ChatRequest())))
    assert isinstance(again, ChatReply)
    assert without_raw(again) == reply


def told(body: dict[str, Any], cuts: list[int]) -> bytes:
    """The stream that the service would tell a whole reply in, with texts and arguments in pieces."""
    message = body["message"]

    def bits(text: str) -> list[str]:
        places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
        return [text[start:end] for start, end in itertools.pairwise(places)]

    events: list[dict[str, Any]] = [{"type": "message-start", "id": body["id"], "delta": {"message": {}}}]

    def add(kind: str, index: int, **told: Any) -> None:
        events.append({"type": kind, "index": index, "delta": {"message": told}})

    for index, item in enumerate(message.get("content", [])):
        kind = item["type"]
        add("content-start", index, content={"type": kind, kind: ""})
        for bit in bits(item[kind]):
            add("content-delta", index, content={kind: bit})
        events.append({"type": "content-end", "index": index})
    for index, citation in enumerate(message.get("citations", [])):
        add("citation-start", index, citations=citation)
    for bit in bits(message.get("tool_plan", "")):
        add("tool-plan-delta", 0, tool_plan=bit)
    for index, call in enumerate(message.get("tool_calls", [])):
        function = call["function"]
        add("tool-call-start", index, tool_calls={**call, "function": {**function, "arguments": ""}})
        for bit in bits(function["arguments"]):
            add("tool-call-delta", index, tool_calls={"function": {"arguments": bit}})
        events.append({"type": "tool-call-end", "index": index})
    events.append({"type": "message-end", "delta": {"finish_reason": body["finish_reason"], "usage": body["usage"]}})
    return b"".join(b"event: " + event["type"].encode() + b"\ndata: " + encode(event) + b"\n\n" for event in events)


@LARGE
@given(replies(), CUTS, CUTS)
def test_replies_told_as_streams(reply: ChatReply, cuts: list[int], splits: list[int]) -> None:
    body = CHAT.write_reply(reply, ChatRequest())
    whole = CHAT.read_reply(encode(body))
    assert isinstance(whole, ChatReply)
    assert streamed(CHAT, told(body, splits), "cohere", cuts) == whole
