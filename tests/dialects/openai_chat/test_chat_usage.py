"""Usage in the notations of the services that speak this protocol."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects.openai_chat.usage import read_usage, write_usage
from engine.exchange import Usage

from ..canon import usages


@pytest.mark.parametrize(
    ("tree", "usage"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, Usage(input=5, output=2)),
        # Thoughts beside the completion, which only the total tells.
        (
            {
                "prompt_tokens": 291,
                "completion_tokens": 26,
                "total_tokens": 506,
                "completion_tokens_details": {"reasoning_tokens": 189},
            },
            Usage(input=291, output=215, reasoning=189),
        ),
        # Thoughts within the completion.
        (
            {
                "prompt_tokens": 17,
                "completion_tokens": 128,
                "total_tokens": 145,
                "completion_tokens_details": {"reasoning_tokens": 120},
            },
            Usage(input=17, output=128, reasoning=120),
        ),
        # Thoughts that nothing but the total shows.
        ({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}, Usage(input=35, output=74)),
        # Audio beside the prompt.
        (
            {
                "prompt_tokens": 11,
                "completion_tokens": 15,
                "total_tokens": 401,
                "prompt_tokens_details": {"audio_tokens": 375, "cached_tokens": 9},
            },
            Usage(input=386, output=15, cached=9, input_audio=375),
        ),
        # What was read from the cache told as written to it too.
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 7}},
            Usage(input=9, cached=7, cache_write=2),
        ),
        # Cached tokens beside the prompt.
        (
            {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 105, "cache_read_input_tokens": 100},
            Usage(input=103, output=2, cached=100),
        ),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 8}, Usage(input=9, cached=8)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 7}, Usage(input=9, output=1, cached=7)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "num_cached_tokens": 6}, Usage(input=9, output=1, cached=6)),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 4}},
            Usage(input=9, cached=1, cache_write=4),
        ),
        (
            {
                "prompt_tokens": 9,
                "cache_creation_input_tokens": 4,
                "cache_creation": {"ephemeral_1h_input_tokens": 3},
            },
            Usage(input=9, cache_write=4, cache_write_1h=3),
        ),
        ({"prompt_tokens": 8, "completion_tokens": 7, "reasoning_tokens": 3}, Usage(input=8, output=7, reasoning=3)),
        (
            {"input_tokens": 8, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3}},
            Usage(input=8, output=7, reasoning=3),
        ),
        ({"prompt_tokens": 8, "num_search_queries": 2}, Usage(input=8, searches=2)),
        ({"prompt_tokens": 8, "server_tool_use_details": {"web_search_requests": 1}}, Usage(input=8, searches=1)),
        # A part that is told to be larger than its whole.
        ({"prompt_tokens": 392, "prompt_tokens_details": {"cached_tokens": 461}}, Usage(input=392, cached=392)),
        ({"completion_tokens": 8, "completion_tokens_details": {"reasoning_tokens": 9}}, Usage(output=8, reasoning=8)),
        ({"prompt_tokens": 12.0, "completion_tokens": "7"}, Usage(input=12)),
        ({"prompt_tokens": True, "completion_tokens": -1}, None),
        ({"cost": 0.1}, None),
        ({}, None),
        (None, None),
        ([1], None),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(input=0, output=0)),
    ],
)  # fmt: skip
def test_reading(tree: Any, usage: Usage | None) -> None:
    assert read_usage(tree) == usage


@given(usages("cached", "reasoning"))
def test_what_is_written_is_read_again(usage: Usage) -> None:
    assert read_usage(write_usage(usage)) == usage


def test_nothing_is_said_of_what_nobody_reported() -> None:
    assert write_usage(Usage(output=3)) == {"completion_tokens": 3}
    assert write_usage(Usage(input=1, output=3))["total_tokens"] == 4


COUNTS = st.none() | st.integers(-1, 40) | st.sampled_from([12.0, True, "7"])
DETAILS = st.none() | st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "reasoning_tokens"]), COUNTS)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "prompt_tokens": COUNTS,
            "completion_tokens": COUNTS,
            "total_tokens": COUNTS,
            "prompt_tokens_details": DETAILS,
            "completion_tokens_details": DETAILS,
        },
    )
)
def test_usage_in_openais_own_fields_is_read_as_with_another_beside_them(tree: dict[str, Any]) -> None:
    assert read_usage(tree) == read_usage(tree | {"cost": 0})
