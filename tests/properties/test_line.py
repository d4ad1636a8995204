"""The waiting line: first come, first served within a caller; turns between callers; nobody is lost or served twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.state.line import Line, Ticket

_moves = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.sampled_from("abc"), st.integers(1, 9)),
        st.tuples(st.just("serve"), st.just(""), st.just(0)),
        st.tuples(st.just("leave"), st.just(""), st.integers(0, 50)),
    ),
    max_size=120,
)


@given(_moves)
def test_nobody_is_lost_or_served_twice_and_each_caller_is_served_in_order(moves: list[tuple[str, str, int]]) -> None:
    line: Line[int] = Line()
    waiting: list[Ticket[int]] = []
    for number, (move, caller, size) in enumerate(moves):
        if move == "join":
            waiting.append(line.join(caller, number, size))
        elif move == "leave" and waiting:
            gone = waiting.pop(size % len(waiting))
            line.leave(gone)
            line.leave(gone)
        elif move == "serve" and (first := line.first()) is not None:
            assert first.item == min(ticket.item for ticket in waiting if ticket.caller == first.caller)
            line.serve(first)
            waiting.remove(first)
        assert len(line) == len(waiting)
        assert (line.first() is None) == (not waiting)
        assert len(line._heap) <= 2 * len(waiting) + 65


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_two_that_wait_get_the_same_but_for_one_request_each(greedy: list[int], modest: list[int]) -> None:
    line: Line[int] = Line()
    for cost in greedy:
        line.join("greedy", cost, cost)
    for cost in modest:
        line.join("modest", cost, cost)
    got: Counter[str] = Counter()
    left = Counter(greedy=len(greedy), modest=len(modest))
    while left["greedy"] and left["modest"]:
        first = line.first()
        assert first is not None
        line.serve(first)
        got[first.caller] += first.item
        left[first.caller] -= 1
        assert abs(got["greedy"] - got["modest"]) <= max(greedy) + max(modest)


def test_who_comes_late_is_not_behind_all_that_a_greedy_one_has_waiting() -> None:
    line: Line[str] = Line()
    for n in range(100):
        line.join("greedy", f"g{n}")
    for _ in range(10):
        line.serve(line.first())  # type: ignore[arg-type]
    line.join("modest", "m")
    order = []
    for _ in range(3):
        first = line.first()
        assert first is not None
        order.append(first.item)
        line.serve(first)
    assert "m" in order


def test_callers_that_left_are_forgotten() -> None:
    line: Line[int] = Line()
    line.join("stays", 0)
    for n in range(10_000):
        line.leave(line.join(f"c{n}", n))
    assert len(line) == 1
    assert len(line._last) < 200
    assert len(line._heap) < 200
