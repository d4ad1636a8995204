"""How long an upstream asks to be left alone: every notation, a floor, and a cap."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dialects.retry_after import CAP, retry_after

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


def read(now: float = NOW, **headers: str) -> float | None:
    return retry_after({name.replace("_", "-"): value for name, value in headers.items()}.get, now)


@pytest.fixture
def far_from_greenwich() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Auckland"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("0", 0.0), ("1.5", 1.5), (" 20 ", 20.0), ("-5", 0.0)])
def test_seconds(text: str, seconds: float) -> None:
    assert read(retry_after=text) == seconds


@pytest.mark.parametrize("name", ["retry-after-ms", "x-ms-retry-after-ms"])
def test_milliseconds_are_more_exact_than_the_seconds_beside_them(name: str) -> None:
    assert retry_after({name: "1500", "retry-after": "2"}.get, NOW) == 1.5


def test_no_milliseconds_at_all_leave_it_to_the_seconds() -> None:
    assert read(retry_after_ms="0", retry_after="1") == 1.0
    assert read(retry_after_ms="soon", retry_after="1") == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 15 Jan 2027 08:00:30 GMT",
        "Friday, 15-Jan-27 08:00:30 GMT",
        "Fri Jan 15 08:00:30 2027",
        "Fri, 15 Jan 2027 08:00:30 -0000",
    ],
)
@pytest.mark.usefixtures("far_from_greenwich")
def test_a_date_in_each_of_the_forms_of_http_wherever_this_machine_stands(text: str) -> None:
    assert read(retry_after=text) == 30.0


def test_a_date_is_counted_from_the_date_of_the_reply_so_that_wrong_clocks_do_no_harm() -> None:
    date, until = "Fri, 15 Jan 2027 11:00:00 GMT", "Fri, 15 Jan 2027 11:00:10 GMT"
    assert read(retry_after=until, date=date) == 10.0
    assert read(retry_after=until, date="yesterday") == CAP


def test_a_date_that_has_passed_is_no_pause() -> None:
    assert read(retry_after="Fri, 15 Jan 2027 07:00:00 GMT") == 0.0


@pytest.mark.parametrize("text", ["86400", "inf", "1e300", "Fri, 15 Jan 2044 08:00:00 GMT"])
def test_nobody_closes_himself_for_longer_than_the_cap(text: str) -> None:
    assert read(retry_after=text) == CAP


@pytest.mark.parametrize("text", ["", "soon", "nan", "7s", "Fri, 99 Jan 2027 08:00:00 GMT", "31 Feb"])
def test_what_cannot_be_read_says_nothing(text: str) -> None:
    assert read(retry_after=text) is None
    assert read() is None


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "x-ms-retry-after-ms", "date"]), st.text()))
def test_whatever_the_headers_say_it_is_a_pause_within_the_cap_or_nothing(headers: dict[str, str]) -> None:
    found = retry_after(headers.get, NOW)
    assert found is None or 0.0 <= found <= CAP
