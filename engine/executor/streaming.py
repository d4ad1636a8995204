"""One streamed attempt: hold start-up events back until output comes, then relay, and never end silently.

The commit point is the first event that carries output. Before it a failure is an ordinary failed attempt; after it the
client gets an in-band error event in its own dialect and a clean close, and nothing is replayed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from engine.dialects import front
from engine.dialects.bridge import EVENTS, Whole
from engine.exchange import RULES, Outcome, OutcomeClass, StreamDecoder, Verdict

from .attempt import LOST, NO_CREDENTIAL, Try, outgoing, unreachable, without_secrets
from .clients import ProviderClient, Way
from .reply import StreamReply, error_body
from .transport import MAX_ERROR, StreamAnswer, TransportError

if TYPE_CHECKING:
    from .run import Run

#: Seconds to wait for the upstream's own close after its end marker, so that the connection can be used again.
LINGER = 0.5
#: Bytes of a stream that are kept to be compared with its mirror's; of a longer one there is no text to compare.
MOST_KEPT = 1024 * 1024


async def stream_attempt(tried: Try) -> Verdict | None:
    """``None`` once the first output of the stream is there, for :func:`stream_reply`; else the verdict, recorded."""
    run, client, way, step, request = tried.run, tried.client, tried.way, tried.step, tried.request
    began = tried.began
    url = way.base + request.path
    limits = step.timeouts
    run.state.enter(step, run.unix(began))
    tried.arm(min(run.deadline, began + limits.first_token))
    answer: StreamAnswer | None = None
    committed = False
    try:
        if client.credential.due(began):
            await client.credential.refresh(began)
        headers = outgoing(run, client, request, url, began)
        started: tuple[StreamDecoder, bytes] | Verdict = NO_CREDENTIAL
        if headers is not None:
            transport = client.transport(limits.connect)
            run.pause()
            try:
                answer = await transport.open(request.method, url, headers, request.body)
            finally:
                run.resume()
            started = await _start(run, client, way, answer)
        committed = not isinstance(started, Verdict)
    except TransportError as problem:
        started = unreachable(problem)
    except asyncio.CancelledError:
        if not tried.expired():
            run.record(tried, run.cancelled(), None)
            raise
        started = tried.cut_short("the limit on the first token", limits.first_token)
    finally:
        tried.disarm()
        if not committed:
            # A stream that began stays under way until its end, which the stream itself reports.
            run.state.leave(step.target.id)
            if answer is not None:
                await answer.close()
    if isinstance(started, Verdict) or answer is None:
        verdict = without_secrets(started, client, run) if isinstance(started, Verdict) else NO_CREDENTIAL
        status, header = (answer.status, answer.header) if answer is not None else (None, None)
        run.record(tried, verdict, status, header=header)
        return verdict
    tried.opened = (answer, *started)
    return None


def stream_reply(tried: Try) -> StreamReply:
    """The reply of an attempt whose stream has begun; the stream's end is the end of the request."""
    run, (answer, decoder, _) = tried.run, tried.opened
    run.state.answered(tried.step, run.unix(tried.began), run.now(), answer.header)
    told = EVENTS if isinstance(decoder, Whole) else tried.way.link.content_type(run.call, answer.header)
    pieces = (KeptPieces if tried.mirrors else StreamPieces)(tried)
    return StreamReply(200, run.served_headers(tried.step, told), pieces)


async def stream_discard(tried: Try) -> None:
    """Another attempt served in the same moment: this one's stream is not needed."""
    run, (answer, decoder, _) = tried.run, tried.opened
    run.state.leave(tried.step.target.id)
    run.record(tried, LOST, answer.status, usage=decoder.usage, header=answer.header)
    await answer.close()


async def _start(
    run: Run, client: ProviderClient, way: Way, answer: StreamAnswer
) -> tuple[StreamDecoder, bytes] | Verdict:
    """Read up to the commit point: the decoder and the first bytes to relay, or the verdict on why there are none."""
    if not 200 <= answer.status < 300:
        body = await _read_all(run, answer)
        return client.dialect.classify(answer.status, answer.header, body, run.now())
    content_type = answer.header("content-type") or ""
    if _is_whole(content_type):
        return await _whole(run, way, answer)
    decoder = way.link.stream(run.call, answer.header)
    while not decoder.ended and (piece := await _awaited(run, answer)) is not None:
        out = decoder.feed(piece)
        if out:
            return decoder, out
        if decoder.failure is not None:
            return decoder.failure
    tail, failure = decoder.finish()
    return failure or (decoder, tail)


async def _awaited(run: Run, answer: StreamAnswer) -> bytes | None:
    """The next piece; the time that it takes is the upstream's."""
    run.pause()
    try:
        return await answer.read()
    finally:
        run.resume()


def _is_whole(content_type: str) -> bool:
    """Whether this is one JSON value, and not a stream of them."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.endswith("+json") and "stream" not in kind)


async def _whole(run: Run, way: Way, answer: StreamAnswer) -> tuple[StreamDecoder, bytes] | Verdict:
    """An upstream that answers in one piece though asked for a stream: an error, or an answer to tell as a stream."""
    body = await _read_all(run, answer)
    if run.call.kind != "chat":
        verdict, _ = way.link.decode(run.call, answer.header, body)
        served = Verdict(OutcomeClass.GARBLED, detail="asked for a stream, got a whole reply")
        return served if verdict.outcome_class is OutcomeClass.SERVED else verdict
    verdict, told = way.link.replay(run.call, answer.header, body)
    return verdict if verdict.outcome_class is not OutcomeClass.SERVED else (Whole(verdict.usage), told)


async def _read_all(run: Run, answer: StreamAnswer) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < MAX_ERROR and (piece := await _awaited(run, answer)) is not None:
        parts.append(piece)
        size += len(piece)
    return b"".join(parts)


class StreamPieces:
    """The committed part of a stream, as an asynchronous iterator over bytes. One consumer at a time."""

    __slots__ = ("_answer", "_decoder", "_first", "_first_token", "_run", "_state", "_tried", "outcome")

    def __init__(self, tried: Try) -> None:
        run = self._run = tried.run
        self._tried = tried
        self._answer, self._decoder, self._first = tried.opened
        self._first_token = run.clock() - tried.began
        run.added = run.work_done()
        self._state: Literal["first", "open", "closed"] = "first"
        self.outcome: Outcome | None = None

    def __aiter__(self) -> StreamPieces:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes to relay. After the end marker, or the error event, the iteration stops."""
        if self._state == "first":
            self._state = "open"
            return self._first
        if self._state == "closed":
            raise StopAsyncIteration
        decoder = self._decoder
        while decoder.failure is None:
            if decoder.ended:
                await self._end(None)
                raise StopAsyncIteration
            piece = await self._read()
            if isinstance(piece, Verdict):
                return await self._fail(piece)
            if piece is None:
                tail, failure = decoder.finish()
                if failure is not None:
                    return tail + await self._fail(failure)
                await self._end(None)
                if tail:
                    return tail
                raise StopAsyncIteration
            out = decoder.feed(piece)
            if out:
                return out
        return await self._fail(decoder.failure)

    async def _read(self) -> bytes | Verdict | None:
        """The next piece within the limits; a verdict when a limit passed or the connection broke."""
        run, tried = self._run, self._tried
        idle = tried.step.timeouts.idle
        tried.arm(min(run.deadline, run.clock() + idle))
        try:
            piece = await self._answer.read()
        except TransportError as problem:
            tried.disarm()
            return unreachable(problem)
        except asyncio.CancelledError:
            if tried.expired():
                return run.timed_out("the limit on silence", idle)
            tried.disarm()
            await self.aclose()
            raise
        tried.disarm()
        return piece

    async def _fail(self, verdict: Verdict) -> bytes:
        """After the commit point: one error event for the client; the failure is the target's."""
        run = self._run
        verdict = without_secrets(verdict, self._tried.client, run)
        outcome = verdict.outcome_class
        if outcome is OutcomeClass.TIMEOUT and run.clock() >= run.deadline:
            outcome = OutcomeClass.DEADLINE
        await self._end(verdict, outcome)
        error = error_body(outcome, run.call.request_id, verdict if outcome is verdict.outcome_class else None)
        return front(run.call.front).error_event(RULES[outcome].status, error, run.call.request_id)

    async def _end(self, failure: Verdict | None, outcome: OutcomeClass = OutcomeClass.SERVED) -> None:
        """Close the upstream and report the request, once."""
        if self._state == "closed":
            return
        self._state = "closed"
        run, step = self._run, self._tried.step
        try:
            try:
                if failure is None:
                    await self._drain()
            finally:
                await self._answer.close()
        finally:
            run.state.leave(step.target.id)
            verdict = failure or Verdict(OutcomeClass.SERVED)
            usage = self._decoder.usage
            if failure is None and self._decoder.conversation:
                run.state.conversations.keep(self._decoder.conversation, step.target.id)
            answer = self._answer
            run.record(self._tried, verdict, answer.status, self._first_token, usage, answer.header)
            first = self._tried.began - run.started + self._first_token
            code = RULES[outcome].code
            self.outcome = run.finish(outcome, 200, code=code, first_token=first)

    async def _drain(self) -> None:
        """Read the upstream's close, which follows its end marker at once, so that the connection is not lost."""
        if not self._decoder.ended:
            return
        tried = self._tried
        tried.arm(self._run.clock() + LINGER)
        try:
            while await self._answer.read() is not None:
                pass
        except TransportError:
            pass
        except asyncio.CancelledError:
            if not tried.expired():
                raise
        finally:
            tried.disarm()

    async def aclose(self) -> None:
        """Stop before the end: the upstream's connection is closed and the request recorded as cancelled."""
        await self._end(Verdict(OutcomeClass.CANCELLED), OutcomeClass.CANCELLED)


class KeptPieces(StreamPieces):
    """A stream whose request is copied when it has been served: what the client got is kept, to be compared."""

    __slots__ = ("_kept", "_size")

    def __init__(self, tried: Try) -> None:
        super().__init__(tried)
        self._kept: list[bytes] = []
        self._size = 0

    async def __anext__(self) -> bytes:
        """See :class:`StreamPieces`."""
        piece = await super().__anext__()
        self._size += len(piece)
        if self._size <= MOST_KEPT:
            self._kept.append(piece)
        return piece

    async def _end(self, failure: Verdict | None, outcome: OutcomeClass = OutcomeClass.SERVED) -> None:
        if failure is None:
            self._run.copied = (self._tried.mirrors, b"".join(self._kept) if self._size <= MOST_KEPT else None)
        await super()._end(failure, outcome)
