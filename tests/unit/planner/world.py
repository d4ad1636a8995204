"""A small discrete-event simulation: the real planner and the real live facts, with targets and a clock that are not.

Times are seconds from an arbitrary moment; every draw comes from one seeded generator, so a run is the same each time.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engine.dialects.rate_limits import Limit
from engine.exchange import OutcomeClass, Verdict
from engine.graph import Graph, Step, TargetStep
from engine.planner import Facts, Go, Request, Wait, advance, plan
from engine.state import Closure, State

from .trees import graph, request, route

BEGIN = 1_800_000_000.0
_FAILED = OutcomeClass.SERVER_ERROR


@dataclass
class Served:
    """One request: where it was tried, in order, when it came, and how long it took."""

    tried: list[str]
    at: float
    seconds: float
    key: str | None


@dataclass
class World:
    """Targets that take as long as ``times`` says, and fail where ``fails`` says so (after that many seconds)."""

    times: Mapping[str, Callable[[random.Random, float], float]]
    seed: int = 7
    stream: bool = False
    fails: Mapping[str, Callable[[random.Random, float], float | None]] = field(default_factory=dict)
    limits: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """Requests a target takes in a window of so many seconds; it refuses the others."""
    shares: Callable[[str, float], float] = lambda target, now: 1.0
    shut: Callable[[str, float], bool] = lambda target, now: False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.state = State()
        self.now = BEGIN
        self.busiest: Counter[str] = Counter()
        self.firsts: Counter[str] = Counter()
        self.served: list[Served] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._windows: Counter[tuple[str, int]] = Counter()

    # -- the view ------------------------------------------------------------------------------------------------

    def in_flight(self, target: str) -> int:
        return self.state.in_flight(target)

    def credential(self, provider: str) -> bool:
        return True

    def holder(self, conversation: str) -> str | None:
        return None

    def closed(self, step: TargetStep, now: float) -> Closure | None:
        return Closure(now + 1, "breaker") if self.shut(step.target.id, now - BEGIN) else None

    def share(self, target: str, now: float) -> float:
        return self.shares(target, now - BEGIN)

    def latency(self, target: str, stream: bool, now: float) -> float:
        return self.state.latency.expected(target, stream, now)

    def headroom(self, target: str, now: float) -> float:
        return self.state.headroom.left(target, now)

    # -- the run -------------------------------------------------------------------------------------------------

    def run(
        self, step: Step, rate: float, seconds: float, key: Callable[[random.Random], str | None] | None = None
    ) -> World:
        """Requests come at this rate (a second), independently of each other; until all are done."""
        made, at = graph(route(step)), 0.0
        while (at := at + self.random.expovariate(rate)) < seconds:
            user = key(self.random) if key else None
            self._later(BEGIN + at, lambda user=user: self._arrive(made, user))
        return self._work()

    def burst(self, step: Step, count: int) -> World:
        """So many requests at once."""
        made = graph(route(step))
        for _ in range(count):
            self._later(self.now, lambda: self._arrive(made, None))
        return self._work()

    def _work(self) -> World:
        while self._events:
            self.now, _, happen = heapq.heappop(self._events)
            happen()
        return self

    def _later(self, at: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), happen))

    def _arrive(self, made: Graph, user: str | None) -> None:
        asked: Request = request(request_id=f"r-{next(self._numbers)}-{self.seed}", user=user, stream=self.stream)
        found = plan(made, asked, self, self.now)
        record = Served([], self.now - BEGIN, 0.0, user)
        facts, began = Facts(1e9, closed=self.closed), self.now

        def attempt(position: int) -> None:
            step = found.candidates[position].step
            assert isinstance(step, TargetStep)
            target = step.target.id
            if not record.tried:
                self.firsts[target] += 1
            record.tried.append(target)
            facts.attempts += 1
            facts.tries += 1
            self.state.enter(step, self.now)
            self.busiest[target] = max(self.busiest[target], self.in_flight(target))
            quickly = self._refuses(target) or self.fails.get(target, lambda *_: None)(self.random, self.now - BEGIN)
            took = self.times[target](self.random, self.now - BEGIN) if quickly is None else quickly
            outcome = OutcomeClass.SERVED if quickly is None else _FAILED
            self._later(self.now + took, lambda: end(step, position, took, outcome))

        def end(step: TargetStep, position: int, took: float, outcome: OutcomeClass) -> None:
            target = step.target.id
            self.state.leave(target)
            first = None
            if self.stream and outcome is OutcomeClass.SERVED:
                first = took
                self.state.answered(step, self.now - took, self.now, {}.get)
            self.state.note(step, Verdict(outcome), self.now - took, self.now, first)
            self._tell(target)
            following = advance(found, position, outcome, facts, self.now)
            if isinstance(following, Go):
                facts.tries = 0
                attempt(following.position)
            elif isinstance(following, Wait):
                self._later(self.now + following.delay, lambda: attempt(position))
            else:
                record.seconds = self.now - began
                self.served.append(record)

        attempt(found.start)

    def _refuses(self, target: str) -> float | None:
        if target not in self.limits:
            return None
        limit, per = self.limits[target]
        window = (target, int((self.now - BEGIN) / per))
        self._windows[window] += 1
        return 0.01 if self._windows[window] > limit else None

    def _tell(self, target: str) -> None:
        if target in self.limits:
            limit, per = self.limits[target]
            number = int((self.now - BEGIN) / per)
            left = max(limit - self._windows[target, number], 0)
            told = (Limit("requests", limit, left, BEGIN + (number + 1) * per),)
            self.state.headroom.note(target, told, self.now)

    # -- what came of it -----------------------------------------------------------------------------------------

    def quantile(self, share: float, after: float = 0.0) -> float:
        """The time within which this share of the requests was done, of those that came ``after``."""
        times = sorted(one.seconds for one in self.served if one.at >= after)
        return times[min(int(share * len(times)), len(times) - 1)]

    def part(self, target: str, after: float = 0.0, until: float = 1e9) -> float:
        """The share of first tries that this target got of the requests that came in this time."""
        tried = [one.tried[0] for one in self.served if after <= one.at < until]
        return tried.count(target) / len(tried)

    def refused(self) -> int:
        """First tries that a limit refused."""
        return sum(len(one.tried) > 1 for one in self.served)


def around(middle: float, spread: float = 0.4) -> Callable[[random.Random, float], float]:
    """Times around a middle, most near it and few far above, as those of models are."""
    return lambda dice, _: middle * dice.lognormvariate(0.0, spread)
