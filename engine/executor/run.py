"""One request under way: its attempts, its clock, and the single outcome it ends in."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable

from engine.dialects import COUNT_TOKENS
from engine.exchange import (
    RULES,
    Attempt,
    Call,
    Header,
    Outcome,
    OutcomeClass,
    Tracing,
    UncarriedError,
    Usage,
    Verdict,
)
from engine.graph import Graph, TargetStep
from engine.planner import DIRECT, Plan, Planner
from engine.state import State

from .admission import Held, enter, rate_headers
from .attempt import LOST, Try
from .attributes import request_of
from .clients import Clients, ProviderClient
from .mirroring import Mirrors
from .reply import Headers, Reply, StreamReply, error_body, error_reply, id_headers
from .walk import attempt_all
from .watch import Watches

#: Characters of a model's name that a record holds: it comes from the client, and may be as long as a book.
MAX_MODEL = 200

_log = logging.getLogger("interlock.executor")


class Run:
    """One request: :meth:`serve` works on it, :meth:`finish` ends it, once."""

    __slots__ = (
        "_arrived", "_attempts", "_finished", "_mirrors", "_observe", "_paused", "_pauses", "added", "begun", "call",
        "clients", "clock", "copied", "deadline", "decided", "dropped", "held", "let_go", "plan", "planner",
        "started", "started_at", "state", "trace", "tracing", "watches",
    )  # fmt: skip

    def __init__(
        self,
        state: State,
        observe: Callable[[Outcome], None],
        clients: Clients,
        release: Callable[[], None],
        call: Call,
        watches: Watches,
        tracing: Tracing | None = None,
        mirrors: Mirrors | None = None,
        planner: Planner = DIRECT,
    ) -> None:
        self.watches = watches
        self.planner = planner
        self.decided = False
        self.state = state
        self.clients = clients
        self.call = call
        self.clock = watches.clock
        self.started = self.deadline = watches.clock()
        self.started_at = time.time()
        self.plan: Plan | None = None
        self.dropped: tuple[str, ...] = ()
        self.begun = 0
        self.held: Held | None = None
        self.tracing = tracing
        self.trace = None if tracing is None else tracing.begin(call.headers)
        self.added: float | None = None
        self._arrived = call.arrived or time.perf_counter()
        self._paused, self._pauses = 0.0, 0
        self._attempts: list[Attempt] = []
        self.copied: tuple[tuple[TargetStep, ...], bytes | None] | None = None
        self._mirrors = mirrors
        self._observe = observe
        self.let_go = release
        self._finished: Outcome | None = None

    async def serve(self, graph: Graph) -> Reply | StreamReply:
        """The reply; never raises but for a cancellation, which closes the upstream's connection."""
        try:
            request = request_of(self.call)
            if request.conversation is not None:
                await self.state.conversations.find(request.conversation)
            made = self.planner.plan(graph, request, self.clients.view(self.state), self.started_at)
            if made.limits and made.stop is None:
                made = await enter(self, made)
                self.planner.entered(made.refusal)
            self.plan = made
            if made.route is None or made.stop is not None:
                return self._stopped(made)
            total, asked = made.route.timeouts.total, self.call.deadline
            self.deadline = self.started + (total if asked is None else min(total, asked))
            return await attempt_all(self, made, made.route)
        except asyncio.CancelledError:
            # The client left, or whoever awaited the reply gave up.
            self.finish(OutcomeClass.CANCELLED, RULES[OutcomeClass.CANCELLED].status, code="cancelled")
            raise
        except Exception:
            # The boundary of a request: a defect of ours must not take the server's connection down with it.
            _log.exception("request %s failed inside the gateway", self.call.request_id)
            return self._defect()

    def attempt(self, step: TargetStep, hedged: bool, account: ProviderClient | None = None) -> Try | Reply | Verdict:
        """An attempt at a target, to be made at once; what the client gets, or the verdict, where none is needed.

        ``hedged`` is whether another one is under way, ``account`` which of its provider's to ask. Raises
        ``UncarriedError``.
        """
        client, call = account or self.clients.of(step.target.provider.name), self.call
        way = client.way(call.front, call.kind)
        if way is None:
            if call.kind == COUNT_TOKENS:
                return self._estimated(step)
            raise UncarriedError("model", f"Target {step.target.id!r} has no {call.kind}.")
        request = way.link.encode(call, self.clients.shape(step))
        self.begun += 1
        tried = Try(self, client, way, step, request, hedged)
        if request.dropped and step.unsupported == "error":
            return self._unsupported(tried)
        self.dropped = request.dropped
        return tried

    def _estimated(self, step: TargetStep) -> Reply:
        """The number of tokens for a target that does not count them: the estimate that routing goes by."""
        self.begun = 0
        body = b'{"input_tokens":%d}' % request_of(self.call).input_tokens
        return Reply(200, self.served_headers(step, None), body, self.finish(OutcomeClass.SERVED, 200))

    def uncarried(self, problem: UncarriedError) -> Reply:
        """No target is left that could take the request as it is."""
        if self._attempts:
            last = self._attempts[-1]
            return self.failed(last.outcome_class, Verdict(last.outcome_class))
        verdict = Verdict(OutcomeClass.INVALID_REQUEST, "unsupported_content", problem.message, problem.param)
        return self.refused(OutcomeClass.INVALID_REQUEST, 400, verdict)

    def _unsupported(self, tried: Try) -> Verdict:
        dropped = tried.request.dropped
        names = ", ".join(dropped)
        message = f"Target {tried.step.target.id!r} does not support {names}, and this route forbids dropping it."
        verdict = Verdict(OutcomeClass.INVALID_REQUEST, "unsupported_parameter", message, dropped[0])
        self.record(tried, verdict, None)
        return verdict

    def pause(self) -> None:
        """From here on others are waited for; :meth:`resume` must follow. Several pauses at once count as one.

        The loop's clock stands still within one of its turns, so it cannot tell what the gateway itself takes.
        """
        if not self._pauses:
            self._paused -= time.perf_counter()
        self._pauses += 1

    def resume(self) -> None:
        """The wait is over."""
        self._pauses -= 1
        if not self._pauses:
            self._paused += time.perf_counter()

    def work_done(self) -> float:
        """Seconds that the request took so far, without its pauses; in the midst of one it is counted up to now."""
        now = time.perf_counter()
        return now - self._arrived - (self._paused + now if self._pauses else self._paused)

    def now(self) -> float:
        """Unix time, as steady as the loop's clock."""
        return self.unix(self.clock())

    def unix(self, moment: float) -> float:
        """Unix time at a moment of the loop's clock. The same moment always gives the same time."""
        return moment + (self.started_at - self.started)

    def record(
        self,
        tried: Try,
        verdict: Verdict,
        status: int | None,
        first_token: float | None = None,
        usage: Usage | None = None,
        header: Header | None = None,
    ) -> None:
        """Keep the record of an attempt that ended just now, and let the live facts learn of it.

        An upstream that complains of the request may quote it: those words are for the client, not for records.
        """
        step, began, ended = tried.step, tried.began, self.clock()
        # That the client, or the route, had no more time is not the target's fault; and what is said of one account of
        # several says nothing of the provider, as long as it has another.
        neutral = verdict.outcome_class is OutcomeClass.TIMEOUT and ended >= self.deadline
        if tried.seat is not None:
            tried.seat.end(verdict, status, usage, ended)
            neutral = neutral or tried.seat.spare
        noted = Verdict(OutcomeClass.DEADLINE) if neutral else verdict
        self.state.note(step, noted, self.unix(began), self.unix(ended), first_token, header, self.call.stream)
        detail = verdict.detail if verdict.outcome_class is not OutcomeClass.SERVED else ""
        if verdict.message and RULES[verdict.outcome_class].shows_message:
            detail = verdict.code
        self._attempts.append(
            Attempt(
                step.target.id,
                verdict.outcome_class,
                status,
                began - self.started,
                ended - began,
                first_token,
                verdict.retry_after,
                detail,
                usage or verdict.usage,
                tried.hedged,
            )
        )

    def cancelled(self) -> Verdict:
        """The verdict on an attempt that was cancelled from outside: another one serves, or nobody waits any longer."""
        return LOST if self.decided else Verdict(OutcomeClass.CANCELLED)

    def timed_out(self, what: str, seconds: float) -> Verdict:
        """The verdict on an attempt whose limit has passed: its own, or the request's deadline."""
        if self.clock() >= self.deadline:
            what, seconds = "the request's deadline", self.deadline - self.started
        return Verdict(OutcomeClass.TIMEOUT, detail=f"{what} of {seconds:g}s passed")

    def headers(self, target: str | None) -> Headers:
        """The headers of every routed reply."""
        plan = self.plan
        headers: Headers = id_headers(self.call.request_id, self.call.front)
        if plan is not None:
            headers.append((b"x-interlock-graph", plan.fingerprint.encode()))
            if plan.route is not None:
                headers.append((b"x-interlock-route", plan.route.name.encode()))
            if plan.limits:
                headers += rate_headers(plan, self.held)
        if target is not None:
            headers.append((b"x-interlock-target", target.encode()))
        headers.append((b"x-interlock-attempts", b"%d" % self.begun))
        if self.dropped:
            headers.append((b"x-interlock-dropped", ", ".join(self.dropped).encode()))
        return headers

    def served_headers(self, step: TargetStep, content_type: str | None) -> Headers:
        """The headers of a reply that an upstream gave."""
        headers = self.headers(step.target.id)
        headers.append((b"content-type", (content_type or "application/json").encode("latin-1")))
        return headers

    def finish(
        self, outcome: OutcomeClass, status: int, *, code: str = "", first_token: float | None = None
    ) -> Outcome:
        """End the request: one outcome, reported once; the snapshot is let go."""
        if self._finished is not None:
            return self._finished
        call, plan = self.call, self.plan
        last = self._attempts[-1] if self._attempts else None
        self._finished = Outcome(
            call.request_id,
            outcome,
            status,
            call.surface,
            call.model[:MAX_MODEL],
            plan.route.name if plan is not None and plan.route is not None else None,
            last.target if last else None,
            plan.fingerprint if plan is not None else "",
            call.stream,
            self.started_at,
            self.clock() - self.started,
            first_token,
            tuple(self._attempts),
            last.usage if last else None,
            call.key,
            code,
            plan.variants if plan is not None else (),
            self.dropped,
            self.work_done() if self.added is None else self.added,
            self.trace,
        )
        if self.held is not None:
            self.held.end(self._attempts)
        self._observe(self._finished)
        self.planner.ended(self._finished)
        copied, mirrors = self.copied, self._mirrors
        if copied is None or mirrors is None or last is None or not mirrors.send(self, last, *copied):
            self.let_go()
        return self._finished

    @property
    def last(self) -> Attempt:
        """The attempt that ended last."""
        return self._attempts[-1]

    def _defect(self) -> Reply:
        """An error of ours: the client learns the request's id, the log the rest."""
        error = {
            "message": f"The gateway failed on this request. Request id: {self.call.request_id}.",
            "type": "gateway_error",
            "code": "internal",
            "param": None,
        }
        outcome = self.finish(OutcomeClass.SERVER_ERROR, 500, code="internal")
        speaks = self.call.front
        return error_reply(500, error, self.headers(None), terminal=True, outcome=outcome, speaks=speaks)

    def _stopped(self, plan: Plan) -> Reply:
        """The plan says the request ends without any attempt."""
        stop = plan.stop or OutcomeClass.UNROUTABLE
        status = plan.status if plan.status is not None else RULES[stop].status
        recovers = plan.retry_after if plan.refusal is None else plan.refusal.retry_after
        return self.refused(stop, status, Verdict(stop, plan.code, plan.message), recovers)

    def refused(self, outcome: OutcomeClass, status: int, verdict: Verdict, recovers: float | None = None) -> Reply:
        """The request ends before any attempt, or by a step that refuses; ``recovers`` is when to come again."""
        error = error_body(outcome, self.call.request_id, verdict)
        if verdict.code and RULES[outcome].shows_message:
            error["code"] = verdict.code
        return self._error(outcome, status, error, recovers)

    def failed(self, outcome: OutcomeClass, verdict: Verdict) -> Reply:
        """No candidate is left, or the last outcome allows no other."""
        error = error_body(outcome, self.call.request_id, verdict if verdict.outcome_class is outcome else None)
        recovers = verdict.retry_after if verdict.outcome_class is outcome else None
        if recovers is not None and self._attempts:
            recovers = min(recovers, self._recovers())
        return self._error(outcome, RULES[outcome].status, error, recovers)

    def _recovers(self) -> float:
        """Seconds until the first target may serve again, as its own last answer said; 1 where none said anything."""
        waits: dict[str, float | None] = {}
        for attempt in self._attempts:
            asked, ended = attempt.retry_after, self.started + attempt.started + attempt.duration
            waits[attempt.target] = None if asked is None else ended + asked - self.clock()
        return min((wait for wait in waits.values() if wait is not None), default=1.0)

    def _error(
        self, outcome: OutcomeClass, status: int, error: dict[str, object], recovers: float | None = None
    ) -> Reply:
        headers = self.headers(self._attempts[-1].target if self._attempts else None)
        # What will never have room is final, whatever its class.
        terminal = RULES[outcome].terminal or recovers == math.inf
        if status in (429, 503) and not terminal:
            wait = self._recovers() if recovers is None else recovers
            headers.append((b"retry-after", b"%d" % max(1, math.ceil(round(wait, 3)))))
        record = self.finish(outcome, status, code=str(error["code"] or ""))
        speaks = self.call.front
        return error_reply(status, error, headers, terminal=terminal, outcome=record, speaks=speaks)
