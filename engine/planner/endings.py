"""Plans that end a request without any attempt, and what they tell the client."""

from __future__ import annotations

from engine.diagnostics import did_you_mean
from engine.exchange import RULES, OutcomeClass
from engine.graph import Graph, Route

from .closing import Passed
from .model import Plan, Request, Skip

#: How much of an unknown model's name a message repeats: it comes from the client, and may be as long as a book.
_SHOWN = 200


def stopped(
    graph: Graph, request: Request, route: Route | None, stop: OutcomeClass, *, status: int, code: str, message: str
) -> Plan:
    """The plan of a request that ends at once, whatever its route holds."""
    skips = tuple(Skip(t.id, "rejected", message, "") for t in route.targets) if route else ()
    return Plan(
        route=route,
        skips=skips,
        stop=stop,
        status=status,
        code=code,
        message=message,
        request_id=request.request_id,
        fingerprint=graph.fingerprint,
    )


def unroutable(graph: Graph, request: Request) -> Plan:
    """The plan of a request that no route answers to; the message names what is near."""
    model = request.model or ""
    index = graph.index
    message = f"No route answers to model {model[:_SHOWN]!r}."
    if index.find(model):
        message += " Routes of that name exist, but none of their conditions holds for this request."
    elif near := did_you_mean(model, index.near(model)):
        message += f" Did you mean {near!r}?"
    elif model in graph.routes:
        message += " A route of that name exists, but its match.model names others."
    rule = RULES[OutcomeClass.UNROUTABLE]
    return stopped(graph, request, None, OutcomeClass.UNROUTABLE, status=rule.status, code=rule.code, message=message)


def everybody_closed(
    graph: Graph,
    request: Request,
    route: Route,
    skips: tuple[Skip, ...],
    passed: Passed,
    variants: tuple[tuple[str, str], ...],
    now: float,
) -> Plan:
    """Every target that could serve the request is left alone for now, and none may be tried in spite of it."""
    reasons = {closure.reason for _, _, closure in passed}
    retry_after: float | None = max(0.0, min(closure.until for _, _, closure in passed) - now)
    if reasons <= {"held", "limit"}:
        stop = OutcomeClass.RATE_LIMITED
    elif reasons == {"credential"}:
        stop, retry_after = OutcomeClass.UNAUTHORIZED, None
    else:
        stop = OutcomeClass.OVERLOADED
    why = "; ".join(f"{step.target.id} ({closure.reason}: {closure.detail})" for _, step, closure in passed)
    return Plan(
        route=route,
        skips=skips,
        variants=variants,
        stop=stop,
        message=f"Every target of route {route.name!r} is left alone for now: {why}.",
        request_id=request.request_id,
        fingerprint=graph.fingerprint,
        retry_after=retry_after,
    )


def nobody(
    graph: Graph, request: Request, route: Route, skips: tuple[Skip, ...], variants: tuple[tuple[str, str], ...]
) -> Plan:
    """No target can serve the request: say which of the reasons the caller, or the operator, can mend."""
    by_reason = {skip.reason: skip for skip in reversed(skips)}
    stop, code = OutcomeClass.UNROUTABLE, ""
    if "credential" in by_reason:
        stop = OutcomeClass.UNAUTHORIZED
        message = "No provider of this route has its credential set."
    elif "conversation" in by_reason and "capability" not in by_reason:
        stop, code = OutcomeClass.INVALID_REQUEST, "conversation_elsewhere"
        message = f"Route {route.name!r} does not reach the target that keeps this conversation."
    elif "context" in by_reason:
        stop = OutcomeClass.CONTEXT_EXCEEDED
        message = f"The request is too long for route {route.name!r}: {by_reason['context'].detail}."
    elif "capability" in by_reason:
        stop, code = OutcomeClass.INVALID_REQUEST, "unsupported_capability"
        missing = sorted(
            {
                skip.detail.removeprefix("does not support ").removeprefix("its protocol cannot carry ")
                for skip in skips
                if skip.reason == "capability"
            }
        )
        message = f"No target of route {route.name!r} supports what this request needs ({'; '.join(missing)})."
        if "conversation" in missing:
            code = "conversation_elsewhere"
            message += (
                " A conversation that a provider keeps (previous_response_id, thread) goes on there only: send all of"
                " it."
            )
    else:
        message = f"No step of route {route.name!r} applies to this request."
    return Plan(
        route=route,
        skips=skips,
        variants=variants,
        stop=stop,
        code=code,
        message=message,
        request_id=request.request_id,
        fingerprint=graph.fingerprint,
    )
