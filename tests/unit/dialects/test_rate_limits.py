"""What replies say of limits: every notation that occurs, as it was recorded or as manuals have it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects.rate_limits import FARTHEST, UNSAID, Limit, duration, rate_limits

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


def read(**headers: str) -> list[tuple[str, float, float, float]]:
    """The limits as (name, limit, remaining, seconds to the reset)."""
    found = rate_limits({name.replace("_", "-"): value for name, value in headers.items()}.get, NOW)
    return [(limit.name, limit.limit, limit.remaining, round(limit.reset - NOW, 6)) for limit in found]


def openai(name: str, limit: str, remaining: str, reset: str | None) -> dict[str, str]:
    rows = {f"x_ratelimit_limit_{name}": limit, f"x_ratelimit_remaining_{name}": remaining}
    return rows if reset is None else {**rows, f"x_ratelimit_reset_{name}": reset}


CASES = {
    "openai": (
        openai("requests", "30000", "29999", "2ms") | openai("tokens", "150000000", "75000000", "6m0s"),
        [("requests", 30000, 29999, 0.002), ("tokens", 150000000, 75000000, 360)],
    ),
    "groq": (openai("tokens", "6000", "5987", "10.593999999s"), [("tokens", 6000, 5987, 10.594)]),
    "azure": (openai("requests", "120", "119", "7"), [("requests", 120, 119, 7)]),
    "xai": (openai("requests", "1800", "1789", None), [("requests", 1800, 1789, UNSAID)]),
    "anthropic": (
        {
            "anthropic_ratelimit_requests_limit": "4000",
            "anthropic_ratelimit_requests_remaining": "3999",
            "anthropic_ratelimit_requests_reset": "2027-01-15T08:00:20Z",
            "anthropic_ratelimit_output_tokens_limit": "400000",
            "anthropic_ratelimit_output_tokens_remaining": "0",
            "anthropic_ratelimit_output_tokens_reset": "2027-01-15T08:00:30Z",
        },
        [("requests", 4000, 3999, 20), ("output tokens", 400000, 0, 30)],
    ),
    "a clock that is an hour off": (
        {
            "date": "Fri, 15 Jan 2027 07:00:00 GMT",
            "anthropic_ratelimit_requests_limit": "10",
            "anthropic_ratelimit_requests_remaining": "5",
            "anthropic_ratelimit_requests_reset": "2027-01-15T07:00:20Z",
        },
        [("requests", 10, 5, 20)],
    ),
    "mistral": (
        {
            "x_ratelimit_limit_req_minute": "100",
            "x_ratelimit_remaining_req_minute": "93",
            "ratelimitbysize_limit": "500000",
            "ratelimitbysize_remaining": "499000",
            "ratelimitbysize_reset": "60",
        },
        [("requests a minute", 100, 93, UNSAID), ("tokens", 500000, 499000, 60)],
    ),
    "cerebras": (openai("requests-day", "14400", "100", "40000.5"), [("requests a day", 14400, 100, 40000.5)]),
    "fireworks": (openai("tokens-prompt", "60000", "59000", None), [("tokens of prompts", 60000, 59000, UNSAID)]),
    "together": (
        {"x_ratelimit_limit": "10", "x_ratelimit_remaining": "0", "x_ratelimit_reset": "1"},
        [("requests", 10, 0, 1)],
    ),
    "a reset in milliseconds of the epoch": (
        {"x_ratelimit_limit": "20", "x_ratelimit_remaining": "4", "x_ratelimit_reset": "1800000030000"},
        [("requests", 20, 4, 30)],
    ),
    "a reset in seconds of the epoch": (
        {"x_ratelimit_limit": "20", "x_ratelimit_remaining": "4", "x_ratelimit_reset": "1800000045"},
        [("requests", 20, 4, 45)],
    ),
    "replicate says no limit": ({"ratelimit_remaining": "599", "ratelimit_reset": "1"}, []),
    "nothing left of nobody knows how much": (
        {"ratelimit_remaining": "0", "ratelimit_reset": "1"},
        [("requests", 1, 0, 1)],
    ),
    "hugging face": (
        {"ratelimit": '"api";r=498;t=102', "ratelimit_policy": '"fixed window";"api";q=500;w=300'},
        [("requests", 500, 498, 102)],
    ),
    "two windows of the draft": (
        {"ratelimit": '"min";r=5;t=10, "day";r=0;t=900', "ratelimit_policy": '"day";q=100;w=86400, "min";q=10;w=60'},
        [("requests", 10, 5, 10), ("requests", 100, 0, 900)],
    ),
    "more left than there is": (openai("requests", "10", "11", "1s"), [("requests", 10, 10, 1)]),
    "negative": (openai("requests", "-1", "-1", "1s"), []),
    "not a number": (openai("requests", "many", "some", "soon"), []),
    "infinite": (openai("requests", "inf", "nan", "1s"), []),
    "a reset in the past": (openai("requests", "10", "1", "2020-01-01T00:00:00Z"), [("requests", 10, 1, 0)]),
    "a reset that never comes": (openai("requests", "10", "1", "9999d"), [("requests", 10, 1, FARTHEST)]),
    "nothing": ({"content_type": "application/json"}, []),
}


@pytest.mark.parametrize("name", CASES)
def test_a_notation(name: str) -> None:
    headers, wanted = CASES[name]
    assert read(**headers) == wanted


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("1h2m3.5s", 3723.5), ("20ms", 0.02), ("500us", 0.0005), ("2d", 172800), ("", None)]
    + [(text, None) for text in ("s", "1", "1x", "ms5", "1s2", "1.2.3s", " ")],
)
def test_a_duration(text: str, seconds: float | None) -> None:
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


_names = st.sampled_from([name for headers, _ in CASES.values() for name in headers])
_texts = st.text(max_size=20) | st.sampled_from([text for headers, _ in CASES.values() for text in headers.values()])


@given(st.dictionaries(_names, _texts))
def test_whatever_stands_there_a_limit_makes_sense(headers: dict[str, str]) -> None:
    for limit in rate_limits({name.replace("_", "-"): value for name, value in headers.items()}.get, NOW):
        assert isinstance(limit, Limit)
        assert limit.limit > 0
        assert 0 <= limit.remaining <= limit.limit
        assert NOW <= limit.reset <= NOW + FARTHEST
