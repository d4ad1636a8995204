"""The examination itself: recordings beside these tests pass it, and one in which anything is changed does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ..recordings import CASSETTES, Exchange, cassette
from .examine import examine
from .judged import expected
from .shapes import ANTHROPIC, CONVERSE, GEMINI, OLLAMA, OPENAI, RESPONSES, SPOKEN, Spoken, by_shape, events_in
from .spoken import Recorded

FOLDERS = (*SPOKEN, "openai-chat-recorded")
NAMES = [(name, path.stem) for name in FOLDERS for path in sorted((CASSETTES / name).glob("*.json"))]


@pytest.mark.parametrize(("folder", "name"), NAMES, ids=lambda part: str(part))
def test_the_recordings_beside_these_tests_pass(folder: str, name: str) -> None:
    if name == "spliced-stream":
        pytest.skip("two answers in one stream, made so on purpose")
    examine(Recorded(cassette(folder, name), folder))


def altered(change: Callable[[Any], None], **fields: Any) -> Recorded:
    """A chat as OpenAI's protocol has it, with something changed after it was written down."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    request = {"model": "m", "messages": [{"role": "user", "content": "Hi."}], "tools": [tool], "temperature": 0.5}
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Hello.", "tool_calls": [call]}
    reply = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }
    body = json.dumps(reply).encode()
    exchange = Exchange(
        "made", "/v1/chat/completions", request, fields.get("status", 200), {}, fields.get("body", body)
    )
    found = Recorded(exchange, "made")
    change(found)
    return found


def test_what_was_made_well_passes() -> None:
    assert examine(altered(lambda found: None)).scenarios == {"chat", "tools"}


CHANGES: dict[str, Callable[[Any], None]] = {
    "the text is": lambda tree: tree["choices"][0]["message"].update(content="Hello!"),
    "the calls are": lambda tree: tree["choices"][0]["message"]["tool_calls"][0]["function"].update(name="g"),
    "the usage is": lambda tree: tree["usage"].update(prompt_tokens=6, total_tokens=8),
    "tool_calls for": lambda tree: tree["choices"][0].update(finish_reason="length"),
}


@pytest.mark.parametrize("complaint", CHANGES)
def test_a_reply_that_is_read_as_another_is_noticed(complaint: str) -> None:
    """The oracle reads what was recorded, the codec another reply."""
    found = altered(lambda found: None)
    CHANGES[complaint](found.tree)
    with pytest.raises(AssertionError, match=complaint):
        examine(found)


def test_a_request_that_is_refused_or_changed_is_noticed() -> None:
    def refused(found: Recorded) -> None:
        assert found.request is not None
        found.request["messages"] = 7

    with pytest.raises(AssertionError, match="is refused"):
        examine(altered(refused))


def test_an_error_in_a_success_and_a_class_that_does_not_fit_are_noticed() -> None:
    with pytest.raises(AssertionError, match="a good reply is refused"):
        examine(altered(lambda found: None, body=b'{"choices": []}'))
    words = b'{"error": {"message": "A rate_limit, in words that no codec may read."}}'
    with pytest.raises(AssertionError, match="instead of"):
        examine(altered(lambda found: None, status=418, body=words))


def test_what_nobody_knows_is_noticed() -> None:
    exchange = Exchange("made", "https://example.com/v9/dreams", {}, 200, {}, b"{}")
    with pytest.raises(AssertionError, match="nobody knows"):
        examine(Recorded(exchange, "made"))


@pytest.mark.parametrize(
    ("tree", "dialect"),
    [
        ({"choices": [{"message": {"content": ""}}]}, OPENAI),
        ({"object": "response", "output": []}, RESPONSES),
        ({"type": "message_start", "message": {}}, ANTHROPIC),
        ({"promptFeedback": {}}, GEMINI),
        ({"output": {"message": {}}, "stopReason": "end_turn"}, CONVERSE),
        ({"message": {"content": ""}, "done": True}, OLLAMA),
    ],
)
def test_a_reply_alone_tells_its_protocol(tree: dict[str, Any], dialect: str) -> None:
    assert by_shape(tree) == Spoken(dialect, "chat")


def test_a_reply_that_tells_nothing_has_no_protocol() -> None:
    assert by_shape({"text": "a transcription"}) is None


@pytest.mark.parametrize(
    "body",
    [
        b'event: a\ndata: {"n": 1}\n\ndata: {"n":\ndata: 2}\n\ndata: [DONE]\n\n',
        b': a comment\r\n\r\ndata: {"n": 1}\r\n\r\ndata: {"n": 2}\r\n\r\n',
        b'{"n": 1}\n{"n": 2}\n',
    ],
)
def test_events_are_found_in_every_form(body: bytes) -> None:
    assert [event.data for event in events_in(body)] == [{"n": 1}, {"n": 2}]


def test_a_whole_reply_is_no_stream() -> None:
    assert events_in(b'{"n": 1}') == []
    assert events_in(b"[1, 2]") == []


@pytest.mark.parametrize(
    ("status", "told", "wanted"),
    [
        (400, "This model's maximum context length is 8192 tokens", "context_exceeded"),
        (400, '{"code": "content_filter"}', "content_refused"),
        (400, "API key not valid. Please pass a valid API key.", "unauthorized"),
        (400, "temperature is above 2", "invalid_request"),
        (403, "", "unauthorized"),
        (503, "context length", "overloaded"),
    ],
)
def test_errors_are_judged_by_status_and_words(status: int, told: str, wanted: str) -> None:
    assert expected(status, told) == wanted
