"""How a request begins: the same for the turns of a conversation, and hardly ever for two."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.executor.attributes import request_of
from engine.executor.intake import make_call

SYSTEM = {"role": "system", "content": "Be brief."}
ASKS = {"role": "user", "content": "What is a signal?"}
SAYS = {"role": "assistant", "content": "A sign."}
MORE = {"role": "user", "content": "And a block?"}


def digest(path: str = "/chat/completions", **body: Any) -> Any:
    call = make_call(path, json.dumps({"model": "chat", **body}).encode(), id_="r")
    return request_of(call).get("prompt")


def test_the_turns_of_a_conversation_begin_alike() -> None:
    first = digest(messages=[SYSTEM, ASKS])
    assert first is not None
    assert digest(messages=[SYSTEM, ASKS, SAYS, MORE]) == first
    assert digest(messages=[SYSTEM, ASKS, SAYS, MORE], temperature=0, user="u", stream=True) == first


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [SYSTEM, MORE]},
        {"messages": [ASKS]},
        {"messages": [{"role": "developer", "content": "Be long."}, ASKS]},
        {"messages": [SYSTEM, ASKS], "tools": [{"type": "function"}]},
    ],
)
def test_another_beginning_has_another_digest(body: dict[str, Any]) -> None:
    assert digest(**body) != digest(messages=[SYSTEM, ASKS])


def test_every_protocol_has_a_beginning() -> None:
    messages = digest("/messages", system="Be brief.", max_tokens=9, messages=[ASKS])
    assert messages == digest("/messages", system="Be brief.", max_tokens=9, messages=[ASKS, SAYS, MORE])
    responses = digest("/responses", instructions="Be brief.", input=[ASKS])
    assert responses == digest("/responses", instructions="Be brief.", input=[ASKS, SAYS, MORE])
    assert digest("/responses", input="Hi") is not None
    long = "x" * 2000
    assert digest("/completions", prompt=long) == digest("/completions", prompt=long + "y")
    assert digest("/completions", prompt="x") != digest("/completions", prompt="y")


def test_without_messages_there_is_none() -> None:
    assert digest(messages=[]) is None
    assert digest("/rerank", query="q", documents=["d"]) is None


@pytest.mark.parametrize("messages", ["text", 7, [1, None, "x"], [{"role": 7}], {"role": "user"}])
def test_odd_messages_have_a_beginning_too(messages: Any) -> None:
    assert digest("/responses", input=messages) == digest("/responses", input=messages) is not None
