"""Which route answers, and what is said where none does."""

from __future__ import annotations

import pytest

from engine.exchange import OutcomeClass
from engine.graph import Graph, Test
from engine.planner import Plan, find_route, plan

from .trees import Moment, fallback, graph, reasons, request, route

FREE = Test("metadata.tier", "eq", "free")


def asked(made: Graph, **changes: object) -> Plan:
    return plan(made, request(**changes), Moment(), 0.0)


def test_the_first_route_whose_condition_holds_answers() -> None:
    made = graph(route("a/x", "free", models=("chat",), when=FREE), route("b/x", "rest", models=("chat",)))
    assert asked(made, metadata={"tier": "free"}).attempts == ("a/x",)
    assert asked(made).attempts == ("b/x",)
    found = find_route(made, request(model="chat"))
    assert found is not None
    assert found.name == "rest"


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("chta", " Did you mean 'chat'?"),
        ("paid", " Routes of that name exist, but none of their conditions holds for this request."),
        ("hidden", " A route of that name exists, but its match.model names others."),
        ("zzzzzzzz", ""),
    ],
)
def test_an_unknown_model_is_answered_with_what_may_help(model: str, hint: str) -> None:
    made = asked(
        graph(
            route("a/x"),
            route("a/x", "costly", models=("paid",), when=FREE),
            route("a/x", "hidden", models=("shown",)),
        ),
        model=model,
    )
    assert (made.route, made.stop, made.status, made.code) == (None, OutcomeClass.UNROUTABLE, 404, "model_not_found")
    assert made.message == f"No route answers to model {model!r}.{hint}"
    assert (made.attempts, made.skips) == ((), ())


def test_no_model_at_all_is_unroutable_too_and_a_book_of_one_is_not_repeated_in_full() -> None:
    assert asked(graph(route("a/x")), model=None).stop is OutcomeClass.UNROUTABLE
    assert len(asked(graph(route("a/x")), model="m" * 10_000).message) < 300


def test_a_key_may_use_the_routes_it_names_and_no_other() -> None:
    made = graph(route(fallback("a/x", "b/x")))
    assert asked(made, key_routes=("other", "ch*")).attempts == ("a/x", "b/x")
    refused = asked(made, key_routes=("other", "chat-*"))
    assert (refused.stop, refused.status, refused.code) == (OutcomeClass.REJECTED, 403, "route_forbidden")
    assert refused.message == "This key may not use route 'chat'; ask for a key that names it under routes."
    assert reasons(refused) == {"a/x": "rejected", "b/x": "rejected"}


def test_a_key_does_not_change_which_route_answers() -> None:
    made = graph(route("a/x", "first", models=("chat",), priority=1), route("b/x", "second", models=("chat",)))
    assert asked(made, key_routes=("second",)).stop is OutcomeClass.REJECTED
