"""One graph with a step of every kind, and texts that each format has to escape."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import (
    All,
    Any_,
    Auth,
    Balance,
    Fallback,
    Graph,
    Hedge,
    Key,
    Mirror,
    Not,
    Params,
    Price,
    Provider,
    Quirks,
    Rate,
    Reject,
    Retry,
    Route,
    RouteStep,
    SecretRef,
    Settings,
    Split,
    Switch,
    Target,
    TargetStep,
    Test,
    Timeouts,
    Variant,
)


def _targets() -> dict[str, Target]:
    north = Provider(
        name="north",
        category="cloud",
        dialect="openai-chat",
        base_url="https://user:hunter2@north.example/v1?key=hunter2",
        transport="http",
        auth=Auth("bearer", SecretRef("env", "NORTH_API_KEY")),
        labels={"region": "eu", "retains_data": False},
        headers=(("x-title", "hunter2"),),
        quirks=Quirks(rename=(("max_completion_tokens", "max_tokens"),), set=(("api_key", b'"hunter2"'),)),
        limits=(Rate("requests", 30, 60.0),),
    )
    local = Provider("local", "local", "openai-chat", "http://127.0.0.1:9000/v1", "http", Auth("none"))
    price = Price(Decimal("0.59"), Decimal("0.79"), tiers=((128_000, Price(Decimal("1.18"), Decimal("1.58"))),))
    supports = frozenset({"chat", "tools", "stream"})
    return {
        "large": Target("north/large", north, "large", "large-2", 131_072, 32_768, supports, price, north.labels),
        "small": Target(
            "north/small", north, "small", "small-2", 65_536, None, frozenset({"chat"}), None, north.labels
        ),
        "tiny": Target("local/tiny", local, "tiny", "tiny", 4096, 1024, frozenset({"chat"})),
    }


def _chat(t: dict[str, Target]) -> Route:
    split = Split(
        name="trial",
        key="user",
        variants=(
            Variant("control", Decimal(90), TargetStep(t["large"], path="fallback[0].split(trial).control")),
            Variant(
                "small",
                Decimal("10.0"),
                TargetStep(
                    t["small"], Params(default=(("temperature", b"0.2"),)), path="fallback[0].split(trial).small"
                ),
            ),
        ),
        pins={"u-17": "small"},
        path="fallback[0]",
    )
    balance = Balance(
        by="weighted",
        members=(
            (Decimal(2), TargetStep(t["large"], path="fallback[1].balance[0]")),
            (Decimal(1), TargetStep(t["small"], unsupported="error", path="fallback[1].balance[1]")),
        ),
        path="fallback[1]",
    )
    patient = TargetStep(t["tiny"], retry=Retry(per_target=4), timeouts=Timeouts(first_token=90.0), path="fallback[2]")
    root = Fallback((split, balance, patient), FAIL_OVER | {OutcomeClass.CONTENT_REFUSED})
    when = All((Test("metadata.tier", "in", ("free", "trial")), Test("input_tokens", "lt", 30_000)))
    used = (t["large"], t["small"], t["tiny"])
    reads = frozenset({"metadata.tier", "input_tokens", "user"})
    return Route("chat", ("chat", "big-4*"), when, 5, root, Retry(6), Timeouts(), reads, used)


def _sorted(t: dict[str, Target]) -> Route:
    residency = Any_((Test("metadata.residency", "eq", "eu"), Not(Test("header.X-Zone", "glob", "us-*"))))
    nested = RouteStep(
        "chat", Balance("least_busy", ((Decimal(1), TargetStep(t["large"])), (Decimal(1), TargetStep(t["tiny"]))))
    )
    root = Switch(
        cases=(
            (residency, nested),
            (Test("tools", "eq", True), Reject(451, 'not "here" <b>&</b> | #1; `x` \\ %%')),
        ),
        default=Mirror(
            TargetStep(t["large"], path="switch.default.mirror.to"),
            0.05,
            Hedge((TargetStep(t["tiny"]), TargetStep(t["small"])), 0.8, 0.1, True, "switch.default.mirror.step.hedge"),
            path="switch.default.mirror",
        ),
    )
    reads = frozenset({"metadata.residency", "header.x-zone", "tools"})
    return Route("sorted", ("sorted",), None, 0, root, Retry(), Timeouts(), reads, (t["large"], t["tiny"], t["small"]))


@pytest.fixture
def sample() -> Graph:
    targets = _targets()
    return Graph.build(
        providers=[targets["tiny"].provider, targets["large"].provider],
        targets=targets.values(),
        routes=[_sorted(targets), _chat(targets)],
        keys=[Key("ci", "ab" * 32, frozenset({"use"}), ("chat",), {"team": "core"})],
        settings=("main", Settings(port=9090, proxy="http://user:hunter2@proxy.example:3128")),
        documents={("route", "chat"): "policies/chat.yaml:3", ("provider", "north"): "providers.d/north.yaml:1"},
        declared={"policy:everywhere": {"applies_to": {"all": True}, "retry": {"max_attempts": 6}}},
    )
