"""Secrets at run time: resolved from where the configuration points, read again when they change, never printed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from engine.graph import SecretRef

_log = logging.getLogger("interlock.credentials")

#: Seconds after which a secret's file is looked at again, so that a rotated one is taken up.
RECHECK = 5.0
#: Seconds after which a command is run again, because what it printed may have been replaced.
RERUN = 300.0
#: Seconds a command may take to print its secret.
PATIENCE = 30.0
#: Seconds after which a command that failed is tried again.
AGAIN = 10.0


class Secret:
    """A value that cannot be printed, formatted, pickled or serialised by accident; ``reveal`` is the only way in."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for a header that is about to be sent."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")


class Source:
    """The current value of one secret.

    An environment variable is read once; a file again when it changes (looked at every :data:`RECHECK` seconds, and it
    may hold several lines); a command's output again after :data:`RERUN` seconds. An empty value, or one that
    could not be sent in a header, counts as unset, unless ``text`` allows any text.
    """

    def __init__(self, ref: SecretRef, environ: Mapping[str, str], *, text: bool = False) -> None:
        self._ref = ref
        self._text = text
        self._environ = dict(environ) if ref.kind == "command" else {}
        self._checked = float("-inf")
        self._stamp: tuple[int, int, int] | None = None
        self._running: asyncio.Task[None] | None = None
        self._value: Secret | None = None
        self.failed = False
        """Whether the last try to get it failed."""
        self.version = 0
        """Counts changes of the value."""
        if ref.kind == "env":
            self._keep(environ.get(ref.name, ""))

    def value(self, now: float) -> Secret | None:
        """The secret, ``None`` if it is unset. ``now`` is any clock in seconds; may read a file."""
        if self._ref.kind == "file" and now - self._checked >= RECHECK:
            self._checked = now
            self._reread(Path(self._ref.name))
        return self._value

    def due(self, now: float) -> bool:
        """Whether :meth:`refresh` should be awaited before the value is used."""
        if self._ref.kind != "command":
            return False
        return now - self._checked >= (AGAIN if self.failed else RERUN)

    async def refresh(self, now: float) -> None:
        """Run the command; callers that come meanwhile wait for the same run. Never raises for its failure."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(now))
        await asyncio.shield(self._running)

    async def _run(self, now: float) -> None:
        program = self._ref.command[0]
        self._checked = now
        try:
            process = await asyncio.create_subprocess_exec(
                *self._ref.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=self._environ,
            )
        except OSError as problem:
            self.failed = True
            _log.error("the secret's command %r cannot be run: %s", program, problem.strerror)
            return
        try:
            async with asyncio.timeout(PATIENCE):
                out, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            self.failed = True
            _log.error("the secret's command %r took longer than %g s", program, PATIENCE)
            return
        text = out.decode("utf-8", "replace")
        self.failed = process.returncode != 0 or not text.strip()
        if self.failed:
            # What it printed is not logged: it may be half of a secret.
            _log.error("the secret's command %r ended with status %s and no secret", program, process.returncode)
        else:
            self._keep(text)

    def _reread(self, path: Path) -> None:
        try:
            stat = path.stat()
            stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if stamp != self._stamp:
                self._keep(path.read_text(encoding="utf-8"))
                self._stamp = stamp
        except (OSError, UnicodeDecodeError):
            self._keep("")
            self._stamp = None

    def _keep(self, text: str) -> None:
        value = text.strip()
        usable = bool(value) and (self._text or (value.isascii() and value.isprintable()))
        self._value = Secret(value) if usable else None
        self.version += 1
