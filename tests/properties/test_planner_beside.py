"""What plans start beside slow candidates, and whom they send copies, for any tree and any request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.graph import Hedge, Step, TargetStep
from engine.planner import Facts, Request, beside, children

from .planner_strategies import TOTAL, Moment, moments, requests, trees
from .test_planner import made


@given(trees, requests, moments, st.integers(0, 9), st.booleans())
def test_what_is_started_beside_a_slow_candidate_is_behind_it_and_within_the_caps(
    step: Step, asked: Request, moment: Moment, attempts: int, room: bool
) -> None:
    found = made(step, asked, moment, max_attempts=5)
    for position, candidate in enumerate(found.candidates):
        hedge = candidate.hedge
        facts = Facts(TOTAL, attempts, 1, hedge_allowed=room)
        went = beside(found, position, facts, 0.0)
        if hedge is None:
            assert went is None
            continue
        assert position < hedge.to < hedge.end <= len(found.candidates)
        assert isinstance(candidate.step, TargetStep)
        assert hedge.to in [way.to for way in candidate.exits], "a failure would lead there too"
        if went is not None:
            assert hedge.to <= went.position < hedge.end
            assert room
            assert attempts < 5
            assert isinstance(found.candidates[went.position].step, TargetStep)


@given(trees, requests, moments)
def test_requests_with_tools_are_in_two_places_only_where_that_is_allowed(
    step: Step, asked: Request, moment: Moment
) -> None:
    allowed = {part.path for part in parts(step) if isinstance(part, Hedge) and part.tools}
    found = made(step, asked, moment)
    if asked.tools:
        assert {c.hedge.name for c in found.candidates if c.hedge is not None} <= allowed
        assert found.mirrors == (), "no mirror here allows tools"


def parts(step: Step) -> list[Step]:
    """The step and everything below it."""
    return [step, *(below for child in children(step) for below in parts(child))]
