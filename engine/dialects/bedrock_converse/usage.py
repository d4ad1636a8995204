"""Usage, both ways: ``inputTokens`` leaves out what was read from the cache or written to it.

Recorded replies show it: 11 input tokens, 1,028 written to the cache and 264 of output are 1,303 in total.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.trees import count, mappings
from engine.exchange import Usage


def read_usage(tree: object) -> Usage | None:
    """The usage in the wire's object; ``None`` where there is none. Fields of other types are unknown."""
    if not isinstance(tree, dict):
        return None
    fresh = count(tree.get("inputTokens"))
    cached = _either(tree, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _either(tree, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    hours = [count(one.get("inputTokens")) for one in mappings(tree.get("cacheDetails")) if one.get("ttl") == "1h"]
    return Usage(
        input=None if fresh is None else fresh + (cached or 0) + (written or 0),
        output=count(tree.get("outputTokens")),
        cached=cached,
        cache_write=written,
        cache_write_1h=hours[0] if hours else None,
    )


def _either(tree: dict[str, Any], *names: str) -> int | None:
    return next((found for name in names if (found := count(tree.get(name))) is not None), None)


def write_usage(usage: Usage) -> dict[str, Any]:
    """The wire's object."""
    cached, written = usage.cached or 0, usage.cache_write or 0
    tree: dict[str, Any] = {
        "inputTokens": max((usage.input or 0) - cached - written, 0),
        "outputTokens": usage.output or 0,
        "totalTokens": (usage.input or 0) + (usage.output or 0),
    }
    if usage.cached is not None:
        tree["cacheReadInputTokens"] = cached
    if usage.cache_write is not None:
        tree["cacheWriteInputTokens"] = written
    if usage.cache_write_1h is not None:
        tree["cacheDetails"] = [{"ttl": "1h", "inputTokens": usage.cache_write_1h}]
    return tree
