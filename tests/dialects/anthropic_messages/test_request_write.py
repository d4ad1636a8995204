"""Requests of other protocols' clients in Anthropic's words."""

from __future__ import annotations

from typing import Any

import pytest

from engine.dialects import dialects
from engine.dialects.claude import MAX_TOKENS
from engine.exchange import UncarriedError
from engine.exchange.canonical import (
    ChatRequest,
    Citation,
    Format,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

from ..play import shape

CHAT: Any = dialects()["anthropic-messages"].chat
MODEL = "claude-sonnet-4-5"
ASK = Message("user", [Text("Hi")])
F = Tool("f", "d", {"type": "object"})


def write(request: ChatRequest, model: str = MODEL, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    request.origin = request.origin or "openai-chat"
    request.messages = request.messages or [ASK]
    written = CHAT.write_request(request, shape(model, **fields))
    return written.body, written.dropped


def talk(*turns: tuple[Role, list[Part]], **fields: Any) -> dict[str, Any]:
    body, dropped = write(ChatRequest(messages=[Message(role, parts) for role, parts in turns], **fields))
    assert dropped == []
    return body


def test_the_least_request() -> None:
    body, dropped = write(ChatRequest())
    assert body == {"model": MODEL, "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": "Hi"}]}
    assert dropped == []


def test_max_tokens_is_the_requests_else_the_models_else_a_constant() -> None:
    assert write(ChatRequest(max_tokens=7), max_output=9)[0]["max_tokens"] == 7
    assert write(ChatRequest(), max_output=9)[0]["max_tokens"] == 9


def test_sides_take_turns_and_instructions_are_collected() -> None:
    body = talk(
        ("system", [Text("Be brief.")]),
        ("user", [Text("a")]),
        ("developer", [Text("In French.")]),
        ("user", [Text("b")]),
        ("assistant", [Text("c")]),
        ("assistant", [ToolCall("1", "f", '{"x":1}'), ToolCall("2", "f")]),
        ("tool", [ToolResult("1", [Text("one")])]),
        ("tool", [ToolResult("2", [Text("no")], is_error=True)]),
        ("user", [Text("d")]),
    )
    assert body["system"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "In French."}]
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "c"},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "2", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "2", "content": "no", "is_error": True},
                {"type": "text", "text": "d"},
            ],
        },
    ]


def test_results_come_first_in_their_turn() -> None:
    body = talk(
        ("user", [Text("a")]),
        ("assistant", [ToolCall("1", "f")]),
        ("user", [Text("wait")]),
        ("tool", [ToolResult("1", [Text("one")])]),
    )
    assert [block["type"] for block in body["messages"][-1]["content"]] == ["tool_result", "text"]


def test_nothing_but_instructions_is_a_question() -> None:
    body = talk(("system", [Text("Be brief.")]), ("system", [Text("Write a poem.")]))
    assert body["system"] == "Be brief."
    assert body["messages"] == [{"role": "user", "content": "Write a poem."}]


def test_what_the_protocol_refuses_is_not_sent() -> None:
    body = talk(
        ("user", [Text("a"), Text("")]), ("assistant", []), ("user", [Text(" ")]), ("assistant", [Text("So \n")])
    )
    assert body["messages"] == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "So"}]


def test_ids_and_malformed_arguments() -> None:
    body = talk(
        ("user", [Text("a")]),
        ("assistant", [ToolCall("functions.f:0", "f", "{oops"), ToolCall("2", "f", "[1]"), ToolCall("3", "f", "")]),
        ("tool", [ToolResult("functions.f:0", [])]),
    )
    calls = body["messages"][1]["content"]
    assert [call["id"] for call in calls] == ["functions_f_0", "2", "3"]
    assert [call["input"] for call in calls] == [{"arguments": "{oops"}, {"arguments": [1]}, {}]
    assert body["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "functions_f_0"}]


def test_media() -> None:
    body = talk(
        (
            "user",
            [
                Media("image", "image/png", "AAAA"),
                Media("image", None, "/9j/4AAQ"),
                Media("image", url="https://x/y.png", detail="auto"),
                Media("file", "application/pdf", "JVBERi0=", name="a.pdf"),
                Media("file", None, "JVBERi0="),
                Media("file", "text/markdown", "SGk="),
                Media("file", text="words"),
                Media("file", url="https://x/y.pdf"),
            ],
        )
    )
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    sources = [block["source"] for block in body["messages"][0]["content"]]
    assert sources == [
        {"type": "base64", "media_type": "image/png", "data": "AAAA"},
        {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ"},
        {"type": "url", "url": "https://x/y.png"},
        pdf,
        pdf,
        {"type": "text", "media_type": "text/plain", "data": "Hi"},
        {"type": "text", "media_type": "text/plain", "data": "words"},
        {"type": "url", "url": "https://x/y.pdf"},
    ]
    assert body["messages"][0]["content"][3]["title"] == "a.pdf"


@pytest.mark.parametrize(
    "part",
    [
        Media("audio", "audio/wav", "AAAA"),
        Media("video", url="https://x/y.mp4"),
        Media("file", id="file-1"),
        Media("file", "application/zip", "AAAA"),
        Media("image", None, "AAAA"),
        Media("image"),
    ],
)
def test_media_that_cannot_be_carried(part: Media) -> None:
    with pytest.raises(UncarriedError) as caught:
        talk(("user", [part]))
    assert caught.value.param == "messages"


def test_thoughts_of_other_makers_are_left_out() -> None:
    messages = [
        ASK,
        Message("assistant", [Thinking("Hm."), Thinking("Ha.", "c2ln"), Thinking(redacted="xyz"), Refusal("No.")]),
        ASK,
    ]
    body, dropped = write(ChatRequest(messages=messages))
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Ha.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "No."},
    ]
    assert dropped == ["reasoning_content"]


def test_what_is_left_out_is_named() -> None:
    cited = Text("t", [Citation(url="https://x")], extra={"x": 1})
    message = Message("user", [cited, Opaque("gemini", {"type": "odd"})], name="Ann")
    request = ChatRequest(messages=[message], seed=1, n=2, logprobs=True, frequency_penalty=0.5, store=True)
    request.metadata, request.format, request.extra = {"k": "v"}, Format("json"), {"prediction": {}}
    request.stop, request.verbosity, request.service_tier, request.user = ["\n", "END"], "low", "flex", "u" * 300
    body, dropped = write(request)
    assert body["messages"] == [{"role": "user", "content": "t"}]
    assert body["stop_sequences"] == ["END"]
    assert set(dropped) == {
        *("name", "annotations", "odd", "seed", "n", "logprobs", "frequency_penalty", "store", "metadata"),
        *("response_format", "prediction", "stop", "verbosity", "service_tier", "user"),
    }


def test_values_that_ask_for_nothing_are_not_named() -> None:
    request = ChatRequest(n=1, logprobs=False, frequency_penalty=0, store=False, modalities=["text"], top_logprobs=0)
    assert write(request) == write(ChatRequest())


def test_tools() -> None:
    request = ChatRequest(
        tools=[F, Tool("g", cache={"type": "ephemeral"}), Tool("h", parameters={"properties": {}}, strict=True)]
    )
    body, dropped = write(request)
    assert body["tools"] == [
        {"name": "f", "description": "d", "input_schema": {"type": "object"}},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}, "cache_control": {"type": "ephemeral"}},
        {"name": "h", "input_schema": {"type": "object", "properties": {}}, "strict": True},
    ]
    assert dropped == []
    assert write(request, "claude-3-haiku-20240307")[1] == ["strict"]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("named", "f"), True, {"type": "tool", "name": "f", "disable_parallel_tool_use": False}),
        (ToolChoice("none"), False, {"type": "none"}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, expected: dict[str, Any] | None) -> None:
    body, dropped = write(ChatRequest(tools=[F], tool_choice=choice, parallel_tool_calls=parallel))
    assert (body.get("tool_choice"), dropped) == (expected, [])


def test_allowed_tools_are_the_tools() -> None:
    request = ChatRequest(tools=[F, Tool("g")], tool_choice=ToolChoice("required", allowed=["g"]))
    body, _ = write(request)
    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == {"type": "any"}


def test_a_choice_without_tools() -> None:
    assert "tool_choice" not in write(ChatRequest(tool_choice=ToolChoice("auto")))[0]
    with pytest.raises(UncarriedError):
        write(ChatRequest(tool_choice=ToolChoice("required")))


def test_another_services_tools_cannot_be_carried() -> None:
    with pytest.raises(UncarriedError) as caught:
        write(ChatRequest(tools=[Tool("web_search", builtin=Opaque("openai-responses", {"type": "web_search"}))]))
    assert caught.value.param == "tools"
    with pytest.raises(UncarriedError):
        write(ChatRequest(modalities=["text", "audio"]))


def test_the_form_of_the_answer_and_the_account() -> None:
    request = ChatRequest(format=Format("schema", "city", {"type": "object"}, True), user="u-1", service_tier="default")
    body, dropped = write(request)
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert (body["metadata"], body["service_tier"], dropped) == ({"user_id": "u-1"}, "standard_only", [])


def test_thinking_beside_temperature() -> None:
    request = ChatRequest(max_tokens=9000, temperature=0.2, reasoning=Reasoning(effort="low"))
    body, dropped = write(request)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert ("temperature" in body, dropped) == (False, ["temperature"])
    body, dropped = write(request, "claude-opus-5")
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})
    assert dropped == ["temperature"]


def test_cache_marks_are_carried() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    body = talk(("system", [Text("s", cache=mark)]), ("user", [Text("a", cache=mark)]))
    assert body["system"] == [{"type": "text", "text": "s", "cache_control": mark}]
    assert body["messages"][0]["content"] == [{"type": "text", "text": "a", "cache_control": mark}]


def test_instructions_are_text() -> None:
    with pytest.raises(UncarriedError):
        talk(("system", [Media("image", url="https://x")]), ("user", [Text("a")]))


def test_a_stream_is_asked_for() -> None:
    assert write(ChatRequest(stream=True))[0]["stream"] is True
