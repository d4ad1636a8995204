"""Requests for responses: there and back, and from other protocols."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.dialects.openai_responses import OpenAIResponses
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
from ..play import odd_json, shape, tree
from ..recordings import cassette

CHAT = OpenAIResponses().chat
assert CHAT is not None
NAME = "openai-responses"


def read(**fields: Any) -> ChatRequest:
    return CHAT.read_request({"model": "m", **fields})  # type: ignore[union-attr]


def again(asked: ChatRequest) -> Any:
    written = CHAT.write_request(asked, shape())  # type: ignore[union-attr]
    assert written.dropped == []
    return tree(written.body)


def foreign(*messages: Message, **fields: Any) -> tuple[Any, list[str]]:
    asked = ChatRequest(messages=[*messages], origin="anthropic-messages", **fields)
    written = CHAT.write_request(asked, shape())  # type: ignore[union-attr]
    return tree(written.body), written.dropped


def test_fields_of_one_value_there_and_back() -> None:
    body = {
        "model": "m", "input": [], "instructions": "be brief", "max_output_tokens": 9, "temperature": 0.5, "top_p": 1,
        "top_logprobs": 2, "include": ["message.output_text.logprobs"], "user": "u", "metadata": {"team": "a"},
        "service_tier": "flex", "store": False, "stream": True, "parallel_tool_calls": False, "truncation": "auto",
        "text": {"format": {"type": "json_object"}, "verbosity": "low"}, "previous_response_id": "resp_1",
        "reasoning": {"effort": "low", "summary": "auto", "context": "all_turns"}, "max_tool_calls": 3,
    }  # fmt: skip
    asked = CHAT.read_request(body)
    assert asked == ChatRequest(
        model="m", messages=[Message("system", [Text("be brief")], extra={"instructions": True})], max_tokens=9,
        temperature=0.5, top_p=1, top_logprobs=2, logprobs=True, user="u", metadata={"team": "a"}, service_tier="flex",
        store=False, stream=True, include_usage=True, parallel_tool_calls=False, verbosity="low", format=Format("json"),
        reasoning=Reasoning(effort="low", summary="auto", extra={"context": "all_turns"}), origin=NAME,
        extra={"truncation": "auto", "previous_response_id": "resp_1", "max_tool_calls": 3},
    )  # fmt: skip
    assert again(asked) == body


def test_fields_of_another_type_stay_as_they_came() -> None:
    odd = {
        "temperature": "hot", "tools": {}, "tool_choice": {"type": "file_search"},
        "text": {"format": {"type": "grammar"}},
        "reasoning": "yes", "include": "all", "instructions": ["x"], "max_output_tokens": "many",
        "tool_choice_": {"mode": 1},
    }  # fmt: skip
    asked = read(**odd)
    assert asked.extra == odd
    assert again(asked) == {"model": "m", "input": [], **odd}


def test_a_text_is_a_question() -> None:
    assert read(input="hi").messages == [Message("user", [Text("hi")])]
    assert again(read(input="hi"))["input"] == [{"role": "user", "content": "hi"}]


ITEMS: list[Any] = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}], "id": "msg_0"},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"},
    {
        "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "commentary",
        "content": [{"type": "output_text", "text": "b", "annotations": []}],
    },
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "function_call_output", "call_id": "c1", "output": "done", "status": "completed"},
    {"type": "item_reference", "id": "msg_9"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": "x"},
    {"type": "reasoning", "id": "rs_2", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"role": "assistant", "content": "c"},
    {"role": "developer", "content": "d"},
]  # fmt: skip


def test_items_there_and_back() -> None:
    asked = read(input=ITEMS)
    assert [message.role for message in asked.messages] == [
        "user", "assistant", "tool", "assistant", "tool", "assistant", "developer"
    ]  # fmt: skip
    thought, said, call, search = asked.messages[1].parts
    assert thought == Thinking("hm", id="rs_1", extra={"encrypted_content": "x"})
    assert bare(said) == {"text": "b"}
    assert bare(call) == {"id": "c1", "name": "f", "arguments": "{}"}
    assert isinstance(search, Opaque)
    assert asked.messages[2].parts == [ToolResult("c1", [Text("done")], name="f", extra={"status": "completed"})]
    thought = asked.messages[5].parts[0]
    assert isinstance(thought, Thinking)
    assert thought.text == "hm"
    assert again(asked)["input"] == ITEMS


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"type": "input_text", "text": "a"}, Text("a")),
        (
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {}},
            Text("a", cache={"type": "ephemeral"}, extra={"prompt_cache_breakpoint": {}}),
        ),
        (
            {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "low"},
            Media("image", url="https://x.example/a.png", detail="low"),
        ),
        (
            {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
            Media("image", mime="image/png", data="QUJD"),
        ),
        ({"type": "input_image", "file_id": "file-1"}, Media("image", id="file-1")),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"},
            Media("file", mime="application/pdf", data="QUJD", name="a.pdf"),
        ),
        (
            {"type": "input_file", "file_url": "https://x.example/a.pdf"},
            Media("file", url="https://x.example/a.pdf"),
        ),
        ({"type": "input_file", "file_id": "file-1"}, Media("file", id="file-1")),
        (
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
            Media("audio", mime="audio/wav", data="QUJD"),
        ),
        ({"type": "hologram"}, Opaque(NAME, {"type": "hologram"})),
    ],
)
def test_content_parts_there_and_back(given: dict[str, Any], found: Part) -> None:
    asked = read(input=[{"role": "user", "content": [{"type": "input_text", "text": "see"}, given]}])
    assert asked.messages[0].parts == [Text("see"), found]
    assert again(asked)["input"][0]["content"][1] == given
    output = [given, {"type": "input_text", "text": "see"}]
    asked = read(input=[{"type": "function_call_output", "call_id": "c", "output": output}])
    assert again(asked)["input"][0]["output"] == output


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (7, "must be a text or a list"),
        ([7], "`input[0]` must be an object"),
        ([{"role": "king", "content": "a"}], "`input[0].role` is 'king'"),
        ([{"content": "a"}], "`input[0].role` is None"),
    ],
)
def test_what_is_no_input(given: Any, words: str) -> None:
    with pytest.raises(UncarriedError) as caught:
        read(input=given)
    assert caught.value.param == "input"
    assert words in caught.value.message


def test_tools_and_choices_there_and_back() -> None:
    tools = [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": False},
        {"type": "web_search", "search_context_size": "low"},
        {"type": "custom", "name": "raw"},
    ]
    asked = read(input=[], tools=tools)
    assert asked.tools == [
        Tool("f", "d", {"type": "object"}, False),
        Tool("web_search", builtin=Opaque(NAME, tools[1])),
        Tool("raw", builtin=Opaque(NAME, tools[2])),
    ]
    assert again(asked)["tools"] == tools
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}
    for told, found in (
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "f"}, ToolChoice("named", "f")),
        (allowed, ToolChoice("required", allowed=["f"])),
    ):
        asked = read(input=[], tool_choice=told)
        assert asked.tool_choice == found
        assert again(asked)["tool_choice"] == told


def test_a_form_of_the_answer_there_and_back() -> None:
    told = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    asked = read(input=[], text={"format": told})
    assert asked.format == Format("schema", "a", {"type": "object"}, True)
    assert again(asked)["text"] == {"format": told}


@pytest.mark.parametrize(
    "name", ["calls-back", "history-with-thoughts", "structured", "summary", "cut-in-a-call-stream"]
)
def test_recorded_requests_come_back_as_they_were(name: str) -> None:
    asked = CHAT.read_request(cassette(NAME, name).request)
    once = again(asked)
    assert CHAT.read_request(once).messages == asked.messages
    ignored = {"input": 0, "model": 0, "stream": 0}
    assert {**once, **ignored} == {**cassette(NAME, name).request, **ignored}


def test_another_protocol_s_conversation() -> None:
    body, dropped = foreign(
        Message("system", [Text("be brief")]),
        Message("user", [Text("a"), Media("image", mime="image/png", data="QUJD")]),
        Message("assistant", [Thinking("hm", signature="s"), Text("b"), Text("c"), ToolCall("c1", "f")]),
        Message("tool", [ToolResult("c1", [Text("x"), Text("y")], is_error=True)]),
        Message("assistant", [Opaque("anthropic-messages", {"type": "server_tool_use"}), Refusal("no")]),
    )
    assert body == {
        "model": "m",
        "instructions": "be brief",
        "store": False,
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "b", "annotations": []},
                    {"type": "output_text", "text": "c", "annotations": []},
                ],
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "x\ny"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        ],
    }
    assert dropped == ["reasoning", "is_error", "server_tool_use"]


def test_functions_of_other_protocols_are_not_strict_unless_they_say_so() -> None:
    body, _ = foreign(tools=[Tool("f"), Tool("g", parameters={"type": "object"}, strict=True)])
    assert body["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False},
        {"type": "function", "name": "g", "parameters": {"type": "object"}, "strict": True},
    ]


def test_fields_that_this_protocol_lacks_are_named() -> None:
    body, dropped = foreign(
        top_k=1, min_p=0.1, stop=["x"], seed=1, frequency_penalty=0.1, presence_penalty=0.1, n=2, logit_bias={"1": 1.0},
        modalities=["text"], service_tier="standard_only", extra={"container": "c", "prompt_cache_key": "k"},
        tools=[Tool("f", cache={"type": "ephemeral"})], reasoning=Reasoning(enabled=False),
    )  # fmt: skip
    assert body.keys() == {"model", "input", "tools", "store", "prompt_cache_key"}
    assert sorted(dropped) == sorted([
        "top_k", "min_p", "stop", "seed", "frequency_penalty", "presence_penalty", "n", "logit_bias", "modalities",
        "service_tier", "container", "cache_control", "reasoning_effort",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (Reasoning(enabled=True, budget=2000), {"effort": "medium"}),
        (Reasoning(effort="max", summary="auto"), {"effort": "high", "summary": "auto"}),
        (Reasoning(enabled=True), {"effort": "medium"}),
    ],
)
def test_wishes_for_thoughts_of_other_protocols(wish: Reasoning, told: dict[str, str]) -> None:
    assert foreign(reasoning=wish)[0]["reasoning"] == told


def test_words_of_this_protocol_stay_as_they_are() -> None:
    asked = CHAT.read_request({"model": "m", "input": "a", "reasoning": {"effort": "max"}})
    assert again(asked)["reasoning"] == {"effort": "max"}


def test_only_encrypted_thoughts_of_this_protocol_go_back() -> None:
    summary = Thinking("hm", id="rs_1")
    sealed = Thinking(id="rs_1", extra={"encrypted_content": "x", "detail": {}})
    body, dropped = foreign(Message("assistant", [summary, sealed, Text("a")]))
    assert dropped == ["reasoning"]
    assert body["input"][0] == {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    item = {"type": "reasoning", "id": "rs_foreign_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    written = CHAT.write_request(read(input=[item, {"role": "assistant", "content": "a"}]), shape())
    assert [entry.get("role") for entry in written.body["input"]] == ["assistant"]


def test_what_other_protocols_signed_comes_back_to_them() -> None:
    item = {"type": "reasoning", "id": "rs_foreign_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    item["encrypted_content"] = "interlock.signature.s.s"
    assert read(input=[item]).messages[0].parts == [Thinking("hm", signature="s.s", id="rs_foreign_1")]
    item["encrypted_content"] = "interlock.redacted.x"
    assert read(input=[item]).messages[0].parts == [Thinking("hm", redacted="x", id="rs_foreign_1")]


def test_media_that_this_protocol_has_no_part_for() -> None:
    with pytest.raises(UncarriedError):
        foreign(Message("user", [Media("video", url="https://x.example/a.mp4")]))
    with pytest.raises(UncarriedError):
        foreign(tools=[Tool("x", builtin=Opaque("anthropic-messages", {"type": "web_search_20250305"}))])


@settings(max_examples=60)
@given(
    openai_requests(
        NAME, IMAGES | FILES | SOUNDS, st.builds(Thinking, WORDS, id=NAMES), temperature=RATIOS, top_p=RATIOS,
        top_logprobs=COUNTS, service_tier=NAMES, parallel_tool_calls=FLAGS, verbosity=NAMES, store=FLAGS,
        max_tokens=COUNTS, user=NAMES,
    )
)  # fmt: skip
def test_what_is_written_is_read_again(request: ChatRequest) -> None:
    request.include_usage = True
    assert bare(CHAT.read_request(again(request))) == bare(request)


_NAMES = ["input", "role", "content", "user", "assistant", "type", "text", "function_call", "output", "tools",
          "function_call_output", "reasoning", "summary", "call_id", "name", "message", "format"]  # fmt: skip


@settings(max_examples=150)
@given(odd_json(_NAMES))
def test_any_body_is_read_or_refused(body: Any) -> None:
    body = body if isinstance(body, dict) else {"input": [body, {"role": "assistant", "content": body}]}
    try:
        asked = CHAT.read_request(body)
    except UncarriedError:
        return
    CHAT.write_request(asked, shape())
