"""The connection to Redis: one a process, everything that is due at the same moment in one piece, and never waited for
while it is away.

Commands of one moment go out together and are answered together, so that many requests at once cost little more than
one. The first answer that does not come within the timeout, or is an error, is the end of the connection: what was
asked is answered by ``None`` at once, and so is everything from then on, until a background task has connected again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from redis.asyncio import Connection, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_log = logging.getLogger("interlock.state")

#: Seconds that connecting may take, with TLS and authentication.
CONNECT = 1.0
#: Seconds between tries to connect: the first, and the longest after doubling.
FIRST, LONGEST = 0.05, 2.0
#: Seconds that a connection must have lasted for the next try to come soon after its end.
STEADY = 5.0
#: How often an answer gets its time once more because this process itself was late.
MERCY = 3
#: Commands of one piece; more wait for the next one.
BATCH = 256
#: Schemes that redis-py knows under another name.
_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}

Answered = Callable[[Any], None]
"""Called with the answer, or with ``None`` where there is none. Must not raise."""


class Command(NamedTuple):
    """A script by name (none is a mere sign of life), its keys and arguments, and who wants the answer."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[str | int]
    answered: Answered | None = None


class UnreachableError(Exception):
    """Why there is no connection, in words that hold no secret."""


class Patience:
    """A timeout that does not take this process's own slowness for the other side's.

    Where the event loop was busy at the moment of expiry the answer may be there already, unread: it gets its time
    once more, :data:`MERCY` times at most.
    """

    __slots__ = ("_handle", "_left", "_limit", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left = MERCY

    async def __aenter__(self) -> None:
        self._limit = asyncio.timeout(None)
        await self._limit.__aenter__()
        self._wait(asyncio.get_running_loop())

    async def __aexit__(self, *error: Any) -> None:
        self._handle.cancel()
        await self._limit.__aexit__(*error)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = loop.call_later(self._seconds, self._expire, loop, loop.time() + self._seconds)

    def _expire(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        if self._left and now - due > self._seconds / 4:
            self._left -= 1
            self._wait(loop)
        else:
            self._limit.reschedule(now)


class Link:
    """Keeps one connection. ``address`` is asked for the URL at every connecting: a secret may have been replaced.

    ``timeout`` is how many seconds an answer may take. ``greeting`` gives the commands that a new connection begins
    with. ``changed`` is told when the store is back (an empty text), and at every failure why it is away.
    """

    def __init__(
        self,
        address: Callable[[], Awaitable[str | None]],
        scripts: Mapping[str, str],
        *,
        timeout: float,
        ca_file: str | None,
        greeting: Callable[[], list[Command]],
        changed: Callable[[str], None],
        spread: float,
    ) -> None:
        self._address = address
        self._scripts = scripts
        self._timeout = timeout
        self._ca_file = ca_file
        self._greeting = greeting
        self._changed = changed
        self._spread = spread
        self._queue: deque[Command] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._shas: dict[str, str] = {}
        self.up = False
        """Whether the last that was heard of the store was good."""
        self.connects = 0
        """Connections made so far."""

    async def start(self) -> None:
        """Begin; returns once the store was reached, or was not."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="interlock-store")
        await self._tried.wait()

    async def aclose(self) -> None:
        """Send what waits to be sent, if the store is there, and close the connection. Safe to repeat."""
        task, self._task = self._task, None
        if task is None:
            return
        if self.up and self._queue:
            sent = asyncio.Event()
            self.submit(Command("", (), (), lambda _: sent.set()))
            await sent.wait()
        task.cancel()
        await asyncio.wait([task])

    def submit(self, command: Command) -> None:
        """Send this with whatever else is due; answered by ``None`` at once where the store is away."""
        if not self.up:
            if command.answered is not None:
                command.answered(None)
            return
        self._queue.append(command)
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

    def drop(self, reason: str) -> None:
        """Begin again with a new connection, and with its greeting."""
        self._fail(reason)
        if self._wake is not None and not self._wake.done():
            self._wake.set_exception(UnreachableError(reason))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST
        while True:
            connection = None
            began = loop.time()
            try:
                async with asyncio.timeout(CONNECT):
                    connection = await self._connect()
                self._back()
                await self._serve(connection)
            except (RedisError, OSError, TimeoutError, UnreachableError) as problem:
                self._fail(_why(problem, CONNECT if connection is None else self._timeout))
            finally:
                if connection is not None and loop.time() - began > STEADY:
                    pause = FIRST
                self._fail("closed", quietly=True)
                self._tried.set()
                if connection is not None:
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(pause * self._spread)
            pause = min(2 * pause, LONGEST)

    async def _connect(self) -> Connection:
        """A connection that knows the scripts."""
        url = await self._address()
        if url is None:
            raise UnreachableError("its address is not set: the secret of state.url is missing")
        connection = _connection(url, self._ca_file)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            for name, script in self._scripts.items():
                await connection.send_command("SCRIPT", "LOAD", script)
                self._shas[name] = str(await connection.read_response())
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _serve(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._queue:
                self._wake = loop.create_future()
                await self._wake
                self._wake = None
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            answers: list[Any] = []
            try:
                async with Patience(self._timeout):
                    await self._exchange(connection, batch, answers)
            except BaseException:
                self._queue.extendleft(reversed(batch[len(answers) :]))  # to be answered with all that wait
                raise
            if not self.up:
                raise UnreachableError("dropped")

    async def _exchange(self, connection: Connection, batch: Sequence[Command], answers: list[Any]) -> None:
        """Send the commands in one piece, and hand out their answers as they come, to ``answers`` too."""
        shas = self._shas
        packed = connection.pack_commands(
            [("EVALSHA", shas[c.script], len(c.keys), *c.keys, *c.arguments) if c.script else ("PING",) for c in batch]
        )
        await connection.send_packed_command(packed, check_health=False)
        for command in batch:
            answer = await connection.read_response()
            answers.append(answer)
            if command.answered is not None:
                command.answered(answer)

    def _back(self) -> None:
        self.up = True
        self.connects += 1
        # Made in this moment and sent before anything else: what happens from here on comes after it.
        self._queue.extend(self._greeting())
        self._tried.set()
        self._changed("")

    def _fail(self, reason: str, quietly: bool = False) -> None:
        """From here on nothing waits for the store."""
        self.up = False
        if not quietly:
            self._changed(reason)
        while self._queue:
            command = self._queue.popleft()
            if command.answered is not None:
                command.answered(None)


def _connection(url: str, ca_file: str | None) -> Connection:
    scheme, colon, rest = url.partition("://")
    try:
        options: dict[str, Any] = dict(parse_url(_SCHEMES.get(scheme, scheme) + colon + rest))
    except ValueError:
        # The words of the error may be a part of the address, and that of a password.
        raise UnreachableError("its address cannot be read; write redis://HOST:PORT/DATABASE or rediss://...") from None
    made: type[Connection] = options.pop("connection_class", Connection)
    if ca_file is not None and issubclass(made, SSLConnection):
        options["ssl_ca_certs"] = ca_file
    once = Retry(NoBackoff(), 0)
    return made(
        **options, decode_responses=True, protocol=2, socket_timeout=None, socket_connect_timeout=None, retry=once
    )


def _why(problem: BaseException, seconds: float) -> str:
    if isinstance(problem, TimeoutError):
        return f"no answer within {seconds * 1000:g} ms"
    return str(problem).strip().rstrip(".") or type(problem).__name__
