"""Requests of other protocols as bodies of chat completions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.dialects.openai_chat import OpenAIChat
from engine.dialects.protocol import Written
from engine.exchange import UncarriedError
from engine.exchange.canonical import (
    ChatRequest,
    Format,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

from ..canon import COUNTS, FILES, FLAGS, IMAGES, NAMES, RATIOS, SOUNDS, WORDS, bare, openai_requests
from ..play import shape, tree

CHAT = OpenAIChat().chat
assert CHAT is not None
FOREIGN = "anthropic-messages"


def write(*messages: Message, **fields: Any) -> Written:
    return CHAT.write_request(ChatRequest(messages=[*messages], origin=FOREIGN, **fields), shape())  # type: ignore


def body(*messages: Message, **fields: Any) -> Any:
    return tree(write(*messages, **fields).body)


def told(*parts: Part, role: Any = "user") -> Any:
    return body(Message(role, [*parts]))["messages"]


def test_texts_of_other_protocols_become_one() -> None:
    assert told(Text("a"), Text("b")) == [{"role": "user", "content": "a\n\nb"}]
    assert told(Text("a"), Text("b"), role="assistant") == [{"role": "assistant", "content": "ab"}]
    image = Media("image", url="https://x.example/a.png")
    assert told(Text("a"), image) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (Media("image", data="iVBORw0KGgo"), {"url": "data:image/png;base64,iVBORw0KGgo"}),
        (Media("image", mime="image/webp", data="QUJD"), {"url": "data:image/webp;base64,QUJD"}),
        (Media("video", data="QUJD"), {"url": "data:video/mp4;base64,QUJD"}),
        (Media("audio", mime="audio/wav", data="QUJD"), {"data": "QUJD", "format": "wav"}),
        (Media("audio", mime="audio/mpeg", data="QUJD"), {"data": "QUJD", "format": "mp3"}),
        (Media("audio", mime="audio/x-wav", data="QUJD"), {"data": "QUJD", "format": "wav"}),
        (
            Media("file", data="JVBERi0x", name="a.pdf"),
            {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"},
        ),
        (
            Media("file", mime="application/pdf", data="QUJD"),
            {"filename": "file.pdf", "file_data": "data:application/pdf;base64,QUJD"},
        ),
        (Media("file", id="file-1"), {"file_id": "file-1"}),
        (Media("file", text="plain"), "plain"),
        (Media("file", mime="text/plain", data="cGxhaW4="), "plain"),
    ],
)
def test_media(media: Media, part: Any) -> None:
    content = told(Text("see"), media)[0]["content"]
    assert content[1][content[1]["type"]] == part


@pytest.mark.parametrize(
    "media",
    [Media("file", url="https://x.example/a.pdf"), Media("image", id="file-1"), Media("audio", url="https://x.example/a")],
)  # fmt: skip
def test_media_that_this_protocol_has_no_part_for(media: Media) -> None:
    with pytest.raises(UncarriedError) as caught:
        told(media)
    assert caught.value.param == "messages"


def test_results_of_tools_become_messages_of_their_own_and_their_images_follow() -> None:
    image = Media("image", url="https://x.example/a.png")
    messages = body(
        Message("assistant", [ToolCall("c1", "f"), ToolCall("c2", "g")]),
        Message("tool", [ToolResult("c1", [Text("a"), image, Text("b")]), ToolResult("c2", [], is_error=True)]),
        Message("user", [Text("and?")]),
    )["messages"]
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "user", "user"]
    assert messages[1] == {"role": "tool", "tool_call_id": "c1", "content": "a\nb"}
    assert messages[2] == {"role": "tool", "tool_call_id": "c2", "content": ""}
    assert messages[3]["content"] == [
        {"type": "text", "text": "From the result of tool call c1:"},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
    ]
    assert write(Message("tool", [ToolResult("c", [], is_error=True)])).dropped == ["is_error"]


def test_results_and_words_in_one_message() -> None:
    messages = body(Message("user", [Text("now"), ToolResult("c1", [Text("a")])]))["messages"]
    assert messages == [
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
        {"role": "user", "content": "now"},
    ]


def test_unsigned_thoughts_go_back_and_signed_ones_do_not() -> None:
    written = write(Message("assistant", [Thinking("a"), Thinking("b", signature="s"), Text("c")]))
    assert tree(written.body)["messages"] == [{"role": "assistant", "content": "c", "reasoning_content": "a"}]
    assert written.dropped == ["reasoning_details"]


def test_what_other_protocols_keep_for_themselves_is_named() -> None:
    block = Opaque(FOREIGN, {"type": "server_tool_use", "id": "1"})
    written = write(
        Message("user", [Text("a", cache={"type": "ephemeral"}, extra={"x": 1})], extra={"y": 1}),
        Message("assistant", [block]),
        Message("user", [block, Text("b")]),
        metadata={"a": "b"},
        store=True,
        service_tier="standard_only",
        extra={"container": "c"},
        tools=[Tool("f", cache={"type": "ephemeral"})],
    )
    assert tree(written.body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
    assert sorted(written.dropped) == [
        "cache_control", "container", "metadata", "server_tool_use", "service_tier", "store"
    ]  # fmt: skip


def test_a_foreign_services_own_tool_is_refused() -> None:
    tool = Tool("search", builtin=Opaque(FOREIGN, {"type": "web_search_20250305"}))
    with pytest.raises(UncarriedError, match="search") as caught:
        write(tools=[tool])
    assert caught.value.param == "tools"


@pytest.mark.parametrize(
    ("wish", "fields", "dropped"),
    [
        (Reasoning(effort="low"), {"reasoning_effort": "low"}, []),
        (Reasoning(effort="max"), {"reasoning_effort": "high"}, []),
        (Reasoning(enabled=True, budget=1024), {"reasoning_effort": "low"}, []),
        (Reasoning(enabled=True, budget=32000), {"reasoning_effort": "high"}, []),
        (Reasoning(enabled=True), {"reasoning_effort": "medium"}, []),
        (Reasoning(enabled=False), {}, ["reasoning_effort"]),
        (Reasoning(effort="none", enabled=False), {"reasoning_effort": "none"}, []),
        (Reasoning(summary="auto"), {}, ["reasoning.summary"]),
        (Reasoning(), {}, []),
    ],
)
def test_wishes_for_thoughts(wish: Reasoning, fields: dict[str, Any], dropped: list[str]) -> None:
    written = write(reasoning=wish)
    assert tree(written.body) == {"model": "m", "messages": [], **fields}
    assert written.dropped == dropped


def test_the_limit_of_other_protocols_has_the_name_that_most_services_know() -> None:
    assert body(max_tokens=9)["max_tokens"] == 9


def test_usage_is_asked_for_where_the_provider_tells_it() -> None:
    request = ChatRequest(stream=True, origin=FOREIGN)
    assert CHAT.write_request(request, shape()).body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in CHAT.write_request(request, shape(stream_usage=False)).body
    assert body() == {"model": "m", "messages": []}


def test_roles_under_the_provider_s_names() -> None:
    request = ChatRequest(messages=[Message("developer", [Text("a")])], origin="openai-responses")
    written = CHAT.write_request(request, shape(roles={"developer": "system"}))
    assert written.body["messages"] == [{"role": "system", "content": "a"}]


def test_formats_and_choices() -> None:
    assert body(format=Format("schema", None, {"type": "object"}))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}},
    }
    assert body(tool_choice=ToolChoice("named", "f"))["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert "parallel_tool_calls" not in body(parallel_tool_calls=False)
    assert told(Refusal("no"), role="assistant") == [{"role": "assistant", "content": None, "refusal": "no"}]


@settings(max_examples=60)
@given(
    openai_requests(
        "openai-chat", IMAGES | FILES | SOUNDS, st.builds(Thinking, WORDS),
        temperature=RATIOS, top_p=RATIOS, top_k=COUNTS, seed=COUNTS, n=COUNTS,
        frequency_penalty=RATIOS, presence_penalty=RATIOS, user=NAMES, service_tier=NAMES,
        parallel_tool_calls=FLAGS, logprobs=FLAGS, top_logprobs=COUNTS, verbosity=NAMES, min_p=RATIOS, store=FLAGS,
    )
)  # fmt: skip
def test_what_is_written_is_read_again(request: ChatRequest) -> None:
    written = CHAT.write_request(request, shape())
    assert written.dropped == []
    assert bare(CHAT.read_request(tree(written.body)), "include_usage") == bare(request, "include_usage")
