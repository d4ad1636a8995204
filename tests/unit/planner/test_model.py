"""What a request tells conditions, and how a plan is shown."""

from __future__ import annotations

from engine.exchange import OutcomeClass
from engine.planner import SKIP_REASONS

from .trees import Moment, balance, fallback, planned, reject, request, split, switch, use


def test_attributes_by_name_and_absent_ones_are_none() -> None:
    asked = request(user="u", metadata={"tier": "free"}, headers={"x-app": "shop"}, input_tokens=7, tools=True)
    assert [asked.get(name) for name in ("user", "metadata.tier", "header.x-app", "input_tokens", "tools")] == [
        "u",
        "free",
        "shop",
        7,
        True,
    ]
    assert [asked.get(name) for name in ("team", "metadata.other", "header.other", "no_such_thing")] == [None] * 4


def test_a_header_is_found_however_the_key_of_a_split_spells_it() -> None:
    assert request(headers={"x-app": "shop"}).get("header.X-App") == "shop"


def test_a_plan_shows_targets_skips_variants_and_where_each_outcome_leads() -> None:
    tree = fallback(
        split({"control": (1, "a/x"), "new": (1, "b/x")}, pins={"u": "new"}), use("c/x", can="chat tools"), reject()
    )
    shown = planned(tree, request(user="u")).to_dict()
    assert shown["route"] == "chat"
    assert shown["attempts"] == ["b/x", "c/x"]
    assert shown["variants"] == {"trial": "new"}
    assert [row["target"] for row in shown["candidates"]] == ["b/x", "c/x", "reject"]
    assert shown["candidates"][0]["after"]["timeout"] == "c/x"
    assert shown["candidates"][1]["after"]["timeout"] == "reject"
    assert "invalid_request" not in shown["candidates"][0]["after"]
    assert shown["candidates"][2]["after"] == {}
    assert shown["skips"] == [
        {"target": "a/x", "reason": "not_assigned", "detail": "split 'trial' assigned 'new'", "path": "a/x"}
    ]
    assert (shown["stop"], shown["status"], shown["code"], shown["message"]) == (None, None, None, None)


def test_of_two_exits_for_one_class_the_inner_is_shown_since_it_is_taken() -> None:
    inner = fallback("a/x", "b/x", on=frozenset({OutcomeClass.TIMEOUT}))
    after = planned(fallback(inner, "c/x")).to_dict()["candidates"][0]["after"]
    assert (after["timeout"], after["overloaded"]) == ("b/x", "c/x")


def test_a_plan_that_stops_shows_what_the_client_will_see() -> None:
    shown = planned(reject(451, "Not in this country.")).to_dict()
    assert (shown["stop"], shown["status"], shown["message"]) == ("rejected", 451, "Not in this country.")
    assert shown["attempts"] == []


def test_every_reason_for_a_skip_is_on_the_list_and_in_use() -> None:
    tree = fallback(
        split({"control": (1, "a/x"), "new": (1, "b/x")}, pins={"u": "new"}),
        switch(("v", "c/x"), default=use("d/x", can="chat")),
        use("e/x", window=10),
        balance("weighted", "locked/x"),
        "f/x",
        "g/x",
        reject(),
        "h/x",
    )
    asked = request(user="u", tools=True, input_tokens=50, needs=frozenset({"chat", "tools"}), no_fallback=True)
    made = planned(tree, asked, Moment(unset=frozenset({"locked"})))
    assert {skip.reason for skip in made.skips} == set(SKIP_REASONS) - {
        "conversation",
        "breaker",
        "held",
        "limit",
        "not_mirrored",
    }
    assert made.attempts == ("b/x",)


def test_a_conversation_goes_on_where_it_is_kept() -> None:
    tree = fallback("a/x", "b/x", "c/x")
    held = planned(tree, request(conversation="resp_1"), Moment(holders={"resp_1": "b/x"}))
    assert held.attempts == ("b/x",)
    assert {(skip.target, skip.reason) for skip in held.skips} == {("a/x", "conversation"), ("c/x", "conversation")}
    assert planned(tree, request(conversation="resp_2"), Moment(holders={"resp_1": "b/x"})).attempts == (
        "a/x",
        "b/x",
        "c/x",
    )


def test_a_conversation_kept_out_of_reach_is_the_clients_to_know() -> None:
    made = planned(fallback("a/x", "c/x"), request(conversation="resp_1"), Moment(holders={"resp_1": "b/x"}))
    assert (made.stop, made.code) == ("invalid_request", "conversation_elsewhere")
