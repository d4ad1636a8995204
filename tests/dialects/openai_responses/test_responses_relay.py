"""The dialect among its own, and bridged to another."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
import pytest
from msgspec import Raw
from openai import APIError, OpenAI

from engine.dialects import dialects, link
from engine.dialects.openai_responses import OpenAIResponses
from engine.exchange import Call, UncarriedError, Usage

from ..play import encode, shape
from ..recordings import cassette

DIALECT = OpenAIResponses()
NAME = "openai-responses"


def call(**body: Any) -> Call:
    fields = {name: Raw(encode(value)) for name, value in {"model": "asked", **body}.items()}
    return Call("id", "responses", "/responses", "asked", front=NAME, body=fields, stream=body.get("stream", False))


def none(name: str) -> None:
    return None


def sent(asked: Call, **fields: Any) -> dict[str, Any]:
    return msgspec.json.decode(DIALECT.encode(asked, shape("m", **fields)).body)  # type: ignore[no-any-return]


def test_the_dialect_is_found() -> None:
    assert isinstance(dialects()[NAME], OpenAIResponses)
    assert DIALECT.path("chat", "m", True) == "/responses"


def test_a_body_is_passed_on_with_what_the_target_asks_for() -> None:
    asked = call(input="hi", temperature=1, unknown={"a": 1})
    request = DIALECT.encode(asked, shape("m"))
    assert (request.method, request.path) == ("POST", "/responses")
    assert sent(asked) == {"model": "m", "input": "hi", "temperature": 1, "unknown": {"a": 1}}
    told = sent(
        asked,
        set=(("max_tokens", Raw(b"5")), ("reasoning_effort", Raw(b'"low"')), ("verbosity", Raw(b'"low"'))),
        default=(("max_completion_tokens", Raw(b"7")), ("temperature", Raw(b"0"))),
        always=(("store", Raw(b"false")),),
    )
    assert told == {
        "model": "m", "input": "hi", "temperature": 1, "unknown": {"a": 1}, "max_output_tokens": 5,
        "reasoning": {"effort": "low"}, "text": {"verbosity": "low"}, "store": False,
    }  # fmt: skip


def test_a_form_of_the_answer_that_a_policy_sets() -> None:
    format_ = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}
    told = sent(call(input="hi", text={"verbosity": "low"}), set=(("response_format", Raw(encode(format_))),))
    assert told["text"] == {"verbosity": "low", "format": {"type": "json_schema", "name": "a", "schema": {}}}


def test_thoughts_that_another_upstream_had_are_taken_out() -> None:
    kept = {"type": "reasoning", "id": "rs_1", "summary": []}
    foreign = {"type": "reasoning", "id": "rs_foreign_1", "summary": []}
    talk = {"role": "user", "content": 'about "rs_foreign_2"'}
    assert sent(call(input=[kept, foreign, talk]))["input"] == [kept, talk]
    assert sent(call(input='"rs_foreign'))["input"] == '"rs_foreign'


def test_a_reply_of_success() -> None:
    entry = cassette(NAME, "calls")
    verdict, body = DIALECT.decode(call(), entry.header, entry.body)
    assert body == entry.body
    assert (verdict.outcome_class, verdict.conversation) == ("served", "resp_REDACTED_1")
    assert verdict.usage == Usage(input=148, output=65, cached=0, reasoning=43)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", "garbled"),
        (b"<html>", "garbled"),
        (b'{"id": "\xff", "output": [1]}', "garbled"),
        (b"{}", "garbled"),
        (b'{"status": "completed", "output": []}', "garbled"),
        (b'{"output": 7, "error": {"code": "server_error"}}', "server_error"),
        (b'[{"error": {"code": "rate_limit_exceeded"}}]', "rate_limited"),
        (b'{"status": "failed", "error": {"code": "rate_limit_exceeded"}}', "rate_limited"),
        (
            b'{"status": "incomplete", "output": [], "incomplete_details": {"reason": "content_filter"}}',
            "content_refused",
        ),
        (b'{"status": "incomplete", "output": [], "incomplete_details": {"reason": "max_output_tokens"}}', "served"),
        (b'{"status": "queued", "output": []}', "served"),
    ],
)
def test_other_replies_with_a_status_of_success(body: bytes, outcome: str) -> None:
    assert DIALECT.decode(call(), none, body)[0].outcome_class == outcome


def test_the_official_client_raises_our_errors() -> None:
    error = {"message": "it broke", "type": "upstream_error", "code": "server_error", "param": None}
    data = DIALECT.error_event(502, error, "id")

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=data)

    transport = httpx2.MockTransport(answer)
    with (
        OpenAI(base_url="http://x.invalid", api_key="-", http_client=httpx2.Client(transport=transport)) as client,
        pytest.raises(APIError, match="it broke") as caught,
    ):
        list(client.responses.create(model="m", input="hi", stream=True))
    assert caught.value.code == "server_error"
    assert msgspec.json.decode(DIALECT.error_body(502, error, "id")) == {"error": error}


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt"])
def test_what_one_provider_keeps_no_other_can_continue(field: str) -> None:
    way = link(NAME, "openai-chat", "chat")
    assert way is not None
    with pytest.raises(UncarriedError) as caught:
        way.encode(call(input="hi", **{field: "x"}), shape("m"))
    assert caught.value.param == field


def test_a_client_of_responses_at_a_provider_of_chat_completions() -> None:
    way = link(NAME, "openai-chat", "chat")
    assert way is not None
    asked = call(input="hi", instructions="be brief", max_output_tokens=9, reasoning={"effort": "low"}, store=False)
    request = way.encode(asked, shape("m"))
    assert request.path == "/chat/completions"
    assert msgspec.json.decode(request.body) == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "max_tokens": 9,
        "reasoning_effort": "low",
    }
    entry = cassette("openai-chat-recorded", "reasoning-apart")
    verdict, body = way.decode(asked, entry.header, entry.body)
    told = msgspec.json.decode(body)
    assert verdict.usage == Usage(input=291, output=215, cached=244, reasoning=189, input_audio=0, output_audio=0)
    assert [item["type"] for item in told["output"]] == ["reasoning", "function_call"]
    assert told["instructions"] == "be brief"


def test_a_client_of_chat_completions_at_a_provider_of_responses() -> None:
    way = link("openai-chat", NAME, "chat")
    assert way is not None
    fields = {
        "model": Raw(b'"asked"'),
        "messages": Raw(b'[{"role":"user","content":"hi"}]'),
        "max_completion_tokens": Raw(b"9"),
    }
    asked = Call("id", "chat", "/chat/completions", "asked", body=fields, stream=True)
    request = way.encode(asked, shape("m"))
    assert msgspec.json.decode(request.body) == {
        "model": "m", "input": [{"role": "user", "content": "hi"}], "max_output_tokens": 9, "store": False,
        "stream": True,
    }  # fmt: skip
    stream = way.stream(asked, none)
    out = stream.feed(cassette(NAME, "raw-thoughts-stream").body)
    tail, failure = stream.finish()
    assert failure is None
    assert (out + tail).endswith(b"data: [DONE]\n\n")
    assert b'"reasoning_content"' in out
    assert stream.conversation == ""
