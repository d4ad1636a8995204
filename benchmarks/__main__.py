"""``python -m benchmarks``: measures everything side by side and writes the results. See README.md in this folder."""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine, native, report, scale
from benchmarks.contestants import LIBRARIES, SERVERS, Library, Server
from benchmarks.environments import HERE, ROOT, WORK, UnavailableError
from benchmarks.rounds import Pace, Runs, direct_round, library_round, server_round, summary
from benchmarks.servers import StartError

SIZE_PARTS = ("decisions", "compile", "reload")
NAMES = (*(server.name for server in SERVERS), *SIZE_PARTS)


def options(arguments: list[str]) -> argparse.Namespace:
    """The command line; ends the program with status 2 where it cannot be understood."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, some three minutes in all, for a first look")
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=float, help="length of each measurement (default 4, quick 0.6)")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default 5, quick 3)")
    chosen = parser.parse_args(arguments)
    chosen.names = tuple(name for name in chosen.only.split(",") if name) or NAMES
    if unknown := sorted(set(chosen.names) - set(NAMES)):
        parser.error(f"--only does not know {', '.join(unknown)}; it knows {', '.join(NAMES)}")
    return chosen


class Bench:
    """One run of the command: what was chosen, and what was measured so far."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen = chosen
        quick = chosen.quick
        self.pace = Pace(
            rounds=chosen.rounds or (3 if quick else 5),
            seconds=chosen.seconds or (0.6 if quick else 4.0),
            warm_up=0.2 if quick else 0.7,
        )
        self.skipped: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.servers: Runs = {}
        self.libraries: Runs = {}
        self.sizes: dict[str, Any] = {}
        self.others: list[float] = []

    def willing(self, kind: str, entries: tuple[Any, ...]) -> list[Any]:
        """The chosen entries that can take part; the others are noted with their reason."""
        found = []
        for entry in entries:
            if entry.name not in self.chosen.names:
                continue
            try:
                self.versions[entry.name] = entry.prepare()
                found.append(entry)
            except UnavailableError as reason:
                self.skip(f"{entry.title} ({kind})", str(reason))
        return found

    def skip(self, who: str, why: str) -> None:
        """Notes that something could not be measured, and says so."""
        print(f"  skipped: {who}: {why}", flush=True)
        self.skipped[who] = why

    def rounds(self, upstream: native.Upstream) -> None:
        """All rounds of all servers and libraries, in turn."""
        servers: list[Server] = self.willing("server", SERVERS)
        libraries: list[Library] = self.willing("in process", LIBRARIES)
        for number in range(1, self.pace.rounds + 1 if servers or libraries else 0):
            begin = time.monotonic()
            self.others.append(round(machine.disturbance(), 2))
            if servers:
                direct_round(upstream, self.pace, self.servers)
            for server in tuple(servers):
                print(f"  round {number} of {self.pace.rounds}: {server.title}", flush=True)
                if problem := server_round(server, upstream, self.pace, self.servers):
                    self.skip(f"{server.title} (server)", problem)
                    servers.remove(server)
            for library in tuple(libraries):
                print(f"  round {number} of {self.pace.rounds}: {library.title}, in process", flush=True)
                if problem := library_round(library, upstream, self.pace, self.libraries):
                    self.skip(f"{library.title} (in process)", problem)
                    libraries.remove(library)
            print(f"  round {number} took {time.monotonic() - begin:.0f} s", flush=True)

    def size(self, upstream: native.Upstream) -> None:
        """The planner's decisions, the compiler and the reloads."""
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "decisions": scale.decisions,
            "compile": lambda: scale.compiles(1 if self.chosen.quick else 3),
            "reload": lambda: scale.reloads(upstream, 8.0 if self.chosen.quick else 20.0),
        }
        for name in (part for part in SIZE_PARTS if part in self.chosen.names):
            print(f"  size: {name}", flush=True)
            try:
                self.sizes[name] = parts[name]()
            except (scale.ScaleError, StartError, native.LoadFailedError, UnavailableError) as reason:
                self.skip(f"Interlock ({name})", str(reason))

    def results(self) -> dict[str, Any]:
        """Everything, as results.json holds it."""
        return {
            "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "commit": machine.commit(ROOT),
            "machine": machine.describe(),
            "separate_cores": machine.cores().separate,
            "others": self.others,
            "pace": self.pace._asdict(),
            "versions": self.versions,
            "skipped": self.skipped,
            "servers": summary(self.servers),
            "libraries": summary(self.libraries),
            **self.sizes,
            "runs": {"servers": self.servers, "libraries": self.libraries},
        }


def main(arguments: list[str]) -> int:
    """Runs the command; 0 when figures were written, 2 when nothing can be measured on this machine."""
    chosen = options(arguments)
    if not sys.platform.startswith("linux"):
        print("the load generator needs Linux (epoll, core affinity)", file=sys.stderr)
        return 2
    try:
        native.build()
    except native.NoCompilerError as reason:
        print(reason, file=sys.stderr)
        return 2
    bench = Bench(chosen)
    print(f"{bench.pace.rounds} rounds of {bench.pace.seconds:g} s a case; {', '.join(chosen.names)}", flush=True)
    with native.Upstream() as upstream:
        bench.rounds(upstream)
        bench.size(upstream)
    whole = not chosen.quick and set(chosen.names) == set(NAMES)
    folder: Path = HERE if whole else WORK / "partial"
    results = bench.results()
    report.write(results, folder)
    print("\n" + report.markdown(results))
    print(f"written to {folder.relative_to(ROOT)}/: RESULTS.md, results.svg, results.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
