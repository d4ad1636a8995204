"""Graph properties against brute force: what a slow and obvious implementation says must be what the fast one says."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from itertools import product
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from engine.exchange import FAIL_OVER
from engine.graph import (
    All,
    Any_,
    Auth,
    Balance,
    Condition,
    Fallback,
    Graph,
    Not,
    Params,
    Provider,
    Route,
    RouteIndex,
    Split,
    Switch,
    Target,
    TargetStep,
    Test,
    Variant,
    always,
    describe,
    diff,
    digest,
    disjoint,
    evaluate,
    implies,
    render,
    satisfiable,
)
from engine.graph.globs import covers, is_glob, literal_prefix, matches, overlap

# ---- globs -------------------------------------------------------------------------------------------------------

PATTERNS = st.text("ab*?", max_size=7)
TEXTS = ["".join(p) for n in range(6) for p in product("abc", repeat=n)]


def as_regex(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), re.DOTALL)


@given(PATTERNS, st.text("abc", max_size=9))
def test_a_glob_matches_what_the_regular_expression_matches(pattern: str, text: str) -> None:
    assert matches(pattern, text) is (as_regex(pattern).fullmatch(text) is not None)


@given(PATTERNS, PATTERNS)
def test_overlap_and_cover_agree_with_every_short_text(a: str, b: str) -> None:
    both = [text for text in TEXTS if matches(a, text) and matches(b, text)]
    if both:
        assert overlap(a, b)
    if len(a) + len(b) <= 5:  # then a common text is among the short ones
        assert overlap(a, b) is bool(both)
    outside = [text for text in TEXTS if matches(b, text) and not matches(a, text)]
    if covers(a, b):
        assert not outside
    elif len(a) + len(b) <= 5:
        assert outside


# ---- conditions --------------------------------------------------------------------------------------------------

VALUES: list[Any] = [
    *[None, True, False, [], "", "a", "ab", "b", "ba", "aab", "true", "false", "x"],
    *[0, 1, 2, 3, -1, 1.5, 2.5, "0", "1", "1.0", "1.00", "2", "1.5", "3", "-1", "10", "1.25", "-0", "7"],
]
DOMAINS: dict[str, list[Any]] = {
    "metadata.m": VALUES,
    "header.h": [v for v in VALUES if v is None or isinstance(v, str)],
    "tools": [True, False],
    "input_tokens": [0, 1, 2, 3, 10],
}
SCALARS = st.sampled_from([v for v in VALUES if v is not None and v != []])
NUMBERS = st.sampled_from([-1, 0, 1, 1.5, 2, 3, "1", "2.0", "a"])
GLOBS = st.sampled_from(["*", "a*", "*a", "a?", "?", "b*", "?*", "1*", "*.?*", "aab", "*0", "-*"])


def single(names: st.SearchStrategy[str]) -> st.SearchStrategy[Test]:
    many = st.lists(SCALARS, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Test, names, st.sampled_from(["eq", "ne"]), SCALARS),
        st.builds(Test, names, st.sampled_from(["in", "not_in"]), many),
        st.builds(Test, names, st.sampled_from(["gt", "gte", "lt", "lte"]), NUMBERS),
        st.builds(Test, names, st.just("glob"), GLOBS | st.lists(GLOBS, min_size=1, max_size=2).map(tuple)),
        st.builds(Test, names, st.just("exists"), st.booleans()),
    )


TESTS = single(st.sampled_from(list(DOMAINS)))


def combined(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    lists = st.lists(parts, max_size=3).map(tuple)
    return st.builds(All, lists) | st.builds(Any_, lists) | st.builds(Not, parts)


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(TESTS, combined, max_leaves=6)


def requests() -> list[dict[str, Any]]:
    """Every value of each attribute at least once, and many mixtures of them."""
    seeded = random.Random(7)
    out = [{**{a: seeded.choice(vs) for a, vs in DOMAINS.items()}, name: v} for name, vs in DOMAINS.items() for v in vs]
    return out + [{name: seeded.choice(values) for name, values in DOMAINS.items()} for _ in range(400)]


REQUESTS = requests()


@given(CONDITIONS)
@example(All((Test("metadata.m", "eq", 1), Test("metadata.m", "ne", "1"))))
@example(All((Test("header.h", "glob", "1*"), Test("header.h", "gt", 1), Test("header.h", "ne", 1.25))))
def test_what_is_called_unsatisfiable_is_satisfied_by_no_request(condition: Condition) -> None:
    held = [evaluate(condition, request.get) for request in REQUESTS]
    if not satisfiable(condition):
        assert not any(held)
    if always(condition):
        assert all(held)


@given(CONDITIONS, CONDITIONS)
def test_what_is_called_disjoint_or_implied_is_so_for_every_request(a: Condition, b: Condition) -> None:
    held = [(evaluate(a, request.get), evaluate(b, request.get)) for request in REQUESTS]
    if disjoint(a, b):
        assert (True, True) not in held
    if implies(a, b):
        assert (True, False) not in held


FINITE = {"tools": (True, False), "input_tokens": tuple(range(13))}  # every number that is named, and one beyond


@given(st.sampled_from(list(FINITE)).flatmap(lambda name: st.lists(single(st.just(name)), min_size=1, max_size=4)))
def test_conjunctions_over_a_finite_domain_are_decided_exactly(parts: list[Test]) -> None:
    name = parts[0].attribute
    some = any(all(evaluate(t, {name: value}.get) for t in parts) for value in FINITE[name])
    assert satisfiable(All(tuple(parts))) is some


@given(CONDITIONS)
def test_a_condition_and_its_negation_never_hold_together(condition: Condition) -> None:
    for request in REQUESTS[:60]:
        assert evaluate(condition, request.get) is not evaluate(Not(condition), request.get)
    assert describe(condition)


# ---- index -------------------------------------------------------------------------------------------------------

PROVIDER = Provider("p", "cloud", "openai-chat", "https://p.example/v1", "http", Auth("none"))
TARGETS = [Target(f"p/m{n}", PROVIDER, f"m{n}", f"m{n}") for n in range(3)]


def routes() -> st.SearchStrategy[list[Route]]:
    patterns = st.lists(st.text("ab*?", max_size=4), min_size=1, max_size=3).map(tuple)
    when = st.sampled_from([None, Test("user", "exists", True)])
    rows = st.lists(st.tuples(patterns, when, st.integers(-1, 1)), max_size=12)
    return rows.map(
        lambda rows: [Route(f"r{n}", p, w, prio, TargetStep(TARGETS[0])) for n, (p, w, prio) in enumerate(rows)]
    )


def slowly(routes: list[Route], model: str) -> list[str]:
    """The order as DESIGN words it, by looking at every route."""

    def rank(route: Route) -> tuple[Any, ...]:
        fits = [p for p in route.models if as_regex(p).fullmatch(model)]
        exact = any(not is_glob(p) for p in fits)
        longest = 0 if exact else max(len(literal_prefix(p)) for p in fits)
        return (-route.priority, not exact, -longest, route.when is None, route.name)

    found = [r for r in routes if any(as_regex(p).fullmatch(model) for p in r.models)]
    return [r.name for r in sorted(found, key=rank)]


@given(routes(), st.text("ab", max_size=5), st.randoms(use_true_random=False))
def test_the_index_finds_what_looking_at_every_route_finds(routes: list[Route], model: str, shuffler: Any) -> None:
    expected = slowly(routes, model)
    names = sorted({p for r in routes for p in r.models if not is_glob(p)})
    shuffler.shuffle(routes)
    index = RouteIndex.build(routes)
    assert [r.name for r in index.find(model)] == expected
    assert list(index.names()) == names
    for name in names:
        assert [r.name for r in index.find(name)] == slowly(routes, name)


# ---- fingerprint, diff, drawings ---------------------------------------------------------------------------------

LEAVES = st.builds(
    TargetStep,
    st.sampled_from(TARGETS),
    st.sampled_from([Params(), Params(default=(("n", b"1"),))]),
    path=st.sampled_from(["", "elsewhere"]),
)
WEIGHTS = st.sampled_from([Decimal(1), Decimal("2.5"), Decimal(10)])


def inner(steps: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(steps, min_size=1, max_size=3)
    split = st.lists(st.tuples(WEIGHTS, steps), min_size=1, max_size=3).map(
        lambda rows: Split("s", "user", tuple(Variant(f"v{n}", w, s) for n, (w, s) in enumerate(rows)))
    )
    balance = st.lists(st.tuples(WEIGHTS, steps), min_size=1, max_size=3).map(
        lambda rows: Balance("weighted", tuple(rows))
    )
    switch = st.builds(Switch, st.lists(st.tuples(TESTS, steps), min_size=1, max_size=2).map(tuple), steps | st.none())
    return few.map(lambda steps: Fallback(tuple(steps), FAIL_OVER)) | split | balance | switch


STEPS: st.SearchStrategy[Any] = st.recursive(LEAVES, inner, max_leaves=5)


def graph(*steps: Any) -> Graph:
    made = [Route(f"r{n}", (f"r{n}",), None, 0, step) for n, step in enumerate(steps)]
    return Graph.build(providers=[PROVIDER], targets=TARGETS, routes=made)


@given(STEPS, STEPS)
def test_graphs_differ_exactly_if_their_fingerprints_do_and_the_difference_has_words(a: Any, b: Any) -> None:
    before, after = graph(a), graph(b)
    changes = diff(before, after)
    assert (before.fingerprint == after.fingerprint) is (changes == ()) is (digest(a) == digest(b))
    for change in changes:
        assert change.details
        assert change.details != ("definition",)
    assert diff(before, before) == ()


@given(st.lists(STEPS, max_size=3))
def test_every_graph_can_be_drawn_and_always_the_same(steps: list[Any]) -> None:
    for format_ in ("tree", "mermaid", "dot", "json", "svg"):
        assert render(graph(*steps), format_) == render(graph(*steps), format_)
