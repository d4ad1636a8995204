"""A client's request in canonical form."""

from __future__ import annotations

from typing import Any

import pytest

from engine.dialects import dialects
from engine.exchange import UncarriedError
from engine.exchange.canonical import (
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

NAME = "anthropic-messages"
CHAT: Any = dialects()[NAME].chat
MARK = {"type": "ephemeral", "ttl": "1h"}


def read(**fields: Any) -> Any:
    return CHAT.read_request({"model": "m", "messages": [], "max_tokens": 5, **fields})


def parts(*blocks: Any) -> list[Any]:
    messages = read(messages=[{"role": "user", "content": list(blocks)}]).messages
    return [part for message in messages for part in message.parts]


def test_the_plain_fields() -> None:
    request = read(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop_sequences=["END"],
        stream=True,
        metadata={"user_id": "u-1"},
        service_tier="standard_only",
        container="c-1",
    )
    assert (request.model, request.max_tokens, request.origin) == ("m", 5, NAME)
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (0.5, 0.9, 40, ["END"])
    assert (request.stream, request.include_usage, request.user) == (True, True, "u-1")
    assert (request.service_tier, request.extra) == ("default", {"container": "c-1"})


def test_instructions_come_first() -> None:
    request = read(system="Be brief.", messages=[{"role": "user", "content": "Hi"}])
    assert request.messages == [Message("system", [Text("Be brief.")]), Message("user", [Text("Hi")])]
    request = read(system=[{"type": "text", "text": "Be brief.", "cache_control": MARK}])
    assert request.messages == [Message("system", [Text("Be brief.", cache=MARK)])]


def test_instructions_in_the_midst_stay_there() -> None:
    request = read(messages=[{"role": "user", "content": "Hi"}, {"role": "system", "content": "Now in French."}])
    assert [message.role for message in request.messages] == ["user", "system"]


def test_images() -> None:
    found = parts(
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
            "cache_control": MARK,
        },
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    )
    assert found == [
        Media("image", "image/png", "AAAA", cache=MARK),
        Media("image", url="https://x/y.png"),
        Media("image", id="file_1"),
    ]


def test_documents() -> None:
    pieces = {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    pictured = {"type": "content", "content": [{"type": "image", "source": {}}]}
    found = parts(
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            "title": "t",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}, "citations": {"enabled": True}},
        {"type": "document", "source": pieces},
        {"type": "document", "source": pictured},
    )
    assert found == [
        Media("file", "application/pdf", "JVBE", name="t"),
        Media("file", "text/plain", text="words"),
        Media("file", url="https://x/y.pdf", extra={"citations": {"enabled": True}}),
        Media("file", "text/plain", text="a\nb", extra={"source": pieces}),
        Opaque(NAME, {"type": "document", "source": pictured}),
    ]


def test_calls_and_results() -> None:
    request = read(
        messages=[
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "xyz"},
                    {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                    {"type": "tool_use", "id": "b", "name": "g", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "42"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "b",
                        "is_error": True,
                        "content": [{"type": "text", "text": "no"}],
                    },
                    {"type": "text", "text": "So?"},
                ],
            },
        ]
    )
    assert request.messages == [
        Message(
            "assistant",
            [
                Thinking("Hm.", "c2ln"),
                Thinking(redacted="xyz"),
                ToolCall("a", "f", '{"x":1}'),
                ToolCall("b", "g", "{}"),
            ],
        ),
        Message("tool", [ToolResult("a", [Text("42")], "f"), ToolResult("b", [Text("no")], "g", True)]),
        Message("user", [Text("So?")]),
    ]


def test_results_hold_images_and_what_only_this_protocol_knows() -> None:
    reference = {"type": "tool_reference", "tool_name": "f"}
    image = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    (result,) = parts({"type": "tool_result", "tool_use_id": "a", "content": [image, reference]})
    assert result == ToolResult("a", [Media("image", url="https://x/y.png"), Opaque(NAME, reference)])


def test_what_only_this_protocol_knows_is_opaque() -> None:
    blocks = [
        {"type": "search_result", "source": "s", "title": "t", "content": []},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "text", "text": 5},
        {"kind": "unheard of"},
    ]
    assert parts(*blocks) == [Opaque(NAME, block) for block in blocks]


def test_tools() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    mine = {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True, "cache_control": MARK}
    request = read(tools=[mine, search, {"type": "custom", "name": "g", "input_schema": True}])
    assert request.tools == [
        Tool("f", "d", {"type": "object"}, True, cache=MARK),
        Tool("web_search", builtin=Opaque(NAME, search)),
        Tool("g", extra={"type": "custom", "input_schema": True}),
    ]


@pytest.mark.parametrize(
    ("wire", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "tool", "name": "f", "disable_parallel_tool_use": False}, ToolChoice("named", "f"), True),
        ({"type": "none"}, ToolChoice("none"), None),
    ],
)
def test_tool_choice(wire: dict[str, Any], choice: ToolChoice, parallel: bool | None) -> None:
    request = read(tool_choice=wire)
    assert (request.tool_choice, request.parallel_tool_calls) == (choice, parallel)


def test_thinking_and_effort() -> None:
    assert read(thinking={"type": "enabled", "budget_tokens": 2000}).reasoning == Reasoning(True, budget=2000)
    assert read(thinking={"type": "adaptive"}, output_config={"effort": "max"}).reasoning == Reasoning(True, "max")
    assert read(thinking={"type": "adaptive", "display": "omitted"}).reasoning == Reasoning(True, show=False)
    assert read(thinking={"type": "disabled"}).reasoning == Reasoning(False)
    assert read(output_config={"effort": "low"}).reasoning == Reasoning(effort="low")
    odd = {"type": "between_tools"}
    assert read(thinking=odd).reasoning == Reasoning(True, extra=odd)


def test_the_form_of_the_answer() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    assert read(output_config={"format": form}).format == Format("schema", schema={"type": "object"})
    assert read(output_format=form).format == Format("schema", schema={"type": "object"})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages.0"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0"),
        ({"messages": [], "system": 5}, "system"),
        ({"messages": [], "tool_choice": {"type": "sometimes"}}, "tool_choice"),
    ],
)
def test_what_makes_no_sense_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(UncarriedError) as caught:
        CHAT.read_request(body)
    assert caught.value.param == param
