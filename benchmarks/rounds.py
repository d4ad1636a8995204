"""The interleaved rounds: in each, every contestant starts afresh, runs every case, and ends (A B C, A B C, A B C)."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from benchmarks import native
from benchmarks.contestants import CLEAN, Library, Server
from benchmarks.environments import HERE, ROOT, python_of
from benchmarks.machine import cores, cpu_seconds, pinned
from benchmarks.servers import Running, StartError


@dataclass(frozen=True)
class Case:
    """One kind of load. ``mode`` is how the upstream sends streams; empty for replies in one piece."""

    name: str
    title: str
    connections: int
    mode: str = ""


CASES: tuple[Case, ...] = (
    Case("plain1", "1 connection", 1),
    Case("plain16", "16 connections", 16),
    Case("plain64", "64 connections", 64),
    Case("stream16", "streams, 16 connections", 16, "burst"),
    Case("spread1", "one stream spread over time", 1, "spread"),
    Case("spread16", "streams spread over time, 16 connections", 16, "spread"),
)

#: Concurrent tasks of the in-process contestants.
LIBRARY_TASKS = 64

#: Name of the pseudo-contestant that is the upstream itself.
DIRECT = "direct"

Runs = dict[str, dict[str, list[dict[str, Any]]]]


class Pace(NamedTuple):
    """How long everything lasts."""

    rounds: int
    seconds: float
    warm_up: float


def direct_round(upstream: native.Upstream, pace: Pace, runs: Runs) -> None:
    """The load against the upstream with nothing between: what the two ends cost by themselves."""
    for case in CASES:
        if case.mode:
            upstream.mode(case.mode)
        command = native.load_command(
            upstream.port, "/v1/chat/completions", "gpt-4o-mini", case.connections, pace.seconds, pace.warm_up,
            stream=bool(case.mode),
        )  # fmt: skip
        runs.setdefault(DIRECT, {}).setdefault(case.name, []).append(native.run_load(command, pace.seconds))


def server_round(server: Server, upstream: native.Upstream, pace: Pace, runs: Runs) -> str:
    """One round of one server, added to ``runs``. Returns why it failed, or an empty string."""
    mine = runs.setdefault(server.name, {})
    try:
        with Running(server, upstream.port) as running:
            mine.setdefault("start", []).append({"cold_start": round(running.cold_start, 3)})
            for case in CASES:
                if case.mode:
                    upstream.mode(case.mode)
                command = running.load(case.connections, pace.seconds, pace.warm_up, stream=bool(case.mode))
                before, asked = cpu_seconds(running.pid), upstream.stats()["requests"]
                figures = native.run_load(command, pace.seconds)
                answered = upstream.stats()["requests"] - asked  # with those of the warm-up, as in the CPU time
                figures["cpu_us"] = round((cpu_seconds(running.pid) - before) / max(1, answered) * 1e6, 1)
                mine.setdefault(case.name, []).append(figures)
            mine.setdefault("memory", []).append({"rss_mb": round(running.rss(), 1)})
    except (StartError, native.LoadFailedError) as problem:
        return str(problem)
    return ""


def library_round(library: Library, upstream: native.Upstream, pace: Pace, runs: Runs) -> str:
    """One round of one library in its own process, added to ``runs``. Returns why it failed, or an empty string."""
    config = library.config(upstream.port)
    command = [str(python_of(library.environment)), str(HERE / "inprocess.py"), library.name]
    command += ["--upstream", f"http://127.0.0.1:{upstream.port}/v1", "--seconds", str(pace.seconds)]
    command += ["--warm-up", str(pace.warm_up), "--request", str(native.request_file("chat", stream=False))]
    command += ["--concurrency", str(LIBRARY_TASKS), *(["--config", str(config)] if config else [])]
    env = {**CLEAN, "BENCH_UPSTREAM": f"http://127.0.0.1:{upstream.port}/v1", "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=env,
            preexec_fn=pinned(cores().contestant),
            timeout=pace.seconds + 180,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "it did not end"
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return said[-1][:400] if said else f"exit status {done.returncode}"
    runs.setdefault(library.name, {}).setdefault("inprocess64", []).append(json.loads(lines[-1]))
    return ""


def medians(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure over the rounds, with the lowest and highest rate beside it."""
    numbers = {key for row in rows for key, value in row.items() if isinstance(value, (int, float))}
    result: dict[str, Any] = {key: round(median(row[key] for row in rows if key in row), 3) for key in sorted(numbers)}
    if "rate" in result:
        rates = [row["rate"] for row in rows]
        result["rate_low"], result["rate_high"] = min(rates), max(rates)
        result["bad"] = sum(row.get("bad", 0) for row in rows)
        result["first_bad"] = next((row["first_bad"] for row in rows if row.get("first_bad")), "")
    result["rounds"] = len(rows)
    return result


def summary(runs: Runs) -> dict[str, dict[str, dict[str, Any]]]:
    """``medians`` of every case of every contestant that finished any."""
    return {name: {case: medians(rows) for case, rows in cases.items()} for name, cases in runs.items() if cases}
