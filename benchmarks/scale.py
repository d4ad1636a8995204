"""Size: the planner's decisions, the compiler, and a server that reloads 10,000 routes while it answers."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import bigconfig, native
from benchmarks.contestants import CLEAN, SERVERS, Launch, Server
from benchmarks.environments import HERE, ROOT, WORK, python_of
from benchmarks.machine import cores, pinned
from benchmarks.servers import Running

SIZES = (10, 1_000, 10_000)
LARGEST = SIZES[-1]
CONNECTIONS = 16
LIVE_SECONDS = 30.0
#: A folder of which many files were edited has been reloaded when nothing new came live for so long.
SETTLED_SECONDS = 4.0


class ScaleError(Exception):
    """A measurement of size could not be made; the message says why."""


def folder_of(routes: int, *, globs: bool, upstream: int = 9) -> Path:
    """A freshly written configuration of that size."""
    folder = WORK / "big" / f"{'globs' if globs else 'exact'}-{routes}"
    shutil.rmtree(folder, ignore_errors=True)
    bigconfig.write(folder, routes, globs=globs, upstream=upstream)
    return folder


def decisions() -> dict[str, Any]:
    """Median and p99 of one decision, by ``exact-N`` and ``globs-N``."""
    folders = [folder_of(size, globs=globs) for globs in (False, True) for size in SIZES]
    return _figures("decisions.py", [f"{folder.name}={folder}" for folder in folders])


def compiles(rounds: int) -> dict[str, Any]:
    """Seconds of a cold compilation of the largest configuration in a fresh process, and of one after an edit."""
    rows = [_figures("compiles.py", [str(folder_of(LARGEST, globs=False))]) for _ in range(rounds)]
    return {key: round(median(row[key] for row in rows), 3) for key in rows[0]}


def reloads(upstream: native.Upstream, seconds: float) -> dict[str, Any]:
    """What clients of a server notice while it reloads the largest configuration again and again.

    ``quiet`` is a load run without edits, ``one`` with edits of one file each, ``all`` with every file of routes
    rewritten each time; ``*_live_s`` and ``*_slowest_s`` are seconds from an edit's begin to its graph being live.
    """
    folder = folder_of(LARGEST, globs=False, upstream=upstream.port)
    files = bigconfig.route_files(folder)
    interlock = next(server for server in SERVERS if server.name == "interlock")

    def launch(port: int, _: int) -> Launch:
        command = [str(python_of("interlock")), "-m", "engine.cli", "serve", "--config", str(folder)]
        return Launch([*command, "--host", "127.0.0.1", "--port", str(port)], "chat")

    server = Server("interlock-big", interlock.title, interlock.prepare, launch, "")
    with Running(server, upstream.port) as running:
        result: dict[str, Any] = {"start_s": round(running.cold_start, 3)}
        result["quiet"] = native.run_load(running.load(CONNECTIONS, 3, 0.5), 3)
        for name, edited in (("one", files[:1]), ("all", files)):
            process = native.start_load(running.load(CONNECTIONS, seconds, 0.2))
            time.sleep(0.5)
            live: list[float] = []
            end = time.monotonic() + seconds - 0.5
            while time.monotonic() < end:
                live.append(_edit_and_wait(running.port, edited, 10 + len(live) % 80))
            result[name] = native.finish_load(process, seconds + LIVE_SECONDS)
            result[f"{name}_edits"] = len(live)
            result[f"{name}_live_s"] = round(median(live), 3)
            result[f"{name}_slowest_s"] = round(max(live), 3)
        result["rss_mb"] = round(running.rss(), 1)
        return result


def _edit_and_wait(port: int, files: list[Path], weight: int) -> float:
    """Seconds from the begin of one edit of these files to its graph being live."""
    seen = _fingerprint(port)
    begin = changed = time.perf_counter()
    for file in files:
        bigconfig.edit(file, weight)
    while (now := time.perf_counter()) - begin < LIVE_SECONDS:
        found = _fingerprint(port)
        if found != seen:
            seen, changed = found, now
        # Many files are not written in one moment, so that a reload may come between; then another follows.
        if changed > begin and (len(files) == 1 or now - changed > SETTLED_SECONDS):
            return changed - begin
        time.sleep(0.01)
    raise ScaleError(f"an edit was not live after {LIVE_SECONDS} s")


def _figures(script: str, arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [str(python_of("interlock")), str(HERE / script), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**CLEAN, "PYTHONPATH": str(ROOT)},
        preexec_fn=pinned(cores().contestant),
        timeout=900,
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise ScaleError(said[-1].strip()[:400] if said else f"{script} ended with status {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _fingerprint(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/api/v1/status")
        return str(json.loads(connection.getresponse().read())["running"]["fingerprint"])
    finally:
        connection.close()
