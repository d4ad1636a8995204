"""Ids of calls where a protocol has none."""

from __future__ import annotations

from engine.dialects.call_ids import CallIds, prefix_of, was_made


def test_calls_without_ids_get_different_ones_and_keep_their_own() -> None:
    ids = CallIds("p")
    assert [ids.call("", "f"), ids.call("own", "f"), ids.call("", "f")] == ["p_1", "own", "p_2"]
    assert was_made("p_1", "p")
    assert not was_made("own", "p")


def test_a_result_without_an_id_answers_the_oldest_call_of_its_function() -> None:
    ids = CallIds("p")
    for name in ("f", "g", "f"):
        ids.call("", name)
    assert ids.result("", "g") == "p_2"
    assert ids.result("", "f") == "p_1"
    assert ids.result("", "f") == "p_3"


def test_a_result_with_an_id_leaves_the_others_open() -> None:
    ids = CallIds("p")
    for name in ("a", "b"):
        ids.call(name, "f")
    assert ids.result("b", "f") == "b"
    assert ids.result("", "") == "a"


def test_a_result_that_answers_nothing_still_has_an_id() -> None:
    ids = CallIds("p")
    assert ids.result("", "f") == "p_1"
    assert ids.result("given", "f") == "given"


def test_what_tells_a_reply_from_others_goes_into_ids_as_far_as_ids_may_hold_it() -> None:
    assert prefix_of("p", "2025-06-09T18:55:26.68Z") == "p_2025-06-09T185526.68Z".replace(".", "")
    assert prefix_of("p", "é:/") == "p"
