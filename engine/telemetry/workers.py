"""Several processes behind one address: a scrape reaches one of them, and must tell of all.

Each process keeps its facts in a file of a folder that they share. Whoever is scraped writes its own file first and
then answers from all files: so what one reply says of a process is never older than what the reply before said, and
counters only grow.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from .facts import Facts, thaw

#: Seconds after which a process that is not scraped itself writes its file again.
EVERY = 1.0
_SUFFIX = ".facts"


class Shared:
    """The folder, as the process ``worker`` sees it. Its files are of one run: who starts the processes empties it."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder
        self._worker = worker
        self._lock = threading.Lock()
        self._latest = 0

    def write(self, frozen: bytes, number: int) -> None:
        """Keep this process's facts, whole or not at all; those of a higher ``number`` are newer, and stay.

        May be called from several threads.
        """
        with self._lock:
            if number < self._latest:
                return
            self._latest = number
            fresh = self._folder / f"{self._worker}.new"
            fresh.write_bytes(frozen)
            fresh.replace(self._folder / f"{self._worker}{_SUFFIX}")

    def read(self, alive: Callable[[int], bool] | None = None) -> list[Facts]:
        """The facts of every process that lives, in the order of their names."""
        lives = alive or _alive
        found = []
        for file in sorted(self._folder.glob(f"*{_SUFFIX}")):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                facts = thaw(file.read_bytes())
                if lives(facts.pid):
                    found.append(facts)
        return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
