"""Fingerprints: equal for equal meaning, different for different meaning, and cheap."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from engine.exchange import FAIL_OVER
from engine.graph import (
    All,
    Any_,
    Auth,
    Digester,
    Fallback,
    Graph,
    Params,
    Price,
    Quirks,
    Retry,
    SecretRef,
    Settings,
    Split,
    Switch,
    Test,
    Timeouts,
    Variant,
    canonical,
    digest,
    digest_nodes,
)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (3, 3.0),
        (3, Decimal("3.00")),
        (0.59, Decimal("0.590")),
        (100, Decimal("1E+2")),
        (0, Decimal("-0.0")),
        (10**20, Decimal("1E+20")),
        (Decimal("1E-7"), 1e-7),
        ({"a": 1, "b": 2}, MappingProxyType({"b": 2, "a": 1})),
        (frozenset({"x", "y"}), {"y", "x"}),
        ((1, "a"), [1, "a"]),
        (Test("header.X-A", "eq", 1), Test("header.x-a", "eq", 1.0)),
        (Test("a", "in", ("x", "y")), Test("a", "in", ("y", "x"))),
        (All((Test("a", "eq", 1), Test("b", "eq", 2))), All((Test("b", "eq", 2), Test("a", "eq", 1)))),
        (Params(set=(("a", b'{"x":1,"y":2}'),)), Params(set=(("a", b'{ "y": 2, "x": 1 }'),))),
        (Params(set=(("a", b"1"), ("b", b"2"))), Params(set=(("b", b"2"), ("a", b"1")))),
    ],
)
def test_the_same_meaning_has_the_same_bytes(a: Any, b: Any) -> None:
    assert canonical(a) == canonical(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, True),
        (0, False),
        (0, None),
        ("", None),
        ("3", 3),
        ("a", b"a"),
        (("ab", "c"), ("a", "bc")),
        ((), None),
        ((("a",), "b"), ("a", ("b",))),
        ({"a": "b"}, ("a", "b")),
        (-1, 1),
        (Decimal("0.1"), Decimal("0.01")),
        (10**20, 10**21),
        (Test("a", "eq", 1), Test("a", "eq", "1")),
        (Test("a", "eq", True), Test("a", "eq", 1)),
        (All((Test("a", "eq", 1),)), Any_((Test("a", "eq", 1),))),
        (Params(set=(("a", b"1"),)), Params(default=(("a", b"1"),))),
        (Params(set=(("a", b"1"),)), Params(set=(("a", b"1.0"),))),
        (Retry(per_target=2), Retry(per_target=3)),
        (SecretRef("env", "A"), SecretRef("file", "A")),
    ],
)
def test_different_meanings_have_different_bytes(a: Any, b: Any) -> None:
    assert canonical(a) != canonical(b)
    assert digest(a) != digest(b)


def test_a_digest_is_16_hexadecimal_digits_and_never_changes_between_runs() -> None:
    assert digest(("a", 1)) == "9fc65caaf2610b81"


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no canonical form"):
        canonical(object())


def test_positions_and_derived_fields_are_not_meaning(make: Any) -> None:
    plain = make.route(step=make.fallback(make.use(), make.use("local/tiny")))
    placed = make.route(
        step=Fallback(
            (make.use(path="fallback[0]"), make.use("local/tiny", path="fallback[1]")), FAIL_OVER, path="root"
        ),
        reads=frozenset({"user"}),
        digest="",
        targets=(make.target(),),
    )
    assert digest(plain) == digest(placed)


def test_the_order_of_variants_and_models_is_not_meaning_but_that_of_a_fallback_is(make: Any) -> None:
    one, two = Variant("one", Decimal(1), make.use()), Variant("two", Decimal("1.0"), make.use("local/tiny"))
    assert digest(Split("s", "user", (one, two))) == digest(Split("s", "user", (two, one)))
    assert digest(make.route(models=("a", "b*"))) == digest(make.route(models=("b*", "a")))
    assert digest(make.fallback(one.step, two.step)) != digest(make.fallback(two.step, one.step))


Edit = Callable[[Any], Any]


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.route(step=m.use("north/small")),
        lambda m: m.route(step=m.use(retry=Retry(per_target=9))),
        lambda m: m.route(step=m.use(timeouts=Timeouts(idle=1.0))),
        lambda m: m.route(step=m.use(unsupported="error")),
        lambda m: m.route(step=m.use(params=Params(default=(("n", b"1"),)))),
        lambda m: m.route(step=m.fallback(m.use())),
        lambda m: m.route(step=Switch(((Test("user", "eq", "u"), m.use()),))),
        lambda m: m.route(when=Test("user", "eq", "u")),
        lambda m: m.route(priority=1),
        lambda m: m.route(models=("chat", "other")),
        lambda m: m.route(retry=Retry(max_attempts=9)),
        lambda m: m.route(timeouts=Timeouts(total=9.0)),
        lambda m: m.route(step=m.use().__class__(m.target(price=Price(Decimal(1))))),
        lambda m: m.route(step=m.use().__class__(m.target(context_window=9))),
        lambda m: m.route(step=m.use().__class__(m.target(supports=frozenset()))),
        lambda m: m.route(step=m.use().__class__(m.target(provider=m.provider(auth=Auth("none"))))),
        lambda m: m.route(step=m.use().__class__(m.target(provider=m.provider(base_url="http://x")))),
        lambda m: m.route(step=m.use().__class__(m.target(provider=m.provider(quirks=Quirks(stream_usage=False))))),
        lambda m: m.route(step=m.use().__class__(m.target(provider=m.provider(headers=(("x-a", "b"),))))),
    ],
)
def test_whatever_decides_a_route_is_in_its_digest(make: Any, edit: Edit) -> None:
    assert digest(make.route()) != digest(edit(make))


def test_a_graph_does_not_depend_on_order_or_files(make: Any) -> None:
    a, b = make.route("a", make.use()), make.route("b", make.use("local/tiny"))
    first = make.graph(a, b, documents={("route", "a"): "x.yaml:1"})
    second = make.graph(b, a, documents={("route", "a"): "y.yaml:9"})
    assert first.fingerprint == second.fingerprint
    assert list(first.routes) == list(second.routes) == ["a", "b"]
    assert len(first.fingerprint) == 16


def test_each_node_has_a_digest_and_each_counts_for_the_whole(make: Any) -> None:
    target = make.target()
    graph = make.graph(make.route(), targets=[target], settings=("main", Settings()), declared={"policy:p": {"a": 1}})
    assert list(graph.node_digests) == [
        "policy:p",
        "provider:north",
        "route:chat",
        "settings:main",
        "target:north/large",
    ]
    other = make.graph(make.route(), targets=[target], settings=("main", Settings()), declared={"policy:p": {"a": 2}})
    assert [n for n in graph.node_digests if graph.node_digests[n] != other.node_digests[n]] == ["policy:p"]
    assert graph.fingerprint != other.fingerprint
    assert Graph.empty().fingerprint == Graph.build().fingerprint != graph.fingerprint


def test_a_digest_that_a_route_brings_along_is_taken_over(make: Any) -> None:
    digests = digest_nodes(
        providers={}, targets={}, routes={"r": make.route("r", digest="0" * 16)}, keys=(), settings=None, declared={}
    )
    assert digests == {"route:r": "0" * 16}


def test_shared_nodes_are_digested_once(make: Any) -> None:
    class Counting(Digester):
        calls = 0

        def _fields(self, value: Any) -> bytes:
            Counting.calls += 1
            return super()._fields(value)

    target = make.target()
    use = make.use().__class__(target)
    digester = Counting()
    digester.digest(use)
    first, Counting.calls = Counting.calls, 0
    digester.digest(use.__class__(target))
    assert Counting.calls < first
    assert Counting.calls == 2  # the step and its parameters; target, provider and policies are remembered


def test_ten_thousand_routes_are_digested_quickly(make: Any) -> None:
    targets = [make.target(f"north/m{n}") for n in range(1000)]
    use = make.use().__class__
    routes = {
        f"r{n}": make.route(f"r{n}", make.fallback(*(use(targets[(n + k) % 1000]) for k in range(3))))
        for n in range(10_000)
    }
    started = time.perf_counter()
    digest_nodes(providers={}, targets={t.id: t for t in targets}, routes=routes, keys=(), settings=None, declared={})
    assert time.perf_counter() - started < 10
