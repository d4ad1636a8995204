"""Diffs, in words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import (
    All,
    Auth,
    Balance,
    Change,
    Fallback,
    Hedge,
    Key,
    Mirror,
    Params,
    Price,
    Quirks,
    Rate,
    Reject,
    Retry,
    RouteStep,
    SecretRef,
    Settings,
    Split,
    Switch,
    TargetStep,
    Test,
    Timeouts,
    Variant,
    diff,
)


def split(make: Any, weight: int = 10, **changes: Any) -> Split:
    variants = (
        Variant("control", Decimal(90), make.use()),
        Variant("small", Decimal(weight), make.use("north/small")),
    )
    return Split(**({"name": "trial", "key": "user", "variants": variants} | changes))


def between(make: Any, old: Any, new: Any) -> tuple[str, ...]:
    """The details of the one change from a route with the one step to a route with the other."""
    (change,) = diff(make.graph(make.route(step=old)), make.graph(make.route(step=new)))
    assert (change.kind, change.node) == ("changed", "route:chat")
    return change.details


def test_a_graph_does_not_differ_from_itself_or_its_equal(make: Any) -> None:
    graph = make.graph(make.route(step=split(make)))
    assert diff(graph, graph) == ()
    assert diff(graph, make.graph(make.route(step=split(make)))) == ()


def test_added_and_removed(make: Any) -> None:
    one, two = make.graph(make.route("a")), make.graph(make.route("b"))
    assert diff(one, two) == (Change("removed", "route:a"), Change("added", "route:b"))


Steps = Callable[[Any], tuple[Any, Any]]

CASES: dict[str, tuple[Steps, tuple[str, ...]]] = {
    "weight": (lambda m: (split(m), split(m, 20)), ('weight of split "trial" variant small: 10 -> 20',)),
    "variant gained": (
        lambda m: (split(m, variants=split(m).variants[:1]), split(m)),
        ('split "trial" gains variant small (weight 10)',),
    ),
    "variant lost": (
        lambda m: (split(m), split(m, variants=split(m).variants[:1])),
        ('split "trial" loses variant small',),
    ),
    "split key": (lambda m: (split(m), split(m, key=None)), ('key of split "trial": user -> none',)),
    "pin": (lambda m: (split(m), split(m, pins={"u": "small"})), ('pin of split "trial" for u: none -> small',)),
    "fallback order": (
        lambda m: (m.fallback(m.use(), m.use("a/b")), m.fallback(m.use("a/b"), m.use())),
        ("fallback order: north/large, a/b -> a/b, north/large",),
    ),
    "fallback member": (
        lambda m: (m.fallback(m.use(), m.use("a/b")), m.fallback(m.use(), m.use("c/d"))),
        ("fallback gains c/d", "fallback loses a/b"),
    ),
    "the same member twice": (
        lambda m: (m.fallback(m.use(), m.use("a/b")), m.fallback(m.use(), m.use("a/b"), m.use())),
        ("fallback gains north/large (2)",),
    ),
    "fallback classes": (
        lambda m: (Fallback((m.use(),), frozenset({OutcomeClass.TIMEOUT})), Fallback((m.use(),), frozenset())),
        ("on of fallback: timeout -> none",),
    ),
    "nested": (
        lambda m: (
            m.fallback(Fallback((m.use(), m.use("a/b")), FAIL_OVER, path="fallback[0]"), m.use("c/d")),
            m.fallback(Fallback((m.use(),), FAIL_OVER, path="fallback[0]"), m.use("c/d")),
        ),
        ("fallback at fallback[0] loses a/b",),
    ),
    "balance weight": (
        lambda m: (
            Balance("weighted", ((Decimal(3), m.use()), (Decimal(1), m.use("a/b")))),
            Balance("weighted", ((Decimal(1), m.use()), (Decimal(1), m.use("c/d")))),
        ),
        ("balance loses a/b", "balance gains c/d (weight 1)", "weight of balance member north/large: 3 -> 1"),
    ),
    "balance mode": (
        lambda m: (Balance("weighted", ((Decimal(1), m.use()),)), Balance("hash", ((Decimal(1), m.use()),), "user")),
        ("by of balance: weighted -> hash", "key of balance: none -> user"),
    ),
    "balance order": (
        lambda m: (
            Balance("weighted", ((Decimal(1), m.use()), (Decimal(1), m.use("a/b")))),
            Balance("weighted", ((Decimal(1), m.use("a/b")), (Decimal(1), m.use()))),
        ),
        ("order of balance: north/large, a/b -> a/b, north/large",),
    ),
    "switch": (
        lambda m: (
            Switch(((Test("user", "eq", "u"), m.use()),), m.use("a/b")),
            Switch(((Test("user", "eq", "v"), m.use("c/d")), (Test("tools", "eq", True), m.use())), None),
        ),
        (
            "case 1 of switch: when user = u -> when user = v",
            "target: north/large -> c/d",
            "switch gains case 2 (when tools = true)",
            "default of switch: a/b -> none",
        ),
    ),
    "hedge": (
        lambda m: (
            Hedge((m.use(), m.use("a/b")), 0.8),
            Hedge((m.use("a/b"), m.use(), m.use("c/d")), 1.5, 0.05, tools=True),
        ),
        (
            "delay of hedge: 0.8 -> 1.5",
            "extra of hedge: 0.1 -> 0.05",
            "tools of hedge: false -> true",
            "hedge gains c/d",
            "hedge order: north/large, a/b -> a/b, north/large, c/d",
        ),
    ),
    "mirror": (
        lambda m: (Mirror(m.use("a/b"), 0.05, m.use()), Mirror(m.use("c/d"), 0.1, m.use("a/b"), tools=True)),
        (
            "share of mirror: 0.05 -> 0.1",
            "tools of mirror: false -> true",
            "target: a/b -> c/d",
            "target: north/large -> a/b",
        ),
    ),
    "reject": (
        lambda m: (Reject(403, "no"), Reject(451, "never")),
        ("status of reject: 403 -> 451", "message of reject: no -> never"),
    ),
    "route": (lambda m: (RouteStep("a", m.use()), RouteStep("b", m.use())), ("route: a -> b",)),
    "another kind": (lambda m: (m.use(), split(m)), ('step: north/large -> split "trial"',)),
    "use": (
        lambda m: (
            m.use(params=Params(default=(("temperature", b"0.2"), ("api_key", b'"hunter2"')))),
            m.use(
                params=Params(set=(("seed", b"1"),), default=(("temperature", b"0.3"), ("api_key", b'"hunter3"'))),
                retry=Retry(per_target=3),
                timeouts=Timeouts(idle=5.0),
                unsupported="error",
            ),
        ),
        (
            "params.default.api_key of north/large: *** -> ***",
            "params.default.temperature of north/large: 0.2 -> 0.3",
            "params.set.seed of north/large: none -> 1",
            "retry.per_target of north/large: 2 -> 3",
            "timeouts.idle of north/large: 30 -> 5",
            "unsupported of north/large: drop -> error",
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_steps(make: Any, case: str) -> None:
    steps, details = CASES[case]
    old, new = steps(make)
    assert between(make, old, new) == details


def test_the_route_itself(make: Any) -> None:
    old = make.route(when=All((Test("user", "eq", "u"),)))
    new = make.route(models=("chat", "big*"), priority=2, retry=Retry(max_attempts=3), timeouts=Timeouts(total=60.0))
    (change,) = diff(make.graph(old), make.graph(new))
    assert change.details == (
        "models: chat -> big*, chat",
        "when: user = u -> always",
        "priority: 0 -> 2",
        "retry.max_attempts: 5 -> 3",
        "timeouts.total: 180 -> 60",
    )


def test_a_price_changes_its_target_and_the_routes_that_use_it(make: Any) -> None:
    def graph(price: str) -> Any:
        target = make.target(price=Price(Decimal(price), tiers=((9, Price(Decimal(1))),)))
        return make.graph(make.route(step=TargetStep(target), targets=(target,)))

    assert diff(graph("0.59"), graph("0.64")) == (
        Change("changed", "route:chat", ("its target north/large",)),
        Change("changed", "target:north/large", ("price.input: 0.59 -> 0.64",)),
    )


def test_a_provider_changes_its_targets_and_no_secret_is_shown(make: Any) -> None:
    old = make.provider(
        headers=(("x-a", "hunter2"),), labels={"region": "us", "eu": 1}, base_url="https://u:hunter2@a/v1"
    )
    new = make.provider(
        headers=(("x-a", "hunter3"),),
        labels={"region": "eu", "eu": True},
        base_url="https://u:hunter3@a/v1",
        auth=Auth("header", SecretRef("file", "/run/key"), "x-api-key"),
        quirks=Quirks(drop=frozenset({"seed"}), rename=(("a", "b"),), set=(("token", b'"hunter2"'),)),
        limits=(Rate("requests", 30, 60.0),),
    )
    first, second = (make.target(provider=p, labels=p.labels) for p in (old, new))
    changes = diff(make.graph(targets=[first]), make.graph(targets=[second]))
    assert [(c.node, c.details) for c in changes] == [
        (
            "provider:north",
            (
                "base_url: changed",
                "auth.scheme: bearer -> header",
                "auth.header: none -> x-api-key",
                "auth.secret: env NORTH_API_KEY -> file /run/key",
                "labels.eu: 1 -> true",
                "labels.region: us -> eu",
                "headers.x-a: changed",
                "quirks.drop: none -> seed",
                "limits: none -> 30 requests per 1m",
                "quirks.rename.a: none -> b",
                "quirks.set.token: none -> ***",
            ),
        ),
        ("target:north/large", ("its provider north",)),
    ]


def test_keys_settings_and_declared_documents(make: Any) -> None:
    old = make.graph(
        keys=[Key("ci", "a" * 64, frozenset({"use"}), ("chat",))],
        settings=("main", Settings()),
        declared={"policy:p": {"retry": {"max_attempts": 5, "per_target": 2}}},
    )
    new = make.graph(
        keys=[Key("ci", "b" * 64, frozenset({"use", "read"}), (), {"team": "core"})],
        settings=("main", Settings(port=9090, proxy="http://u:hunter2@p:1")),
        declared={"policy:p": {"retry": {"max_attempts": 6, "per_target": 2}}},
    )
    assert [(c.node, c.details) for c in diff(old, new)] == [
        (
            "key:ci",
            ("secret: changed", "scopes: use -> read, use", "routes: chat -> all", "metadata.team: none -> core"),
        ),
        ("policy:p", ("retry.max_attempts: 5 -> 6",)),
        ("settings:main", ("port: 8080 -> 9090", "proxy: none -> http://***@p:1")),
    ]


def test_what_has_no_words_is_still_a_change(make: Any) -> None:
    old, new = make.graph(make.route(digest="0" * 16)), make.graph(make.route(digest="1" * 16))
    assert diff(old, new) == (Change("changed", "route:chat", ("definition",)),)
