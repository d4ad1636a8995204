"""One request under way: its attempts, its clock, and the single outcome it ends in."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable

from engine.dialects import COUNT_TOKENS
from engine.exchange import RULES, Attempt, Call, Header, Outcome, OutcomeClass, UncarriedError, Usage, Verdict
from engine.graph import Graph, Reject, Route, TargetStep
from engine.planner import Facts, Go, Plan, Stop, Wait, advance, pass_over, plan
from engine.state import State

from .attempt import plain_attempt
from .attributes import request_of
from .clients import Clients
from .reply import Headers, Reply, StreamReply, error_body, error_reply, id_headers
from .streaming import stream_attempt
from .watch import Watched, Watches

#: Characters of a model's name that a record holds: it comes from the client, and may be as long as a book.
MAX_MODEL = 200

_log = logging.getLogger("interlock.executor")


class Run(Watched):
    """One request: :meth:`serve` works on it, :meth:`finish` ends it, once."""

    __slots__ = (
        "_attempts",
        "_finished",
        "_observe",
        "_release",
        "begun",
        "call",
        "clients",
        "clock",
        "deadline",
        "dropped",
        "plan",
        "started",
        "started_at",
        "state",
    )

    def __init__(
        self,
        state: State,
        observe: Callable[[Outcome], None],
        clients: Clients,
        release: Callable[[], None],
        call: Call,
        watches: Watches,
    ) -> None:
        super().__init__(watches)
        self.state = state
        self.clients = clients
        self.call = call
        self.clock = watches.clock
        self.started = self.deadline = watches.clock()
        self.started_at = time.time()
        self.plan: Plan | None = None
        self.dropped: tuple[str, ...] = ()
        self.begun = 0
        self._attempts: list[Attempt] = []
        self._observe = observe
        self._release = release
        self._finished: Outcome | None = None

    async def serve(self, graph: Graph) -> Reply | StreamReply:
        """The reply; never raises but for a cancellation, which closes the upstream's connection."""
        try:
            made = self.plan = plan(graph, request_of(self.call), self.clients.view(self.state), self.started_at)
            if made.route is None or made.stop is not None:
                return self._stopped(made)
            total, asked = made.route.timeouts.total, self.call.deadline
            self.deadline = self.started + (total if asked is None else min(total, asked))
            return await self._attempt_all(made, made.route)
        except asyncio.CancelledError:
            # The client left, or whoever awaited the reply gave up.
            self.finish(OutcomeClass.CANCELLED, RULES[OutcomeClass.CANCELLED].status, code="cancelled")
            raise
        except Exception:
            # The boundary of a request: a defect of ours must not take the server's connection down with it.
            _log.exception("request %s failed inside the gateway", self.call.request_id)
            return self._defect()

    async def _attempt_all(self, plan: Plan, route: Route) -> Reply | StreamReply:
        """Attempt candidates as ``advance`` says, until one serves or the request ends otherwise."""
        facts = Facts(0.0, closed=self.state.closed, passed=plan.passed, position=plan.start, farthest=plan.start)
        budget = self.state.retry_budget(route.name)
        budget.request(self.started)
        position = plan.start
        while True:
            step = plan.candidates[position].step
            if isinstance(step, Reject):
                verdict = Verdict(OutcomeClass.REJECTED, message=step.message)
                return self._refused(OutcomeClass.REJECTED, step.status, verdict)
            try:
                attempt = self._attempt(step)
            except UncarriedError as problem:
                onward = pass_over(plan, position, facts, self.now())
                if isinstance(onward, Stop) and onward.outcome_class is OutcomeClass.OVERLOADED:
                    return self._failed(onward.outcome_class, Verdict(onward.outcome_class))
                if not isinstance(onward, Go):
                    return self._uncarried(problem)
                position = facts.follow(onward)
                continue
            self.begun = facts.attempts = facts.attempts + 1
            facts.tries += 1
            result = await attempt
            if not isinstance(result, Verdict):
                return result
            moment = self.clock()
            facts.remaining = self.deadline - moment
            facts.retry_after = result.retry_after
            facts.retry_allowed = budget.allows(route.retry.budget, moment)
            if result.outcome_class is OutcomeClass.CONTEXT_EXCEEDED:
                facts.larger_than = max(facts.larger_than, step.target.context_window or 0)
            following = advance(plan, position, result.outcome_class, facts, self.now())
            if isinstance(following, Go):
                position = facts.follow(following, result.outcome_class)
                if following.again:
                    budget.retry(moment)
            elif isinstance(following, Wait):
                # Counted before the pause: others that fail meanwhile must see that this retry is spoken for.
                budget.retry(moment)
                await asyncio.sleep(following.delay)
            else:
                return self._failed(following.outcome_class, result)

    def _attempt(self, step: TargetStep) -> Awaitable[Reply | StreamReply | Verdict]:
        """One attempt at a target, to be awaited; the target counts as busy meanwhile. Raises ``UncarriedError``."""
        client, call = self.clients.of(step.target.provider.name), self.call
        way = client.way(call.front, call.kind)
        if way is None:
            if call.kind == COUNT_TOKENS:
                return self._estimated(step)
            raise UncarriedError("model", f"Target {step.target.id!r} has no {call.kind}.")
        request = way.link.encode(call, self.clients.shape(step))
        if request.dropped and step.unsupported == "error":
            return self._unsupported(step, request.dropped)
        self.dropped = request.dropped
        return (stream_attempt if call.stream else plain_attempt)(self, client, way, step, request)

    async def _estimated(self, step: TargetStep) -> Reply:
        """The number of tokens for a target that does not count them: the estimate that routing goes by."""
        self.begun = 0
        body = b'{"input_tokens":%d}' % request_of(self.call).input_tokens
        return Reply(200, self.served_headers(step, None), body, self.finish(OutcomeClass.SERVED, 200))

    def _uncarried(self, problem: UncarriedError) -> Reply:
        """No target is left that could take the request as it is."""
        if self._attempts:
            last = self._attempts[-1]
            return self._failed(last.outcome_class, Verdict(last.outcome_class))
        verdict = Verdict(OutcomeClass.INVALID_REQUEST, "unsupported_content", problem.message, problem.param)
        return self._refused(OutcomeClass.INVALID_REQUEST, 400, verdict)

    async def _unsupported(self, step: TargetStep, dropped: tuple[str, ...]) -> Verdict:
        names = ", ".join(dropped)
        message = f"Target {step.target.id!r} does not support {names}, and this route forbids dropping it."
        verdict = Verdict(OutcomeClass.INVALID_REQUEST, "unsupported_parameter", message, dropped[0])
        self.record(step, verdict, self.clock(), None)
        return verdict

    def now(self) -> float:
        """Unix time, as steady as the loop's clock."""
        return self.unix(self.clock())

    def unix(self, moment: float) -> float:
        """Unix time at a moment of the loop's clock. The same moment always gives the same time."""
        return moment + (self.started_at - self.started)

    def record(
        self,
        step: TargetStep,
        verdict: Verdict,
        began: float,
        status: int | None,
        first_token: float | None = None,
        usage: Usage | None = None,
        header: Header | None = None,
    ) -> None:
        """Keep the record of an attempt that ended just now, and let the live facts learn of it.

        An upstream that complains of the request may quote it: those words are for the client, not for records.
        """
        ended = self.clock()
        # That the client, or the route, had no more time is not the target's fault.
        late = verdict.outcome_class is OutcomeClass.TIMEOUT and ended >= self.deadline
        noted = Verdict(OutcomeClass.DEADLINE) if late else verdict
        self.state.note(step, noted, self.unix(began), self.unix(ended), first_token, header)
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
            )
        )

    def timed_out(self, what: str, seconds: float) -> Verdict:
        """The verdict after the watch has fired: the attempt's own limit, or the request's deadline."""
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
        self.unwatch()
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
        )
        self._observe(self._finished)
        self._release()
        return self._finished

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
        return self._refused(stop, status, Verdict(stop, plan.code, plan.message, retry_after=plan.retry_after))

    def _refused(self, outcome: OutcomeClass, status: int, verdict: Verdict) -> Reply:
        error = error_body(outcome, self.call.request_id, verdict)
        if verdict.code and RULES[outcome].shows_message:
            error["code"] = verdict.code
        return self._error(outcome, status, error, verdict.retry_after)

    def _failed(self, outcome: OutcomeClass, verdict: Verdict) -> Reply:
        """No candidate is left, or the last outcome allows no other."""
        error = error_body(outcome, self.call.request_id, verdict if verdict.outcome_class is outcome else None)
        return self._error(outcome, RULES[outcome].status, error)

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
        if status in (429, 503) and not RULES[outcome].terminal:
            seconds = self._recovers() if recovers is None else recovers
            headers.append((b"retry-after", b"%d" % max(1, math.ceil(round(seconds, 3)))))
        record = self.finish(outcome, status, code=str(error["code"] or ""))
        speaks = self.call.front
        return error_reply(status, error, headers, terminal=RULES[outcome].terminal, outcome=record, speaks=speaks)
