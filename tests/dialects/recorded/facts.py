"""What a recorded reply says, read from its JSON by the plainest means and without any codec: an oracle for codecs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .shapes import ANTHROPIC, COHERE, CONVERSE, GEMINI, OLLAMA, OPENAI, RESPONSES, Event


@dataclass
class Facts:
    """All text of the reply, its calls, the protocol's words for why it ended, and its tokens as they are told.

    Calls are the function's name and its arguments; counts are ``None`` where the reply does not say them.
    """

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    input: int | None = None
    output: int | None = None
    cached: int | None = None

    def count(self, told: Any, into: str, out: str) -> None:
        """Take both counts from a usage object; the last that says one wins."""
        if isinstance(told, dict):
            self.input = told[into] if isinstance(told.get(into), int) else self.input
            self.output = told[out] if isinstance(told.get(out), int) else self.output


def facts_of(dialect: str, tree: Any, chunks: list[Event]) -> Facts:
    """The facts of a reply, whole (``tree``) or streamed (``chunks``)."""
    found = Facts()
    if chunks:
        _STREAMED[dialect](found, [chunk.data for chunk in chunks if isinstance(chunk.data, dict)])
    else:
        _WHOLE[dialect](found, tree)
    return found


def arguments(value: Any) -> Any:
    """The JSON in a text of arguments, or the text itself where it is none; nothing is an empty object."""
    try:
        return json.loads(value or "{}") if isinstance(value, str) else value or {}
    except ValueError:
        return value


def _words(content: Any) -> str:
    """The text in a message's content: as it is, or the ``text`` of its parts of that type."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type", "text") == "text")
    return content if isinstance(content, str) else ""


def _openai(found: Facts, tree: Any) -> None:
    for choice in tree["choices"]:
        message = choice.get("message") or {}
        found.text += _words(message.get("content"))
        named = [call.get("function") or {} for call in message.get("tool_calls") or []]
        named += [message["function_call"]] if message.get("function_call") else []
        # Some services leave calls in which nothing stands.
        found.calls += [(call["name"], arguments(call.get("arguments"))) for call in named if call.get("name")]
        found.ends.append(choice.get("finish_reason") or "")
    _openai_usage(found, tree)


def _openai_usage(found: Facts, tree: Any) -> None:
    """Prompt and completion, which together are the total: what some services tell beside them belongs to them."""
    usage = tree.get("usage") or (tree.get("x_groq") or {}).get("usage")
    if not usage:
        return
    found.count(usage, "prompt_tokens", "completion_tokens")
    more = (usage.get("total_tokens") or 0) - (found.input or 0) - (found.output or 0)
    details = usage.get("prompt_tokens_details") or usage.get("prompt_token_details") or {}
    if more > 0 and details.get("audio_tokens") == more and found.input is not None:
        found.input += more
    elif more > 0 and found.output is not None:
        found.output += more
    cached = [details.get("cached_tokens"), *(usage.get(name) for name in _CACHED)]
    told = next((count for count in cached if count is not None), None)
    found.cached = found.cached if told is None else min(told, found.input or 0)


_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")


def _openai_streamed(found: Facts, chunks: list[Any]) -> None:
    texts: dict[int, str] = {}
    calls: dict[tuple[int, ...], list[str]] = {}
    for chunk in chunks:
        for choice in chunk.get("choices") or []:
            delta, index = choice.get("delta") or {}, choice.get("index", 0)
            texts[index] = texts.get(index, "") + _words(delta.get("content"))
            for place, call in enumerate(delta.get("tool_calls") or []):
                key = (index, call.get("index", place))
                if call.get("id") and calls.get(key, ["", "", call["id"]])[2] not in ("", call["id"]):
                    calls[(*key, len(calls))] = calls.pop(key)  # another call under the same number
                told = calls.setdefault(key, ["", "", call.get("id") or ""])
                function = call.get("function") or {}
                told[0] = function.get("name") or told[0]
                told[1] += function.get("arguments") or ""
            if choice.get("finish_reason"):
                found.ends.append(choice["finish_reason"])
        _openai_usage(found, chunk)
    found.text = "".join(texts[index] for index in sorted(texts))
    found.calls = [(name, arguments(told)) for name, told, _ in calls.values() if name]


def _responses(found: Facts, tree: Any) -> None:
    for item in tree["output"]:
        if item["type"] == "message":
            found.text += "".join(part.get("text", "") for part in item["content"] if part["type"] == "output_text")
        elif item["type"] == "function_call":
            found.calls.append((item["name"], arguments(item["arguments"])))
    found.ends.append((tree.get("incomplete_details") or {}).get("reason") or tree.get("status") or "")
    usage = tree.get("usage")
    found.count(usage, "input_tokens", "output_tokens")
    found.cached = ((usage or {}).get("input_tokens_details") or {}).get("cached_tokens")


def _responses_streamed(found: Facts, chunks: list[Any]) -> None:
    """The deltas of texts; everything else stands in the last event's response."""
    for chunk in chunks:
        if chunk.get("type") == "response.output_text.delta":
            found.text += chunk["delta"]
    last = Facts()
    for chunk in chunks:
        if chunk.get("type") in ("response.completed", "response.incomplete"):
            _responses(last, chunk["response"])
    done = [chunk["item"] for chunk in chunks if chunk.get("type") == "response.output_item.done"]
    calls = [(item["name"], arguments(item["arguments"])) for item in done if item["type"] == "function_call"]
    found.calls, found.ends = last.calls or calls, last.ends
    found.input, found.output, found.cached = last.input, last.output, last.cached


def _anthropic(found: Facts, tree: Any) -> None:
    for block in tree["content"]:
        if block["type"] == "text":
            found.text += block["text"]
        elif block["type"] == "tool_use":
            found.calls.append((block["name"], block["input"]))
    found.ends.append(tree["stop_reason"] or "")
    _anthropic_usage(found, tree.get("usage"))


def _anthropic_usage(found: Facts, usage: Any) -> None:
    """Here the input counts neither what was read from the cache nor what was written to it."""
    usage = usage or {}
    if isinstance(usage.get("input_tokens"), int):
        cache = (usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0)
        found.input = usage["input_tokens"] + sum(cache)
    found.output = usage.get("output_tokens", found.output)
    found.cached = usage.get("cache_read_input_tokens", found.cached)


def _anthropic_streamed(found: Facts, chunks: list[Any]) -> None:
    calls: dict[int, list[Any]] = {}
    usage: dict[str, Any] = {}
    for chunk in chunks:
        if (chunk.get("message") or {}).get("stop_reason"):  # a message that came whole
            _anthropic(found, chunk["message"])
        block, delta = chunk.get("content_block") or {}, chunk.get("delta") or {}
        found.text += (block.get("text") or "") + (delta.get("text") or "")
        if block.get("type") == "tool_use":
            calls[chunk["index"]] = [block["name"], "", block.get("input")]
        if delta.get("type") == "input_json_delta" and chunk["index"] in calls:
            calls[chunk["index"]][1] += delta["partial_json"]
        if delta.get("stop_reason"):
            found.ends.append(delta["stop_reason"])
        told = chunk.get("usage") or (chunk.get("message") or {}).get("usage") or {}
        usage |= {name: value for name, value in told.items() if value is not None}
    _anthropic_usage(found, usage)
    found.calls += [(name, arguments(told) if told else begun or {}) for name, told, begun in calls.values()]


def _gemini(found: Facts, tree: Any) -> None:
    _gemini_streamed(found, [tree])


def _gemini_streamed(found: Facts, chunks: list[Any]) -> None:
    for chunk in chunks:
        for candidate in chunk.get("candidates") or []:
            for part in (candidate.get("content") or {}).get("parts") or []:
                found.text += "" if part.get("thought") else part.get("text") or ""
                if "functionCall" in part:
                    _gemini_call(found, part["functionCall"])
            if candidate.get("finishReason"):
                found.ends.append(candidate["finishReason"])
        usage = chunk.get("usageMetadata") or {}
        found.count(usage, "promptTokenCount", "candidatesTokenCount")
        found.cached = usage.get("cachedContentTokenCount", found.cached)
        # Thoughts, and what tools brought into the prompt, are told beside the others.
        if usage.get("toolUsePromptTokenCount"):
            found.input = (found.input or 0) + usage["toolUsePromptTokenCount"]
        if usage.get("thoughtsTokenCount"):
            found.output = usage.get("candidatesTokenCount", 0) + usage["thoughtsTokenCount"]


def _gemini_call(found: Facts, call: Any) -> None:
    """A call, or a piece of the last one: a value at a path, of which texts may come in several pieces."""
    if "name" in call:
        found.calls.append((call["name"], call.get("args") or {}))
    for piece in call.get("partialArgs") or []:
        place: Any = found.calls[-1][1]
        *path, last = [int(step) if step.isdigit() else step for step in re.findall(r"[^$.\[\]]+", piece["jsonPath"])]
        for step, following in zip(path, [*path[1:], last], strict=False):
            place = _below(place, step, [] if isinstance(following, int) else {})
        (value,) = (piece[name] for name in ("stringValue", "numberValue", "boolValue", "nullValue") if name in piece)
        if isinstance(value, str) and isinstance(_below(place, last, ""), str):
            place[last] += value
        else:
            place[last] = value


def _below(place: Any, step: str | int, empty: Any) -> Any:
    """What stands at a step of a path, made empty where nothing does."""
    if isinstance(step, int):
        place.extend([empty] * (step + 1 - len(place)))
        return place[step]
    return place.setdefault(step, empty)


def _converse(found: Facts, tree: Any) -> None:
    for block in tree["output"]["message"]["content"]:
        found.text += block.get("text") or ""
        cited = block.get("citationsContent") or {}
        found.text += "".join(part["text"] for part in cited.get("content") or [])
        if block.get("toolUse", {}).get("type") == "server_tool_use":
            continue
        if "toolUse" in block:
            found.calls.append((block["toolUse"]["name"], block["toolUse"]["input"]))
    found.ends.append(tree["stopReason"])
    _converse_usage(found, tree.get("usage"))


def _converse_usage(found: Facts, usage: Any) -> None:
    """Here too the input counts neither what was read from the cache nor what was written to it."""
    usage = usage or {}
    read, written = (
        usage.get(f"cache{kind}InputTokens", usage.get(f"cache{kind}InputTokenCount")) for kind in ("Read", "Write")
    )
    found.count(usage, "inputTokens", "outputTokens")
    found.input = None if found.input is None else found.input + (read or 0) + (written or 0)
    found.cached = read


def _converse_streamed(found: Facts, chunks: list[Any]) -> None:
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        delta, start = chunk.get("delta") or {}, chunk.get("start") or {}
        found.text += delta.get("text") or ""
        if start.get("toolUse", {}).get("type") == "server_tool_use":
            calls[chunk["contentBlockIndex"]] = ["", ""]
        elif "toolUse" in start:
            calls[chunk["contentBlockIndex"]] = [start["toolUse"]["name"], ""]
        if "toolUse" in delta:
            calls[chunk["contentBlockIndex"]][1] += delta["toolUse"]["input"]
        if "stopReason" in chunk:
            found.ends.append(chunk["stopReason"])
        if "usage" in chunk:
            _converse_usage(found, chunk["usage"])
    found.calls = [(name, arguments(told)) for name, told in calls.values() if name]


def _cohere(found: Facts, tree: Any) -> None:
    message = tree["message"]
    found.text += _words(message.get("content"))
    found.calls += [_named(call["function"]) for call in message.get("tool_calls") or []]
    found.ends.append(tree["finish_reason"])
    _cohere_usage(found, tree.get("usage"))


def _cohere_usage(found: Facts, usage: Any) -> None:
    """What is billed; the other counts include what the service itself adds."""
    usage = usage or {}
    found.count(usage.get("billed_units"), "input_tokens", "output_tokens")
    if usage.get("cached_tokens", 0) <= (found.input or 0):  # those of what is not billed are no part of the input
        found.cached = usage.get("cached_tokens", found.cached)


def _named(function: Any) -> tuple[str, Any]:
    """A call; ``null`` is how Cohere says that it has no arguments."""
    return function["name"], arguments(function.get("arguments")) or {}


def _cohere_streamed(found: Facts, chunks: list[Any]) -> None:
    calls: dict[int, Any] = {}
    for chunk in chunks:
        delta = chunk.get("delta") or {}
        message = delta.get("message") or {}
        content, call = message.get("content") or {}, message.get("tool_calls") or {}
        found.text += content.get("text") or "" if isinstance(content, dict) else ""
        if call:
            told = calls.setdefault(chunk["index"], {"name": "", "arguments": ""})
            told["name"] += call["function"].get("name") or ""
            told["arguments"] += call["function"].get("arguments") or ""
        if delta.get("finish_reason"):
            found.ends.append(delta["finish_reason"])
        _cohere_usage(found, delta.get("usage"))
    found.calls = [_named(told) for told in calls.values()]


def _ollama(found: Facts, tree: Any) -> None:
    _ollama_streamed(found, [tree])


def _ollama_streamed(found: Facts, chunks: list[Any]) -> None:
    for chunk in chunks:
        message = chunk.get("message") or {}
        found.text += message.get("content") or ""
        named: Iterable[Any] = (call["function"] for call in message.get("tool_calls") or [])
        found.calls += [(call["name"], call.get("arguments") or {}) for call in named]
        if chunk.get("done"):
            found.ends.append(chunk.get("done_reason") or "")
        found.count(chunk, "prompt_eval_count", "eval_count")


_WHOLE: dict[str, Callable[[Facts, Any], None]] = {
    OPENAI: _openai,
    RESPONSES: _responses,
    ANTHROPIC: _anthropic,
    GEMINI: _gemini,
    CONVERSE: _converse,
    COHERE: _cohere,
    OLLAMA: _ollama,
}
_STREAMED: dict[str, Callable[[Facts, list[Any]], None]] = {
    OPENAI: _openai_streamed,
    RESPONSES: _responses_streamed,
    ANTHROPIC: _anthropic_streamed,
    GEMINI: _gemini_streamed,
    CONVERSE: _converse_streamed,
    COHERE: _cohere_streamed,
    OLLAMA: _ollama_streamed,
}
