"""One unstreamed attempt: send, wait within limits, read what the reply means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from msgspec import structs

from engine.exchange import OutcomeClass, StreamDecoder, Verdict, WireRequest
from engine.graph import TargetStep

from .clients import ProviderClient, Way
from .credentials import Pairs
from .reply import Reply
from .transport import Answer, StreamAnswer, TransportError
from .watch import Watched

if TYPE_CHECKING:
    from .run import Run
    from .seats import Seat

#: Characters; what is shorter, such as the placeholder of a local server, would be found in ordinary words.
SHORTEST_SECRET = 8
LOST = Verdict(OutcomeClass.CANCELLED, detail="another target answered first")
NO_CREDENTIAL = Verdict(OutcomeClass.UNAUTHORIZED, detail="there is no credential to send")


def outgoing(
    run: Run, client: ProviderClient, request: WireRequest, url: str, began: float
) -> list[tuple[str, str]] | None:
    """The headers to send for the attempt that began then; ``None`` where the credential is missing."""
    headers = _outgoing(run, client, request, url)
    if run.trace is not None and run.tracing is not None and headers is not None:
        headers += run.tracing.headers(run.trace, client.provider.name, began - run.started)
    return headers


def _outgoing(run: Run, client: ProviderClient, request: WireRequest, url: str) -> list[tuple[str, str]] | None:
    call, now = run.call, run.clock()
    credential = client.credential.headers(call.authorization, now)
    if credential and not client.own_headers:  # nearly always
        return [*request.headers, *client.headers, *credential]

    def sign(headers: list[tuple[str, str]]) -> Pairs:
        return client.credential.sign(request.method, url, headers, request.body)

    return outgoing_headers(client, request.headers, call.authorization, now, sign)


def outgoing_headers(
    client: ProviderClient,
    usual: Iterable[tuple[str, str]],
    caller: str | None,
    now: float,
    sign: Callable[[list[tuple[str, str]]], Pairs],
) -> list[tuple[str, str]] | None:
    """The dialect's headers, the provider's own over them, its credential; ``None`` where that is missing."""
    credential = client.credential.headers(caller, now)
    if credential is None:
        return None
    own = client.own_headers
    if own:
        usual = [pair for pair in usual if pair[0] not in own]
    headers = [*usual, *client.headers, *credential]
    return headers if credential else [*headers, *sign(headers)]


def without_secrets(verdict: Verdict, client: ProviderClient, run: Run) -> Verdict:
    """The verdict without the credential that was sent, which some upstreams repeat in their complaint about it."""
    return without(verdict, client.credential.headers(run.call.authorization, run.clock()) or ())


def without(verdict: Verdict, sent: Pairs) -> Verdict:
    """The verdict without what was sent in these headers."""
    for _, value in sent:
        # With and without the scheme before it, whichever that is.
        for secret in (value, value.partition(" ")[2].strip()):
            shown = (verdict.message, verdict.detail, verdict.code, verdict.param or "")
            if len(secret) >= SHORTEST_SECRET and any(secret in text for text in shown):
                verdict = structs.replace(
                    verdict,
                    message=verdict.message.replace(secret, "***"),
                    detail=verdict.detail.replace(secret, "***"),
                    code=verdict.code.replace(secret, "***"),
                    param=verdict.param and verdict.param.replace(secret, "***"),
                )
    return verdict


def unreachable(problem: TransportError) -> Verdict:
    """The verdict on a transport that gave no reply."""
    timed_out = problem.kind == "connect_timeout"
    outcome = OutcomeClass.TIMEOUT if timed_out else OutcomeClass.CONNECTION
    return Verdict(outcome, detail=problem.detail)


class Try(Watched):
    """One attempt: who is asked what, within a limit of time of its own, and the answer if it served.

    Two of them may be under way for one request, where a step is hedged; ``hedged`` says that this one was begun
    beside another. If it serves, ``mirrors`` get a copy of the request, and ``whole`` or ``opened`` is set: an
    answer, or a stream up to its first output.
    """

    __slots__ = (
        "began",
        "client",
        "hedged",
        "lost",
        "mirrors",
        "opened",
        "request",
        "run",
        "seat",
        "step",
        "way",
        "whole",
    )

    whole: tuple[Answer, Verdict, bytes]
    opened: tuple[StreamAnswer, StreamDecoder, bytes]

    def __init__(
        self, run: Run, client: ProviderClient, way: Way, step: TargetStep, request: WireRequest, hedged: bool
    ) -> None:
        self._watches = run.watches
        self._task = None
        self._fired = False
        self.run = run
        self.client = client
        self.way = way
        self.step = step
        self.request = request
        self.hedged = hedged
        self.lost = False
        self.mirrors: tuple[TargetStep, ...] = ()
        self.seat: Seat | None = None
        self.began = run.clock()

    def lose(self) -> None:
        """Another attempt of the request has served: give up at once."""
        self.lost = True
        self.fire()

    def cut_short(self, what: str, seconds: float) -> Verdict:
        """The verdict after :meth:`expired`: another attempt served, or this limit or the request's deadline passed."""
        return LOST if self.lost else self.run.timed_out(what, seconds)


async def plain_attempt(tried: Try) -> Verdict | None:
    """``None`` if the target served, which :func:`plain_reply` then records; else the verdict, recorded."""
    run, client, way, step, request = tried.run, tried.client, tried.way, tried.step, tried.request
    began = tried.began
    url = way.base + request.path
    limits = step.timeouts
    run.state.enter(step, run.unix(began))
    tried.arm(min(run.deadline, began + limits.attempt))
    try:
        if client.credential.due(began):
            await client.credential.refresh(began)
        headers = outgoing(run, client, request, url, began)
        if headers is None:
            run.record(tried, NO_CREDENTIAL, None)
            return NO_CREDENTIAL
        transport = client.transport(limits.connect)
        run.pause()
        try:
            answer = await transport.send(request.method, url, headers, request.body)
        finally:
            run.resume()
    except TransportError as problem:
        verdict = unreachable(problem)
        run.record(tried, verdict, None)
        return verdict
    except asyncio.CancelledError:
        if tried.expired():
            verdict = tried.cut_short("the attempt's limit", limits.attempt)
            run.record(tried, verdict, None)
            return verdict
        run.record(tried, run.cancelled(), None)
        raise
    finally:
        tried.disarm()
        run.state.leave(step.target.id)
    body = b""
    if 200 <= answer.status < 300:
        verdict, body = way.link.decode(run.call, answer.header, answer.body)
    else:
        verdict = client.dialect.classify(answer.status, answer.header, answer.body, run.now())
    if verdict.outcome_class is not OutcomeClass.SERVED:
        verdict = without_secrets(verdict, client, run)
        run.record(tried, verdict, answer.status, header=answer.header)
        return verdict
    tried.whole = (answer, verdict, body)
    return None


def plain_reply(tried: Try) -> Reply:
    """The reply of an attempt that served, and with it the end of its request."""
    run, step = tried.run, tried.step
    answer, verdict, body = tried.whole
    run.record(tried, verdict, answer.status, header=answer.header)
    if verdict.conversation:
        run.state.conversations.keep(verdict.conversation, step.target.id)
    if tried.mirrors:
        run.copied = (tried.mirrors, body)
    reply_headers = run.served_headers(step, tried.way.link.content_type(run.call, answer.header))
    return Reply(200, reply_headers, body, run.finish(OutcomeClass.SERVED, 200))


def plain_discard(tried: Try) -> None:
    """Another attempt served in the same moment: this one's answer is not needed."""
    answer, verdict, _ = tried.whole
    tried.run.record(tried, LOST, answer.status, usage=verdict.usage, header=answer.header)
