"""Requests, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from engine.dialects import dialects
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
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

from ..play import shape

NAME = "bedrock-converse"
DIALECT = dialects()[NAME]
CHAT: Any = DIALECT.chat
CLAUDE, NOVA = "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-2-lite-v1:0"
ASK = Message("user", [Text("Hi")])
F = Tool("f", "d", {"type": "object"})


def read(**fields: Any) -> ChatRequest:
    found: ChatRequest = CHAT.read_request({"messages": [], **fields})
    return found


def parts(*blocks: Any) -> list[Part]:
    messages = read(messages=[{"role": "user", "content": list(blocks)}]).messages
    return [part for message in messages for part in message.parts]


def write(request: ChatRequest, model: str = CLAUDE, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    request.origin = request.origin or "openai-chat"
    request.messages = request.messages or [ASK]
    written = CHAT.write_request(request, shape(model, **fields))
    return written.body, written.dropped


def talk(*turns: tuple[Role, list[Part]], model: str = CLAUDE, **fields: Any) -> dict[str, Any]:
    body, dropped = write(ChatRequest(messages=[Message(role, said) for role, said in turns], **fields), model)
    assert dropped == []
    return body


def test_paths_hold_the_model_as_one_segment() -> None:
    assert DIALECT.path("chat", CLAUDE, False) == "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/x"
    assert DIALECT.path("chat", arn, True).count("/") == 3
    assert DIALECT.path("embeddings", "amazon.titan-embed-text-v2:0", False).endswith("/invoke")


def test_a_request_is_read() -> None:
    request = read(
        system=[{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        messages=[{"role": "user", "content": [{"text": "Hi"}]}],
        inferenceConfig={"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        additionalModelRequestFields={"top_k": 7, "thinking": {"type": "enabled", "budget_tokens": 2000}, "odd": 1},
        outputConfig={"effort": "high"},
        serviceTier={"type": "flex"},
        requestMetadata={"team": "a"},
        guardrailConfig={"guardrailIdentifier": "g"},
    )
    mark = {"type": "ephemeral", "ttl": "1h"}
    assert request.messages == [Message("system", [Text("Be brief.", cache=mark)]), ASK]
    assert (request.max_tokens, request.temperature, request.top_p, request.stop) == (9, 0.5, 0.9, ["END"])
    assert (request.top_k, request.reasoning) == (7, Reasoning(True, "high", 2000))
    assert (request.service_tier, request.metadata) == ("flex", {"team": "a"})
    assert request.extra == {
        "additionalModelRequestFields": {"odd": 1},
        "guardrailConfig": {"guardrailIdentifier": "g"},
    }


def test_blocks_are_read() -> None:
    guarded = {"guardContent": {"text": {"text": "x"}}}
    server = {"toolUse": {"toolUseId": "s", "name": "n", "input": {}, "type": "server_tool_use"}}
    place = {"uri": "s3://b/k", "bucketOwner": "1"}
    found = parts(
        {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
        {"document": {"format": "txt", "name": "n", "source": {"text": "words"}, "citations": {"enabled": True}}},
        {"video": {"format": "mp4", "source": {"s3Location": place}}},
        {"video": {"format": "video/mp4", "source": {"bytes": "AAAA"}}},
        {"reasoningContent": {"redactedContent": "eHl6"}},
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
        guarded,
        server,
        {"cachePoint": {"type": "default"}},
    )
    assert found == [
        Media("image", "image/jpeg", "AAAA"),
        Media("file", "text/plain", text="words", name="n", extra={"citations": {"enabled": True}}),
        Media("video", "video/mp4", url="s3://b/k", extra={"s3Location": place}),
        Media("video", "video/mp4", "AAAA"),
        Thinking(redacted="xyz"),
        Thinking("Hm.", "c2ln"),
        Opaque(NAME, guarded),
        Opaque(NAME, server),
        Opaque(NAME, {"cachePoint": {"type": "default"}}),
    ]


def test_tools_are_read() -> None:
    spec = {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}, "strict": True}
    system = {"systemTool": {"name": "nova_grounding"}}
    config = {"tools": [{"toolSpec": spec}, {"cachePoint": {"type": "default"}}, system], "toolChoice": {"any": {}}}
    request = read(toolConfig=config)
    assert request.tools == [
        Tool("f", "d", {"type": "object"}, True, cache={"type": "ephemeral"}),
        Tool("nova_grounding", builtin=Opaque(NAME, system)),
    ]
    assert request.tool_choice == ToolChoice("required")


@pytest.mark.parametrize("body", [{}, {"messages": [5]}, {"messages": [{"role": "tool", "content": []}]}])
def test_what_makes_no_sense_is_named(body: dict[str, Any]) -> None:
    with pytest.raises(UncarriedError):
        CHAT.read_request(body)


def test_the_least_request_invents_nothing() -> None:
    assert write(ChatRequest()) == ({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, [])


def test_a_conversation() -> None:
    body = talk(
        ("system", [Text("Be brief.")]),
        ("user", [Text("a"), Text("")]),
        ("assistant", [ToolCall("functions.f:0", "f", '{"x":1}')]),
        ("tool", [ToolResult("functions.f:0", [Text("no")], is_error=True)]),
        ("user", [Text("b")]),
        tools=[F],
    )
    assert body["system"] == [{"text": "Be brief."}]
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "a"}]},
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "functions.f:0", "name": "f", "input": {"x": 1}}}],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "functions.f:0", "content": [{"text": "no"}], "status": "error"}},
                {"text": "b"},
            ],
        },
    ]


def test_calls_are_of_declared_tools_even_where_the_client_forgot_them() -> None:
    turns: list[tuple[Role, list[Part]]] = [("user", [Text("a")]), ("assistant", [ToolCall("1", "f")])]
    body = talk(*turns)
    schema = {"json": {"type": "object", "properties": {}}}
    assert body["toolConfig"] == {"tools": [{"toolSpec": {"name": "f", "inputSchema": schema}}]}


def test_media() -> None:
    body = talk(
        (
            "user",
            [
                Media("image", None, "/9j/4AAQ"),
                Media("file", "application/pdf", "JVBERi0=", name="a_b.pdf"),
                Media("file", None, "SGk=", name="a.csv"),
                Media("file", text="words"),
                Media("video", "video/mp4", "AAAA"),
                Media("audio", "audio/mpeg", "AAAA"),
                Media("image", "image/png", url="s3://b/k"),
            ],
        )
    )
    assert body["messages"][0]["content"] == [
        {"image": {"source": {"bytes": "/9j/4AAQ"}, "format": "jpeg"}},
        {"document": {"source": {"bytes": "JVBERi0="}, "format": "pdf", "name": "a b"}},
        {"document": {"source": {"bytes": "SGk="}, "format": "csv", "name": "a 2"}},
        {"document": {"source": {"bytes": "d29yZHM="}, "format": "txt", "name": "document 3"}},
        {"video": {"source": {"bytes": "AAAA"}, "format": "mp4"}},
        {"audio": {"source": {"bytes": "AAAA"}, "format": "mp3"}},
        {"image": {"source": {"s3Location": {"uri": "s3://b/k"}}, "format": "png"}},
    ]


@pytest.mark.parametrize(
    "part", [Media("image", url="https://x/y.png"), Media("file", id="file-1"), Media("image", None, "AAAA")]
)
def test_media_that_cannot_be_carried(part: Media) -> None:
    assert "image_url" in DIALECT.lacks
    with pytest.raises(UncarriedError):
        talk(("user", [part]))


def test_thoughts_go_back_to_their_maker_only() -> None:
    messages = [
        ASK,
        Message("assistant", [Thinking("Hm.", "c2ln"), Thinking(redacted="xyz"), Thinking("Ha."), Text("t")]),
    ]
    body, dropped = write(ChatRequest(messages=messages))
    assert body["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "eHl6"}},
        {"text": "t"},
    ]
    assert dropped == ["reasoning_content"]
    assert write(ChatRequest(messages=messages), NOVA)[0]["messages"][1]["content"] == [{"text": "t"}]


def test_cache_points_are_for_models_that_take_them() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    turns = [Message("user", [Text("a", cache=mark)])]
    tools = [Tool("f", None, {"type": "object"}, cache={"type": "ephemeral"})]
    body, dropped = write(ChatRequest(messages=turns, tools=tools))
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}
    assert dropped == []
    within = [Message("tool", [ToolResult("1", [Text("a", cache=mark)])])]
    assert "cachePoint" in write(ChatRequest(messages=within))[0]["messages"][0]["content"][1]
    body, dropped = write(ChatRequest(messages=turns), "mistral.mistral-large-2402-v1:0")
    assert (body["messages"][0]["content"], dropped) == ([{"text": "a"}], ["cache_control"])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"auto": {}}),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("named", "f"), {"tool": {"name": "f"}}),
    ],
)
def test_tool_choice(choice: ToolChoice, expected: dict[str, Any]) -> None:
    body, dropped = write(ChatRequest(tools=[F], tool_choice=choice))
    assert (body["toolConfig"]["toolChoice"], dropped) == (expected, [])


def test_no_tool_shall_be_called() -> None:
    assert write(ChatRequest(tools=[F], tool_choice=ToolChoice("none"))) == write(ChatRequest())
    messages = [ASK, Message("assistant", [ToolCall("1", "f")]), Message("tool", [ToolResult("1")])]
    body, dropped = write(ChatRequest(messages=messages, tools=[F], tool_choice=ToolChoice("none")))
    assert ("toolChoice" in body["toolConfig"], dropped) == (False, ["tool_choice"])
    with pytest.raises(UncarriedError):
        write(ChatRequest(tool_choice=ToolChoice("required")))


def test_thinking_by_the_models_maker() -> None:
    def more(model: str, **wish: Any) -> Any:
        body, dropped = write(ChatRequest(max_tokens=9000, reasoning=Reasoning(**wish)), model)
        return body.get("additionalModelRequestFields"), body.get("outputConfig"), dropped

    budget = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    assert more(CLAUDE, effort="low") == (budget, None, [])
    assert more("anthropic.claude-opus-5", effort="max") == ({"thinking": {"type": "adaptive"}}, {"effort": "max"}, [])
    enabled = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}
    assert more(NOVA, effort="xhigh") == (enabled, None, [])
    assert more(NOVA, budget=20000) == (enabled, None, [])
    assert more("openai.gpt-oss-120b-1:0", enabled=True) == ({"reasoning_effort": "medium"}, None, [])
    assert more(NOVA, enabled=False) == ({"reasoningConfig": {"type": "disabled"}}, None, [])
    assert more("openai.gpt-oss-120b-1:0", effort="minimal") == ({"reasoning_effort": "low"}, None, [])
    assert more("qwen.qwen3-32b-v1:0", effort="high") == ({"reasoning_config": "high"}, None, [])
    assert more("mistral.mistral-large-2402-v1:0", effort="high") == (None, None, ["reasoning_effort"])
    assert more("mistral.mistral-large-2402-v1:0", effort="none") == (None, None, [])


def test_a_budget_needs_a_limit_to_stand_in() -> None:
    body, _ = write(ChatRequest(reasoning=Reasoning(effort="low")))
    assert body["inferenceConfig"]["maxTokens"] > 1024


@pytest.mark.parametrize(
    ("model", "more", "dropped"),
    [
        (CLAUDE, {"top_k": 7}, []),
        (NOVA, {"inferenceConfig": {"topK": 7}}, []),
        ("cohere.command-r-v1:0", {"k": 7}, []),
        ("meta.llama3-70b-instruct-v1:0", None, ["top_k"]),
        ("anthropic.claude-opus-5", None, ["top_k"]),
    ],
)
def test_top_k_by_the_models_maker(model: str, more: Any, dropped: list[str]) -> None:
    body, left = write(ChatRequest(top_k=7), model)
    assert (body.get("additionalModelRequestFields"), left) == (more, dropped)


def test_the_other_fields() -> None:
    request = ChatRequest(max_tokens=9, temperature=1.5, stop=["END"], service_tier="flex", metadata={"team": "a"})
    request.format = Format("schema", "city", {"type": "object"}, description="d")
    body, dropped = write(request)
    assert body["inferenceConfig"] == {"maxTokens": 9, "temperature": 1.0, "stopSequences": ["END"]}
    assert body["outputConfig"] == {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "city", "description": "d"}},
        }
    }
    assert (body["serviceTier"], body["requestMetadata"]) == ({"type": "flex"}, {"team": "a"})
    assert dropped == ["temperature"]


def test_what_is_left_out_is_named() -> None:
    message = Message("user", [Text("t", [Citation(url="https://x")]), Opaque("gemini", 5)], name="Ann")
    request = ChatRequest(messages=[message], seed=1, user="u", metadata={"n": 5}, format=Format("json"), tools=[F])
    request.extra, request.service_tier, request.parallel_tool_calls = {"prediction": {}}, "scale", False
    assert set(write(request)[1]) == {
        *("annotations", "content", "name", "seed", "user", "metadata", "response_format", "prediction"),
        *("service_tier", "parallel_tool_calls"),
    }
    assert write(ChatRequest(service_tier="auto", parallel_tool_calls=True, n=1)) == write(ChatRequest())


def test_what_changes_the_answers_meaning_is_refused() -> None:
    for request in (
        ChatRequest(tools=[Tool("s", builtin=Opaque("anthropic-messages", {}))]),
        ChatRequest(modalities=["audio"]),
        ChatRequest(messages=[Message("system", [Media("image", data="/9j/")]), ASK]),
    ):
        with pytest.raises(UncarriedError):
            write(request)
