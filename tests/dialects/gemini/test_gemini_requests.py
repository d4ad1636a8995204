"""Requests in the protocol of ``generateContent``."""

from __future__ import annotations

from typing import Any

import pytest

from engine.dialects.gemini import Gemini
from engine.dialects.gemini.signatures import UNSIGNED
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

CHAT = Gemini().chat
assert CHAT is not None

NEW, OLD = "gemini-3-pro-preview", "gemini-2.5-flash"


def body_of(request: ChatRequest, model: str = NEW) -> Any:
    return tree(CHAT.write_request(request, shape(model)).body)


def asked(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=list(messages), origin="openai-chat", **fields)


def user(text: str = "hi") -> Message:
    return Message("user", [Text(text)])


def test_the_model_and_whether_to_stream_stand_in_the_path() -> None:
    dialect = Gemini()
    assert dialect.path("chat", "gemini-3-pro", False) == "/models/gemini-3-pro:generateContent"
    assert dialect.path("chat", "gemini-3-pro", True) == "/models/gemini-3-pro:streamGenerateContent?alt=sse"
    assert dialect.path("embeddings", "embedding-001", False) == "/models/embedding-001:batchEmbedContents"
    assert dialect.path("chat", "tunedModels/my model", False) == "/tunedModels/my%20model:generateContent"
    assert dialect.path("chat", "models/x", False) == "/models/x:generateContent"
    assert dialect.path("chat", "a/b", False) == "/models/a%2Fb:generateContent"
    assert set(body_of(asked(user(), model="m", stream=True))) == {"contents"}


def test_instructions_are_collected_wherever_they_stand() -> None:
    body = body_of(asked(Message("system", [Text("a")]), user(), Message("developer", [Text("b")])))
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


def test_texts_without_any_text_are_not_sent() -> None:
    body = body_of(asked(Message("system", [Text("")]), user(), Message("assistant", [Text("")]), user("again")))
    assert [content["parts"] for content in body["contents"]] == [[{"text": "hi"}], [{"text": "again"}]]
    assert "systemInstruction" not in body


def test_results_of_one_round_stand_in_one_content_and_bear_their_functions_names() -> None:
    calls = [ToolCall("c1", "f", '{"a": 1}'), ToolCall("c2", "g")]
    results = [ToolResult("c1", [Text("fine")]), ToolResult("c2", [Text('{"x": 2}')])]
    body = body_of(asked(user(), Message("assistant", [*calls]), *[Message("tool", [r]) for r in results]), OLD)
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
                {"functionCall": {"id": "c2", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "fine"}}},
                {"functionResponse": {"id": "c2", "name": "g", "response": {"x": 2}}},
            ],
        },
    ]


def test_a_failed_tool_is_told_as_such() -> None:
    result = ToolResult("c", [Text("no such city")], is_error=True)
    body = body_of(asked(Message("assistant", [ToolCall("c", "f")]), Message("tool", [result])), OLD)
    assert body["contents"][1]["parts"][0]["functionResponse"]["response"] == {"error": "no such city"}


def test_a_result_of_no_known_call_cannot_be_sent() -> None:
    with pytest.raises(UncarriedError, match="answers no tool call"):
        body_of(asked(Message("tool", [ToolResult("c", [Text("x")])])))


@pytest.mark.parametrize(("model", "inside"), [(NEW, True), (OLD, False)])
def test_a_picture_in_a_result_goes_where_the_model_knows_it(model: str, inside: bool) -> None:
    result = ToolResult("c", [Text("see"), Media("image", "image/png", data="aGk=")], name="f")
    parts = body_of(asked(Message("tool", [result])), model)["contents"][0]["parts"]
    picture = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    if inside:
        assert parts == [
            {"functionResponse": {"id": "c", "name": "f", "response": {"output": "see"}, "parts": [picture]}}
        ]
    else:
        assert parts[1] == picture


def test_calls_of_the_present_turn_that_nobody_signed_say_so_and_only_to_models_that_ask() -> None:
    old_call = Message("assistant", [ToolCall("c0", "f")])
    old_result = Message("tool", [ToolResult("c0", [Text("x")])])
    calls = Message("assistant", [ToolCall("c1", "f"), ToolCall("c2", "f")])
    request = asked(user(), old_call, old_result, user("again"), calls)

    def signatures(model: str) -> list[Any]:
        parts = [part for content in body_of(request, model)["contents"] for part in content["parts"]]
        return [part.get("thoughtSignature") for part in parts if "functionCall" in part]

    assert signatures(NEW) == [None, UNSIGNED, None]
    assert signatures(OLD) == [None, None, None]


def test_a_signature_comes_back_on_the_part_that_it_came_on() -> None:
    parts = [Thinking("Let me see.", "gemini:c2ln"), ToolCall("c1", "f")]
    written = CHAT.write_request(asked(user(), Message("assistant", [*parts])), shape(NEW))
    assert tree(written.body)["contents"][1]["parts"] == [
        {"text": "Let me see.", "thought": True},
        {"functionCall": {"id": "c1", "name": "f", "args": {}}, "thoughtSignature": "c2ln"},
    ]
    assert written.dropped == []


def test_what_another_service_signed_or_hid_is_left_out_and_named() -> None:
    parts = [Thinking("Hm.", "RXFv"), Thinking(redacted="abc"), Text("Yes.")]
    written = CHAT.write_request(asked(user(), Message("assistant", [*parts])), shape(NEW))
    assert tree(written.body)["contents"][1]["parts"] == [{"text": "Hm.", "thought": True}, {"text": "Yes."}]
    assert written.dropped == ["thinking.signature", "thinking"]


def test_files() -> None:
    files = [
        Media("image", data="aGk=", mime="image/png", detail="high"),
        Media("image", url="https://x.example/a/cat.WEBP?size=2"),
        Media("audio", url="https://x.example/clip"),
        Media("file", text="plain", name="notes.txt"),
    ]
    written = CHAT.write_request(asked(Message("user", [*files])), shape())
    assert tree(written.body)["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://x.example/a/cat.WEBP?size=2"}},
        {"fileData": {"mimeType": "audio/wav", "fileUri": "https://x.example/clip"}},
        {"inlineData": {"mimeType": "text/plain", "data": "cGxhaW4="}},
    ]
    assert written.dropped == ["detail", "displayName"]


def test_a_file_of_another_service_cannot_be_sent() -> None:
    with pytest.raises(UncarriedError) as caught:
        body_of(asked(Message("user", [Media("file", id="file-123")])))
    assert caught.value.param == "messages"


def test_tools_are_written_with_the_schema_that_the_client_sent() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": False}
    tools = [Tool("f", "Does it.", schema, strict=True), Tool("g")]
    written = CHAT.write_request(asked(user(), tools=tools), shape())
    assert tree(written.body)["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "Does it.", "parametersJsonSchema": schema},
                {"name": "g"},
            ]
        }
    ]
    assert written.dropped == ["strict"]


def test_a_single_entry_may_stand_in_the_place_of_the_list_of_tools() -> None:
    entry = {"function_declarations": [{"name": "f"}]}
    assert CHAT.read_request({"contents": [], "tools": entry}) == CHAT.read_request({"contents": [], "tools": [entry]})


def test_a_tool_that_another_service_runs_cannot_be_sent() -> None:
    tool = Tool("web_search", builtin=Opaque("openai-responses", {"type": "web_search"}))
    with pytest.raises(UncarriedError) as caught:
        body_of(asked(user(), tools=[tool]))
    assert caught.value.param == "tools"


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("named", "f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice("required", allowed=["f", "g"]), {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
        (ToolChoice("auto", allowed=["f"]), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)
def test_the_choice_of_tools_both_ways(choice: ToolChoice, config: dict[str, Any]) -> None:
    body = body_of(asked(user(), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": config}
    assert CHAT.read_request(body).tool_choice == choice


@pytest.mark.parametrize(
    ("wish", "model", "config"),
    [
        (Reasoning(effort="low"), OLD, {"thinkingBudget": 1024}),
        (Reasoning(effort="high"), OLD, {"thinkingBudget": 24576}),
        (Reasoning(effort="high"), NEW, {"thinkingLevel": "high"}),
        (Reasoning(effort="minimal"), NEW, {"thinkingLevel": "low"}),
        (Reasoning(effort="minimal"), "gemini-3-flash", {"thinkingLevel": "minimal"}),
        (Reasoning(effort="xhigh"), NEW, {"thinkingLevel": "high"}),
        (Reasoning(effort="none"), OLD, {"thinkingBudget": 0}),
        (Reasoning(enabled=False), NEW, {"thinkingLevel": "low"}),
        (Reasoning(enabled=True, budget=2000), NEW, {"thinkingBudget": 2000, "includeThoughts": True}),
        (Reasoning(enabled=True), OLD, {"thinkingBudget": -1, "includeThoughts": True}),
        (Reasoning(effort="low", summary="auto"), NEW, {"thinkingLevel": "low", "includeThoughts": True}),
        (Reasoning(effort="low", show=False), NEW, {"thinkingLevel": "low", "includeThoughts": False}),
    ],
)
def test_thinking_in_the_models_own_terms(wish: Reasoning, model: str, config: dict[str, Any]) -> None:
    assert body_of(asked(user(), reasoning=wish), model)["generationConfig"] == {"thinkingConfig": config}


def test_a_schema_for_the_answer() -> None:
    form = Format("schema", "answer", {"type": "object"}, strict=True)
    config = body_of(asked(user(), format=form))["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}


def test_what_has_no_place_is_named_by_the_clients_own_names() -> None:
    request = asked(
        user(),
        logit_bias={"1": 2.0},
        user="u",
        metadata={"a": "b"},
        store=False,
        verbosity="low",
        min_p=0.1,
        parallel_tool_calls=False,
        service_tier="scale",
        extra={"prediction": 1},
    )
    written = CHAT.write_request(request, shape())
    assert set(written.body) == {"contents"}
    assert sorted(written.dropped) == sorted(
        [
            *("logit_bias", "user", "metadata", "store", "verbosity", "min_p"),
            *("parallel_tool_calls", "service_tier", "prediction"),
        ]
    )


def test_both_spellings_of_names_are_read() -> None:
    body = {
        "system_instruction": "Be brief.",
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "aGk="}}]}],
        "generation_config": {"max_output_tokens": 5, "stop_sequences": ["x"], "top_k": 40.0},
    }
    request = CHAT.read_request(body)
    assert request.messages == [
        Message("system", [Text("Be brief.")]),
        Message("user", [Media("image", "image/png", data="aGk=")]),
    ]
    assert (request.max_tokens, request.stop, request.top_k) == (5, ["x"], 40)


def test_the_older_notation_of_schemas_is_read_as_json_schema_and_written_back_as_it_came() -> None:
    old = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True, "minLength": "2"}}}
    body = {"contents": [], "tools": [{"functionDeclarations": [{"name": "f", "parameters": old}]}]}
    request = CHAT.read_request(body)
    assert request.tools[0].parameters == {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"], "minLength": 2}},
    }
    assert body_of(request) == body


def test_a_role_without_a_meaning_is_refused() -> None:
    with pytest.raises(UncarriedError, match="neither user nor model"):
        CHAT.read_request({"contents": [{"role": "referee", "parts": []}]})


def test_results_beside_other_parts_are_messages_of_their_own_and_one_content_again() -> None:
    recorded = cassette("gemini", "image-in-result-stream")
    request = CHAT.read_request(recorded.request)
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "tool"]
    result = request.messages[-1].parts[0]
    assert isinstance(result, ToolResult)
    assert [type(part) for part in result.content] == [Text, Media]
    beside = {"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "f"}}, {"text": "and?"}]}]}
    apart = CHAT.read_request(beside)
    assert [message.role for message in apart.messages] == ["tool", "user"]
    assert len(body_of(apart)["contents"]) == 1


def test_what_only_this_protocol_knows_goes_back_to_where_it_stood() -> None:
    body = {
        "contents": [{"role": "user", "parts": [{"executableCode": {"code": "1"}}, {"text": "a", "partMetadata": {}}]}],
        "tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}, "includeServerSideToolInvocations": True},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generationConfig": {"temperature": 0.5, "speechConfig": {"voice": "x"}},
        "cachedContent": "cachedContents/1",
        "serviceTier": "flex",
    }
    request = CHAT.read_request(body)
    assert request.service_tier == "flex"
    assert body_of(request) == body
