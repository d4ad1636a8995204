"""What a request comes back as, whoever asked: status, headers, and a body or pieces of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from msgspec import Struct

from engine.dialects import front
from engine.exchange import RULES, Outcome, OutcomeClass, Verdict

Headers = list[tuple[bytes, bytes]]


class Reply(Struct):
    """A whole reply; errors are replies too, in OpenAI's shape. Header names are lower case.

    ``outcome`` is ``None`` for what never was a routed request (management endpoints, a body that is not JSON).
    """

    status: int
    headers: Headers
    body: bytes
    outcome: Outcome | None = None


class Pieces(Protocol):
    """The pieces of a stream: iterate to its end or ``aclose`` it, either of which ends the request."""

    outcome: Outcome | None

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Itself."""

    async def __anext__(self) -> bytes:
        """The next piece, as soon as it is there."""

    async def aclose(self) -> None:
        """Stop; the upstream's connection is closed."""


class StreamReply(Struct):
    """A reply whose body arrives in pieces. ``chunks.outcome`` is set when it has ended."""

    status: int
    headers: Headers
    chunks: Pieces

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; ``None`` while it has not."""
        return self.chunks.outcome

    async def aclose(self) -> None:
        """Stop reading; the upstream's connection is closed."""
        await self.chunks.aclose()


#: What a client reads where the upstream's own words are not for it.
_GENERIC: Mapping[OutcomeClass, str] = {
    OutcomeClass.UNAUTHORIZED: "The gateway's credential for the upstream provider is missing or refused.",
    OutcomeClass.QUOTA_EXHAUSTED: "The gateway's account at the upstream provider is out of credit or quota.",
    OutcomeClass.MODEL_GONE: "The upstream provider no longer offers the model of this route.",
    OutcomeClass.RATE_LIMITED: "Every target of this route is rate limited; try again later.",
    OutcomeClass.OVERLOADED: "The upstream providers of this route are overloaded or failing; try again later.",
    OutcomeClass.SERVER_ERROR: "The upstream provider failed.",
    OutcomeClass.CONNECTION: "The upstream provider could not be reached, or the connection to it broke.",
    OutcomeClass.TIMEOUT: "The upstream provider did not answer in time.",
    OutcomeClass.GARBLED: "The upstream provider's answer could not be read or was not complete.",
    OutcomeClass.DEADLINE: "The time allowed for this request passed before an answer was complete.",
    OutcomeClass.CANCELLED: "The client closed the connection.",
}


def error_body(outcome: OutcomeClass, request_id: str, verdict: Verdict | None = None) -> dict[str, Any]:
    """The error object (``message``, ``type``, ``code``, ``param``) for a client.

    The upstream's own message and code are in it only for the classes whose message a client may see.
    """
    rule = RULES[outcome]
    shown = verdict is not None and rule.shows_message
    message = verdict.message if verdict is not None and shown else ""
    if not message:
        generic = _GENERIC.get(outcome, "The request was refused.")
        message = f"{generic} Request id: {request_id}."
    code = rule.code
    if verdict is not None and shown and verdict.code and outcome is OutcomeClass.INVALID_REQUEST:
        code = verdict.code
    return {"message": message, "type": rule.type, "code": code, "param": verdict.param if verdict and shown else None}


def id_headers(request_id: str, speaks: str) -> Headers:
    """The request's id in our own header, and in the one where clients of this dialect look for it."""
    id_ = request_id.encode()
    if speaks == "openai-chat":
        return [(b"x-request-id", id_)]
    return [(name.encode(), id_) for name in dict.fromkeys(("x-request-id", front(speaks).id_header))]


def error_reply(
    status: int,
    error: Mapping[str, Any],
    headers: Headers,
    *,
    terminal: bool,
    outcome: Outcome | None = None,
    speaks: str = "openai-chat",
) -> Reply:
    """A reply that carries ``error`` in the dialect that the client speaks.

    ``terminal`` tells the official SDKs not to try again. The first header is the request's id.
    """
    headers.append((b"content-type", b"application/json"))
    if terminal:
        headers.append((b"x-should-retry", b"false"))
    body = front(speaks).error_body(status, error, headers[0][1].decode("latin-1"))
    return Reply(status, headers, body, outcome)
