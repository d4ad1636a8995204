"""What requests claim of client limits, and what they are told where there is no room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.exchange import OutcomeClass
from engine.graph import Graph, Limit, Rate, Route, Test
from engine.planner import Plan, Request, plan, targets_of
from engine.state import Claim, Refusal
from engine.state.buckets import MOST, Buckets, bucket

from .trees import Moment, fallback, request, use

REQUESTS, TOKENS, PLACES = Rate("requests", 2, 60.0), Rate("tokens", 1000, 60.0), Rate("concurrency", 1)


def big(max_output: int | None) -> Any:
    step = use("b/x")
    return replace(step, target=replace(step.target, max_output=max_output))


def made(*limits: Limit, asked: Request | None = None, view: Moment | None = None, step: Any = None) -> Plan:
    tree = step or use("a/x")
    route = Route("chat", ("chat",), None, 0, tree, targets=targets_of(tree))
    return plan(Graph.build(routes=[route], limits=limits), asked or request(model="chat"), view or Moment(), 0.0)


def asking(**attributes: Any) -> Request:
    return request(model="chat", **attributes)


def test_without_limits_nothing_is_claimed() -> None:
    assert made().limits == ()


def test_a_limit_for_all_counts_all_together() -> None:
    assert made(Limit("l", (REQUESTS, PLACES))).limits == (
        Claim("limit/l/all/requests/60", 2, 60.0),
        Claim("limit/l/all/concurrency", 1, None, unit="concurrency"),
    )


@pytest.mark.parametrize(
    ("user", "key"), [("u", "=u"), (None, "absent"), ("absent", "=absent"), ("x" * 65, bucket("x" * 65))]
)
def test_each_value_has_a_bucket_and_absence_one_of_its_own(user: str | None, key: str) -> None:
    (claim,) = made(Limit("l", (REQUESTS,), each="user"), asked=asking(user=user)).limits
    assert claim.key == f"limit/l/{key}/requests/60"
    assert len(key) < 70


def test_a_limit_whose_condition_does_not_hold_claims_nothing() -> None:
    limit = Limit("l", (REQUESTS,), when=Test("user", "eq", "u"))
    assert made(limit, asked=asking(user="v")).limits == ()
    assert len(made(limit, asked=asking(user="u")).limits) == 1


@pytest.mark.parametrize(
    ("asked", "max_output", "cost"),
    [
        ({"input_tokens": 100, "max_tokens": 50}, 500, 150),
        ({"input_tokens": 100}, 500, 600),
        ({"input_tokens": 100, "max_tokens": 900}, 500, 600),
        ({"input_tokens": 100}, None, 1000),  # nobody knows: all of the limit, and no more
        ({"input_tokens": 100}, 99_999, 1000),
        ({"input_tokens": 2000, "max_tokens": 1}, 500, 2000),  # has no chance
        ({"input_tokens": 100, "kind": "embeddings", "needs": frozenset({"embeddings"})}, 500, 100),
    ],
)
def test_tokens_are_reserved_for_the_longest_answer_that_may_come(
    asked: dict[str, Any], max_output: int | None, cost: int
) -> None:
    limit = Limit("l", (TOKENS,))
    found = made(limit, asked=asking(**asked), step=fallback(use("a/x", can="chat"), big(max_output)))
    if found.stop is None:
        # The other target's longest answer is not known, so that it is the limit itself where the request says nothing.
        alone = made(limit, asked=asking(**asked), step=big(max_output))
        assert alone.limits[0].cost == cost
    else:
        assert cost == 2000


def test_a_request_without_room_is_refused_with_what_to_do() -> None:
    view = Moment()
    limit = Limit("team", (REQUESTS,))
    for _ in range(2):
        view.store.take(made(limit, view=view).limits, 1.0)
    view.now = 21.0
    found = made(limit, view=view)
    assert (found.stop, found.status, found.code) == (OutcomeClass.OVER_LIMIT, 429, "over_limit")
    assert found.message == 'Limit "team" of 2 requests in 1m is used up; try again in 40 seconds.'
    assert found.refusal == Refusal("limit/team/all/requests/60", 40.0)
    assert found.candidates == ()
    assert [(skip.target, skip.reason) for skip in found.skips] == [("a/x", "limit")]
    assert found.to_dict()["retry_after"] == 40.0


def test_tokens_that_are_left_are_told() -> None:
    view = Moment()
    limit = Limit("team", (TOKENS,))
    view.store.take(made(limit, view=view, asked=asking(input_tokens=1, max_tokens=800)).limits, 0.0)
    found = made(limit, view=view, asked=asking(input_tokens=1, max_tokens=300))
    assert "may use 301 tokens of 199: a smaller max_tokens takes less" in found.message


def test_an_input_that_is_longer_than_the_limit_never_has_room() -> None:
    found = made(Limit("team", (TOKENS,)), asked=asking(input_tokens=2000))
    assert found.stop is OutcomeClass.OVER_LIMIT
    assert found.message == 'The request has about 2000 input tokens; limit "team" allows 1000 tokens in 1m.'
    assert found.to_dict()["retry_after"] is None


def test_what_clients_make_up_is_bounded_and_makes_room_when_it_is_idle() -> None:
    buckets = Buckets()
    for n in range(MOST):
        assert buckets.of("l", f"v{n}", 60.0, 1.0) == f"=v{n}"
    assert buckets.of("l", "new", 60.0, 2.0) == "others"
    assert buckets.of("l", None, 60.0, 2.0) == "absent"
    assert buckets.of("l", "v0", 60.0, 50.0) == "=v0"
    assert buckets.of("other", "new", 60.0, 2.0) == "=new"
    assert buckets.of("l", "new", 60.0, 61.0) == "=new"
    assert buckets.of("l", "v0", 60.0, 61.0) == "=v0"
    buckets.retain(["other"])
    assert buckets.of("l", "another", 60.0, 62.0) == "=another"
