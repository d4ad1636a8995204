"""What the library hands to its callers: replies in OpenAI's shape, and failures as exceptions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any

import msgspec

from engine.dialects.sse import Splitter, payloads
from engine.errors import RequestError, StreamError
from engine.exchange import RULES, Outcome, OutcomeClass
from engine.executor.intake import BadRequestError
from engine.executor.reply import Reply as WireReply
from engine.executor.reply import StreamReply

_decode = msgspec.json.Decoder().decode


class Reply:
    """An answer. ``body`` is the upstream's, in OpenAI's shape; decoded when first looked at."""

    __slots__ = ("_body", "_headers", "_raw", "outcome")

    def __init__(self, reply: WireReply, outcome: Outcome) -> None:
        self._raw = reply.body
        self._headers = reply.headers
        self._body: dict[str, Any] | None = None
        self.outcome = outcome
        """The frozen record of how it was served: attempts, times, usage."""

    @property
    def body(self) -> dict[str, Any]:
        """The whole answer as a dict."""
        if self._body is None:
            self._body = _decode(self._raw)
        return self._body

    @property
    def raw(self) -> bytes:
        """The whole answer as the JSON text that came."""
        return self._raw

    @property
    def text(self) -> str:
        """The text of the first choice; empty where the model answered without any (a tool call, say)."""
        choices = self.body.get("choices") or [{}]
        message = choices[0].get("message") or choices[0]
        text = message.get("content", message.get("text"))
        return text if isinstance(text, str) else ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers a client of the server would have seen; names in lower case."""
        return _text_headers(self._headers)

    @property
    def target(self) -> str:
        """The target that answered, as ``provider/model``."""
        return self.outcome.target or ""

    @property
    def route(self) -> str:
        """The route it was served by."""
        return self.outcome.route or ""

    @property
    def request_id(self) -> str:
        """The id that logs and headers show for this request."""
        return self.outcome.request_id

    def __repr__(self) -> str:
        return f"<Reply {self.outcome.outcome_class} from {self.target} for {self.request_id}>"


class ChatStream(AsyncIterator[dict[str, Any]]):
    """The chunks of one streamed answer, as dicts in OpenAI's shape; the request starts when the first is asked for.

    Iterate over it once. Leaving early, by ``break``, ``aclose()`` or the end of ``async with``, cancels the upstream
    request. Raises :class:`RequestError` if it fails before any output, :class:`StreamError` if it breaks afterwards.
    """

    __slots__ = ("_chunks", "_reply")

    def __init__(self, start: Callable[[], Awaitable[WireReply | StreamReply]]) -> None:
        # A list and not an attribute of this object, so that the generator does not keep this object alive, nor the
        # other way about: a loop that is left by `break` lets go of the generator, and that ends the request.
        self._reply: list[StreamReply] = []
        self._chunks = _chunks(start, self._reply)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; ``None`` before the end."""
        return self._reply[0].outcome if self._reply else None

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self._chunks

    async def __anext__(self) -> dict[str, Any]:
        return await self._chunks.__anext__()

    async def aclose(self) -> None:
        """Cancel what is left of the request. Safe to repeat."""
        await self._chunks.aclose()

    async def __aenter__(self) -> ChatStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


async def _chunks(
    start: Callable[[], Awaitable[WireReply | StreamReply]], started: list[StreamReply]
) -> AsyncGenerator[dict[str, Any], None]:
    reply = await start()
    if isinstance(reply, WireReply):
        raise failure(reply)
    started.append(reply)
    splitter = Splitter()
    try:
        async for piece in reply.chunks:
            for chunk in map(_decode, payloads(splitter.feed(piece))):
                if "error" in chunk and "choices" not in chunk:
                    raise await _broken(reply, chunk)
                yield chunk
    finally:
        await reply.aclose()


async def _broken(reply: StreamReply, body: dict[str, Any]) -> StreamError:
    """The exception for an in-band error event. Reads on to the end, where the outcome is known."""
    async for _ in reply.chunks:
        pass
    outcome = _known(reply.outcome)
    rule = RULES[outcome.outcome_class]
    return StreamError(outcome, rule.status, body, _text_headers(reply.headers))


def answer(reply: WireReply | StreamReply) -> Reply:
    """The reply for the caller. Raises :class:`RequestError` if the request did not end in an answer."""
    if not isinstance(reply, WireReply):
        raise TypeError("a request that did not ask for a stream was answered by one")
    outcome = _known(reply.outcome)
    if outcome.outcome_class is not OutcomeClass.SERVED:
        raise failure(reply)
    return Reply(reply, outcome)


def failure(reply: WireReply) -> RequestError:
    """The exception that says what this error reply says."""
    return RequestError(_known(reply.outcome), reply.status, _decode(reply.body), _text_headers(reply.headers))


def refusal(problem: BadRequestError, surface: str, fingerprint: str, id_: str) -> RequestError:
    """The exception for a body that cannot be understood, and so was never routed."""
    outcome = Outcome(
        request_id=id_,
        outcome_class=OutcomeClass.INVALID_REQUEST,
        status=problem.status,
        surface=surface,
        model="",
        route=None,
        target=None,
        fingerprint=fingerprint,
        stream=False,
        started_at=time.time(),
        duration=0.0,
        code=problem.code,
    )
    rule = RULES[OutcomeClass.INVALID_REQUEST]
    error = {"message": problem.message, "type": rule.type, "code": problem.code, "param": problem.param}
    return RequestError(outcome, problem.status, {"error": error}, {"x-request-id": outcome.request_id})


def _known(outcome: Outcome | None) -> Outcome:
    if outcome is None:
        raise RuntimeError("the executor ended a request without saying how")
    return outcome


def _text_headers(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
