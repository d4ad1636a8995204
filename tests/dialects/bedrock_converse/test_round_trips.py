"""What goes through this protocol and back is what it was."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.dialects import dialects
from engine.dialects.bedrock_converse.content import read_citation
from engine.dialects.bedrock_converse.reply import FINISHES
from engine.exchange import UncarriedError
from engine.exchange.canonical import ChatReply, ChatRequest, Format, Media, Opaque, Reasoning, Text, Tool, ToolChoice

from ..canon import (
    ANY_REQUEST,
    DATA,
    MARKS,
    NAMES,
    OBJECTS,
    SCHEMAS,
    SIGNED,
    VISIBLE,
    calls,
    marked_requests,
    replies,
    usages,
)
from ..play import CUTS, encode, shape, streamed, tree
from .wire import stream_of

NAME = "bedrock-converse"
CHAT: Any = dialects()[NAME].chat
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"

media = st.one_of(
    st.builds(Media, st.just("image"), st.sampled_from(["image/png", "image/jpeg"]), DATA, cache=st.none() | MARKS),
    st.builds(Media, st.just("image"), st.just("image/png"), url=st.just("s3://b/k")),
    st.builds(Media, st.just("file"), st.sampled_from(["application/pdf", "text/csv"]), DATA, name=VISIBLE),
    st.builds(Media, st.just("file"), st.just("text/plain"), text=VISIBLE, name=VISIBLE),
    st.builds(Media, st.just("video"), st.sampled_from(["video/mp4", "video/quicktime"]), DATA),
    st.builds(Media, st.just("audio"), st.sampled_from(["audio/mpeg", "audio/wav"]), DATA),
)
tools = st.lists(
    st.one_of(
        st.builds(Tool, NAMES, st.none() | VISIBLE, SCHEMAS, st.none() | st.booleans(), cache=st.none() | MARKS),
        NAMES.map(lambda name: Tool(name, builtin=Opaque(NAME, {"systemTool": {"name": name}}))),
    ),
    min_size=1,
    max_size=3,
)
thinking = st.one_of(
    st.none(),
    st.builds(Reasoning, st.just(True), st.none() | VISIBLE, st.integers(1024, 9000)),
    st.builds(Reasoning, st.booleans(), st.none() | VISIBLE),
    st.builds(Reasoning, effort=VISIBLE),
)
asked = marked_requests(
    NAME,
    media,
    st.builds(Text, VISIBLE) | st.builds(Media, st.just("image"), st.just("image/png"), DATA),
    tools=tools,
    tool_choice=st.none()
    | st.builds(ToolChoice, st.sampled_from(["auto", "required"]))
    | st.builds(ToolChoice, st.just("named"), NAMES),
    max_tokens=st.none() | st.integers(1, 9000),
    temperature=st.none() | st.floats(0, 1),
    top_p=st.none() | st.floats(0, 1),
    top_k=st.none() | st.integers(1, 99),
    stop=st.lists(VISIBLE, max_size=2),
    format=st.none()
    | st.builds(Format, st.just("schema"), st.none() | VISIBLE, SCHEMAS, description=st.none() | VISIBLE),
    reasoning=thinking,
    service_tier=st.none() | st.sampled_from(["default", "flex"]),
    metadata=st.none() | st.dictionaries(NAMES, NAMES, min_size=1, max_size=2),
    extra=OBJECTS.map(lambda extra: {f"x_{name}": value for name, value in extra.items()}),
)


@given(asked)
def test_requests(request: ChatRequest) -> None:
    written = CHAT.write_request(request, shape(CLAUDE))
    assert written.dropped == []
    assert CHAT.read_request(tree(written.body)) == request


LOCATION = {"title": "D", "source": "s", "sourceContent": [{"text": "q"}], "location": {"documentChar": {"start": 0}}}
parts = st.one_of(
    st.builds(Text, VISIBLE),
    st.builds(Text, VISIBLE, st.lists(st.just(read_citation(LOCATION)), min_size=1, max_size=2)),
    SIGNED,
    calls(0),
)
ENDS = {word: FINISHES[word] for word in ("end_turn", "max_tokens", "tool_use", "guardrail_intervened")}
answers = replies(NAME, ENDS, parts, usages("cache_write_1h"))


@given(answers, CUTS)
def test_replies(reply: ChatReply, cuts: list[int]) -> None:
    written = tree(CHAT.write_reply(reply, ChatRequest()))
    assert CHAT.read_reply(encode(written)) == reply
    assert streamed(CHAT, stream_of(written), NAME, cuts) == reply


@given(ANY_REQUEST, st.sampled_from([CLAUDE, "anthropic.claude-opus-5", "us.amazon.nova-2-lite-v1:0"]))
def test_what_is_sent_is_what_the_protocol_demands(request: ChatRequest, model: str) -> None:
    with suppress(UncarriedError):
        body = tree(CHAT.write_request(request, shape(model)).body)
        roles = [message["role"] for message in body["messages"]]
        assert all(role in ("user", "assistant") for role in roles)
        assert all(one != two for one, two in itertools.pairwise(roles))
        blocks = [block for message in body["messages"] for block in message["content"]]
        assert all(message["content"] for message in body["messages"])
        assert all(block["text"].strip() for block in blocks if "text" in block)
        if any("toolUse" in block for block in blocks):
            assert body["toolConfig"]["tools"]
        names = [block["document"]["name"] for block in blocks if "document" in block]
        assert len(set(names)) == len(names)
        assert body.get("inferenceConfig", {}).get("temperature", 0) <= 1
