"""Requests for chat completions as canonical ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from engine.dialects.openai_chat import OpenAIChat
from engine.dialects.openai_chat.ids import made_id
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

from ..play import odd_json, shape, tree
from ..recordings import cassette

CHAT = OpenAIChat().chat
assert CHAT is not None


def read(**fields: Any) -> ChatRequest:
    return CHAT.read_request({"model": "m", **fields})  # type: ignore[union-attr]


def message(**fields: Any) -> Message:
    return read(messages=[fields]).messages[0]


def part(**fields: Any) -> Part:
    return message(role="user", content=[fields]).parts[0]


def test_fields_of_one_value() -> None:
    asked = read(
        temperature=0, top_p=1, top_k=40, min_p=0.1, seed=-7, n=2, logprobs=True, top_logprobs=3, user="u",
        frequency_penalty=0.5, presence_penalty=-0.5, logit_bias={"50256": -100}, verbosity="low", store=False,
        modalities=["text", "audio"], metadata={"team": "a"}, service_tier="flex", parallel_tool_calls=False,
        stream=True, stream_options={"include_usage": True, "include_obfuscation": False},
        stop="END", audio={"voice": "alloy"}, weather=21, prompt_cache_key=None,
    )  # fmt: skip
    assert asked == ChatRequest(
        model="m", temperature=0, top_p=1, top_k=40, min_p=0.1, seed=-7, n=2, logprobs=True, top_logprobs=3, user="u",
        frequency_penalty=0.5, presence_penalty=-0.5, logit_bias={"50256": -100}, verbosity="low", store=False,
        modalities=["text", "audio"], metadata={"team": "a"}, service_tier="flex", parallel_tool_calls=False,
        stream=True, include_usage=True, stop=["END"], origin="openai-chat",
        extra={"stream_options": {"include_obfuscation": False}, "audio": {"voice": "alloy"}, "weather": 21},
    )  # fmt: skip


def test_fields_of_another_type_stay_as_they_came() -> None:
    odd = {
        "temperature": "hot", "stop": 7, "n": -1, "logit_bias": {"1": "x"}, "tools": {}, "tool_choice": "maybe",
        "response_format": {"type": "grammar"}, "stream_options": True, "max_tokens": "many", "functions": 1,
        "function_call": 3, "reasoning": "yes", "max_completion_tokens": None,
    }  # fmt: skip
    asked = read(**odd)
    assert asked.extra == {name: value for name, value in odd.items() if value is not None}
    assert asked == ChatRequest(model="m", extra=asked.extra, origin="openai-chat")


@pytest.mark.parametrize(
    ("fields", "limit", "name"),
    [
        ({"max_tokens": 5}, 5, "max_tokens"),
        ({"max_completion_tokens": 6}, 6, "max_completion_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6, "max_completion_tokens"),
        ({"max_completion_tokens": 6, "max_tokens": 5}, 6, "max_completion_tokens"),
    ],
)
def test_the_limit_keeps_its_name(fields: dict[str, int], limit: int, name: str) -> None:
    asked = read(**fields)
    assert (asked.max_tokens, asked.max_tokens_name) == (limit, name)
    assert tree(CHAT.write_request(asked, shape()).body) == {"model": "m", "messages": [], name: limit}


def test_roles_and_names() -> None:
    asked = read(
        messages=[
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            {"role": "user", "content": "c", "name": "ann"},
            {"role": "assistant", "content": "d", "prefix": True},
            {"role": "user", "content": None},
        ]
    )
    assert asked.messages == [
        Message("system", [Text("a")]),
        Message("developer", [Text("b")]),
        Message("user", [Text("c")], name="ann"),
        Message("assistant", [Text("d")], extra={"prefix": True}),
        Message("user"),
    ]


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ("hello", "must be a list of messages"),
        (["hello"], "`messages[0]` must be an object"),
        ([{"content": "a"}], "`messages[0].role` is None"),
        ([{"role": "user", "content": "a"}, {"role": "king", "content": "a"}], "`messages[1].role` is 'king'"),
    ],
)
def test_what_is_no_conversation(messages: Any, words: str) -> None:
    with pytest.raises(UncarriedError) as caught:
        read(messages=messages)
    assert caught.value.param == "messages"
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"type": "text", "text": "a"}, Text("a")),
        ({"text": "a"}, Text("a")),
        ({"type": "input_text", "text": "a"}, Text("a", extra={"type": "input_text"})),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            Text("a", cache={"type": "ephemeral"}),
        ),
        (
            {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            Text("a", cache={"type": "ephemeral"}, extra={"prompt_cache_breakpoint": {"mode": "explicit"}}),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}, "text": None},
            Media("image", url="https://x.example/a.png", detail="low"),
        ),
        (
            {"type": "image_url", "image_url": "data:image/png;base64,QUJD"},
            Media("image", mime="image/png", data="QUJD"),
        ),
        ({"type": "image_url", "image_url": {"url": "data:,hello"}}, Media("image", url="data:,hello")),
        (
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
            Media("audio", mime="audio/mpeg", data="QUJD"),
        ),
        ({"type": "input_audio", "input_audio": "QUJD"}, Media("audio", data="QUJD", extra={"plain": True})),
        (
            {"type": "video_url", "video_url": {"url": "https://x.example/a.mp4"}},
            Media("video", url="https://x.example/a.mp4"),
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
            Media("file", mime="application/pdf", data="QUJD", name="a.pdf"),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, Media("file", id="file-1")),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "https://x.example/a.pdf"}},
            Media("file", url="https://x.example/a.pdf", name="a.pdf"),
        ),
        (
            {"type": "document_url", "document_url": "https://x.example/a.pdf", "document_name": "a"},
            Media("file", url="https://x.example/a.pdf", name="a", extra={"type": "document_url"}),
        ),
        (
            {"type": "file_url", "file_url": {"url": "UEsDBBQ"}},
            Media("file", data="UEsDBBQ", extra={"type": "file_url"}),
        ),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
        ({"type": "hologram", "hologram": {}}, Opaque("openai-chat", {"type": "hologram", "hologram": {}})),
        ({"type": "image_url"}, Opaque("openai-chat", {"type": "image_url"})),
    ],
)  # fmt: skip
def test_content_parts_there_and_back(given: dict[str, Any], found: Part) -> None:
    asked = read(messages=[{"role": "user", "content": [given]}])
    assert asked.messages[0].parts == [found]
    again = CHAT.read_request(tree(CHAT.write_request(asked, shape()).body))
    assert again.messages == asked.messages


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"reasoning_content": "hm"}, Thinking("hm")),
        ({"reasoning": "hm"}, Thinking("hm", extra={"field": "reasoning"})),
        ({"reasoning": "hm", "reasoning_content": "hm"}, Thinking("hm")),
        (
            {
                "reasoning": "hm",
                "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}],
            },
            Thinking("hm", signature="s", extra={"detail": {"type": "reasoning.text", "index": 0}}),
        ),
        (
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "hm", "id": "rs_1"}]},
            Thinking("hm", id="rs_1", extra={"detail": {"type": "reasoning.summary"}}),
        ),
        (
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "format": "anthropic-claude-v1"}]},
            Thinking(
                redacted="x", extra={"detail": {"type": "reasoning.encrypted", "format": "anthropic-claude-v1"}}
            ),
        ),
        (
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}]},
            Thinking(
                extra={
                    "detail": {"type": "reasoning.encrypted", "format": "openai-responses-v1"},
                    "encrypted_content": "x",
                }
            ),
        ),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True}]},
            Thinking("hm", extra={"field": "content", "closed": True}),
        ),
    ],
)  # fmt: skip
def test_thoughts_in_all_notations_there_and_back(fields: dict[str, Any], found: Thinking) -> None:
    asked = read(messages=[{"role": "assistant", **fields}])
    assert asked.messages[0].parts == [found]
    again = CHAT.read_request(tree(CHAT.write_request(asked, shape()).body))
    assert again.messages == asked.messages


def test_calls_and_their_results() -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "f", "arguments": '{"a":1}'},
        "extra_content": {"g": 1},
    }
    asked = read(
        messages=[
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [call, {"function": {"name": "g", "arguments": {"b": 2}}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "done"},
        ]
    )
    assert asked.messages == [
        Message(
            "assistant",
            [
                ToolCall("c1", "f", '{"a":1}', extra={"extra_content": {"g": 1}}),
                ToolCall(made_id("call", "0", 1), "g", '{"b":2}'),
            ],
        ),
        Message("tool", [ToolResult("c1", [Text("done")], name="f")]),
    ]


def test_calls_of_another_kind_are_this_protocols_own() -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "f", "input": "x"}}
    asked = read(messages=[{"role": "assistant", "tool_calls": [call]}])
    assert asked.messages[0].parts == [Opaque("openai-chat", call)]
    assert tree(CHAT.write_request(asked, shape()).body)["messages"] == [
        {"role": "assistant", "content": None, "tool_calls": [call]}
    ]


def test_the_older_form_of_calls_there_and_back() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "done"},
        ],
        "functions": [{"name": "f", "parameters": {"type": "object"}}],
        "function_call": {"name": "f"},
    }
    asked = CHAT.read_request(body)
    call = asked.messages[1].parts[0]
    assert isinstance(call, ToolCall)
    assert asked.messages[2].parts == [
        ToolResult(call.id, [Text("done")], name="f", extra={"name": "f", "legacy": True})
    ]
    assert asked.tool_choice == ToolChoice("named", "f")
    assert asked.tools == [Tool("f", parameters={"type": "object"}, extra={"legacy": True})]
    assert tree(CHAT.write_request(asked, shape()).body) == body


def test_tools() -> None:
    search = {"type": "web_search", "web_search": {"depth": 2}}
    custom = {"type": "custom", "custom": {"name": "raw"}}
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True, "confirm": False}
    tools = [{"type": "function", "function": function, "cache_control": {"type": "ephemeral"}}, search, custom]
    asked = read(tools=tools)
    assert asked.tools == [
        Tool("f", "d", {"type": "object"}, True, None, {"type": "ephemeral"}, {"function": {"confirm": False}}),
        Tool("web_search", builtin=Opaque("openai-chat", search)),
        Tool("raw", builtin=Opaque("openai-chat", custom)),
    ]
    assert tree(CHAT.write_request(asked, shape()).body)["tools"] == tools


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("auto", ToolChoice("auto")),
        ("any", ToolChoice("required")),
        ("none", ToolChoice("none")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("named", "f")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            ToolChoice("required", allowed=["f"]),
        ),
    ],
)
def test_choices_of_tools(given: Any, found: ToolChoice) -> None:
    assert read(tool_choice=given).tool_choice == found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"type": "text"}, Format("text")),
        ({"type": "json_object"}, Format("json")),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True}},
            Format("schema", "a", {"type": "object"}, True),
        ),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, Format("schema", schema={})),
        ({"type": "json_object", "schema": {"type": "object"}}, Format("schema", schema={"type": "object"})),
    ],
)
def test_forms_of_the_answer(given: Any, found: Format) -> None:
    assert read(response_format=given).format == found


@pytest.mark.parametrize(
    ("wishes", "found"),
    [
        ({"reasoning_effort": "low"}, Reasoning(effort="low")),
        ({"reasoning_effort": "none"}, Reasoning(enabled=False, effort="none")),
        (
            {"reasoning": {"max_tokens": 2000, "exclude": True}},
            Reasoning(budget=2000, show=False),
        ),
        ({"reasoning": {"effort": "high", "enabled": True}}, Reasoning(enabled=True, effort="high")),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Reasoning(enabled=True, budget=1024)),
        ({"enable_thinking": True, "thinking_budget": 50}, Reasoning(enabled=True, budget=50)),
        ({"include_reasoning": False}, Reasoning(show=False)),
    ],
)
def test_wishes_for_thoughts_in_all_notations(wishes: dict[str, Any], found: Reasoning) -> None:
    found.extra = {"openai-chat": wishes}
    asked = read(**wishes)
    assert asked.reasoning == found
    assert tree(CHAT.write_request(asked, shape()).body) == {"model": "m", "messages": [], **wishes}


@pytest.mark.parametrize("name", ["signed-thoughts-back", "logprobs", "calls", "logprobs-stream"])
def test_recorded_requests_come_back_as_they_were(name: str) -> None:
    body = cassette("openai-chat-recorded", name).request
    asked = CHAT.read_request(body)
    written = CHAT.write_request(asked, shape(body["model"], stream_usage=False))
    assert written.dropped == []
    again = tree(written.body)
    assert CHAT.read_request(again).messages == asked.messages
    assert {**again, "messages": 0, "stream_options": 0, "stream": 0} == {
        **body, "messages": 0, "stream_options": 0, "stream": 0
    }  # fmt: skip


_NAMES = ["messages", "role", "content", "user", "assistant", "tool", "tool_calls", "function", "type", "text", "file",
          "image_url", "url", "input_audio", "tools", "reasoning", "reasoning_details", "stop", "name"]  # fmt: skip


@settings(max_examples=150)
@given(odd_json(_NAMES))
def test_any_body_is_read_or_refused(body: Any) -> None:
    body = body if isinstance(body, dict) else {"messages": [body, {"role": "assistant", "content": body}]}
    try:
        asked = CHAT.read_request(body)
    except UncarriedError:
        return
    CHAT.write_request(asked, shape())
