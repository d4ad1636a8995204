"""The machine: which core does what, how busy each was, how much memory a contestant's processes hold."""

from __future__ import annotations

import functools
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Cores(NamedTuple):
    """``load`` runs the load generator and the upstream, ``contestant`` the contestant and nothing else of ours."""

    load: int
    contestant: int
    separate: bool


@functools.cache
def cores() -> Cores:
    """The first two cores this process may use; with a single one, both roles share it and the report says so."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[1] if len(allowed) > 1 else allowed[0], len(allowed) > 1)


def stay_off_the_contestant() -> None:
    """From here on this process keeps to the load's core: what it does itself must not disturb who is measured."""
    os.sched_setaffinity(0, {cores().load})


def pinned(core: int) -> Callable[[], None]:
    """What a child does before it runs its program: stay on ``core``."""
    return lambda: os.sched_setaffinity(0, {core})


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def busy(core: int) -> tuple[int, int]:
    """Ticks (busy, all) that this core has counted since boot, by everyone on the machine."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            ticks = [int(field) for field in line.split()[1:9]]
            return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
    return 0, 1


def share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """The busy share of a core between two readings of ``busy``, 0 to 1."""
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def disturbance(seconds: float = 0.5) -> float:
    """The busier one's share of both cores while nothing of ours runs: what others take, 0 to 1."""
    both = cores()
    before = [busy(core) for core in both[:2]]
    time.sleep(seconds)
    return max(share(one, busy(core)) for one, core in zip(before, both[:2], strict=True))


def family(pid: int) -> set[int]:
    """The process and all its living descendants."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = set(), [pid]
    while todo:
        one = todo.pop()
        found.add(one)
        todo.extend(parents.get(one, ()))
    return found


def resident(pid: int) -> float:
    """Resident memory of a process and its descendants, in MB (1e6 bytes), as the kernel counts it."""
    total = 0
    for one in family(pid):
        try:
            status = Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)
    return total * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    """Processor time that the living threads of a process and its descendants have used."""
    total = 0
    for one in family(pid):
        for task in Path(f"/proc/{one}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                continue  # it ended meanwhile
    return total / 1e9


def describe() -> dict[str, str | int]:
    """What the report says about the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "memory_gb": round(memory / 1e9),
        "kernel": platform.release(),
        "python": sys.version.split()[0],
    }


def commit(root: Path) -> str:
    """The tree's commit, with ``+`` where there are changes on top of it; ``none`` outside a repository."""
    head = _git(root, "rev-parse", "--short=12", "HEAD")
    if not head:
        return "none"
    return head + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout.strip()
