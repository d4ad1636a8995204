"""Usage, both ways: on this wire ``input_tokens`` leaves out what was read from the cache or written to it."""

from __future__ import annotations

from typing import Any

from engine.dialects.trees import count, others
from engine.exchange import Usage

#: What of the wire's usage has a canonical form.
_KNOWN = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "output_tokens_details",
        "service_tier",
    }
)


def read_usage(tree: object) -> Usage | None:
    """The usage in the wire's object; ``None`` where there is none. Fields of other types are unknown."""
    if not isinstance(tree, dict):
        return None
    fresh = count(tree.get("input_tokens"))
    cached = count(tree.get("cache_read_input_tokens"))
    written = count(tree.get("cache_creation_input_tokens"))
    spans, details = tree.get("cache_creation"), tree.get("output_tokens_details")
    server = tree.get("server_tool_use")
    hour = count(spans.get("ephemeral_1h_input_tokens")) if isinstance(spans, dict) else None
    if written is None and isinstance(spans, dict):
        short = count(spans.get("ephemeral_5m_input_tokens"))
        written = (short or 0) + (hour or 0) if short is not None or hour is not None else None
    return Usage(
        input=None if fresh is None else fresh + (cached or 0) + (written or 0),
        output=count(tree.get("output_tokens")),
        cached=cached,
        reasoning=count(details.get("thinking_tokens")) if isinstance(details, dict) else None,
        cache_write=written,
        cache_write_1h=hour,
        searches=count(server.get("web_search_requests")) if isinstance(server, dict) else None,
    )


def unread(tree: dict[str, Any]) -> dict[str, Any]:
    """What else an upstream's usage says."""
    rest = others(tree, _KNOWN)
    server = rest.get("server_tool_use")
    if isinstance(server, dict) and not any(others(server, ("web_search_requests",)).values()):
        del rest["server_tool_use"]
    return rest


def write_usage(usage: Usage | None) -> dict[str, Any]:
    """Usage for a client. The protocol has no word for «unknown»: the two counts it demands are then 0."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    cached, written = usage.cached or 0, usage.cache_write or 0
    tree: dict[str, Any] = {
        "input_tokens": max((usage.input or 0) - cached - written, 0),
        "output_tokens": usage.output or 0,
    }
    if usage.cached is not None:
        tree["cache_read_input_tokens"] = cached
    if usage.cache_write is not None:
        tree["cache_creation_input_tokens"] = written
        if usage.cache_write_1h is not None:
            hour = usage.cache_write_1h
            spans = {"ephemeral_5m_input_tokens": max(written - hour, 0), "ephemeral_1h_input_tokens": hour}
            tree["cache_creation"] = spans
    if usage.reasoning is not None:
        tree["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.searches is not None:
        tree["server_tool_use"] = {"web_search_requests": usage.searches, "web_fetch_requests": 0}
    return tree
