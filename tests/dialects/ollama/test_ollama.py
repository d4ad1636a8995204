"""Ollama's own protocol: requests, replies, streams, errors, embeddings."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects.link import link
from engine.dialects.ollama import Ollama
from engine.exchange import Call, OutcomeClass, UncarriedError, Usage, Verdict
from engine.exchange.canonical import (
    ChatReply,
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
from engine.exchange.events import Failed
from engine.exchange.vectors import EmbedReply, EmbedRequest

from ..play import CUTS, added, encode, events, odd_json, pieces, shape, streamed, tree
from ..recordings import cassette

DIALECT = Ollama()
CHAT = DIALECT.chat
assert CHAT is not None
VECTORS = DIALECT.codecs["embeddings"]


def body_of(request: ChatRequest, model: str = "qwen3") -> Any:
    return tree(CHAT.write_request(request, shape(model)).body)


def asked(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=list(messages), origin="openai-chat", **fields)


def user(text: str = "hi") -> Message:
    return Message("user", [Text(text)])


def read(body: bytes) -> ChatReply:
    reply = CHAT.read_reply(body)
    assert isinstance(reply, ChatReply), reply
    return reply


def lines(*told: dict[str, Any]) -> bytes:
    return b"".join(encode(line) + b"\n" for line in told)


# --- requests ------------------------------------------------------------------------------------------------------


def test_whether_to_stream_is_always_said_and_sampling_stands_in_options() -> None:
    assert body_of(asked(user())) == {
        "model": "qwen3",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
    }
    request = asked(user(), max_tokens=9, temperature=0.5, top_p=0.9, top_k=5, min_p=0.1, seed=3, stop=["x"])
    assert body_of(request)["options"] == {
        "num_predict": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "min_p": 0.1,
        "seed": 3,
        "stop": ["x"],
    }


def test_a_targets_own_options_go_in_beside_the_clients() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "seed": 1}
    call = Call("r", "chat", "/chat/completions", "m", body={n: msgspec.Raw(encode(v)) for n, v in body.items()})
    target = shape(
        default=(("options", msgspec.Raw(b'{"num_ctx": 8192, "seed": 2}')),),
        set=(("options", msgspec.Raw(b'{"temperature": 0, "num_gpu": 1}')), ("keep_alive", msgspec.Raw(b'"5m"'))),
    )
    way = link("openai-chat", "ollama", "chat")
    assert way is not None
    told = msgspec.json.decode(way.encode(call, target).body)
    assert told["options"] == {"temperature": 0, "seed": 1, "num_ctx": 8192, "num_gpu": 1}
    assert told["keep_alive"] == "5m"


def test_a_round_of_calls() -> None:
    answer = Message("assistant", [Thinking("Hm."), ToolCall("c1", "f", '{"a": 1}'), ToolCall("ollama_1", "g", "{bad")])
    results = Message("tool", [ToolResult("c1", [Text("x"), Text("y")]), ToolResult("ollama_1", [Text("z")])])
    assert body_of(asked(Message("developer", [Text("be brief")]), answer, results))["messages"] == [
        {"role": "system", "content": "be brief"},
        {
            "role": "assistant",
            "content": "",
            "thinking": "Hm.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}},
                {"type": "function", "function": {"name": "g", "arguments": {"arguments": "{bad"}}},
            ],
        },
        {"role": "tool", "content": "x\ny", "tool_name": "f", "tool_call_id": "c1"},
        {"role": "tool", "content": "z", "tool_name": "g"},
    ]


def test_pictures_are_data_beside_the_text() -> None:
    message = Message("user", [Text("see"), Media("image", "image/png", data="aGk=", detail="low")])
    written = CHAT.write_request(asked(message), shape())
    assert written.body["messages"] == [{"role": "user", "content": "see", "images": ["aGk="]}]
    assert written.dropped == ["detail"]


@pytest.mark.parametrize(
    "part", [Media("image", url="https://x.example/a.png"), Media("audio", data="aGk="), Media("file", data="aGk=")]
)
def test_what_it_cannot_see_is_refused(part: Media) -> None:
    with pytest.raises(UncarriedError) as caught:
        body_of(asked(Message("user", [part])))
    assert caught.value.param == "messages"
    assert "image_url" in DIALECT.lacks


@pytest.mark.parametrize(
    ("wish", "model", "think", "dropped"),
    [
        (Reasoning(effort="high"), "gpt-oss:20b", "high", []),
        (Reasoning(effort="minimal"), "gpt-oss:20b", "low", []),
        (Reasoning(effort="high"), "qwen3", True, ["reasoning_effort"]),
        (Reasoning(enabled=True), "qwen3", True, []),
        (Reasoning(budget=99), "qwen3", True, ["thinking.budget_tokens"]),
        (Reasoning(effort="none"), "qwen3", False, []),
        (Reasoning(enabled=False), "qwen3", False, []),
    ],
)
def test_thinking(wish: Reasoning, model: str, think: object, dropped: list[str]) -> None:
    written = CHAT.write_request(asked(user(), reasoning=wish), shape(model))
    assert (written.body["think"], written.dropped) == (think, dropped)


@pytest.mark.parametrize(
    ("choice", "names", "dropped"),
    [
        (ToolChoice("auto"), ["f", "g"], []),
        (ToolChoice("none"), [], []),
        (ToolChoice("auto", allowed=["g"]), ["g"], []),
        (ToolChoice("required"), ["f", "g"], ["tool_choice"]),
        (ToolChoice("named", "f"), ["f"], ["tool_choice"]),
    ],
)
def test_which_tools_may_be_called_is_told_by_which_are_sent(
    choice: ToolChoice, names: list[str], dropped: list[str]
) -> None:
    written = CHAT.write_request(asked(user(), tools=[Tool("f"), Tool("g")], tool_choice=choice), shape())
    assert [tool["function"]["name"] for tool in written.body.get("tools", [])] == names
    assert written.dropped == dropped


def test_a_tool_that_another_service_runs_cannot_be_sent() -> None:
    with pytest.raises(UncarriedError):
        body_of(asked(user(), tools=[Tool("search", builtin=Opaque("gemini", {}))]))


def test_forms_of_answers() -> None:
    assert body_of(asked(user(), format=Format("json")))["format"] == "json"
    assert body_of(asked(user(), format=Format("schema", "n", {"type": "object"})))["format"] == {"type": "object"}
    assert "format" not in body_of(asked(user(), format=Format("text")))


def test_what_has_no_place_is_named() -> None:
    request = asked(user(), n=2, logit_bias={"1": 1.0}, user="u", parallel_tool_calls=False, extra={"prediction": {}})
    written = CHAT.write_request(request, shape())
    assert set(written.body) == {"model", "messages", "stream"}
    assert sorted(written.dropped) == ["logit_bias", "n", "parallel_tool_calls", "prediction", "user"]


def test_a_recorded_conversation_comes_back() -> None:
    recorded = cassette("ollama", "tool-result")
    request = CHAT.read_request(recorded.request)
    again = body_of(request, recorded.request["model"])
    assert again["messages"] == recorded.request["messages"]
    assert again["tools"] == recorded.request["tools"]
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi", "images": ["aGk="]}],
        "stream": True,
        "options": {"num_ctx": 4096, "num_predict": -1, "temperature": 0},
        "keep_alive": "5m",
        "think": "low",
    }
    assert body_of(CHAT.read_request(body), "m") == body


def test_results_without_ids_answer_calls_in_order() -> None:
    function = {"function": {"name": "f", "arguments": {}}}
    body = {
        "messages": [
            {"role": "assistant", "content": "", "tool_calls": [function, function]},
            {"role": "tool", "content": "1", "tool_name": "f"},
            {"role": "tool", "content": "2"},
        ]
    }
    request = CHAT.read_request(body)
    calls = [part.id for part in request.messages[0].parts if isinstance(part, ToolCall)]
    results = [part.id for message in request.messages[1:] for part in message.parts if isinstance(part, ToolResult)]
    assert calls == results == ["ollama_1", "ollama_2"]


def test_a_request_that_does_not_say_whether_to_stream_streams() -> None:
    assert [CHAT.read_request({"messages": [], **more}).stream for more in ({}, {"stream": False})] == [True, False]


def test_a_role_without_a_meaning_is_refused() -> None:
    with pytest.raises(UncarriedError):
        CHAT.read_request({"messages": [{"role": "referee", "content": ""}]})


# --- replies -------------------------------------------------------------------------------------------------------


def test_calls_without_ids_get_some() -> None:
    reply = read(cassette("ollama", "two-calls").body)
    prefix = "ollama_2025-06-09T185526684517Z"
    assert reply.choices[0].parts == [
        ToolCall(f"{prefix}_1", "search", '{"query":"time of Detroit Tigers game today"}'),
        ToolCall(f"{prefix}_2", "weather", '{"city":"Detroit"}'),
    ]
    assert (reply.choices[0].finish, reply.choices[0].finish_raw) == ("tool_calls", "stop")
    assert reply.usage == Usage(input=235, output=111)
    assert reply.created == 1749495326


def test_thoughts_stand_apart() -> None:
    thought, text = read(cassette("ollama", "thinking").body).choices[0].parts
    assert isinstance(thought, Thinking)
    assert isinstance(text, Text)
    assert text.text == "Got it! How can I help you with your test?"


def test_a_prompt_that_was_still_in_memory_is_not_counted() -> None:
    reply = read(encode({"message": {"content": "a"}, "done": True, "done_reason": "length", "eval_count": 4}))
    assert reply.usage == Usage(output=4)
    assert reply.choices[0].finish == "length"


def test_log_probabilities() -> None:
    told = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1}]}]
    (token,) = read(encode({"message": {"content": "a"}, "logprobs": told})).choices[0].logprobs or []
    assert token == {
        "token": "a",
        "logprob": -0.5,
        "bytes": [97],
        "top_logprobs": [{"token": "b", "logprob": -1, "bytes": None}],
    }


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"message": 3}'])
def test_what_is_no_reply_is_garbled(body: bytes) -> None:
    verdict = CHAT.read_reply(body)
    assert isinstance(verdict, Verdict)
    assert verdict.outcome_class is OutcomeClass.GARBLED


# --- streams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["calls-stream", "thinking-stream"])
@given(cuts=CUTS)
def test_how_the_bytes_are_cut_makes_no_difference(name: str, cuts: list[int]) -> None:
    body = cassette("ollama", name).body
    assert events(CHAT, pieces(body, cuts)) == events(CHAT, [body])


def test_a_stream_of_calls() -> None:
    reply = streamed(CHAT, cassette("ollama", "calls-stream").body, "ollama")
    assert [part.name for part in reply.choices[0].parts if isinstance(part, ToolCall)] == ["weather", "search"]
    assert reply.choices[0].finish == "tool_calls"
    assert reply.usage == Usage(input=218, output=306)
    assert reply.extra["total_duration"] == 23595672042


def test_a_stream_with_thoughts() -> None:
    reply = streamed(CHAT, cassette("ollama", "thinking-stream").body, "ollama")
    thought, text = reply.choices[0].parts
    assert thought == Thinking("Let me think about that.First, I will consider relevant factors.")
    assert isinstance(text, Text)
    assert text.text.startswith("Here is the answer: You should bring")


def test_a_stream_that_closes_before_it_is_done_has_not_ended() -> None:
    found = added(events(CHAT, [lines({"message": {"content": "a"}, "done": False})]), "ollama")
    assert not found.ended
    assert found.reply().choices[0].finish is None


def test_an_error_inside_a_stream_or_a_success() -> None:
    told = {"error": "an error was encountered while running the model"}
    failed = events(CHAT, [lines({"message": {"content": "a"}}, told)])[-1]
    assert isinstance(failed, Failed)
    assert failed.verdict == CHAT.read_reply(encode(told))
    assert failed.verdict.outcome_class is OutcomeClass.SERVER_ERROR
    known = events(CHAT, [lines({"error": "too many requests", "status_code": 429})])[-1]
    assert isinstance(known, Failed)
    assert known.verdict.outcome_class is OutcomeClass.RATE_LIMITED


@pytest.mark.parametrize("body", [b"nonsense\n", b"3\n", b'{"a": 1'])
def test_what_is_no_stream_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="JSON"):
        events(CHAT, [body])


_NAMES = (
    *("model", "created_at", "message", "content", "thinking", "images", "tool_calls", "function", "name"),
    *("arguments", "done", "done_reason", "eval_count", "logprobs", "error", "status_code", "embeddings"),
)


@given(st.dictionaries(st.sampled_from(_NAMES), odd_json(_NAMES), max_size=5), st.binary(max_size=20))
def test_nothing_odd_raises_anything_but_a_value_error(told: dict[str, Any], noise: bytes) -> None:
    body = encode(told)
    CHAT.read_reply(body)
    VECTORS.read_reply(body)
    DIALECT.classify(500, lambda name: None, body, 0.0)
    try:
        events(CHAT, [body + b"\n", noise])
    except ValueError as problem:
        assert str(problem)  # noqa: PT017 whether it is raised is the data's affair


# --- errors and embeddings -----------------------------------------------------------------------------------------


def test_an_unknown_model() -> None:
    recorded = cassette("ollama", "unknown-model")
    verdict = DIALECT.classify(recorded.status, recorded.header, recorded.body, 0.0)
    assert verdict.outcome_class is OutcomeClass.MODEL_GONE
    assert "not found" in verdict.message


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, '"llama3" does not support thinking', OutcomeClass.INVALID_REQUEST),
        (400, "the input length exceeds the context length", OutcomeClass.CONTEXT_EXCEEDED),
        (401, "unauthorized", OutcomeClass.UNAUTHORIZED),
        (500, "llama runner process has terminated", OutcomeClass.SERVER_ERROR),
        (503, "server busy, please try again.", OutcomeClass.OVERLOADED),
    ],
)
def test_errors(status: int, message: str, expected: OutcomeClass) -> None:
    assert DIALECT.classify(status, {}.get, encode({"error": message}), 0.0).outcome_class is expected


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"x"', b"\xff"])
def test_any_body_of_an_error_has_an_answer(body: bytes) -> None:
    assert DIALECT.classify(404, {}.get, body, 0.0).outcome_class is OutcomeClass.MODEL_GONE


def test_embeddings() -> None:
    request = EmbedRequest(input=["a", "b"], dimensions=4, user="u", purpose="search_query")
    written = VECTORS.write_request(request, shape("nomic"))
    assert written.body == {"model": "nomic", "input": ["a", "b"], "dimensions": 4}
    assert written.dropped == ["user", "input_type"]
    assert VECTORS.read_request(written.body).input == ["a", "b"]
    assert VECTORS.read_request({"model": "m", "prompt": "a"}).input == ["a"]
    with pytest.raises(UncarriedError):
        VECTORS.write_request(EmbedRequest(input=[[1]]), shape())
    reply = VECTORS.read_reply(encode({"model": "m", "embeddings": [[0.5], [1]], "prompt_eval_count": 3}))
    assert isinstance(reply, EmbedReply)
    assert (reply.vectors, reply.usage) == ([[0.5], [1]], Usage(input=3))
    assert VECTORS.read_reply(encode(VECTORS.write_reply(reply, request))) == reply
    older = VECTORS.read_reply(b'{"embedding": [0.5]}')
    assert isinstance(older, EmbedReply)
    assert older.vectors == [[0.5]]
    for body in (b"", b"{}", b'{"embeddings": []}', b'{"error": "no"}'):
        assert isinstance(VECTORS.read_reply(body), Verdict)


def test_paths() -> None:
    assert [DIALECT.path("chat", "m", True), DIALECT.path("embeddings", "m", False)] == ["/chat", "/embed"]
