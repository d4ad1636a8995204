"""The official client: what it makes of what the writer tells, and of our errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest

from engine.dialects import dialects, front
from engine.exchange import Usage, Verdict
from engine.exchange.canonical import ChatReply, ChatRequest, Choice, Citation, Refusal, Text, Thinking, ToolCall
from engine.exchange.events import Began, Ended, Event, Finished, TextPiece, ToolCallPiece, Used, events_of

NAME = "anthropic-messages"
CHAT: Any = dialects()[NAME].chat
ASKED = ChatRequest(model="asked")


def client(answer: Callable[[], tuple[int, str, bytes]]) -> anthropic.Anthropic:
    def handler(request: httpx2.Request) -> httpx2.Response:
        status, kind, body = answer()
        return httpx2.Response(status, headers={"content-type": kind}, content=body)

    transport = httpx2.MockTransport(handler)
    return anthropic.Anthropic(api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport))


def put_together(events: list[Event]) -> Any:
    """The message that the client's stream helper puts together."""
    writer = CHAT.writer(ASKED)
    told = b"".join(map(writer.write, events))
    with (
        client(lambda: (200, "text/event-stream", told)) as sdk,
        sdk.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]) as stream,
    ):
        return stream.get_final_message()


REPLY = ChatReply(
    "msg_1",
    "m",
    None,
    [
        Choice(
            [
                Thinking("Hm.", "c2ln"),
                Thinking(redacted="xyz"),
                Text("Hi", [Citation("https://x", "X", "q")]),
                ToolCall("a", "f", '{"x":[1,2],"y":null}'),
                ToolCall("b", "g", "{}"),
            ],
            "tool_calls",
        )
    ],
    Usage(input=10, output=4, cached=6, reasoning=2),
    "default",
)


def test_a_stream_is_the_whole_reply() -> None:
    message = put_together(list(events_of(REPLY)))
    whole = json.loads(json.dumps(CHAT.write_reply(REPLY, ASKED)))
    with client(lambda: (200, "application/json", json.dumps(whole).encode())) as sdk:
        unstreamed = sdk.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
    assert [block.type for block in message.content] == [
        *("thinking", "redacted_thinking", "text", "tool_use", "tool_use"),
    ]
    assert message.content[3].input == {"x": [1, 2], "y": None}
    assert message.content[4].input == {}
    assert [block.to_dict() | {"parsed_output": None} for block in message.content] == [
        block.to_dict() | {"parsed_output": None} for block in unstreamed.content
    ]
    assert (message.id, message.stop_reason) == (unstreamed.id, unstreamed.stop_reason)
    for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "output_tokens_details"):
        assert getattr(message.usage, name) == getattr(unstreamed.usage, name)


def test_calls_that_take_turns() -> None:
    message = put_together(
        [
            Began("r", "m"),
            TextPiece("Both."),
            ToolCallPiece(0, 1, "a", "f"),
            ToolCallPiece(0, 2, "b", "g"),
            ToolCallPiece(0, 1, arguments='{"x":'),
            ToolCallPiece(0, 2, arguments='{"y":'),
            ToolCallPiece(0, 1, arguments="1}"),
            ToolCallPiece(0, 2, arguments="2}"),
            Finished("stop"),
            Used(Usage(input=3, output=2)),
            Ended(),
        ]
    )
    assert [(b.name, b.input) for b in message.content[1:]] == [("f", {"x": 1}), ("g", {"y": 2})]
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("tool_use", 3, 2)


def test_a_refusal() -> None:
    reply = ChatReply("r", "m", None, [Choice([Refusal("I must not.")], "stop")])
    message = put_together(list(events_of(reply)))
    assert (message.stop_reason, message.content[0].text) == ("refusal", "I must not.")


ERROR = {"message": "Slow down.", "type": "rate_limit_error", "code": "rate_limited", "param": None}


def test_errors_are_raised_as_the_clients_own() -> None:
    for status, kind in (
        (429, anthropic.RateLimitError),
        (400, anthropic.BadRequestError),
        (404, anthropic.NotFoundError),
        (502, anthropic.InternalServerError),
    ):
        body = front(NAME).error_body(status, ERROR, "req-1")
        with (
            client(lambda status=status, body=body: (status, "application/json", body)) as sdk,
            pytest.raises(kind) as e,
        ):
            sdk.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
        assert "Slow down." in str(e.value)


def test_an_error_inside_a_stream_is_raised() -> None:
    writer = CHAT.writer(ASKED)
    told = b"".join(map(writer.write, [Began("r", "m"), TextPiece("Hel")])) + front(NAME).error_event(503, ERROR, "r")
    with (
        client(lambda: (200, "text/event-stream", told)) as sdk,
        pytest.raises(anthropic.APIStatusError, match="Slow down"),
        sdk.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]) as stream,
    ):
        stream.until_done()


def test_the_clients_own_requests_are_understood() -> None:
    seen: list[Any] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return httpx2.Response(200, json=CHAT.write_reply(REPLY, ASKED))

    with anthropic.Anthropic(
        api_key="k", max_retries=0, http_client=httpx2.Client(transport=httpx2.MockTransport(handler))
    ) as sdk:
        first = sdk.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
        sdk.messages.create(
            model="m",
            max_tokens=9,
            messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": first.content}],
        )
    back = CHAT.read_request(seen[1]).messages[1].parts
    assert [type(part) for part in back] == [type(part) for part in REPLY.choices[0].parts]
    assert back[0] == Thinking("Hm.", "c2ln")
    assert not isinstance(CHAT.read_reply(json.dumps(CHAT.write_reply(REPLY, ASKED)).encode()), Verdict)
