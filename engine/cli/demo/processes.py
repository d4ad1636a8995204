"""The demo's child processes: started, waited for, stopped, and their last words shown when they fail."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.cli.terminal import Problem

_GRACE = 10.0
_POLL = 0.05


class Child:
    """A Python module run as a process of its own, with its output in a log file; a context manager that stops it.

    Its standard input is a pipe that ends when this process does, however that happens.
    """

    def __init__(self, what: str, module: str, *arguments: str, log: Path) -> None:
        self.what = what
        self.log = log
        self._command = [sys.executable, "-m", module, *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules, under the interpreter that runs us
                self._command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def wait_for_line(self, start: str, timeout: float) -> str:
        """The first line of its output that begins with ``start``. Raises :class:`Problem` after ``timeout`` s."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for line in self._lines():
                if line.startswith(start):
                    return line
            self.check(f"before it was ready; its last words are in {self.log}")
            time.sleep(_POLL)
        raise self.problem(f"was not ready within {timeout:g} s")

    def check(self, when: str = "") -> None:
        """Raises :class:`Problem`, with the end of its log, if the process has ended."""
        code = self._process.poll() if self._process is not None else None
        if code is not None:
            raise self.problem(f"ended with exit code {code} {when}".rstrip())

    def problem(self, what_happened: str) -> Problem:
        """The failure to report: what happened to this process, and the last lines that it wrote."""
        last = [line.strip().removeprefix("= ") for line in self._lines() if line.strip()][-8:]
        return Problem(f"{self.what} {what_happened}", *last, code=1)

    def wait(self) -> int:
        """Block until the process ends by itself; its exit code."""
        return self._process.wait() if self._process is not None else 0

    def _lines(self) -> list[str]:
        return self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
