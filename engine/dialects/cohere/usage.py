"""Usage, both ways.

Cohere counts twice: ``tokens`` are what the model saw, with the templates that the service wraps around a request;
``billed_units`` are what is charged. The canonical numbers are those charged; only where there are none, the others.
What is said of ``tokens`` alone (the cached ones, the reasoning) counts as far as it can be part of that.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.trees import count, mapping, total
from engine.exchange import Usage


def read_usage(raw: Any) -> Usage | None:
    """From ``usage`` of a chat or ``meta`` of the other endpoints; ``None`` where no number is in it."""
    tree = mapping(raw)
    billed, tokens = mapping(tree.get("billed_units")), mapping(tree.get("tokens"))
    read = _first(_read_tokens(billed), count(tokens.get("input_tokens")))
    wrote = _first(count(billed.get("output_tokens")), count(tokens.get("output_tokens")))
    found = Usage(
        input=read,
        output=wrote,
        cached=_within(count(tree.get("cached_tokens")), read),
        reasoning=_within(count(tokens.get("reasoning_tokens")), wrote),
        searches=count(billed.get("search_units")),
    )
    return found if found != Usage() else None


def _read_tokens(billed: dict[str, Any]) -> int | None:
    return total(count(billed.get("input_tokens")), count(billed.get("image_tokens")))


def _first(billed: int | None, seen: int | None) -> int | None:
    return billed if billed is not None else seen


def _within(part: int | None, whole: int | None) -> int | None:
    return part if part is None or whole is None or part <= whole else None


def write_usage(usage: Usage | None) -> dict[str, Any]:
    """``usage`` of a chat; empty where nothing is known."""
    if usage is None:
        return {}
    billed = {"input_tokens": usage.input, "output_tokens": usage.output, "search_units": usage.searches}
    tokens = {"input_tokens": usage.input, "output_tokens": usage.output, "reasoning_tokens": usage.reasoning}
    tree: dict[str, Any] = {"billed_units": billed, "tokens": tokens, "cached_tokens": usage.cached}
    return {name: kept for name, value in tree.items() if (kept := _known(value)) not in (None, {})}


def _known(value: Any) -> Any:
    return {name: part for name, part in value.items() if part is not None} if isinstance(value, dict) else value
