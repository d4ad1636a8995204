"""One unstreamed attempt: send, wait within limits, read what the reply means."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import structs

from engine.exchange import OutcomeClass, Verdict, WireRequest
from engine.graph import TargetStep

from .clients import ProviderClient
from .reply import Reply
from .transport import TransportError

if TYPE_CHECKING:
    from .run import Run

#: Characters; what is shorter, such as the placeholder of a local server, would be found in ordinary words.
SHORTEST_SECRET = 8
NO_CREDENTIAL = Verdict(OutcomeClass.UNAUTHORIZED, detail="there is no credential to send")


def outgoing(run: Run, client: ProviderClient, request: WireRequest) -> list[tuple[str, str]] | None:
    """The headers to send: the dialect's, the provider's own, its credential; ``None`` where that is missing."""
    credential = client.credential.headers(run.call.authorization, run.clock())
    return None if credential is None else [*request.headers, *client.headers, *credential]


def without_secrets(verdict: Verdict, client: ProviderClient, run: Run) -> Verdict:
    """The verdict without the credential that was sent, which some upstreams repeat in their complaint about it."""
    for _, value in client.credential.headers(run.call.authorization, run.clock()) or ():
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


async def plain_attempt(run: Run, client: ProviderClient, step: TargetStep, request: WireRequest) -> Reply | Verdict:
    """The reply if the target served, else the verdict; recorded either way."""
    headers = outgoing(run, client, request)
    began = run.clock()
    if headers is None:
        run.record(step, NO_CREDENTIAL, began, None)
        return NO_CREDENTIAL
    limits = step.timeouts
    run.state.enter(step.target.id)
    run.arm(min(run.deadline, began + limits.attempt))
    try:
        answer = await client.transport(limits.connect).send(
            request.method, client.base + request.path, headers, request.body
        )
    except TransportError as problem:
        verdict = unreachable(problem)
        run.record(step, verdict, began, None)
        return verdict
    except asyncio.CancelledError:
        if run.expired():
            verdict = run.timed_out("the attempt's limit", limits.attempt)
            run.record(step, verdict, began, None)
            return verdict
        run.record(step, Verdict(OutcomeClass.CANCELLED), began, None)
        raise
    finally:
        run.disarm()
        run.state.leave(step.target.id)
    if 200 <= answer.status < 300:
        verdict = client.dialect.decode(run.call, answer.header, answer.body)
    else:
        verdict = client.dialect.classify(answer.status, answer.header, answer.body, run.now())
    if verdict.outcome_class is not OutcomeClass.SERVED:
        verdict = without_secrets(verdict, client, run)
    run.record(step, verdict, began, answer.status)
    if verdict.outcome_class is not OutcomeClass.SERVED:
        return verdict
    reply_headers = run.served_headers(step, answer.header("content-type"))
    return Reply(200, reply_headers, answer.body, run.finish(OutcomeClass.SERVED, 200))
