"""The two ends of every measurement: one small C program, compiled at first use, as the upstream and as the load."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.environments import HERE, WORK
from benchmarks.machine import busy, cores, pinned, share

SOURCES = HERE / "native"

#: Content events of the upstream's stream; with the role and the finish event that makes 23, then ``[DONE]``.
PIECES = 21
#: Milliseconds between two events in ``spread`` mode.
GAP_MS = 3

#: A request of everyday size; each contestant puts its own model name in.
BODY: dict[str, Any] = {
    "model": "",
    "messages": [
        {
            "role": "system",
            "content": "You are a patient signalling engineer. Answer in at most four sentences, name the part of the "
            "railway you speak about, and say so when a question is about something you cannot know.",
        },
        {
            "role": "user",
            "content": "What is an interlocking, and why can a signaller not set two routes that cross each other?",
        },
    ],
    "temperature": 0.2,
    "max_tokens": 256,
}


class NoCompilerError(Exception):
    """The load generator cannot be built on this machine."""


class LoadFailedError(Exception):
    """A load run did not finish; the message is what it said."""


def build() -> Path:
    """The compiled program's path; compiles it where it is missing or older than its sources."""
    target = WORK / "loopback"
    sources = sorted(SOURCES.glob("*.c"))
    newest = max(file.stat().st_mtime for file in SOURCES.iterdir())
    if target.exists() and target.stat().st_mtime > newest:
        return target
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise NoCompilerError(
            "the upstream and the load generator are a small C program, and there is no C compiler here: "
            "install one (Debian: apt-get install gcc libc6-dev) and run this again"
        )
    WORK.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-O2", "-std=c11", "-o", str(target), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoCompilerError(f"{compiler} could not compile {SOURCES}:\n{done.stderr.strip()}")
    return target


class Upstream:
    """The provider that all contestants call, on the load's core. A context manager; ``port`` is set inside it."""

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Upstream:
        self._process = subprocess.Popen(
            [str(build()), "upstream", "--port", "0", "--gap-ms", str(GAP_MS)],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=pinned(cores().load),
        )
        assert self._process.stdout is not None
        self.port = int(json.loads(self._process.stdout.readline())["port"])
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stats(self) -> dict[str, int]:
        """Counts since the start: requests, streams, connections, refused."""
        counts: dict[str, int] = self._get("/stats")
        return counts

    def mode(self, name: str) -> None:
        """How streams are sent from now on: ``burst`` or ``spread``."""
        self._get(f"/mode/{name}")

    def _get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


def body(model: str, *, stream: bool = False) -> dict[str, Any]:
    """The request's body for a contestant that knows the upstream's model under this name."""
    return {**BODY, "model": model, **({"stream": True} if stream else {})}


def request_file(model: str, *, stream: bool) -> Path:
    """A file with that body, compact as clients send it."""
    name = "".join(c if c.isalnum() else "_" for c in model)
    file = WORK / "requests" / f"{name}{'-stream' if stream else ''}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(body(model, stream=stream), separators=(",", ":")))
    return file


def load_command(
    port: int,
    path: str,
    model: str,
    connections: int,
    seconds: float,
    warm_up: float,
    *,
    stream: bool = False,
    request: Path | None = None,
    end: str = "[DONE]",
    pieces: int = PIECES,
) -> list[str]:
    """The command line of one load run. ``request`` is a file with another body than ``model`` gives.

    ``end`` stands in the last line of a good stream, in which ``pieces`` lines hold a piece.
    """
    command = [str(build()), "load", "--port", str(port), "--path", path]
    command += ["--connections", str(connections), "--seconds", str(seconds), "--warm-up", str(warm_up)]
    command += ["--request", str(request or request_file(model, stream=stream)), "--end", end]
    return command + (["--pieces", str(pieces)] if stream else [])


def start_load(command: list[str]) -> subprocess.Popen[str]:
    """Starts a load run on the load's core; give the process to ``finish_load``."""
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=pinned(cores().load)
    )


def finish_load(process: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    """Waits for a load run and returns its figures, with the replies that were not good under ``bad``."""
    try:
        out, err = process.communicate(timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise LoadFailedError("the load run did not end") from None
    if process.returncode:
        raise LoadFailedError(err.strip().splitlines()[-1] if err.strip() else f"exit status {process.returncode}")
    figures: dict[str, Any] = json.loads(out)
    figures["bad"] = figures["bad_status"] + figures["bad_body"] + figures["failures"]
    if figures["bad"]:
        figures["first_bad"] = err.strip()[:600]
    return figures


def run_load(command: list[str], seconds: float) -> dict[str, Any]:
    """One load run from start to end; adds how busy both cores were."""
    at = cores()
    before = busy(at.load), busy(at.contestant)
    figures = finish_load(start_load(command), seconds)
    figures["load_core"] = round(share(before[0], busy(at.load)), 3)
    figures["contestant_core"] = round(share(before[1], busy(at.contestant)), 3)
    return figures
