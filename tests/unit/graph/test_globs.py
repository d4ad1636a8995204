"""Globs: matching, overlap and cover."""

from __future__ import annotations

import time

import pytest

from engine.graph.globs import covers, literal_prefix, literal_suffix, matches, overlap


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("**", "anything", True),
        ("a*", "a", True),
        ("*a", "ba", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("ab*ba", "aba", False),
        ("*a*b*", "xaxbx", True),
        ("*a*b*", "xbxax", False),
        ("a*b*b", "ab", False),
        ("?", "", False),
        ("?", "a", True),
        ("?", "\n", True),
        ("a?*", "a", False),
        ("a?*", "ab", True),
        ("*?a?*", "xay", True),
        ("*?a?*", "xa", False),
        ("*a?c*d", "zabcxd", True),
        ("a.b*", "axb", False),
        ("(a|b)*", "(a|b)c", True),
    ],
)
def test_matching(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


def test_literal_ends() -> None:
    assert literal_prefix("big-4*x?y") == "big-4"
    assert literal_suffix("big-4*x?y") == "y"
    assert literal_prefix("*x") == ""
    assert literal_prefix("plain") == literal_suffix("plain") == "plain"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("a*", "*b", True),
        ("a*", "b*", False),
        ("abc", "a?c", True),
        ("abc", "a?d", False),
        ("?", "", False),
        ("*", "", True),
        ("a*c", "ab", False),
        ("*x*", "*y*", True),
        ("a?", "?b", True),
        ("a*b?", "a?", False),
        ("**a", "a**", True),
    ],
)
def test_overlap(a: str, b: str, expected: bool) -> None:
    assert overlap(a, b) is expected
    assert overlap(b, a) is expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("*", "a*b?", True),
        ("a*", "ab*", True),
        ("ab*", "a*", False),
        ("a*", "a", True),
        ("a?*", "a*", False),
        ("a?*", "a*b", True),
        ("?*", "*?", True),
        ("*b*", "abc*", True),
        ("*a*b*", "*b*a*b*", True),
        ("*b*a*b*", "*a*b*", False),
        ("a?c", "abc", True),
        ("a", "a?", False),
        ("**", "*", True),
        ("a*a", "a", False),
    ],
)
def test_covers(a: str, b: str, expected: bool) -> None:
    assert covers(a, b) is expected


def test_matching_a_long_hostile_text_is_quick() -> None:
    started = time.perf_counter()
    assert not matches("a*a*a*a*a*a*a*a*b", "a" * 200_000)
    assert not matches("?*a?a*a?a*a?a*ab", "a" * 200_000)
    assert time.perf_counter() - started < 2


def test_knotted_patterns_are_decided_in_bounded_time() -> None:
    started = time.perf_counter()
    covers("*" + "a?" * 20 + "*", "*" + "?a" * 20 + "b*")
    assert overlap("*a" * 60, "*b*" * 60 + "a")
    assert time.perf_counter() - started < 5
