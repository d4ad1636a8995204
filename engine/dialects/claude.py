"""What Claude models ask of requests, whichever service runs them and whatever protocol leads there.

Facts are those of Anthropic's documents (extended and adaptive thinking, effort, migration guides), by version:
thinking came with 3.7, adaptive thinking with 4.6, and from 4.7 on a budget of thought and the sampling parameters are
errors. Names of other models (services that speak Anthropic's protocol run them) are taken for models with budgets.
"""

from __future__ import annotations

import functools
import re

from msgspec import Struct, field

from engine.exchange.canonical import ChatRequest, Message, Reasoning, Thinking, ToolCall

from .effort import NOT_AT_ALL, budget_of, effort_of

#: What ``thinking.budget_tokens`` must at least be.
LEAST_BUDGET = 1024
#: ``max_tokens`` where nobody says how much the answer may take: a length that every model allows.
MAX_TOKENS = 4096

_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_NEWEST = (99, 0)
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}


@functools.lru_cache(maxsize=1024)
def version(model: str) -> tuple[int, int] | None:
    """The version in a model's name, whichever service's notation it is in; ``None`` if it is no Claude model.

    ``us.anthropic.claude-sonnet-4-5-20250929-v1:0`` is (4, 5). A name without a version is taken for the newest.
    """
    _, found, rest = model.lower().rpartition("claude")
    if not found:
        return None
    numbers: list[int] = []
    for word in re.split(r"[^a-z0-9]+", rest):
        if word.isdecimal() and len(word) <= 2:
            numbers.append(int(word))
        elif numbers:
            break
        elif word[:1] == "v" and word[1:].isdecimal():  # the first ones: claude-v2:1, claude-instant-v1
            return int(word[1:]), 0
    if not numbers:
        return _NEWEST
    return numbers[0], numbers[1] if len(numbers) > 1 else 0


def thinks_adaptively(model: str) -> bool:
    """Whether the model decides itself how much to think, told by a word."""
    return (version(model) or (0, 0)) >= (4, 6)


def takes_sampling(model: str) -> bool:
    """Whether ``temperature``, ``top_p`` and ``top_k`` may be given."""
    return (version(model) or (0, 0)) < (4, 7)


def takes_one_sampling(model: str) -> bool:
    """Whether ``temperature`` and ``top_p`` exclude each other."""
    return (version(model) or (0, 0)) >= (4, 1)


def takes_strict(model: str) -> bool:
    """Whether a tool may be ``strict``."""
    return (version(model) or (0, 0)) >= (4, 5)


class Thought(Struct):
    """What a request says of thinking in Anthropic's words; ``dropped`` names what of it is left out."""

    max_tokens: int
    thinking: dict[str, object] | None = None
    effort: str | None = None
    dropped: list[str] = field(default_factory=list)

    @property
    def thinks(self) -> bool:
        """Whether the model is asked to think."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


def thought(request: ChatRequest, model: str, max_output: int | None) -> Thought:
    """The request's wish for thinking, adapted to the model.

    ``max_tokens`` is the request's, else the model's ``max_output``, else :data:`MAX_TOKENS`. What cannot be had is
    left out and named rather than refused by the upstream: thinking beside a tool that must be called; a budget that
    leaves no room within the ``max_tokens`` asked for; thinking in the middle of a round of tool calls that began
    without it.
    """
    asked = request.max_tokens if request.max_tokens is not None else max_output
    plain = Thought(asked if asked is not None else MAX_TOKENS)
    wish = request.reasoning
    if wish is None:
        return plain
    effort = (wish.effort or "").lower()
    if wish.enabled is False or effort in NOT_AT_ALL or wish.budget == 0:
        if version(model) is None or thinks_adaptively(model):
            plain.thinking = {"type": "disabled"}
        return plain
    if not (wish.enabled or effort or wish.budget):
        return plain
    forced = request.tool_choice is not None and request.tool_choice.mode in ("required", "named")
    if thinks_adaptively(model):
        return _adaptive(plain, wish, effort, forced, model)
    if (version(model) or (4, 0)) < (3, 7) or forced or _mid_round(request.messages):
        plain.dropped.append("reasoning_effort")
        return plain
    return _budgeted(plain, wish, effort, asked)


def _adaptive(plain: Thought, wish: Reasoning, effort: str, forced: bool, model: str) -> Thought:
    word = _EFFORTS.get(effort) or (effort_of(wish.budget) if wish.budget else None)
    if word == "xhigh" and takes_sampling(model):  # 4.6 knows the words but this one
        word = "high"
    plain.effort = word
    if not forced:
        plain.thinking = {"type": "adaptive"}
        if wish.show is False:
            plain.thinking["display"] = "omitted"
        elif wish.show or wish.summary:
            plain.thinking["display"] = "summarized"
    return plain


def _budgeted(plain: Thought, wish: Reasoning, effort: str, asked: int | None) -> Thought:
    budget = wish.budget or budget_of(effort) or budget_of("medium") or LEAST_BUDGET
    if asked is None:
        # Nobody limits the answer: it gets its usual length beside the thought.
        plain.max_tokens = budget + MAX_TOKENS
    else:
        # A word leaves the answer a fifth at least; tokens that were asked for as such leave it one token.
        budget = min(budget, asked - 1 if wish.budget else asked * 4 // 5)
        if budget < LEAST_BUDGET:
            budget = LEAST_BUDGET
        if budget >= asked:
            plain.dropped.append("reasoning_effort")
            return plain
    plain.thinking = {"type": "enabled", "budget_tokens": max(budget, LEAST_BUDGET)}
    return plain


def said(temperature: float | None, top_p: float | None, top_k: int | None) -> dict[str, float]:
    """Those of the three that are given, by name."""
    fields = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    return {name: value for name, value in fields.items() if value is not None}


def sampling(request: ChatRequest, model: str, thinks: bool, dropped: list[str]) -> dict[str, float]:
    """``temperature``, ``top_p`` and ``top_k`` as far as the model takes them, beside thinking (``thinks``) or not.

    What it does not take is added to ``dropped``; so is a temperature above 1, which becomes 1, as Anthropic's own
    OpenAI-compatible endpoint has it.
    """
    temperature, top_p, top_k = request.temperature, request.top_p, request.top_k
    closed = not takes_sampling(model)
    if temperature is not None and temperature > 1:
        temperature = 1.0
        dropped.append("temperature")
    if temperature is not None and (closed or (thinks and temperature != 1)):
        temperature = None
        dropped.append("temperature")
    both = temperature is not None and takes_one_sampling(model)
    if top_p is not None and (closed or both or (thinks and top_p < 0.95)):
        top_p = None
        dropped.append("top_p")
    if top_k is not None and (closed or thinks):
        top_k = None
        dropped.append("top_k")
    return said(temperature, top_p, top_k)


def _mid_round(messages: list[Message]) -> bool:
    """Whether the last answer called tools without the thoughts that a model with a budget must then see again."""
    for message in reversed(messages):
        if message.role == "assistant":
            called = any(isinstance(part, ToolCall) for part in message.parts)
            thoughtful = any(isinstance(part, Thinking) and sendable(part) for part in message.parts)
            return called and not thoughtful
        if message.role == "user":
            return False
    return False


def sendable(part: Thinking) -> bool:
    """Whether the thought can be shown to a Claude model again: redacted, or signed as Claude signs (in base64).

    Signatures of other makers, which their dialects mark, would be an error.
    """
    return bool(part.redacted) or signed(part.signature)


def signed(signature: str | None) -> bool:
    """Whether this may be a signature of Claude's."""
    return bool(signature) and _BASE64.issuperset(signature or "")
