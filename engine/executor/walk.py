"""A plan carried out: attempts one after the other as the planner says, and beside each other where it hedges.

A request's own task makes its attempts, so that most requests cost no other task. Only what is started beside a slow
attempt is a walk in a task of its own; the first that serves wins, and the others are cancelled before it is recorded.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct

from engine.exchange import OutcomeClass, UncarriedError, Verdict
from engine.graph import Reject, Route, TargetStep
from engine.planner import Beside, Facts, Go, Next, Plan, Stop, Wait, advance, beside, pass_over
from engine.state import HedgeBudget

from .attempt import Try, plain_attempt, plain_discard, plain_reply
from .reply import Reply, StreamReply
from .seats import Seats, attempt_at
from .streaming import stream_attempt, stream_discard, stream_reply

if TYPE_CHECKING:
    from .run import Run


class Failed(Struct, frozen=True):
    """A walk that found nobody to serve: the class the request ends with, and what the last attempt said."""

    outcome_class: OutcomeClass
    said: Verdict | UncarriedError


class Onward(Struct, frozen=True):
    """A walk that leads on to a candidate which is not its own to attempt, after this outcome."""

    position: int
    after: Failed


#: How a walk ends: an attempt served; the reply is there without one; the step refuses; or one of the above.
End = Try | Reply | Reject | Failed | Onward


async def attempt_all(run: Run, plan: Plan, route: Route) -> Reply | StreamReply:
    """Attempt candidates as the planner says, until one serves or the request ends otherwise."""
    run.state.retry_budget(route.name).request(run.started)
    end = await _walk(run, plan, route, plan.start, len(plan.candidates))
    if isinstance(end, Try):
        return stream_reply(end) if run.call.stream else plain_reply(end)
    if isinstance(end, Failed):
        said = end.said
        return run.uncarried(said) if isinstance(said, UncarriedError) else run.failed(end.outcome_class, said)
    if isinstance(end, Reject):
        return run.refused(OutcomeClass.REJECTED, end.status, Verdict(OutcomeClass.REJECTED, message=end.message))
    assert isinstance(end, Reply)  # noqa: S101  - a walk over all candidates leads to no other
    return end


async def _walk(run: Run, plan: Plan, route: Route, position: int, end: int, extra: HedgeBudget | None = None) -> End:
    """Attempt the candidates from ``position`` to before ``end``.

    ``extra`` is given to a walk beside another one: each of its attempts is one more than the request needs, and takes
    its share there; the first has taken it already. Such a walk retries nothing.
    """
    attempt = stream_attempt if run.call.stream else plain_attempt
    facts = _facts(run, plan, position, extra)
    race: Race | None = None
    seats: Seats | None = None
    found: End | int | None = None
    try:
        while True:
            step = plan.candidates[position].step
            if isinstance(step, Reject):
                return step
            try:
                if step.target.provider.limited:
                    seats = seats or Seats(run, plan, end, extra is None)
                    tried = await _seated(run, plan, seats, position, facts)
                else:
                    tried = run.attempt(step, extra is not None)
            except UncarriedError as problem:
                found = _passed_over(run, plan, facts.position, end, facts, problem)
                if not isinstance(found, int):
                    return found
                position = found
                continue
            position = facts.position
            if isinstance(tried, Reply | Failed | Onward):
                return tried
            facts.tries += 1
            result: Verdict | None
            if isinstance(tried, Verdict):
                result = tried
            else:
                race = _raced(race, tried, plan, route, facts, extra is None)
                result = await attempt(tried)
                if result is None:
                    found = tried
                    return tried
            if race is not None and (found := race.won()) is not None:
                return found
            following = _following(run, plan, route, tried, result, facts, extra is None)
            if isinstance(following, Wait):
                if (found := await _pause(run, race, following.delay)) is not None:
                    return found
            elif isinstance(following, Go):
                position = facts.follow(following, result.outcome_class)
                if race is not None or extra is not None:
                    after = Failed(result.outcome_class, result)
                    found = await _joined(run, plan, route, race, position, end, after, extra)
                    if not isinstance(found, int):
                        return found
                    position = facts.follow(Go(found))
            else:
                return Failed(following.outcome_class, result)
    finally:
        if race is not None:
            await race.finish(found if isinstance(found, Try | Reply) else None)


def _facts(run: Run, plan: Plan, position: int, extra: HedgeBudget | None) -> Facts:
    """What the planner must know of a walk that begins."""
    passed, closed = plan.passed if extra is None else (), run.clients.view(run.state).closed
    return Facts(0.0, closed=closed, passed=passed, position=position, farthest=position)


def _raced(race: Race | None, tried: Try, plan: Plan, route: Route, facts: Facts, count: bool) -> Race | None:
    """The race that this attempt is a part of, if it is hedged or others are under way."""
    candidate = plan.candidates[facts.position]
    tried.mirrors = candidate.mirrors
    if race is not None or candidate.hedge is not None:
        race = race or Race(tried.run, plan, route, facts, count)
        race.follow(facts.position, tried)
    return race


async def _seated(
    run: Run, plan: Plan, seats: Seats, position: int, facts: Facts
) -> Try | Reply | Verdict | Failed | Onward:
    """An attempt where there is room for it, at the candidate at ``position`` or at another one, which facts tell."""
    admitted = await seats.admit(position, facts)
    if admitted is None:
        refusal = seats.refusal()
        failed = Failed(refusal.outcome_class, refusal)
        return failed if seats.patient else Onward(position, failed)
    position, seat = admitted
    step = plan.candidates[position].step
    assert isinstance(step, TargetStep)  # noqa: S101  - no other is admitted
    hedged = not seats.patient
    return run.attempt(step, hedged) if seat is None else attempt_at(run, step, hedged, seat)


def _passed_over(run: Run, plan: Plan, position: int, end: int, facts: Facts, problem: UncarriedError) -> End | int:
    """Where a walk goes on after a candidate that cannot take the request, or how it ends."""
    onward = pass_over(plan, position, facts, run.now())
    if isinstance(onward, Stop) and onward.outcome_class is OutcomeClass.OVERLOADED:
        return Failed(onward.outcome_class, Verdict(onward.outcome_class))
    failed = Failed(OutcomeClass.INVALID_REQUEST, problem)
    if not isinstance(onward, Go):
        return failed
    return facts.follow(onward) if onward.position < end else Onward(onward.position, failed)


def _following(
    run: Run, plan: Plan, route: Route, tried: Try | Verdict, result: Verdict, facts: Facts, may_retry: bool
) -> Next:
    """What the planner says after an attempt."""
    position = facts.position
    facts.other_account = isinstance(tried, Try) and tried.seat is not None and tried.seat.spare
    if result.outcome_class is OutcomeClass.CONTEXT_EXCEEDED:
        step = plan.candidates[position].step
        window = step.target.context_window if isinstance(step, TargetStep) else None
        facts.larger_than = max(facts.larger_than, window or 0)
    moment = run.clock()
    budget = run.state.retry_budget(route.name)
    facts.attempts = run.begun
    facts.remaining = run.deadline - moment
    facts.retry_after = result.retry_after
    facts.retry_allowed = may_retry and budget.allows(route.retry.budget, moment)
    following = advance(plan, position, result.outcome_class, facts, run.now())
    if isinstance(following, Wait) or (isinstance(following, Go) and following.again):
        # Counted before the pause: others that fail meanwhile must see that this retry is spoken for.
        budget.retry(moment)
    return following


async def _joined(
    run: Run,
    plan: Plan,
    route: Route,
    race: Race | None,
    position: int,
    end: int,
    after: Failed,
    extra: HedgeBudget | None,
) -> End | int:
    """Where a walk with others beside it really goes on: what is under way already is waited for, not done again."""
    lane = None if race is None else race.join(position)
    if lane is not None:
        found = await lane
        if not isinstance(found, Onward):
            return found
        position, after = found.position, found.after
        refuses = isinstance(plan.candidates[position].step, Reject)
        if run.begun >= route.retry.max_attempts and not refuses:
            return after
    if position >= end:
        return Onward(position, after)
    if extra is not None:
        if not extra.allows():
            return Onward(position, after)
        extra.hedge()
    return position


async def _pause(run: Run, race: Race | None, seconds: float) -> End | None:
    """The wait before a retry; how the request ends if it is over before that."""
    run.pause()
    try:
        if race is None:
            await asyncio.sleep(seconds)
            return None
        return await race.wait(seconds)
    finally:
        run.resume()


class Race:
    """What a walk has started beside its own attempts. :meth:`finish` must follow, however the walk ends."""

    __slots__ = (
        "_count", "_facts", "_hedge", "_lanes", "_plan", "_position", "_route", "_run", "_timer", "_tried", "_winner",
    )  # fmt: skip

    def __init__(self, run: Run, plan: Plan, route: Route, facts: Facts, count: bool) -> None:
        self._run = run
        self._plan = plan
        self._route = route
        self._facts = facts
        self._count = count
        self._hedge: Beside | None = None
        self._position = 0
        self._tried: Try | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lanes: list[tuple[range, asyncio.Task[End]]] = []
        self._winner: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    def follow(self, position: int, tried: Try) -> None:
        """The walk attempts this candidate now; the delay counts from the first of its step."""
        hedge, before = self._plan.candidates[position].hedge, self._hedge
        self._position, self._tried, self._hedge = position, tried, hedge
        if hedge is not None and before is not None and hedge.to == before.to:
            return
        if self._timer is not None:
            self._timer.cancel()
        if hedge is not None:
            if self._count and (before is None or before.name != hedge.name):
                self._budget(hedge).request(hedge.extra)
            self._timer = asyncio.get_running_loop().call_later(hedge.delay, self._start, hedge)

    def _budget(self, hedge: Beside) -> HedgeBudget:
        return self._run.state.hedge_budget(self._route.name, hedge.name)

    def _start(self, hedge: Beside) -> None:
        """The delay has passed without an answer."""
        run, facts, budget = self._run, self._facts, self._budget(hedge)
        facts.attempts = run.begun
        facts.remaining = run.deadline - run.clock()
        facts.hedge_allowed = budget.allows()
        go = beside(self._plan, self._position, facts, run.now())
        if go is None:
            return
        budget.hedge()
        walk = _walk(run, self._plan, self._route, go.position, hedge.end, budget)
        lane = asyncio.get_running_loop().create_task(walk, name="interlock-hedge")
        self._lanes.append((range(go.position, hedge.end), lane))
        facts.under_way = (*facts.under_way, go.position)
        lane.add_done_callback(self._ended)

    def _ended(self, lane: asyncio.Task[End]) -> None:
        if lane.cancelled() or lane.exception() is not None or self._winner.done():
            return
        end = lane.result()
        if isinstance(end, Try | Reply):
            self._winner.set_result(end)
            if self._tried is not None:
                self._tried.lose()

    def won(self) -> End | None:
        """What another walk has found."""
        return self._winner.result() if self._winner.done() else None

    async def wait(self, seconds: float) -> End | None:
        """Wait so long, or until another walk has found somebody who serves, which is the answer."""
        await asyncio.wait((self._winner,), timeout=seconds)
        return self.won()

    def join(self, position: int) -> asyncio.Task[End] | None:
        """The walk that attempts this candidate already, once."""
        for at, (candidates, lane) in enumerate(self._lanes):
            if position in candidates:
                self._lanes[at] = (range(0), lane)
                return lane
        return None

    async def finish(self, served: Try | Reply | None) -> None:
        """The walk has ended, with ``served`` if somebody did: what is under way beside it is cancelled."""
        if self._timer is not None:
            self._timer.cancel()
        lanes = [lane for _, lane in self._lanes]
        if not lanes:
            return
        self._run.decided = self._run.decided or served is not None
        for lane in lanes:
            lane.cancel()
        try:
            await asyncio.wait(lanes)
        except asyncio.CancelledError:
            # The client left in this very moment: nobody takes the answer any more.
            if isinstance(served, Try):
                await _discard(served)
            raise
        finally:
            for lane in lanes:
                if lane.done() and not lane.cancelled() and lane.exception() is None:
                    end = lane.result()
                    if isinstance(end, Try) and end is not served:
                        await _discard(end)


async def _discard(tried: Try) -> None:
    """The answer came in the same moment as another one, and is not needed."""
    await stream_discard(tried) if tried.run.call.stream else plain_discard(tried)
