"""The core schema of YAML 1.2, and nothing of 1.1."""

from __future__ import annotations

from typing import Any

import pytest

from engine.documents.scalars import NumberError, resolve


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "off", "Off", "y", "n", "12:30", "12:30:45", "2026-01-31", "2026-01-31T10:00:00Z", "0b101",
     "1_000", "0o8", "0xg", "+0x1", "-0o7", "1e", "1.2.3", ".", "..", "+", "-", "+.", ".e1", "e3", "nul", "TRue", "nan",
     "inf", ".Nan", "=", "<<", "20%", "5s", "١٢", "1 2"],
)  # fmt: skip
def test_these_are_texts(text: str) -> None:
    assert resolve(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None), ("true", True), ("True", True),
     ("FALSE", False), ("0", 0), ("014", 14), ("-7", -7), ("+7", 7), ("0o14", 12), ("0xfF", 255), ("1.", 1.0),
     (".5", 0.5), ("-.5", -0.5), ("1e3", 1000.0), ("1E-2", 0.01), ("+1.5e+1", 15.0), ("-0.0", -0.0),
     ("18446744073709551615", 2**64 - 1), ("-9223372036854775808", -(2**63))],
)  # fmt: skip
def test_these_are_not(text: str, value: Any) -> None:
    found = resolve(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    "text",
    [".inf", "-.INF", "+.Inf", ".nan", ".NaN", "1e999", "-1e999", "18446744073709551616", "-9223372036854775809",
     "9" * 5000, "0x" + "f" * 5000, "0o" + "7" * 5000, "1." + "9" * 5000],
)  # fmt: skip
def test_numbers_that_json_lacks_are_refused(text: str) -> None:
    with pytest.raises(NumberError):
        resolve(text)
