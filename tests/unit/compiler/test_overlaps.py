"""Ties between routes, and routes that can never be chosen."""

from __future__ import annotations

from typing import Any

import pytest

from engine.compiler.passes import overlaps


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # (match, priority) of two routes
        (("{model: m}", 0), ("{model: m}", 0), ["P405"]),
        (("{model: m}", 0), ("{model: [n, m]}", 0), ["P405"]),
        (("{model: 'm*'}", 0), ("{model: 'm*'}", 0), ["P405"]),
        (("{model: 'm*x'}", 0), ("{model: 'm*y'}", 0), []),
        (("{model: 'm*x'}", 0), ("{model: 'm*y*'}", 0), ["P405"]),
        (("{model: 'm?'}", 0), ("{model: 'm*'}", 0), ["P405"]),
        # decided: by priority, by being exact, by the longer prefix, by having a condition
        (("{model: [m, a]}", 1), ("{model: [m, b]}", 0), []),
        (("{model: m}", 0), ("{model: 'm*'}", 0), []),
        (("{model: 'ma*'}", 0), ("{model: 'm*'}", 0), []),
        (("{model: m, when: {user: u}}", 0), ("{model: m}", 0), []),
        (("{model: 'm*', when: {user: u}}", 0), ("{model: 'm*'}", 0), []),
        # both have a condition
        (("{model: m, when: {user: u}}", 0), ("{model: m, when: {user: v}}", 0), []),
        (("{model: m, when: {user: u}}", 0), ("{model: m, when: {key: k}}", 0), ["P405"]),
        (("{model: m, when: {user: [u, w]}}", 0), ("{model: m, when: {user: {glob: 'w*'}}}", 0), ["P405"]),
        (("{model: m, when: {input_tokens: {lt: 5}}}", 0), ("{model: m, when: {input_tokens: {gte: 5}}}", 0), []),
        (
            ("{model: m, when: {input_tokens: {lte: 5}}}", 0),
            ("{model: m, when: {input_tokens: {gte: 5}}}", 0),
            ["P405"],
        ),
        (("{model: [m, a], when: {model: a}}", 0), ("{model: [m, b], when: {user: u}}", 0), []),
        # never chosen
        (("{model: m}", 0), ("{model: '*'}", 1), ["P406"]),
        (("{model: 'ma*'}", 0), ("{model: 'm*'}", 1), ["P406"]),
        (("{model: 'ma*'}", 1), ("{model: 'm*'}", 1), []),
        (("{model: 'm*'}", 0), ("{model: 'ma*'}", 1), []),
        (("{model: [m, n]}", 0), ("{model: m}", 1), []),
        (("{model: [m, n]}", 0), ("{model: [n, m]}", 1), ["P406"]),
        (("{model: m}", 0), ("{model: '*', when: {user: u}}", 1), []),
        (("{model: m, when: {user: u}}", 0), ("{model: '*', when: {user: [u, v]}}", 1), ["P406"]),
        (("{model: m, when: {user: u}}", 0), ("{model: m, when: {user: u, key: k}}", 1), []),
        (("{model: m}", 0), ("{model: m, when: {user: {exists: false}}}", 1), []),
        (("{model: m}", 0), ("{model: m, when: {any: [{tools: true}, {tools: false}]}}", 0), ["P406"]),
        (("{model: 'm*'}", 0), ("{model: 'm*', when: {any: [{tools: true}, {tools: false}]}}", 0), ["P406"]),
    ],
)
def test_two_routes(
    compiled: Any, write: Any, codes: Any, first: tuple[str, int], second: tuple[str, int], expected: list[str]
) -> None:
    one = write.route("one", "acme/large", *first)
    two = write.route("two", "beta/llama", *second)
    assert codes(compiled(one, two)) == expected
    assert codes(compiled(two, one)) == expected


def test_several_conditions_together_leave_nothing(compiled: Any, write: Any) -> None:
    result = compiled(
        write.route("a", "acme/large", "{model: m, when: {tools: true}}", 1),
        write.route("b", "acme/large", "{model: m, when: {tools: false}}", 1),
        write.route("c", "acme/large", "{model: m}"),
    )
    assert [(d.code, d.line) for d in result.diagnostics if d.severity == "error"] == [("P406", 7)]


def test_a_route_that_others_use_may_be_hidden(compiled: Any, write: Any, codes: Any) -> None:
    result = compiled(
        write.route("all", "{route: inner}", "{model: '*'}", 1),
        write.route("inner", "acme/large"),
    )
    assert codes(result) == []


def test_a_tie_names_both_places(compiled: Any, write: Any) -> None:
    result = compiled(write.route("a", "acme/large", "{model: m}"), write.route("b", "acme/large", "{model: m}"))
    (error,) = [d for d in result.diagnostics if d.severity == "error"]
    assert (error.file, error.line) == ("policies/2.yaml", 7)
    assert error.related == (("policies/1.yaml", 7, 16, 'route "a" matches it too'),)
    assert "priority" in error.hint


def test_each_route_is_in_one_tie_however_many_there_are(compiled: Any, write: Any, codes: Any) -> None:
    routes = [write.route(f"r{i:03}", "acme/large", "{model: m}") for i in range(40)]
    assert codes(compiled("".join(routes))) == ["P405"] * 39


@pytest.mark.parametrize("operator", ["{tier}", "[{tier}, other{tier}]"])
def test_routes_that_ask_for_different_values_are_not_compared(
    compiled: Any, write: Any, codes: Any, monkeypatch: pytest.MonkeyPatch, operator: str
) -> None:
    """What the comparison costs grows with the routes, not with their pairs."""
    asked = 0
    may_hold = overlaps.may_hold

    def counting(*conditions: Any) -> bool:
        nonlocal asked
        asked += 1
        return may_hold(*conditions)

    monkeypatch.setattr(overlaps, "may_hold", counting)
    count = 150
    routes = [
        write.route(f"r{i}", "acme/large", f"{{model: m, when: {{metadata.tier: {operator.format(tier=f't{i}')}}}}}")
        for i in range(count)
    ]
    assert codes(compiled("".join(routes))) == []
    assert asked <= count * (overlaps._MOST_ASKED + 1)
