"""What documents become: the values in the graph's nodes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.exchange import FAIL_OVER, OutcomeClass
from engine.graph import Balance, Fallback, Not, Reject, RouteStep, Split, Switch, TargetStep, Test
from engine.graph.conditions import All, Any_


def test_a_provider_and_its_targets(compiled: Any, write: Any) -> None:
    graph = compiled(write.route("chat", "acme/large")).graph
    acme = graph.providers["acme"]
    assert acme.base_url == "https://api.acme.example/v1"
    assert (acme.category, acme.transport, acme.auth.scheme) == ("cloud", "http", "none")
    large, embed = graph.targets["acme/large"], graph.targets["acme/embed"]
    assert large.provider is acme
    assert (large.model, embed.model) == ("acme-large", "embed")
    assert large.labels == {"region": "eu", "tier": 1}
    with pytest.raises(TypeError):
        large.labels["region"] = "us"


def test_a_model_without_a_surface_is_a_chat_model(compiled: Any, write: Any) -> None:
    graph = compiled(write.route("chat", "acme/large")).graph
    assert graph.targets["acme/large"].supports == {"stream", "tools", "chat"}
    assert graph.targets["acme/embed"].supports == {"embeddings"}


def test_a_price_tier_takes_over_what_it_does_not_say(compiled: Any, write: Any) -> None:
    providers = write.providers.replace(
        "{llama: {}", "{llama: {price: {input: 0.1, output: 2, tiers: [{above: 9, input: 3}, {above: 5, output: 4}]}}"
    )
    price = compiled(write.route("chat", "beta/llama"), providers=providers).graph.targets["beta/llama"].price
    assert price.input == Decimal("0.1")
    assert [(above, tier.input, tier.output) for above, tier in price.tiers] == [
        (5, Decimal("0.1"), Decimal(4)),
        (9, Decimal(3), Decimal(2)),
    ]


def test_steps_of_every_kind_and_their_paths(compiled: Any, write: Any) -> None:
    result = compiled(
        write.route(
            "chat",
            "{fallback: [{split: {name: t, key: user, pins: {u1: b}, variants: {b: {weight: 0, step: acme/small}, "
            "a: {weight: 1.5, step: {target: acme/large, params: {set: {n: 1}, default: {b: [1], a: null}}}}}}}, "
            "{balance: {by: hash, key: metadata.x, steps: [beta/llama, {weight: 3, step: beta/other}]}}, "
            "{route: rest}]}",
        ),
        write.route(
            "rest",
            "{switch: {cases: [{when: {tools: true, header.x: [a, b]}, step: acme/small}], default: {reject: {}}}}",
        ),
    )
    route = result.graph.routes["chat"]
    fallback = route.step
    assert isinstance(fallback, Fallback)
    assert fallback.on == FAIL_OVER
    split, balance, used = fallback.steps
    assert isinstance(split, Split)
    assert isinstance(balance, Balance)
    assert isinstance(used, RouteStep)
    assert (split.name, split.key, dict(split.pins)) == ("t", "user", {"u1": "b"})
    assert [(v.name, v.weight) for v in split.variants] == [("a", Decimal("1.5")), ("b", Decimal(0))]
    leaf = split.variants[0].step
    assert isinstance(leaf, TargetStep)
    assert leaf.params.set == (("n", b"1"),)
    assert leaf.params.default == (("a", b"null"), ("b", b"[1]"))
    assert [weight for weight, _ in balance.members] == [1, 3]
    switch = used.step
    assert isinstance(switch, Switch)
    assert isinstance(switch.default, Reject)
    condition, _ = switch.cases[0]
    assert condition == All((Test("header.x", "in", ("a", "b")), Test("tools", "eq", True)))
    paths = [
        fallback.path,
        split.path,
        leaf.path,
        balance.path,
        balance.members[1][1].path,
        used.path,
        switch.cases[0][1].path,
        switch.default.path,
    ]
    assert paths == [
        "fallback",
        "fallback[0].split(t)",
        "fallback[0].split(t).a",
        "fallback[1].balance",
        "fallback[1].balance[1]",
        "fallback[2].route(rest)",
        "fallback[2].route(rest).switch.cases[0]",
        "fallback[2].route(rest).switch.default",
    ]
    assert route.reads == {"user", "metadata.x", "header.x", "tools"}
    assert [t.id for t in route.targets] == ["acme/large", "acme/small", "beta/llama", "beta/other"]


def test_what_a_fallback_moves_on_after(compiled: Any, write: Any) -> None:
    graph = compiled(
        write.route("a", "{fallback: {steps: [acme/large, acme/small], also_on: [content_refused]}}"),
        write.route("b", "{fallback: {steps: [acme/large, acme/small], only_on: [timeout]}}"),
    ).graph
    assert graph.routes["a"].step.on == FAIL_OVER | {OutcomeClass.CONTENT_REFUSED}
    assert graph.routes["b"].step.on == {OutcomeClass.TIMEOUT}


def test_match(compiled: Any, write: Any) -> None:
    when = "{any: [{user: u}, {not: {input_tokens: {gte: 3, lt: 9}}}], metadata.t: {glob: [a*, b*]}}"
    graph = compiled(
        write.route("a", "acme/large", f"{{model: [x, 'y*'], when: {when}}}", 3), write.route("b", "acme/large")
    ).graph
    a, b = graph.routes["a"], graph.routes["b"]
    assert (a.models, a.priority) == (("x", "y*"), 3)
    assert (b.models, b.when, b.priority) == (("b",), None, 0)
    span = All((Test("input_tokens", "gte", 3), Test("input_tokens", "lt", 9)))
    assert a.when == All((Any_((Test("user", "eq", "u"), Not(span))), Test("metadata.t", "glob", ("a*", "b*"))))
    assert a.reads == {"user", "input_tokens", "metadata.t"}
    assert [r.name for r in graph.index.find("yes")] == ["a"]


def test_keys_and_settings(compiled: Any, write: Any) -> None:
    sha = "ab" * 32
    graph = compiled(
        write.route("chat", "acme/large"),
        f"version: 1\nkind: key\nname: k\nsha256: {sha}\nroutes: [chat]\nmetadata: {{team: a}}\n",
        "version: 1\nkind: settings\nname: s\nlisten: {port: 9}\nlimits: {body: 1MB}\ndrain: 1m30s\n"
        "reload: {debounce: 250ms}\ntelemetry: {access_log: false}\n",
    ).graph
    key = graph.keys[sha]
    assert (key.name, key.scopes, key.routes, dict(key.metadata)) == ("k", {"use"}, ("chat",), {"team": "a"})
    found = graph.settings
    assert (found.host, found.port, found.max_body) == ("127.0.0.1", 9, 1024**2)
    assert (found.drain, found.reload_debounce, found.access_log) == (90.0, 0.25, False)
    assert {"key:k", "settings:s", "route:chat", "provider:acme", "target:acme/large"} <= set(graph.node_digests)


def test_where_documents_are(compiled: Any, write: Any) -> None:
    graph = compiled(write.route("chat", "acme/large")).graph
    assert graph.documents["provider", "beta"] == "policies/0.yaml:14"
    assert graph.documents["route", "chat"] == "policies/1.yaml:4"
    assert len(graph.documents) == 3


def test_what_is_only_declared_changes_the_fingerprint(compiled: Any, write: Any) -> None:
    base, other = (
        compiled(
            write.route("chat", "acme/large"), write.policy("p", "{all: true}", f"cost: {{max_usd_per_request: {usd}}}")
        ).graph
        for usd in ("0.1", "0.2")
    )
    assert base.fingerprint != other.fingerprint
    assert base.routes["chat"].digest == other.routes["chat"].digest
    assert base.declared["policy:p"]["cost"] == {"max_usd_per_request": 0.1}


def test_equal_meaning_has_equal_digests(compiled: Any, write: Any) -> None:
    one = compiled(write.route("chat", "{fallback: [acme/large, {target: acme/small}]}"))
    two = compiled(write.route("chat", "{fallback: {steps: [{target: acme/large, params: {}}, acme/small]}}"))
    three = compiled(write.route("chat", "{fallback: [acme/small, acme/large]}"))
    assert one.graph.fingerprint == two.graph.fingerprint != three.graph.fingerprint
