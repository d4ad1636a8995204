"""The price data's own reading of usage, of 1,577 replies, and ours."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import Any

import pytest

from engine.dialects.anthropic_messages.usage import read_usage as read_anthropic
from engine.dialects.bedrock_converse.usage import read_usage as read_converse
from engine.dialects.cohere.usage import read_usage as read_cohere
from engine.dialects.gemini.usage import read_usage as read_gemini
from engine.dialects.openai_chat.embeddings import read_vector_usage
from engine.dialects.openai_chat.usage import read_usage as read_openai
from engine.exchange import Usage

from ..recordings import CORPUS

USAGES = CORPUS / "prices" / "genai-prices-usages.json.gz"

#: Kind of body -> our reader, and the maker and form of the price data's.
READERS: dict[str, tuple[Any, tuple[str, str]]] = {
    "chat": (read_openai, ("openai", "chat")),
    "embeddings": (read_vector_usage, ("openai", "embeddings")),
    "responses": (read_openai, ("openai", "responses")),
    "anthropic": (read_anthropic, ("anthropic", "default")),
    "gemini": (read_gemini, ("google", "default")),
    "converse": (read_converse, ("aws", "default")),
    "cohere": (read_cohere, ("cohere", "default")),
    "cohere embeddings": (read_cohere, ("cohere", "embeddings")),
}
#: Our fields and theirs.
FIELDS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cached": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "reasoning": "output_reasoning_tokens",
    "input_audio": "input_audio_tokens",
    "cached_audio": "cache_audio_read_tokens",
    "output_audio": "output_audio_tokens",
    "searches": "web_searches",
}
#: Names of cached tokens that services of OpenAI's protocol use and the price data does not read.
OTHER_NAMES = ("num_cached_tokens", "prompt_cache_hit_tokens", "cached_tokens")


def kind_of(body: dict[str, Any]) -> tuple[str, Any]:
    """What protocol the usage is of, by its shape, and the usage."""
    if "usageMetadata" in body:
        return "gemini", body["usageMetadata"]
    if "meta" in body:
        return "cohere embeddings", body["meta"]
    usage = body["usage"]
    if "inputTokens" in usage:
        return "converse", usage
    if "billed_units" in usage:
        return "cohere", usage
    if "prompt_tokens" in usage:
        return ("chat" if "completion_tokens" in usage else "embeddings"), usage
    of_openai = usage.keys() & {"input_tokens_details", "output_tokens_details", "total_tokens"}
    return ("responses" if of_openai and "cache_read_input_tokens" not in usage else "anthropic"), usage


def differing(ours: Usage, theirs: dict[str, int], told: dict[str, Any]) -> set[str]:
    """The fields on which both disagree, but for what we know and they do not. They write no zeros."""
    wrong = {mine for mine, other in FIELDS.items() if (getattr(ours, mine) or 0) != theirs.get(other, 0)}
    if "cached" in wrong and "cache_read_tokens" not in theirs and any(told.get(name) for name in OTHER_NAMES):
        wrong.remove("cached")
    beyond = told.get("total_tokens", 0) - told.get("prompt_tokens", 0) - told.get("completion_tokens", 0)
    if "output" in wrong and ours.output == theirs["output_tokens"] + beyond:
        wrong.remove("output")  # thoughts that nothing but the total shows
    return wrong


@pytest.mark.skipif(not USAGES.exists(), reason="the price data (../shared/corpus/prices) is not on this machine")
def test_usage_agrees_with_the_price_data() -> None:
    seen: Counter[str] = Counter()
    for entry in json.loads(gzip.decompress(USAGES.read_bytes())):
        kind, told = kind_of(entry["body"])
        reader, who = READERS[kind]
        (theirs,) = (
            found["usage"]
            for found in entry["extracted"]
            if any((one["provider_id"], one["api_flavor"]) == who for one in found["extractors"])
        )
        ours = reader(told) or Usage()
        assert differing(ours, theirs, told) == set(), (kind, told, theirs, ours)
        seen[kind] += 1
    assert seen.keys() == READERS.keys()
    assert seen.total() == 1577


def test_a_difference_is_noticed() -> None:
    theirs = {"input_tokens": 5, "output_tokens": 2}
    assert differing(Usage(5, 2), theirs, {}) == set()
    assert differing(Usage(5, 3, cached=1), theirs, {"cached_tokens": 0}) == {"output", "cached"}
    assert differing(Usage(5, 2, cached=1), theirs, {"num_cached_tokens": 1}) == set()
