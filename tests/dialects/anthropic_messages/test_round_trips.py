"""What goes through this protocol and back is what it was."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.dialects import dialects
from engine.dialects.anthropic_messages.citations import read_citation
from engine.dialects.anthropic_messages.content import plainest, tool_id, write_block
from engine.dialects.anthropic_messages.reply import FINISHES
from engine.exchange import UncarriedError
from engine.exchange.canonical import (
    ChatReply,
    ChatRequest,
    Format,
    Media,
    Opaque,
    Reasoning,
    Text,
    Tool,
    ToolChoice,
)
from engine.exchange.events import events_of

from ..canon import (
    ANY_REQUEST,
    DATA,
    MARKED,
    MARKS,
    NAMES,
    OBJECTS,
    SCHEMAS,
    SIGNED,
    VISIBLE,
    calls,
    marked_requests,
    replies,
    turn_taking,
    usages,
)
from ..play import CUTS, encode, shape, streamed, tree

NAME = "anthropic-messages"
CHAT: Any = dialects()[NAME].chat

ADDRESSES = st.sampled_from(["https://x/y", "https://x/z.png"])
media = st.one_of(
    st.builds(Media, st.just("image"), st.just("image/png"), DATA, cache=st.none() | MARKS),
    st.builds(Media, st.just("image"), url=ADDRESSES),
    st.builds(Media, st.just("image"), id=VISIBLE),
    st.builds(Media, st.just("file"), st.just("application/pdf"), DATA, name=st.none() | VISIBLE),
    st.builds(
        Media, st.just("file"), st.just("text/plain"), text=VISIBLE, extra=st.just({"citations": {"enabled": True}})
    ),
    st.builds(Media, st.just("file"), url=ADDRESSES),
)
tools = st.lists(
    st.one_of(
        st.builds(Tool, NAMES, st.none() | VISIBLE, SCHEMAS, st.none() | st.booleans(), cache=st.none() | MARKS),
        NAMES.map(lambda name: Tool(name, builtin=Opaque(NAME, {"type": "web_search_1", "name": name}))),
    ),
    min_size=1,
    max_size=3,
)
thinking = st.one_of(
    st.none(),
    st.builds(Reasoning, st.just(True), st.none() | VISIBLE, st.integers(1024, 9000), show=st.none() | st.booleans()),
    st.builds(Reasoning, st.booleans(), show=st.none() | st.booleans()),
    st.builds(Reasoning, effort=VISIBLE),
)
asked = marked_requests(
    NAME,
    media,
    MARKED | media,
    model=VISIBLE,
    tools=tools,
    tool_choice=st.none()
    | st.builds(ToolChoice, st.sampled_from(["auto", "required"]))
    | st.builds(ToolChoice, st.just("named"), NAMES),
    max_tokens=st.integers(1, 9000),
    temperature=st.none() | st.floats(0, 1),
    top_p=st.none() | st.floats(0, 1),
    top_k=st.none() | st.integers(1, 99),
    stop=st.lists(VISIBLE, max_size=2),
    format=st.none() | st.builds(Format, st.just("schema"), schema=SCHEMAS),
    reasoning=thinking,
    user=st.none() | VISIBLE,
    service_tier=st.none() | st.sampled_from(["auto", "default"]),
    stream=st.booleans(),
    extra=OBJECTS.map(lambda extra: {f"x_{name}": value for name, value in extra.items()}),
)


@given(asked)
def test_requests(request: ChatRequest) -> None:
    written = CHAT.write_request(request, shape(request.model))
    assert written.dropped == []
    assert CHAT.read_request(tree(written.body)) == request


LOCATION = {"type": "page_location", "cited_text": "q", "document_index": 0, "document_title": "D"}
cited = st.builds(Text, VISIBLE, st.lists(st.just(read_citation(LOCATION)), min_size=1, max_size=2))
own = st.builds(Opaque, st.just(NAME), OBJECTS.map(lambda value: {"type": "server_tool_use", "input": value}))
bare = st.builds(Text, VISIBLE)
WORDS_OF_ENDS = {word: FINISHES[word] for word in ("end_turn", "max_tokens", "tool_use", "pause_turn", "refusal")}
answers = replies(
    NAME, WORDS_OF_ENDS, bare | cited | SIGNED | calls(0) | own, usages("cache_write_1h", "reasoning", "searches")
)


@given(answers, VISIBLE, st.none() | st.just("default"))
def test_replies(reply: ChatReply, name: str, tier: str | None) -> None:
    reply.id = reply.model = name
    reply.service_tier = tier
    assert CHAT.read_reply(encode(CHAT.write_reply(reply, ChatRequest()))) == reply


@given(answers, CUTS)
def test_a_stream_is_the_whole_reply(reply: ChatReply, cuts: list[int]) -> None:
    reply.id = reply.model = "m"
    writer = CHAT.writer(ChatRequest())
    assert streamed(CHAT, b"".join(map(writer.write, events_of(reply))), NAME, cuts) == reply


@given(st.data(), answers)
def test_pieces_that_take_turns_are_put_in_order(data: st.DataObject, reply: ChatReply) -> None:
    reply.id = reply.model = "m"
    parts = reply.choices[0].parts
    parts.sort(key=lambda part: hasattr(part, "arguments"))
    writer = CHAT.writer(ChatRequest())
    told = b"".join(map(writer.write, data.draw(turn_taking(reply))))
    assert streamed(CHAT, told, NAME) == reply


@given(ANY_REQUEST, st.sampled_from(["claude-3-haiku", "claude-sonnet-4-5", "claude-opus-5", "glm-4.6"]))
def test_what_is_sent_is_what_the_protocol_demands(request: ChatRequest, model: str) -> None:
    with suppress(UncarriedError):
        body = tree(CHAT.write_request(request, shape(model)).body)
        assert body["max_tokens"] > 0
        roles = [message["role"] for message in body["messages"]]
        assert all(role in ("user", "assistant") for role in roles)
        assert all(one != two for one, two in itertools.pairwise(roles))
        for message in body["messages"]:
            check_content(message["content"])
        assert "elsewhere" not in json.dumps(body)
        if body.get("thinking", {}).get("type") == "enabled":
            assert body["thinking"]["budget_tokens"] < body["max_tokens"]
            assert body.get("temperature", 1) == 1


def check_content(content: Any) -> None:
    assert content
    for block in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        if block["type"] == "text":
            assert block["text"].strip()
        elif block["type"] == "tool_use":
            assert block["id"] == tool_id(block["id"])
            assert isinstance(block["input"], dict)


@given(MARKED)
def test_a_single_text_is_a_string(text: Text) -> None:
    block = write_block(text, True, [])
    assert block is not None
    assert (plainest([block]) == text.text) == (text.cache is None)
