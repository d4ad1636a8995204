"""Token usage in the notations of OpenAI's two protocols and of the services that speak them."""

from __future__ import annotations

from typing import Any

from engine.dialects.trees import count, mapping
from engine.exchange import Usage

_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")
#: Where services that have no details tell of cached tokens.
_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens")
_WRITTEN = frozenset({"cache_write_tokens", "cache_creation_tokens"})
#: OpenAI's own fields of chat completions.
_USUAL = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)
_NOTHING: dict[str, Any] = {}
_UNKNOWN = Usage()


def read_usage(tree: Any) -> Usage | None:
    """The usage; ``None`` where none is told. Fields of other types than whole numbers are unknown.

    Services count differently, and only the total tells how: thoughts beside the completion (xAI), audio beside the
    prompt (Mistral), cached tokens beside the prompt, thoughts that nothing but the total shows (Gemini). What the
    total has beyond prompt and completion is therefore added where it belongs. Parts that are told to be larger than
    their whole are cut to it.
    """
    if not isinstance(tree, dict):
        return None
    usual = _usual(tree)
    if usual is not None:
        return usual
    into, out = _details(tree, _INPUT_DETAILS), _details(tree, _OUTPUT_DETAILS)
    prompt = _first(tree, "prompt_tokens", "input_tokens")
    completion = _first(tree, "completion_tokens", "output_tokens")
    reasoning = _either(count(out.get("reasoning_tokens")), count(tree.get("reasoning_tokens")))
    audio = count(into.get("audio_tokens"))
    cached = _either(count(into.get("cached_tokens")), _first(tree, *_CACHED))
    written = _either(
        _first(into, "cache_write_tokens", "cache_creation_tokens"), count(tree.get("cache_creation_input_tokens"))
    )
    total = count(tree.get("total_tokens"))
    if prompt is not None and completion is not None and total is not None and total > prompt + completion:
        more_in, more_out = _beyond(
            total - prompt - completion, reasoning or 0, audio or 0, (cached or 0, written or 0)
        )
        prompt, completion = prompt + more_in, completion + more_out
    cached = _within(cached, prompt)
    usage = Usage(
        input=prompt,
        output=completion,
        cached=cached,
        reasoning=_within(reasoning, completion),
        cache_write=_within(written, None if prompt is None else prompt - (cached or 0)),
        cache_write_1h=_within(count(mapping(tree.get("cache_creation")).get("ephemeral_1h_input_tokens")), written),
        input_audio=_within(audio, prompt),
        output_audio=_within(count(out.get("audio_tokens")), completion),
        searches=_searches(tree),
    )
    return usage if usage != _UNKNOWN else None


def _usual(tree: dict[str, Any]) -> Usage | None:
    """Usage of OpenAI's own fields whose total is the sum, as most is; every request reads one. ``None`` for others."""
    prompt, completion = tree.get("prompt_tokens"), tree.get("completion_tokens")
    if type(prompt) is not int or type(completion) is not int or prompt < 0 or completion < 0:
        return None
    if tree.get("total_tokens") != prompt + completion or not tree.keys() <= _USUAL:
        return None
    if len(tree) == 3:
        return Usage(prompt, completion)
    into, out = mapping(tree.get("prompt_tokens_details")), mapping(tree.get("completion_tokens_details"))
    if not _WRITTEN.isdisjoint(into):
        return None
    return Usage(
        prompt,
        completion,
        _part(into.get("cached_tokens"), prompt),
        _part(out.get("reasoning_tokens"), completion),
        None,
        None,
        _part(into.get("audio_tokens"), prompt),
        None,
        _part(out.get("audio_tokens"), completion),
    )


def _part(told: Any, whole: int) -> int | None:
    if told is None:
        return None
    return told if type(told) is int and 0 <= told <= whole else _within(count(told), whole)


def _beyond(excess: int, reasoning: int, audio: int, cache: tuple[int, int]) -> tuple[int, int]:
    """How much of the excess of the total belongs to the input, and how much to the output."""
    if excess == reasoning:
        return 0, excess
    if excess in (audio, sum(cache), *cache):
        return excess, 0
    if excess == audio + reasoning:
        return audio, reasoning
    return 0, excess


def _details(tree: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    for name in names:
        found = tree.get(name)
        if isinstance(found, dict):
            return found
    return _NOTHING


def _searches(tree: dict[str, Any]) -> int | None:
    tools = mapping(tree.get("server_tool_use_details")) or mapping(tree.get("server_tool_use"))
    return _either(count(tools.get("web_search_requests")), count(tree.get("num_search_queries")))


def _first(tree: dict[str, Any], *names: str) -> int | None:
    for name in names:
        if name in tree and (found := count(tree[name])) is not None:
            return found
    return None


def _either(first: int | None, second: int | None) -> int | None:
    return first if first is not None else second


def _within(part: int | None, whole: int | None) -> int | None:
    return part if part is None or whole is None else min(part, whole)


def write_usage(usage: Usage) -> dict[str, Any]:
    """The usage object of a chat completion: what is known of it."""
    body: dict[str, Any] = {}
    if usage.input is not None:
        body["prompt_tokens"] = usage.input
    if usage.output is not None:
        body["completion_tokens"] = usage.output
    if usage.input is not None and usage.output is not None:
        body["total_tokens"] = usage.input + usage.output
    into = _known(cached_tokens=usage.cached, cache_write_tokens=usage.cache_write, audio_tokens=usage.input_audio)
    if into:
        body["prompt_tokens_details"] = into
    if usage.cache_write_1h is not None:
        body["cache_creation"] = {"ephemeral_1h_input_tokens": usage.cache_write_1h}
    if usage.searches is not None:
        body["server_tool_use_details"] = {"web_search_requests": usage.searches}
    out = _known(reasoning_tokens=usage.reasoning, audio_tokens=usage.output_audio)
    if out:
        body["completion_tokens_details"] = out
    return body


def _known(**counts: int | None) -> dict[str, int]:
    return {name: value for name, value in counts.items() if value is not None}
