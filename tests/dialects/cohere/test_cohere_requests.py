"""Cohere's chat, version 2: requests."""

from __future__ import annotations

from typing import Any

import pytest

from engine.dialects.cohere import Cohere
from engine.exchange import UncarriedError
from engine.exchange.canonical import (
    ChatRequest,
    Format,
    Media,
    Message,
    Opaque,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

from ..play import shape, tree
from ..recordings import cassette

DIALECT = Cohere()
CHAT = DIALECT.chat
assert CHAT is not None


def body_of(request: ChatRequest) -> Any:
    return tree(CHAT.write_request(request, shape("command")).body)


def asked(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=list(messages), origin="openai-chat", **fields)


def user(text: str = "hi") -> Message:
    return Message("user", [Text(text)])


def test_the_names_of_sampling_are_its_own() -> None:
    request = asked(user(), top_p=0.5, top_k=3, stop=["x"], max_tokens=9, logprobs=True, stream=True)
    assert body_of(request) == {
        "model": "command",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "p": 0.5,
        "k": 3,
        "stop_sequences": ["x"],
        "max_tokens": 9,
        "logprobs": True,
    }


def test_a_round_of_calls() -> None:
    answer = Message("assistant", [Thinking("I will look."), ToolCall("c1", "f", '{"a": 1}'), ToolCall("c2", "g")])
    results = Message("tool", [ToolResult("c1", [Text("x"), Text("y")]), ToolResult("c2", [Text("z")])])
    assert body_of(asked(Message("developer", [Text("be brief")]), user(), answer, results))["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "tool_plan": "I will look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}],
        },
        {"role": "tool", "tool_call_id": "c2", "content": "z"},
    ]


def test_pictures_by_address_and_as_data_and_plain_files_as_documents() -> None:
    files = [
        Media("image", url="https://x.example/a.png", detail="low"),
        Media("image", "image/png", data="aGk="),
        Media("file", text="Ruby is a language.", name="ruby.txt"),
    ]
    body = body_of(asked(Message("user", [Text("see"), *files])))
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
    ]
    assert body["documents"] == [{"data": {"text": "Ruby is a language.", "title": "ruby.txt"}}]


@pytest.mark.parametrize("part", [Media("audio", data="aGk="), Media("file", data="aGk="), Media("image", id="f-1")])
def test_what_it_cannot_see_is_refused(part: Media) -> None:
    with pytest.raises(UncarriedError) as caught:
        body_of(asked(Message("user", [part])))
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    ("choice", "names", "word"),
    [
        (ToolChoice("auto"), ["f", "g"], None),
        (ToolChoice("none"), ["f", "g"], "NONE"),
        (ToolChoice("required"), ["f", "g"], "REQUIRED"),
        (ToolChoice("named", "g"), ["g"], "REQUIRED"),
        (ToolChoice("auto", allowed=["f"]), ["f"], None),
    ],
)
def test_where_only_some_tools_may_be_called_only_those_are_sent(
    choice: ToolChoice, names: list[str], word: str | None
) -> None:
    body = body_of(asked(user(), tools=[Tool("f"), Tool("g")], tool_choice=choice))
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert body.get("tool_choice") == word


def test_strict_is_said_of_all_tools_or_of_none() -> None:
    assert body_of(asked(user(), tools=[Tool("f", strict=True), Tool("g", strict=True)]))["strict_tools"] is True
    written = CHAT.write_request(asked(user(), tools=[Tool("f", strict=True), Tool("g")]), shape())
    assert "strict_tools" not in written.body
    assert written.dropped == ["strict"]


def test_a_tool_that_another_service_runs_cannot_be_sent() -> None:
    with pytest.raises(UncarriedError) as caught:
        body_of(asked(user(), tools=[Tool("search", builtin=Opaque("gemini", {"googleSearch": {}}))]))
    assert caught.value.param == "tools"


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (Format("text"), {"type": "text"}),
        (Format("json"), {"type": "json_object"}),
        (Format("schema", "n", {"type": "object"}), {"type": "json_object", "json_schema": {"type": "object"}}),
    ],
)
def test_forms_of_answers(form: Format, written: dict[str, Any]) -> None:
    assert body_of(asked(user(), format=form))["response_format"] == written


@pytest.mark.parametrize(
    ("wish", "written"),
    [
        (Reasoning(effort="high"), {"type": "enabled", "token_budget": 24576}),
        (Reasoning(enabled=True), {"type": "enabled"}),
        (Reasoning(budget=500), {"type": "enabled", "token_budget": 500}),
        (Reasoning(effort="none"), {"type": "disabled"}),
        (Reasoning(enabled=False), {"type": "disabled"}),
    ],
)
def test_thinking(wish: Reasoning, written: dict[str, Any]) -> None:
    assert body_of(asked(user(), reasoning=wish))["thinking"] == written


def test_what_has_no_place_is_named() -> None:
    request = asked(user(), n=2, logit_bias={"1": 1.0}, user="u", top_logprobs=2, extra={"web_search_options": {}})
    written = CHAT.write_request(request, shape())
    assert set(written.body) == {"model", "messages", "stream"}
    assert sorted(written.dropped) == ["logit_bias", "n", "top_logprobs", "user", "web_search_options"]


def test_what_only_this_protocol_knows_comes_back() -> None:
    recorded = cassette("cohere", "cited-tool-result")
    request = CHAT.read_request(recorded.request)
    assert isinstance(request.messages[-1].parts[0], ToolResult)
    assert isinstance(request.messages[-1].parts[0].content[0], Opaque)
    again = body_of(request)
    assert again["messages"][-1] == recorded.request["messages"][-1]
    body = {"messages": [], "documents": ["a"], "citation_options": {"mode": "FAST"}, "safety_mode": "OFF"}
    assert body_of(CHAT.read_request(body)) == {**body, "model": "command", "stream": False}


def test_a_role_without_a_meaning_is_refused() -> None:
    with pytest.raises(UncarriedError):
        CHAT.read_request({"messages": [{"role": "referee", "content": ""}]})
