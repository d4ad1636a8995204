"""Places at providers: what their limits leave room for, which account is asked, and the line of those that wait."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from engine.exchange import OutcomeClass, UncarriedError, Usage, Verdict
from engine.graph import TargetStep
from engine.planner import Facts, Go, Plan, Request, claims_at
from engine.state import Grant, Refusal, Store
from engine.state.desk import Desk
from engine.state.line import Ticket

from .admission import settle, tokens
from .attempt import Try
from .attributes import request_of
from .clients import ProviderClient
from .reply import Reply

if TYPE_CHECKING:
    from .run import Run

_C = OutcomeClass
#: Seconds for which one of several accounts is left alone after it was refused, where the answer does not say.
SHUT: Mapping[OutcomeClass, float] = MappingProxyType(
    {_C.RATE_LIMITED: 5.0, _C.UNAUTHORIZED: 60.0, _C.QUOTA_EXHAUSTED: 300.0}
)
#: Seconds after which who is first in a line is tried again, whatever the store has said.
LONGEST_NAP = 30.0


class Seat:
    """What one attempt holds of a provider's limits, and the account that it asks. To be ended or cancelled, once."""

    __slots__ = ("_desk", "_grant", "_store", "account", "client", "spare")

    def __init__(self, desk: Desk, store: Store, grant: Grant | None, client: ProviderClient, account: str) -> None:
        self._desk = desk
        self._store = store
        self._grant = grant
        self.client = client
        self.account = account
        self.spare = False
        """Whether, this account being shut, another one of the provider is not."""

    def end(self, verdict: Verdict, status: int | None, usage: Usage | None, now: float) -> None:
        """The attempt ended so: count what it used, free its place, leave its account alone if that was refused."""
        outcome, accounts = verdict.outcome_class, self.client.provider.accounts
        if self._grant is not None:
            settle(self._store, self._grant, tokens(usage or verdict.usage, outcome, status))
        if len(accounts) > 1 and outcome in SHUT:
            pause = SHUT[outcome] if verdict.retry_after is None else verdict.retry_after
            self._desk.shut_until(self.account, now + pause, outcome.value)
            self.spare = any(not self._desk.left_alone(account, now) for account in accounts)
        self._free()

    def cancel(self) -> None:
        """Nothing was sent: it counts for nothing."""
        if self._grant is not None:
            self._store.settle(self._grant, dict.fromkeys((claim.key for claim in self._grant.claims), 0))
        self._free()

    def _free(self) -> None:
        if self._grant is not None:
            self._store.release(self._grant)
        if self._desk.alarm is not None:
            self._desk.alarm()


def attempt_at(run: Run, step: TargetStep, hedged: bool, seat: Seat) -> Try | Reply | Verdict:
    """What :meth:`Run.attempt` gives for this place, which is given back where no attempt comes of it."""
    try:
        tried = run.attempt(step, hedged, seat.client)
    except UncarriedError:
        seat.cancel()
        raise
    if isinstance(tried, Try):
        tried.seat = seat
    else:
        seat.cancel()
    return tried


class _Asked:
    """A request at a provider: it looks for a place there, now or whenever its turn comes."""

    __slots__ = ("client", "clock", "desk", "firm", "refused", "request", "store", "target", "waits")

    def __init__(self, run: Run, step: TargetStep, request: Request) -> None:
        name = step.target.provider.name
        self.client = run.clients.of(name)
        self.clock = run.clock
        self.desk = run.state.desks.of(name)
        self.desk.attend(self.client)
        self.request = request
        self.store = run.state.store
        self.target = step.target
        self.waits: asyncio.Future[Seat] | None = None
        self.firm = False
        """Whether nothing that others do can make the wait shorter: they give back tokens and places, not requests."""
        self.refused: OutcomeClass | None = None
        """Why an account is left alone, where waiting for it would be in vain: its secret is refused."""

    async def find(self) -> Seat | float:
        """A place at the account whose turn it is, or at the next that has one; else the seconds until one may have."""
        desk, now = self.desk, self.clock()
        provider, accounts = self.target.provider, self.client.accounts
        count, least = len(accounts), math.inf
        self.firm = True
        for at in range(desk.turn, desk.turn + count):
            client, account = accounts[at % count], provider.accounts[at % count]
            wait = desk.left_alone(account, now)
            if wait and (why := OutcomeClass(desk.shut[account][1])) is not _C.RATE_LIMITED:
                self.refused, wait = why, math.inf
            if not wait and (count == 1 or client.credential.available(now)):
                claims = claims_at(self.target, account, self.request)
                answer = self.store.take(claims, now) if claims else None
                if answer is not None and not isinstance(answer, Grant | Refusal):
                    answer = await answer
                if not isinstance(answer, Refusal):
                    desk.turn = (at + 1) % count
                    return Seat(desk, self.store, answer, client, account)
                wait = answer.retry_after
                self.firm = self.firm and f"{account}/requests/" in answer.key
            least = min(least, wait or math.inf)
        return least


class Seats:
    """Finds places for the attempts of one request.

    ``end`` is the candidate before which it stops. Who is not ``patient`` goes without rather than wait.
    """

    __slots__ = ("_end", "_firm", "_passed", "_plan", "_refused", "_request", "_run", "patient")

    def __init__(self, run: Run, plan: Plan, end: int, patient: bool) -> None:
        self._run = run
        self._plan = plan
        self._end = end
        self.patient = patient
        self._request = request_of(run.call)
        self._passed: dict[int, float] = {}
        """Candidates without room, and the seconds until each may have some."""
        self._firm: set[int] = set()
        """Those of them whose wait is known, and can become no shorter."""
        self._refused: OutcomeClass | None = None

    async def admit(self, position: int, facts: Facts) -> tuple[int, Seat | None] | None:
        """The candidate to attempt with its place: this one, or another that has room, or the first to have.

        ``None`` where nobody will have any in time.
        """
        self._passed, self._firm, at = {}, set(), position
        while True:
            if not self._step(at).target.provider.limited:
                return at, None
            seat = await self._try(at)
            if seat is not None:
                return at, seat
            go = self._run.planner.instead(self._plan, at, facts, self._run.now())
            if go is None or go.position >= self._end:
                break
            at = facts.follow(go)
        if not self.patient:
            return None
        for at in facts.passed:
            # Passed over for the same reason before: there may be room sooner.
            closure = None if at in self._passed else facts.closed(self._step(at), self._run.now())
            if closure is not None and closure.reason == "limit" and (seat := await self._try(at)) is not None:
                return facts.follow(Go(at)), seat
        found = await self._wait()
        return None if found is None else (facts.follow(Go(found[0])), found[1])

    def _step(self, position: int) -> TargetStep:
        step = self._plan.candidates[position].step
        assert isinstance(step, TargetStep)  # noqa: S101  - no other is admitted, passed over, nor goes instead
        return step

    async def _try(self, position: int) -> Seat | None:
        """A place there now; else the wait is noted."""
        asked = _Asked(self._run, self._step(position), self._request)
        # Who comes now is behind those that wait already.
        found = await asked.find() if not len(asked.desk.line) else 0.0
        if isinstance(found, Seat):
            return found
        self._passed[position] = found
        if asked.firm:
            self._firm.add(position)
        self._refused = self._refused or asked.refused
        return None

    async def _wait(self) -> tuple[int, Seat] | None:
        """A place at the one of those passed over where it comes first; ``None`` if there is none in time."""
        position = min(self._passed, key=self._expected)
        asked = _Asked(self._run, self._step(position), self._request)
        seat = await self._queue(asked, self._passed[position], position in self._firm)
        return None if seat is None else (position, seat)

    def refusal(self) -> Verdict:
        """What is said where nobody had room in time."""
        wait = min(self._passed.values(), default=1.0)
        if self._refused is not None and wait == math.inf:
            return Verdict(self._refused)
        return Verdict(OutcomeClass.RATE_LIMITED, retry_after=wait)

    def _expected(self, position: int) -> tuple[float, int]:
        """When a place may come, by what the line before it will take of the provider's windows."""
        provider = self._step(position).target.provider
        ahead = len(self._run.state.desks.of(provider.name).line) / len(provider.accounts)
        pace = max(
            (rate.per / rate.limit for rate in provider.limits if rate.unit == "requests" and rate.per), default=0
        )
        return self._passed[position] + ahead * pace, position

    async def _queue(self, asked: _Asked, wait: float, firm: bool) -> Seat | None:
        """Wait in the provider's line; ``None`` if it is full, or no place can come in time."""
        run, line, settings = self._run, asked.desk.line, self._run.clients.settings
        moment = run.clock()
        limit = min(run.deadline, moment + settings.queue_wait)
        hopeless = wait == math.inf or (firm and wait > limit - moment)
        if hopeless or limit <= moment or len(line) >= settings.queue_length:
            return None
        waits: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()
        asked.waits = waits
        ticket = line.join(run.call.key or run.call.user or "", asked)
        _serve(asked.desk)
        taken: Seat | None = None
        run.pause()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(limit):
                    taken = await waits
        finally:
            run.resume()
            line.leave(ticket)
            if taken is None and waits.done() and not waits.cancelled():
                waits.result().cancel()  # its place came in the same moment
        return taken


def _serve(desk: Desk) -> None:
    """See to it that somebody serves the line: one task a provider, while anybody waits."""
    if desk.alarm is None:
        wake = asyncio.Event()
        desk.alarm = wake.set
        desk.clerk = asyncio.get_running_loop().create_task(_clerk(desk, wake), name="interlock-line")


async def _clerk(desk: Desk, wake: asyncio.Event) -> None:
    try:
        while (first := desk.line.first()) is not None:
            wake.clear()
            found = await first.item.find()
            if isinstance(found, Seat):
                _give(desk, first, found)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(min(found, LONGEST_NAP)):
                    await wake.wait()
    finally:
        desk.alarm = desk.clerk = None


def _give(desk: Desk, ticket: Ticket[_Asked], seat: Seat) -> None:
    """The place to the first in line, who may have left meanwhile."""
    waits = ticket.item.waits
    if ticket.left or waits is None or waits.done():
        desk.line.leave(ticket)
        seat.cancel()
        return
    desk.line.serve(ticket)
    waits.set_result(seat)
