"""``usageMetadata``, both ways.

Thoughts are counted beside ``candidatesTokenCount``, and what the service's own tools put into the prompt beside
``promptTokenCount``; both belong to the canonical sums.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.trees import count, mappings, total
from engine.exchange import Usage

from .names import fields

#: The modality by name, or by number where a client asked for enumerations as such.
_AUDIO = ("AUDIO", 4)


def read_usage(raw: Any) -> Usage | None:
    """The usage, or ``None`` where there is no number in it."""
    tree = fields(raw)
    thoughts = count(tree.get("thoughtsTokenCount"))
    found = Usage(
        input=total(count(tree.get("promptTokenCount")), count(tree.get("toolUsePromptTokenCount"))),
        output=total(count(tree.get("candidatesTokenCount")), thoughts),
        cached=count(tree.get("cachedContentTokenCount")),
        reasoning=thoughts,
        input_audio=total(_audio(tree, "promptTokensDetails"), _audio(tree, "toolUsePromptTokensDetails")),
        cached_audio=_audio(tree, "cacheTokensDetails"),
        output_audio=_audio(tree, "candidatesTokensDetails"),
    )
    return found if found != Usage() else None


def _audio(tree: dict[str, Any], name: str) -> int | None:
    if name not in tree:
        return None
    details = map(fields, mappings(tree[name]))
    return total(*(count(item.get("tokenCount")) for item in details if item.get("modality") in _AUDIO))


def write_usage(usage: Usage | None) -> dict[str, Any]:
    """The known fields; the place of a number that is not known stays empty."""
    if usage is None:
        return {}
    tree: dict[str, Any] = {}
    if usage.input is not None:
        tree["promptTokenCount"] = usage.input
    if usage.output is not None:
        tree["candidatesTokenCount"] = usage.output - (usage.reasoning or 0)
    if usage.reasoning is not None:
        tree["thoughtsTokenCount"] = usage.reasoning
    if usage.cached is not None:
        tree["cachedContentTokenCount"] = usage.cached
    if usage.input is not None and usage.output is not None:
        tree["totalTokenCount"] = usage.input + usage.output
    for name, value in (
        ("promptTokensDetails", usage.input_audio),
        ("cacheTokensDetails", usage.cached_audio),
        ("candidatesTokensDetails", usage.output_audio),
    ):
        if value is not None:
            tree[name] = [{"modality": "AUDIO", "tokenCount": value}]
    return tree
