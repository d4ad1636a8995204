"""The server under test: ``interlock serve`` of this tree, a process of its own on the core that is kept for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.contestants import CLEAN
from benchmarks.environments import ROOT
from benchmarks.machine import cores, pinned, resident

START_SECONDS = 30.0
SERVING = re.compile(rb"serving \w+ on http://\S+:(\d+)")


class RefusedError(Exception):
    """The server does not start on this configuration; the message is what it says."""


def write(folder: Path, documents: Iterable[Mapping[str, Any]]) -> Path:
    """A configuration folder that holds these documents."""
    file = folder / "policies" / "all.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join("---\n" + json.dumps(document) + "\n" for document in documents))
    return folder


class Server:
    """Started and ended by whoever made it; it chooses a free port. ``log`` is the file of what it says."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.port = 0
        self.log = config / "server.log"

    async def start(self) -> None:
        """Starts it and waits until it serves. Raises ``RefusedError`` where it does not."""
        command = [sys.executable, "-m", "engine.cli", "serve", "--config", str(self.config), "--port", "0"]
        with self.log.open("wb") as log, (self.config / "access.log").open("wb") as access:
            self._process = subprocess.Popen(  # noqa: ASYNC220 (it takes a millisecond)
                command,
                stdout=access,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env={**CLEAN, "BENCH_KEY": "sk-bench"},
                preexec_fn=pinned(cores().contestant),
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if found := SERVING.search(self.log.read_bytes()):
                self.port = int(found[1])
                return
            if self._process.poll() is not None:
                break
            await asyncio.sleep(0.01)
        self.end()
        said = [line for line in self.log.read_text(errors="replace").splitlines() if "error" in line]
        raise RefusedError(" ".join(said[:1]) or "it did not start in time")

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def rss(self) -> float:
        """Resident memory, in MB."""
        return resident(self._process.pid)

    def end(self) -> None:
        """Ends it at once: nobody is served any more, and how it drains is tested elsewhere."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
