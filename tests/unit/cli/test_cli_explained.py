"""A plan in words and as JSON, on a graph made by hand."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any

import click

from engine.cli.asked import Neutral
from engine.cli.explain import explain
from engine.cli.explained import explained_dict, explained_text
from engine.exchange import FAIL_OVER, OutcomeClass
from engine.executor.intake import SURFACES
from engine.graph import (
    Auth,
    Fallback,
    Graph,
    Hedge,
    Mirror,
    Provider,
    Reject,
    Retry,
    Route,
    RouteIndex,
    Settings,
    Split,
    Step,
    Target,
    TargetStep,
    Test,
    Variant,
)
from engine.planner import Request, plan

NEAR = Provider("near", "local", "openai-chat", "http://127.0.0.1:1/v1", "http", Auth("none"))
SMALL = Target("near/small", NEAR, "small", "small", context_window=100, supports=frozenset({"chat"}))
LARGE = Target("near/large", NEAR, "large", "large", context_window=1000, supports=frozenset({"chat"}))


def use(target: Target, per_target: int = 1) -> TargetStep:
    return TargetStep(target, retry=Retry(per_target=per_target), path=f"fallback[{target.name}]")


def graph_of(*routes: Route) -> Graph:
    named = MappingProxyType({route.name: route for route in routes})
    places = MappingProxyType({("route", name): f"policies/{name}.yaml:2" for name in named})
    nothing: Any = MappingProxyType({})
    index = RouteIndex.build(routes)
    return Graph("f00d", nothing, nothing, named, nothing, Settings(), index, places)


def text(graph: Graph, **attributes: Any) -> str:
    request = Request(**attributes)
    return explained_text(graph, request, plan(graph, request, Neutral(), 0.0), color=False)


def route(step: Step, name: str = "chat", **more: Any) -> Route:
    given = {"models": (name,), "when": None, "priority": 0, "targets": (SMALL, LARGE), **more}
    return Route(name, step=step, **given)


def test_jumps_retries_and_ends() -> None:
    said = text(graph_of(route(Fallback((use(SMALL, 2), use(LARGE)), FAIL_OVER))), model="chat")
    assert 'route "chat"  policies/chat.yaml:2  (graph f00d)\n  chosen: model "chat" is its exact name' in said
    assert "  1.  near/small  (fallback[small])\n" in said
    assert "again, up to 2 attempts in all, after connection, overloaded, server_error\n" in said
    assert (
        "then 2 after any failure but content_refused, invalid_request "
        "(context_exceeded: only to a larger context window)\n"
    ) in said
    assert "        ends after content_refused, invalid_request\n  2.  near/large  (fallback[large])\n" in said
    assert "        ends after any failure" in said


def test_what_is_started_beside_a_slow_target_and_who_gets_a_copy() -> None:
    said = text(graph_of(route(Mirror(use(LARGE), 1.0, Hedge((use(SMALL), use(LARGE)), 0.8)))), model="chat")
    assert "        beside it 2 when nothing has come after 800ms (at most 10% extra)\n" in said
    assert said.count("        if it serves, a copy to near/large") == 2


def test_a_fallback_of_few_classes() -> None:
    only = frozenset({OutcomeClass.TIMEOUT})
    said = text(graph_of(route(Fallback((use(SMALL), use(LARGE)), only))), model="chat")
    assert "then 2 after timeout\n" in said


def test_a_reject_behind_a_target() -> None:
    reject = Reject(429, "come back tomorrow", "fallback[1]")
    said = text(graph_of(route(Fallback((use(SMALL), reject), FAIL_OVER))), model="chat")
    assert "then 2 (reject) after" in said
    assert "  2.  reject with 429: come back tomorrow  (fallback[1])" in said


def test_a_reject_alone() -> None:
    said = text(graph_of(route(Reject(410, "closed", ""))), model="chat")
    assert "would not reach any target\n  the client gets 410 rejected: closed" in said


def test_shares_and_the_assigned_variant() -> None:
    split = Split(
        "size", "user", (Variant("a", Decimal(3), use(SMALL)), Variant("b", Decimal(1), use(LARGE))), path="split"
    )
    graph = graph_of(route(split))
    said = text(graph, model="chat", user="u-1")
    assert 'size, by user "u-1": a 75%' in said
    assert said.count("(this request)") == 1
    assert "not_assigned" in said
    request = Request(model="chat", user="u-1")
    decided = plan(graph, request, Neutral(), 0.0)
    (shown,) = explained_dict(graph, request, decided)["splits"]
    assert shown["shares"] == {"a": 0.75, "b": 0.25}
    assert shown["assigned"] == dict(decided.variants)["size"]


def test_a_split_without_its_key_says_what_decides() -> None:
    split = Split("size", "user", (Variant("a", Decimal(1), use(SMALL)),))
    assert 'by user, absent here: by request id "r"' in text(graph_of(route(split)), model="chat", request_id="r")


def test_routes_that_were_passed_over() -> None:
    eu = route(use(SMALL), "eu", models=("chat",), when=Test("metadata.region", "eq", "eu"))
    said = text(graph_of(route(use(LARGE)), eu), model="chat", metadata={"region": "us"})
    assert (
        'passed over: eu, model "chat" is its exact name, and its condition does not hold: metadata.region = eu '
        '(here metadata.region is "us")\n  chosen: model "chat" is its exact name'
    ) in said


def test_a_glob_and_a_priority() -> None:
    said = text(graph_of(route(use(SMALL), models=("chat-*",), priority=7)), model="chat-9")
    assert 'chosen: model "chat-9" matches "chat-*", priority 7' in said


def test_a_target_that_cannot_serve() -> None:
    said = text(graph_of(route(Fallback((use(SMALL), use(LARGE)), FAIL_OVER))), model="chat", input_tokens=500)
    assert "would not try\n  near/small  context  about 500 input tokens" in said


def test_every_surface_can_be_asked_about() -> None:
    (surface,) = (p for p in explain.params if p.name == "surface")
    assert isinstance(surface.type, click.Choice)
    assert set(surface.type.choices) == {s.name for s in SURFACES.values()} - {"count_tokens"}


def test_nobody_answers() -> None:
    said = text(graph_of(route(use(SMALL))), model="caht")
    assert said.startswith('no route answers to model "caht"')
    assert "the client gets 404 model_not_found: No route answers to model 'caht'. Did you mean 'chat'?" in said
