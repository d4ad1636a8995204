"""Durations and percentages: what people write, and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.units import DURATION_PATTERN, PERCENT_PATTERN, format_duration, parse_duration, parse_percent


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("200ms", 0.2),
        ("5s", 5.0),
        ("1.5s", 1.5),
        ("1m30s", 90.0),
        ("24h", 86400.0),
        ("7d", 604800.0),
        ("1h0.5m", 3630.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", "-5s", "+5s", "5S", "1e3s", ".5s", "5.s", "5s\n", "\u0665s", "5min", "1:30"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write for example 200ms, 5s, 1m30s or 24h"):
        parse_duration(text)
    assert re.search(DURATION_PATTERN + r"\Z", text, re.ASCII) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0ms"),
        (0.2, "200ms"),
        (1.0, "1s"),
        (1.5, "1.5s"),
        (60.0, "1m"),
        (90.0, "90s"),
        (3600.0, "1h"),
        (86400.0, "1d"),
        (1e-9, "0ms"),
    ],
)
def test_a_duration_is_written_short(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 10**12))
def test_what_is_written_reads_back_to_the_same_millisecond(milliseconds: int) -> None:
    text = format_duration(milliseconds / 1000)
    assert round(parse_duration(text) * 1000) == milliseconds
    assert re.fullmatch(DURATION_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "share"), [("0%", 0.0), ("20%", 0.2), ("2.5%", 0.025), ("100%", 1.0), ("100.0%", 1.0), ("07%", 0.07)]
)
def test_a_percentage_is_read(text: str, share: float) -> None:
    assert parse_percent(text) == share


@pytest.mark.parametrize(
    "text", ["", "%", "20", "0.2", "101%", "100.1%", "-1%", "20 %", "20%\n", "\u0662%", "1e1%", "200%"]
)
def test_what_is_no_percentage_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"from 0% to 100%; write for example 20%"):
        parse_percent(text)
    assert re.search(PERCENT_PATTERN + r"\Z", text, re.ASCII) is None
