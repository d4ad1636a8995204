"""What Claude models ask of requests: versions, thinking, sampling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects.claude import (
    LEAST_BUDGET,
    MAX_TOKENS,
    sampling,
    sendable,
    takes_sampling,
    takes_strict,
    thinks_adaptively,
    thought,
    version,
)
from engine.dialects.effort import BUDGETS, budget_of, effort_of
from engine.exchange.canonical import ChatRequest, Message, Reasoning, Text, Thinking, ToolCall, ToolChoice, ToolResult

OLD, MIDDLE, NEW = "claude-sonnet-4-5-20250929", "claude-opus-4-6", "claude-opus-5"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-sonnet-4-5-20250929", (4, 5)),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", (4, 0)),
        ("us.anthropic.claude-opus-4-6-v1", (4, 6)),
        ("claude-3-7-sonnet@20250219", (3, 7)),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", (3, 5)),
        ("claude-3-opus-latest", (3, 0)),
        ("anthropic/claude-4.7-opus", (4, 7)),
        ("claude-fable-5-1", (5, 1)),
        ("claude-opus-5", (5, 0)),
        ("anthropic.claude-v2:1", (2, 0)),
        ("claude-instant-v1", (1, 0)),
        ("claude-mythos-preview", (99, 0)),
        ("deepseek-chat", None),
        ("", None),
    ],
)
def test_version(model: str, expected: tuple[int, int] | None) -> None:
    assert version(model) == expected


def test_abilities_by_version() -> None:
    assert [thinks_adaptively(m) for m in (OLD, MIDDLE, NEW, "glm-4.6")] == [False, True, True, False]
    assert [takes_sampling(m) for m in (OLD, MIDDLE, NEW, "glm-4.6")] == [True, True, False, True]
    assert [takes_strict(m) for m in ("claude-opus-4-1", OLD, NEW, "glm-4.6")] == [False, True, True, False]


def wish(model: str, max_tokens: int | None = None, max_output: int | None = None, **fields: Any) -> Any:
    request = ChatRequest(max_tokens=max_tokens, reasoning=Reasoning(**fields))
    found = thought(request, model, max_output)
    return found.thinking, found.effort, found.max_tokens, found.dropped


def test_words_become_budgets_on_older_models_and_words_on_newer_ones() -> None:
    enabled = {"type": "enabled", "budget_tokens": 8192}
    assert wish(OLD, 20000, effort="medium") == (enabled, None, 20000, [])
    assert wish("kimi-k2", 20000, effort="medium") == (enabled, None, 20000, [])
    assert wish(NEW, 20000, effort="medium") == ({"type": "adaptive"}, "medium", 20000, [])
    assert wish(NEW, 20000, effort="minimal") == ({"type": "adaptive"}, "low", 20000, [])
    assert wish(NEW, 20000, budget=20000) == ({"type": "adaptive"}, "high", 20000, [])
    assert wish(MIDDLE, 20000, effort="xhigh") == ({"type": "adaptive"}, "high", 20000, [])
    assert wish(NEW, 20000, effort="xhigh") == ({"type": "adaptive"}, "xhigh", 20000, [])
    assert wish(NEW, 20000, enabled=True) == ({"type": "adaptive"}, None, 20000, [])
    assert wish(OLD, 20000, enabled=True) == (enabled, None, 20000, [])


def test_a_budget_leaves_room_for_the_answer() -> None:
    assert wish(OLD, 10000, effort="high")[0] == {"type": "enabled", "budget_tokens": 8000}
    assert wish(OLD, 10000, budget=50000)[0] == {"type": "enabled", "budget_tokens": 9999}
    assert wish(OLD, 1200, effort="high")[0] == {"type": "enabled", "budget_tokens": LEAST_BUDGET}
    assert wish(OLD, LEAST_BUDGET, effort="low") == (None, None, LEAST_BUDGET, ["reasoning_effort"])


def test_without_any_limit_the_answer_gets_its_usual_length_beside_the_thought() -> None:
    assert wish(OLD, None, effort="high") == (
        {"type": "enabled", "budget_tokens": BUDGETS["high"]},
        None,
        BUDGETS["high"] + MAX_TOKENS,
        [],
    )
    assert wish(OLD, None, 64000, effort="high")[2] == 64000
    assert thought(ChatRequest(), OLD, None).max_tokens == MAX_TOKENS
    assert thought(ChatRequest(), OLD, 64000).max_tokens == 64000


def test_not_at_all() -> None:
    assert wish(OLD, 5000, enabled=False) == (None, None, 5000, [])
    assert wish(NEW, 5000, effort="none") == ({"type": "disabled"}, None, 5000, [])
    assert wish("deepseek-chat", 5000, enabled=False) == ({"type": "disabled"}, None, 5000, [])
    assert wish("claude-3-5-haiku-20241022", 5000, effort="high") == (None, None, 5000, ["reasoning_effort"])


def test_whether_thoughts_are_shown() -> None:
    assert wish(NEW, 9, effort="low", summary="auto")[0] == {"type": "adaptive", "display": "summarized"}
    assert wish(NEW, 9, effort="low", show=False)[0] == {"type": "adaptive", "display": "omitted"}


def test_a_tool_that_must_be_called_goes_before_thinking() -> None:
    for choice in (ToolChoice("required"), ToolChoice("named", "f")):
        request = ChatRequest(max_tokens=9000, reasoning=Reasoning(effort="low"), tool_choice=choice)
        assert thought(request, OLD, None).dropped == ["reasoning_effort"]
        newer = thought(request, NEW, None)
        assert (newer.thinking, newer.effort, newer.dropped) == (None, "low", [])


def test_a_round_of_calls_that_began_without_thoughts_goes_on_without() -> None:
    called = Message("assistant", [Text("Let me see."), ToolCall("1", "f")])
    request = ChatRequest(max_tokens=9000, reasoning=Reasoning(effort="low"))
    request.messages = [Message("user", [Text("?")]), called, Message("tool", [ToolResult("1")])]
    assert thought(request, OLD, None).dropped == ["reasoning_effort"]
    called.parts.insert(0, Thinking("Hm.", "c2ln"))
    assert thought(request, OLD, None).thinking is not None
    request.messages = [*request.messages, Message("user", [Text("And now?")])]
    called.parts.pop(0)
    assert thought(request, OLD, None).thinking is not None


def test_sampling_by_model_and_thought() -> None:
    def left(model: str, thinks: bool = False, **fields: Any) -> tuple[dict[str, float], list[str]]:
        dropped: list[str] = []
        return sampling(ChatRequest(**fields), model, thinks, dropped), dropped

    assert left("claude-3-haiku", temperature=0.3, top_p=0.5, top_k=7) == (
        {"temperature": 0.3, "top_p": 0.5, "top_k": 7},
        [],
    )
    assert left(OLD, temperature=0.3, top_p=0.5) == ({"temperature": 0.3}, ["top_p"])
    assert left(OLD, temperature=1.7) == ({"temperature": 1.0}, ["temperature"])
    assert left(NEW, temperature=1, top_p=0.5, top_k=7) == ({}, ["temperature", "top_p", "top_k"])
    assert left(OLD, True, temperature=0.3, top_k=7) == ({}, ["temperature", "top_k"])
    assert left(OLD, True, temperature=1) == ({"temperature": 1}, [])
    assert left(OLD, True, top_p=0.96) == ({"top_p": 0.96}, [])


def test_only_thoughts_that_claude_signed_can_be_shown_to_it_again() -> None:
    assert sendable(Thinking("Hm.", "EqoBCkgIARAB+/w=="))
    assert sendable(Thinking(redacted="data"))
    assert not sendable(Thinking("Hm."))
    assert not sendable(Thinking("Hm.", ""))
    assert not sendable(Thinking("Hm.", "elsewhere:EqoB"))


@given(st.sampled_from(sorted(BUDGETS)))
def test_words_survive_the_way_through_tokens(word: str) -> None:
    budget = budget_of(word.upper())
    assert budget is not None
    assert effort_of(budget) == {"minimal": "low", "xhigh": "high", "max": "high"}.get(word, word)


@given(
    st.sampled_from([OLD, MIDDLE, NEW, "claude-3-7-sonnet", "glm-4.6"]),
    st.none() | st.integers(0, 100_000),
    st.none() | st.integers(1, 100_000),
    st.none() | st.sampled_from([*BUDGETS, "none", "odd"]),
    st.none() | st.integers(0, 100_000),
    st.none() | st.booleans(),
)
def test_a_budget_is_always_valid(
    model: str, asked: int | None, most: int | None, effort: str | None, budget: int | None, enabled: bool | None
) -> None:
    request = ChatRequest(max_tokens=asked, reasoning=Reasoning(enabled, effort, budget))
    found = thought(request, model, most)
    if found.thinking is not None and found.thinking["type"] == "enabled":
        assert LEAST_BUDGET <= found.thinking["budget_tokens"] < found.max_tokens
    if asked is not None:
        assert found.max_tokens == asked
