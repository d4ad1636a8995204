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
from engine.planner import Beside, Facts, Go, Next, Plan, Stop, Wait
from engine.state import HedgeBudget

from .attempt import Try, plain_attempt, plain_discard, plain_reply
from .reply import Reply, StreamReply
from .seats import Seat, Seats, attempt_at
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
    end = await _Walk(run, plan, route, plan.start, len(plan.candidates)).go(plan.start)
    if isinstance(end, Try):
        return stream_reply(end) if run.call.stream else plain_reply(end)
    if isinstance(end, Failed):
        said = end.said
        return run.uncarried(said) if isinstance(said, UncarriedError) else run.failed(end.outcome_class, said)
    if isinstance(end, Reject):
        return run.refused(OutcomeClass.REJECTED, end.status, Verdict(OutcomeClass.REJECTED, message=end.message))
    assert isinstance(end, Reply)  # noqa: S101  - a walk over all candidates leads to no other
    return end


class _Walk:
    """Attempts the candidates before ``end``.

    ``extra`` is given to a walk beside another one: each of its attempts is one more than the request needs, and takes
    its share there; the first has taken it already. Such a walk retries nothing, and waits for no place.
    """

    __slots__ = ("_end", "_extra", "_facts", "_plan", "_race", "_route", "_run", "_seats")

    def __init__(
        self, run: Run, plan: Plan, route: Route, position: int, end: int, extra: HedgeBudget | None = None
    ) -> None:
        self._run = run
        self._plan = plan
        self._route = route
        self._end = end
        self._extra = extra
        passed = plan.passed if extra is None else ()
        closed = run.clients.view(run.state).closed
        self._facts = Facts(0.0, closed=closed, passed=passed, position=position, farthest=position)
        self._race: Race | None = None
        self._seats: Seats | None = None

    async def go(self, position: int) -> End:
        """How it ends when it begins with the candidate at ``position``."""
        run, facts, extra = self._run, self._facts, self._extra
        attempt = stream_attempt if run.call.stream else plain_attempt
        onward: End | int = position
        try:
            while True:
                seat: Seat | None = None
                step = self._plan.candidates[position].step
                if isinstance(step, Reject):
                    return step
                if step.target.provider.limited:
                    admitted = await self._admitted(position)
                    if not isinstance(admitted, tuple):
                        return admitted
                    position, seat = admitted
                candidate = self._plan.candidates[position]
                step = candidate.step
                assert isinstance(step, TargetStep)  # noqa: S101  - no other is admitted
                try:
                    hedged = extra is not None
                    tried = run.attempt(step, hedged) if seat is None else attempt_at(run, step, hedged, seat)
                except UncarriedError as problem:
                    onward = self._passed_over(position, problem)
                else:
                    if isinstance(tried, Reply):
                        return tried
                    facts.tries += 1
                    run.planner.tried(position, facts)
                    result: Verdict | None
                    if isinstance(tried, Verdict):
                        result = tried
                    else:
                        tried.mirrors = candidate.mirrors
                        if candidate.hedge is not None or self._race is not None:
                            self._follow(position, tried)
                        result = await attempt(tried)
                        if result is None:
                            onward = tried
                            return tried
                    facts.other_account = seat is not None and seat.spare
                    onward = await self._onward(position, result)
                if not isinstance(onward, int):
                    return onward
                position = onward
        finally:
            if self._race is not None:
                await self._race.finish(onward if isinstance(onward, Try | Reply) else None)

    async def _admitted(self, position: int) -> tuple[int, Seat | None] | End:
        """The candidate that is attempted, with its place; or how the walk ends where nobody has room."""
        seats = self._seats
        if seats is None:
            self._run.planner.placed()
            seats = self._seats = Seats(self._run, self._plan, self._end, self._extra is None)
        admitted = await seats.admit(position, self._facts)
        if admitted is not None:
            return admitted
        refusal = seats.refusal()
        after = Failed(refusal.outcome_class, refusal)
        return after if self._extra is None else Onward(position, after)

    def _follow(self, position: int, tried: Try) -> None:
        """This attempt may have another one beside it."""
        if self._race is None:
            self._race = Race(self._run, self._plan, self._route, self._facts, self._extra is None)
        self._race.follow(position, tried)

    def _passed_over(self, position: int, problem: UncarriedError) -> End | int:
        """Where the walk goes on after a candidate that cannot take the request, or how it ends."""
        onward = self._run.planner.pass_over(self._plan, position, self._facts, self._run.now())
        if isinstance(onward, Stop) and onward.outcome_class is OutcomeClass.OVERLOADED:
            return Failed(onward.outcome_class, Verdict(onward.outcome_class))
        failed = Failed(OutcomeClass.INVALID_REQUEST, problem)
        if not isinstance(onward, Go):
            return failed
        return self._facts.follow(onward) if onward.position < self._end else Onward(onward.position, failed)

    async def _onward(self, position: int, result: Verdict) -> End | int:
        """Where the walk goes on after this attempt, which failed, when it is time to; or how it ends."""
        if self._race is not None and (won := self._race.won()) is not None:
            return won
        following = self._following(position, result)
        if isinstance(following, Wait):
            return await self._pause(following.delay) or position
        if not isinstance(following, Go):
            return Failed(following.outcome_class, result)
        position = self._facts.follow(following, result.outcome_class)
        if self._race is None and self._extra is None:
            return position
        found = await self._joined(position, Failed(result.outcome_class, result))
        return self._facts.follow(Go(found)) if isinstance(found, int) and found != position else found

    def _following(self, position: int, result: Verdict) -> Next:
        """What the planner says after an attempt."""
        run, route, facts = self._run, self._route, self._facts
        if result.outcome_class is OutcomeClass.CONTEXT_EXCEEDED:
            step = self._plan.candidates[position].step
            window = step.target.context_window if isinstance(step, TargetStep) else None
            facts.larger_than = max(facts.larger_than, window or 0)
        moment = run.clock()
        budget = run.state.retry_budget(route.name)
        facts.attempts = run.begun
        facts.remaining = run.deadline - moment
        facts.retry_after = result.retry_after
        facts.retry_allowed = self._extra is None and budget.allows(route.retry.budget, moment)
        following = run.planner.advance(self._plan, position, result.outcome_class, facts, run.now())
        if isinstance(following, Wait) or (isinstance(following, Go) and following.again):
            # Counted before the pause: others that fail meanwhile must see that this retry is spoken for.
            budget.retry(moment)
        return following

    async def _joined(self, position: int, after: Failed) -> End | int:
        """Where a walk with others beside it really goes on: what is under way is waited for, not done again."""
        lane = None if self._race is None else self._race.join(position)
        if lane is not None:
            walk, stop = lane
            found = await walk
            if isinstance(found, Failed) and isinstance(found.said, Verdict):
                # Nobody there served: it is as if this walk had tried them.
                self._facts.tries, self._facts.farthest = 1, max(self._facts.farthest, stop - 1)
                return await self._onward(position, found.said)
            if not isinstance(found, Onward):
                return found
            position, after = found.position, found.after
            refuses = isinstance(self._plan.candidates[position].step, Reject)
            if self._run.begun >= self._route.retry.max_attempts and not refuses:
                return after
        if position >= self._end:
            return Onward(position, after)
        if self._extra is not None:
            if not self._extra.allows():
                return Onward(position, after)
            self._extra.hedge()
        return position

    async def _pause(self, seconds: float) -> End | None:
        """The wait before a retry; how the request ends if it is over before that."""
        self._run.pause()
        try:
            if self._race is None:
                await asyncio.sleep(seconds)
                return None
            return await self._race.wait(seconds)
        finally:
            self._run.resume()


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
        go = run.planner.beside(self._plan, self._position, facts, run.now())
        if go is None:
            return
        budget.hedge()
        walk = _Walk(run, self._plan, self._route, go.position, hedge.end, budget).go(go.position)
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

    def join(self, position: int) -> tuple[asyncio.Task[End], int] | None:
        """The walk that attempts this candidate already, and before which one it ends; once."""
        for at, (candidates, lane) in enumerate(self._lanes):
            if position in candidates:
                self._lanes[at] = (range(0), lane)
                return lane, candidates.stop
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
