"""What ``plan`` says of two configurations is what the planner does with requests: nothing changes unsaid."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.compiler import compile_folder
from engine.exchange import OutcomeClass
from engine.graph import Graph, Split, Test, Variant
from engine.graph.conditions import holds
from engine.graph.domains import representatives
from engine.planner import Request, assign, find_route, plan
from engine.proof import Faults, World, drive
from engine.proof.behaviour import Observer
from engine.proof.change import compare, stay
from engine.proof.fixing import Draw
from engine.proof.world import Fault
from engine.state import State

from .strategies import configurations, write

Tree = dict[str, Any]
FAILURES = ("server_error", "rate_limited", "timeout", "context_exceeded", "content_refused", "connection")


def compiled(documents: list[Tree]) -> Graph | None:
    """The graph, ``None`` where the documents have an error."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), documents)
        return compile_folder(Path(folder), ()).graph


#: Targets that differ in everything that decides who may serve a request.
PROVIDERS: list[Tree] = [
    {
        "version": 1, "kind": "provider", "name": name, "dialect": "openai-chat", "base_url": f"http://{name}.example/v1",
        "models": {"m": {"supports": supports, "price": {"input": at, "output": 2 * at}, **window}},
    }
    for at, (name, supports, window) in enumerate((
        ("a", ["stream", "tools"], {"context_window": 100}),
        ("b", ["stream", "vision", "json_schema"], {}),
        ("c", ["stream", "tools", "vision"], {"context_window": 150}),
    ), 1)
]  # fmt: skip
whens = st.sampled_from(
    [
        {"metadata.tier": "free"}, {"metadata.tier": {"not_in": ["free", "a"]}}, {"input_tokens": {"lt": 120}},
        {"stream": True}, {"tools": True}, {"any": [{"metadata.team": {"exists": True}}, {"user": "free"}]},
        {"metadata.tier": {"glob": "f*"}, "model": {"ne": "r-1"}},
    ]
)  # fmt: skip
trees = st.recursive(
    st.sampled_from(["a/m", "b/m", "c/m", {"reject": {"status": 410, "message": "no"}}]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda rows: {"fallback": rows})
        | st.tuples(whens, inner, inner).map(
            lambda row: {"switch": {"cases": [{"when": row[0], "step": row[1]}], "default": row[2]}}
        )
        | st.tuples(st.sampled_from(["s", "t"]), st.integers(1, 9), inner, inner).map(
            lambda row: {
                "split": {
                    "name": row[0],
                    "key": "user",
                    "variants": {"x": {"weight": row[1], "step": row[2]}, "y": {"weight": 4, "step": row[3]}},
                }
            }
        )
        | st.tuples(st.sampled_from(["weighted", "least_busy", "cheapest", "usage"]), inner, inner).map(
            lambda row: {"balance": {"by": row[0], "steps": [row[1], row[2]]}}
        )
    ),
    max_leaves=4,
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Graph, Graph]:
    """Two configurations of the same targets; of their routes some are the same."""
    found = []
    routes: dict[str, Tree] = {}
    for _ in range(2):
        for name, match in (
            ("r", {"model": ["r", "r-*"]}), ("q", {"model": "q"}), ("for-some", {"model": "*", "when": draw(whens)}),
        ):  # fmt: skip
            if name not in routes or draw(st.booleans()):
                routes[name] = {"version": 1, "kind": "route", "name": name, "match": match, "step": draw(trees)}
        graph = compiled([*PROVIDERS, *routes.values()])
        assume(graph is not None)
        assert graph is not None
        found.append(graph)
    return found[0], found[1]


@st.composite
def requests(draw: st.DrawFn, models: list[str]) -> Request:
    flags = draw(st.sets(st.sampled_from(["stream", "tools", "vision", "json_schema"])))
    request = Request(
        model=draw(st.sampled_from([*models, "nobody"])),
        user=draw(st.none() | st.sampled_from(["a", "u-1", "u-2", "free"])),
        metadata=draw(st.dictionaries(st.sampled_from(["tier", "team", "a.b"]), st.sampled_from(["free", "a", "x"]))),
        input_tokens=draw(st.integers(0, 200)),
        request_id=draw(st.text("abc", min_size=1, max_size=4)),
        needs=frozenset({"chat", *flags}),
    )
    for flag in flags:
        setattr(request, flag, True)
    return request


def world(graph: Graph) -> World:
    state = State()
    state.retain(graph)
    return World(state)


def first(graph: Graph, request: Request) -> tuple[str | None, str]:
    made = plan(graph, request, world(graph), 0.0)
    return made.route.name if made.route else None, made.attempts[0] if made.attempts else "nobody"


@settings(max_examples=40)
@given(configurations(), st.randoms())
def test_a_configuration_written_otherwise_changes_nothing(documents: list[Tree], dice: Any) -> None:
    other = list(documents)
    dice.shuffle(other)
    base, head = compiled(documents), compiled(other)
    assert base is not None
    assert head is not None
    compared = compare(base, head)
    assert compared.empty
    assert not compared.other
    before, after = Observer(base), Observer(head)
    for name in base.index.names():
        request = Request(model=name, request_id="x")
        assert before.of(request) == after.of(request)


@settings(max_examples=60)
@given(pairs(), st.data())
def test_whatever_begins_at_another_target_is_reported(pair: tuple[Graph, Graph], data: st.DataObject) -> None:
    base, head = pair
    compared = compare(base, head)
    assert not compared.unread
    for request in data.draw(st.lists(requests(["r", "q", "r-1", "r-2"]), min_size=10, max_size=30)):
        old, new = first(base, request), first(head, request)
        if old != new:
            assert any(
                (change.before.route, change.after.route) == (old[0], new[0])
                and (old[0] is None or change.before.first().get(old[1]))
                and (new[0] is None or change.after.first().get(new[1]))
                for change in compared.changes
            ), (request, old, new)


@settings(max_examples=60)
@given(pairs() | configurations().map(compiled).map(lambda graph: (graph, graph)), st.data())
def test_requests_go_no_way_and_take_no_longer_than_was_said(pair: tuple[Graph, Graph], data: st.DataObject) -> None:
    graph = pair[0]
    observer = Observer(graph)
    for request in data.draw(st.lists(requests([*graph.index.names(), "r-1"]), min_size=3, max_size=8)):
        said = observer.of(request)
        faults = data.draw(st.lists(st.sampled_from(FAILURES), max_size=3))
        course = drive(
            graph, request, world(graph), Faults(Fault("*", OutcomeClass(name), left=2) for name in faults), 0.0
        )
        route = find_route(graph, request)
        assert said.route == (route.name if route else None)
        assert sum(way.share for way in said.ways) == (1 if route else 0)
        assert set(course.attempts) <= said.targets()
        assert len(course.tries) <= said.attempts
        assert course.seconds <= said.seconds + 1e-6
        assert not course.tries or said.first().get(course.tries[0].target, 0) > 0


weights = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)


@settings(max_examples=20)
@given(weights, weights)
def test_as_many_keys_move_as_was_computed(before: list[int], after: list[int]) -> None:
    splits = [
        Split("s", "user", tuple(Variant(n, Decimal(w), None) for n, w in zip("abc", rows, strict=True)))  # type: ignore[arg-type]
        for rows in (before, after)
    ]
    draws = [
        Draw("split", "s", "user", tuple((n, Fraction(w, sum(rows))) for n, w in zip("abc", rows, strict=True)))
        for rows in (before, after)
    ]
    sample = [Request(user=f"u-{number}") for number in range(2_000)]
    same = sum(assign(splits[0], one) == assign(splits[1], one) for one in sample) / len(sample)
    assert abs(same - stay(*draws)) < 0.05  # more than four standard deviations
    assert stay(draws[0], draws[0]) == 1.0 or abs(stay(draws[0], draws[0]) - 1) < 1e-12


tests = st.one_of(
    st.builds(
        lambda op, v: Test("metadata.x", op, v), st.sampled_from(["eq", "ne"]), st.sampled_from(["a", "7", 7, True])
    ),
    st.builds(lambda op, v: Test("metadata.x", op, v), st.sampled_from(["gt", "lte"]), st.integers(-2, 9)),
    st.builds(lambda v: Test("metadata.x", "glob", v), st.sampled_from(["a*", "*b", "?"])),
    st.just(Test("metadata.x", "exists", True)),
)
VALUES: list[Any] = [None, True, False, "a", "ab", "b", "7", "x", "true", *range(-3, 11), "5", "9", "0", "-1", ""]


@given(st.lists(tests, max_size=4))
def test_there_is_a_representative_of_every_kind_of_value(drawn: list[Test]) -> None:
    found = [tuple(holds(test, value) for test in drawn) for value in representatives("metadata.x", drawn)]
    assert len(set(found)) == len(found)
    for value in VALUES:
        assert tuple(holds(test, value) for test in drawn) in found, value
