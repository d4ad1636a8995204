"""A provider that is a program on this machine: a request is its arguments and its standard input.

The request's body is ``{"arguments": [...], "input": text}``, the reply what the program writes to standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence

import msgspec

from .transport import Answer, StreamAnswer, TransportError, header_of

#: Bytes read at once, and bytes of the program's complaints that are kept.
PIECE, COMPLAINT = 64 * 1024, 2000
_HEADERS: Mapping[str, str] = {"content-type": "application/x-ndjson"}


class Invocation(msgspec.Struct):
    """What a dialect of such a program asks for."""

    arguments: list[str]
    input: str = ""


class ProcessTransport:
    """Runs the program once a request, in an empty folder and in a process group of its own."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = tuple(command)
        self._environ = dict(environ)
        self._folder = tempfile.TemporaryDirectory(prefix="interlock-")

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """See :class:`engine.executor.transport.Transport`."""
        answer = await self.open(method, url, headers, body)
        parts: list[bytes] = []
        try:
            while (piece := await answer.read()) is not None:
                parts.append(piece)
        finally:
            await answer.close()
        return Answer(answer.status, answer.header, b"".join(parts))

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        """See :class:`engine.executor.transport.Transport`."""
        wanted = msgspec.json.decode(body, type=Invocation)
        program = shutil.which(self._command[0], path=self._environ.get("PATH"))
        if program is None:
            raise TransportError("connection", f"there is no program {self._command[0]!r} on this machine")
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *self._command[1:],
                *wanted.arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._folder.name,
                env=self._environ,
                start_new_session=True,
                limit=PIECE,
            )
        except OSError as problem:
            raise TransportError("connection", f"{self._command[0]!r} cannot be run: {problem.strerror}") from None
        return _Running(process, wanted.input.encode())

    async def close(self) -> None:
        """Remove the empty folder."""
        self._folder.cleanup()


class _Running:
    """One run of the program."""

    def __init__(self, process: asyncio.subprocess.Process, text: bytes) -> None:
        self._process = process
        self._read_any = False
        self.status = 200
        self.header = header_of(_HEADERS)
        self._feeding = asyncio.create_task(self._feed(text))
        self._listening = asyncio.create_task(self._listen())

    async def _feed(self, text: bytes) -> None:
        stdin = self._process.stdin
        if stdin is not None:
            with contextlib.suppress(ConnectionError):  # it may end without reading all of it
                stdin.write(text)
                await stdin.drain()
                stdin.close()

    async def _listen(self) -> bytes:
        """The end of what it says on standard error, all of which must be read for it not to block."""
        stderr = self._process.stderr
        said = b""
        while stderr is not None and (piece := await stderr.read(PIECE)):
            said = (said + piece)[-COMPLAINT:]
        return said

    async def read(self) -> bytes | None:
        """See :class:`engine.executor.transport.StreamAnswer`."""
        stdout = self._process.stdout
        piece = await stdout.read(PIECE) if stdout is not None else b""
        if piece:
            self._read_any = True
            return piece
        code = await self._process.wait()
        if code and not self._read_any:
            said = (await self._listening).decode("utf-8", "replace").strip()
            raise TransportError("connection", f"the program ended with status {code}: {said or 'it said nothing'}")
        return None

    async def close(self) -> None:
        """See :class:`engine.executor.transport.StreamAnswer`: a program that still runs ends with its children."""
        self._feeding.cancel()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        self._listening.cancel()
        await asyncio.gather(self._feeding, self._listening, return_exceptions=True)


class Installed:
    """The credential of a program: it is there or not; how it signs in is its own affair."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = command[0]
        self._path = environ.get("PATH")
        self._checked = float("-inf")
        self._there = False

    def available(self, now: float) -> bool:
        """Whether the program is installed; looked at every few seconds."""
        if now - self._checked >= 5.0:
            self._checked = now
            self._there = shutil.which(self._command, path=self._path) is not None
        return self._there

    def due(self, now: float) -> bool:
        """Nothing has to be fetched."""
        return False

    async def refresh(self, now: float) -> None:
        """Nothing has to be fetched."""

    def headers(self, caller: str | None, now: float) -> tuple[tuple[str, str], ...] | None:
        """No headers; ``None`` where the program is missing."""
        return () if self.available(now) else None

    def sign(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> tuple[tuple[str, str], ...]:
        """Nothing is signed."""
        return ()
