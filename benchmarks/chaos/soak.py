"""A soak: a great many requests with faults, departures and reloads, after which everything must be as it was.

``python -m benchmarks.chaos.soak [REQUESTS]`` prints the figures; the test of complaint 28 judges them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.chaos import answers as say
from benchmarks.chaos.load import Client, Load, new_record
from benchmarks.chaos.scenario import Document, route
from benchmarks.chaos.server import Server, write
from benchmarks.chaos.upstream import Behaviour, Target, Upstream
from benchmarks.environments import WORK

CLIENTS = 32
RELOADS = 20
#: Seconds in which what is under way at the end must end.
QUIET = 15.0

#: 5 % of everything that can go wrong before output, and a little of what goes wrong after it.
FAULTS = Behaviour(
    latency=0.0,
    gap=0.0,
    mix=(
        *((0.005, fault) for fault in (say.FAILED, say.OVERLOADED, say.RESET, say.CLOSED, say.HTML, say.EMPTY)),
        *((0.005, fault) for fault in (say.RESET_AFTER_HEAD, say.limited(retry_after_ms="20"))),
        *((0.002, fault) for fault in (say.HALF_RESET, say.HALF_ENDED, say.HALF_GARBAGE)),
        (0.0005, say.STALL),
        (0.0005, say.HALF_STALLED),
    ),
)
#: Who asks: of a hundred requests so many, the first two go away.
LOADS = (
    (1, Load("leaves waiting", model="slow", leave=0.1)),
    (1, Load("leaves in output", model="drips", stream=True, leave=0.01, in_output=True)),
    (68, Load("plain")),
    (30, Load("streamed", stream=True)),
)


@dataclass
class Soaked:
    """What came of a soak. ``memory`` and ``files`` are samples of the server's MB and open files, one a fiftieth."""

    requests: int
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    logged: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    calls: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    idle_files: tuple[int, int] = (0, 0)
    """Open files before the first request and after the last, with all connections of clients closed."""
    threads: tuple[int, int] = (0, 0)
    reloads: int = 0

    @property
    def growth(self) -> float:
        """Memory of the last fifth over that of the second, less one: the first fifth is the warm-up."""
        fifth = len(self.memory) // 5
        return statistics.median(self.memory[-fifth:]) / statistics.median(self.memory[fifth : 2 * fifth]) - 1

    def told(self) -> str:
        """The figures in a few lines."""
        return "\n".join(
            (
                f"{self.requests:,} requests in {self.seconds:.0f} s ({self.requests / self.seconds:,.0f}/s), "
                f"{self.reloads} reloads",
                f"clients: {dict(self.kinds)}",
                f"records: {dict(self.logged)}; {self.attempts:,} attempts, {self.calls:,} calls upstream",
                f"metrics: {self.metrics or 'none'}",
                f"memory, MB: {', '.join(f'{one:.1f}' for one in self.memory[:: max(1, len(self.memory) // 10)])}; "
                f"grown by {self.growth:.1%} after the first fifth",
                f"open files: {self.idle_files[0]} before, at most {max(self.files)}, {self.idle_files[1]} after; "
                f"threads: {self.threads[0]} and {self.threads[1]}",
            )
        )


async def soak(requests: int, folder: Path) -> Soaked:
    """Runs it against a server of its own."""
    async with Upstream(folder) as upstream:
        targets = {name: await upstream.target(name, FAULTS) for name in ("a", "b")}
        targets["slow"] = await upstream.target("slow", Behaviour(latency=1.5))
        targets["drips"] = await upstream.target("drips", Behaviour(latency=0.0, mix=((1.0, say.DRIP),)))
        for target in targets.values():
            target.remembers = False
        server = Server(_configured(folder, targets, 0))
        await server.start()
        try:
            found = await _soaked(Soaked(requests), server, folder, targets)
        finally:
            server.end()
    found.logged, found.attempts = _records(server.config / "access.log")
    return found


async def _soaked(found: Soaked, server: Server, folder: Path, targets: Mapping[str, Target]) -> Soaked:
    client = Client(server.port)
    before = _files(server.pid)
    began = time.monotonic()
    turns = itertools.count()
    mixed = [load for share, load in LOADS for _ in range(share)]

    async def worker() -> None:
        while (turn := next(turns)) < found.requests:
            load = mixed[turn * 37 % len(mixed)]  # 37 and 100 have no common factor: an even mix
            record = new_record(load, time.monotonic())
            await client.ask(load, record)
            found.kinds[record.kind] += 1
            if turn % max(1, found.requests // 50) == 0:
                found.memory.append(server.rss())
                found.files.append(_files(server.pid))

    async def edits() -> None:
        for number in range(1, RELOADS + 1):
            due = found.requests * number // (RELOADS + 1)
            await _until(lambda due=due: _true(found.kinds.total() >= due), 3600)  # type: ignore[misc]
            before = await _running(server.port)
            _configured(folder, targets, number)
            await _until(lambda before=before: _differs(server.port, before), 30)  # type: ignore[misc]
            found.reloads += 1

    found.threads = (_threads(server.pid), 0)
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(worker())
        group.create_task(edits())
    found.seconds = time.monotonic() - began
    client.close()
    await _quiet(server, targets)
    found.calls = sum(target.count for target in targets.values())
    found.metrics = await _metrics(server.port)
    found.idle_files = (before, _files(server.pid))
    found.threads = (found.threads[0], _threads(server.pid))
    return found


async def _quiet(server: Server, targets: Mapping[str, Target]) -> None:
    """Until all has ended: what stalls is given up, and the server's idle connections upstream are closed from here."""
    await _until(lambda: _idle(server.port), QUIET)
    await asyncio.sleep(1.0)
    for target in targets.values():
        for connection in list(target.connections):
            connection.end()
    await asyncio.sleep(0.5)


async def _until(holds: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Waits until it holds. Raises ``TimeoutError``."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 (another process knows)
            await asyncio.sleep(0.05)


async def _true(held: bool) -> bool:
    return held


async def _running(port: int) -> str:
    return str((await _get(port, "/api/v1/status"))["running"]["fingerprint"])


async def _differs(port: int, fingerprint: str) -> bool:
    return await _running(port) != fingerprint


async def _idle(port: int) -> bool:
    return not (await _metrics(port)).get("under way", 0)


def _configured(folder: Path, targets: Mapping[str, Target], edit: int) -> Path:
    """Writes the configuration; each edit is another one."""
    documents: list[Document] = [
        {
            "version": 1,
            "kind": "provider",
            "name": name,
            "dialect": "openai-chat",
            "base_url": f"http://127.0.0.1:{target.port}/v1",
            "labels": {"edit": edit},
            "models": {"m": {"supports": ["chat", "stream"]}},
        }
        for name, target in targets.items()
    ]
    documents.append(
        {
            "version": 1,
            "kind": "policy",
            "name": "everywhere",
            "applies_to": {"all": True},
            "retry": {"backoff": {"initial": "1ms", "max": "20ms"}},
            "timeouts": {"first_token": "2s", "idle": "2s", "attempt": "2s", "total": "8s"},
        }
    )
    documents += [route("chat", ["a/m", "b/m"]), route("slow", "slow/m"), route("drips", "drips/m")]
    return write(folder / "soak", documents)


def _records(log: Path) -> tuple[Counter[str], int]:
    """Routed requests of the access log by outcome, and their attempts."""
    outcomes: Counter[str] = Counter()
    attempts = 0
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record.get("route"):
                outcomes[record["outcome"]] += 1
                attempts += len(record["attempts"])
    return outcomes, attempts


async def _get(port: int, path: str) -> Any:
    """The JSON at this path, or the text of a reply that holds none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    writer.close()
    if b"application/json" in head:
        return json.loads(body)
    return body.decode() if b" 200 " in head.partition(b"\r\n")[0] else ""


async def _metrics(port: int) -> dict[str, float]:
    """Sums over all labels of what must add up; empty where the server has no metrics."""
    text = await _get(port, "/metrics")
    names = {
        "interlock_requests_total": "requests",
        "interlock_attempts_total": "attempts",
        "interlock_requests_under_way": "under way",
        "interlock_attempts_under_way": "under way",
        "interlock_config_reloads_total": "reloads seen",
    }
    found: dict[str, float] = {}
    for line in text.splitlines() if isinstance(text, str) else ():
        name = line.partition("{")[0].partition(" ")[0]
        if name in names:
            found[names[name]] = found.get(names[name], 0.0) + float(line.rpartition(" ")[2])
    return found


def _files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


if __name__ == "__main__":
    print(uvloop.run(soak(int(sys.argv[1]) if sys.argv[1:] else 1_000_000, WORK / "chaos")).told())
