"""One unstreamed attempt: send, wait within limits, read what the reply means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from msgspec import structs

from engine.exchange import OutcomeClass, Verdict, WireRequest
from engine.graph import TargetStep

from .clients import ProviderClient, Way
from .credentials import Pairs
from .reply import Reply
from .transport import TransportError

if TYPE_CHECKING:
    from .run import Run

#: Characters; what is shorter, such as the placeholder of a local server, would be found in ordinary words.
SHORTEST_SECRET = 8
NO_CREDENTIAL = Verdict(OutcomeClass.UNAUTHORIZED, detail="there is no credential to send")


def outgoing(run: Run, client: ProviderClient, request: WireRequest, url: str) -> list[tuple[str, str]] | None:
    """The headers to send for an attempt; ``None`` where the credential is missing."""
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


async def plain_attempt(
    run: Run, client: ProviderClient, way: Way, step: TargetStep, request: WireRequest
) -> Reply | Verdict:
    """The reply if the target served, else the verdict; recorded either way."""
    began = run.clock()
    url = way.base + request.path
    limits = step.timeouts
    run.state.enter(step, run.unix(began))
    run.arm(min(run.deadline, began + limits.attempt))
    try:
        if client.credential.due(began):
            await client.credential.refresh(began)
        headers = outgoing(run, client, request, url)
        if headers is None:
            run.record(step, NO_CREDENTIAL, began, None)
            return NO_CREDENTIAL
        answer = await client.transport(limits.connect).send(request.method, url, headers, request.body)
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
    body = b""
    if 200 <= answer.status < 300:
        verdict, body = way.link.decode(run.call, answer.header, answer.body)
    else:
        verdict = client.dialect.classify(answer.status, answer.header, answer.body, run.now())
    if verdict.outcome_class is not OutcomeClass.SERVED:
        verdict = without_secrets(verdict, client, run)
    run.record(step, verdict, began, answer.status, header=answer.header)
    if verdict.outcome_class is not OutcomeClass.SERVED:
        return verdict
    if verdict.conversation:
        run.state.conversations.keep(verdict.conversation, step.target.id)
    reply_headers = run.served_headers(step, way.link.content_type(run.call, answer.header))
    return Reply(200, reply_headers, body, run.finish(OutcomeClass.SERVED, 200))
