"""Message threads, in which Anthropic keeps the conversation: where they go on, and what a client is told elsewhere."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import beta_tool

from engine.dialects import dialects, front, link
from engine.exchange import OutcomeClass
from engine.executor.attributes import request_of
from engine.executor.intake import make_call

NAME = "anthropic-messages"
ASK = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
REPLY: Any = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
GO_ON = {"type": "continue", "previous_message_id": "msg_1"}


def call(**fields: object) -> Any:
    return make_call("/messages", json.dumps(ASK | fields).encode())


def no_header(name: str) -> None:
    return None


def test_a_thread_is_kept_under_the_id_of_its_reply() -> None:
    way = link(NAME, NAME, "chat")
    assert way is not None
    body = json.dumps(REPLY).encode()
    stream = (
        b'data: {"type":"message_start","message":{"id":"msg_1","usage":{}}}\n\n'
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}\n\n'
    )
    for asked, kept in ((call(thread={"type": "create"}), "msg_1"), (call(thread=GO_ON), "msg_1"), (call(), "")):
        assert way.decode(asked, no_header, body)[0].conversation == kept
        decoder = way.stream(asked, no_header)
        decoder.feed(stream)
        assert decoder.conversation == kept


@pytest.mark.parametrize(
    ("thread", "conversation"),
    [(GO_ON, "msg_1"), ({"type": "create"}, None), (None, None), ("odd", None), ({"previous_message_id": 1}, None)],
)
def test_what_a_request_goes_on_with(thread: object, conversation: str | None) -> None:
    request = request_of(call(thread=thread))
    assert request.conversation == conversation
    assert ("conversation" in request.wire) == (conversation is not None)


@pytest.mark.parametrize("code", ["thread_not_found", "thread_already_continued", "thread_unsupported_request"])
def test_what_the_service_says_of_a_thread_reaches_its_client(code: str) -> None:
    error = {"type": "not_found_error", "message": "No such thread.", "details": {"error_code": code}}
    verdict = dialects()[NAME].classify(404, no_header, json.dumps({"type": "error", "error": error}).encode(), 0.0)
    assert (verdict.outcome_class, verdict.code) == (OutcomeClass.INVALID_REQUEST, code)
    told = json.loads(front(NAME).error_body(400, {"message": "No.", "type": "x", "code": code, "param": None}, "r"))
    assert told["error"]["details"] == {"error_code": code}


def test_the_client_sends_all_of_a_conversation_that_is_not_kept_here() -> None:
    asked: list[Any] = []
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}

    def handler(request: httpx2.Request) -> httpx2.Response:
        asked.append(json.loads(request.content))
        if asked[-1]["thread"]["type"] == "continue":
            error = {"message": "Elsewhere.", "type": "x", "code": "conversation_elsewhere", "param": None}
            return httpx2.Response(400, content=front(NAME).error_body(400, error, "r"))
        calls = {"content": [use], "stop_reason": "tool_use"} if len(asked) == 1 else {}
        return httpx2.Response(200, json=REPLY | calls)

    @beta_tool(name="weather")
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"sunny in {city}"

    http = httpx2.Client(transport=httpx2.MockTransport(handler))
    with anthropic.Anthropic(api_key="k", http_client=http) as sdk:
        messages: Any = ASK["messages"]
        sdk.beta.messages.tool_runner(model="m", max_tokens=9, tools=[weather], messages=messages).until_done()
    assert [body["thread"]["type"] for body in asked] == ["create", "continue", "create"]
    assert asked[2]["messages"][2]["content"][0]["content"] == "sunny in Oslo"
