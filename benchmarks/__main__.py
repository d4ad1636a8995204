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
from benchmarks.progress import Progress, Step
from benchmarks.rounds import CASES, DIRECT, Pace, Runs, direct_round, library_round, server_round, summary
from benchmarks.servers import StartError

SIZE_PARTS = ("decisions", "compile", "reload")
DIRECT_TITLE = "no gateway (direct)"
Part = Callable[[native.Upstream], dict[str, Any]]
NAMES = (*(server.name for server in SERVERS), *SIZE_PARTS)


def options(arguments: list[str]) -> argparse.Namespace:
    """The command line; ends the program with status 2 where it cannot be understood."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, some three minutes in all, for a first look")
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=float, help="length of each measurement (default 1.5, quick 0.6)")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default 5, quick 2)")
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
            rounds=chosen.rounds or (2 if quick else 5),
            seconds=chosen.seconds or (0.6 if quick else 1.5),
            warm_up=0.2 if quick else 0.5,
        )
        self.skipped: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.servers: Runs = {}
        self.libraries: Runs = {}
        self.sizes: dict[str, Any] = {}
        self.others: list[float] = []
        self.whole = not (quick or chosen.seconds or chosen.rounds) and set(chosen.names) == set(NAMES)
        """Whether it is the run whose results are kept."""

    def measure(self, upstream: native.Upstream) -> None:
        """Everything that was chosen: the interleaved rounds, then the parts about size."""
        parts = self._parts()
        servers: list[Server] = self._willing("server", SERVERS)
        libraries: list[Library] = self._willing("in process", LIBRARIES)
        case = self.pace.seconds + self.pace.warm_up + 0.1
        steps = [Step(DIRECT_TITLE, len(CASES) * case)] if servers else []
        steps += [Step(server.title, len(CASES) * case + server.seconds) for server in servers]
        steps += [Step(f"{one.title}, in process", case + one.seconds) for one in libraries]
        steps = steps * self.pace.rounds + [Step(name, guess) for name, (guess, _) in parts.items()]
        self.progress = Progress(steps)
        for _ in range(self.pace.rounds if servers or libraries else 0):
            self._round(upstream, servers, libraries)
        for name, (_, part) in parts.items():
            self._part(upstream, name, part)

    def _willing(self, kind: str, entries: tuple[Any, ...]) -> list[Any]:
        """The chosen entries that can take part; the others are noted with their reason."""
        found = []
        for entry in entries:
            if entry.name not in self.chosen.names:
                continue
            try:
                self.versions[entry.name] = entry.prepare()
                found.append(entry)
            except UnavailableError as reason:
                self._skip(f"{entry.title} ({kind})", str(reason))
        return found

    def _skip(self, who: str, why: str) -> None:
        """Notes that something could not be measured, and says so."""
        print(f"  MISSING: {who}: {why}", flush=True)
        self.skipped[who] = why

    def _round(self, upstream: native.Upstream, servers: list[Server], libraries: list[Library]) -> None:
        """One round of all; who fails is noted and taken from the lists."""
        self.others.append(round(machine.disturbance(), 2))
        if servers:
            begin = time.monotonic()
            direct_round(upstream, self.pace, self.servers)
            self.progress.done(DIRECT_TITLE, time.monotonic() - begin, report.headline(self.servers[DIRECT]))
        for server in tuple(servers):
            begin = time.monotonic()
            if problem := server_round(server, upstream, self.pace, self.servers):
                servers.remove(server)
                self.progress.drop(server.title)
                self._skip(f"{server.title} (server)", problem)
            else:
                said = report.headline(self.servers[server.name])
                self.progress.done(server.title, time.monotonic() - begin, said)
        for library in tuple(libraries):
            begin, title = time.monotonic(), f"{library.title}, in process"
            if problem := library_round(library, upstream, self.pace, self.libraries):
                libraries.remove(library)
                self.progress.drop(title)
                self._skip(f"{library.title} (in process)", problem)
            else:
                self.progress.done(title, time.monotonic() - begin, report.headline(self.libraries[library.name]))

    def _parts(self) -> dict[str, tuple[float, Part]]:
        """The chosen parts about size, each with the seconds that it may take."""
        compiles, seconds = (1, 6.0) if self.chosen.quick else (3, 12.0)
        parts: dict[str, tuple[float, Part]] = {
            "decisions": (30.0, lambda upstream: scale.decisions()),
            "compile": (compiles * 9.0, lambda upstream: scale.compiles(compiles)),
            "reload": (2 * seconds + 20.0, lambda upstream: scale.reloads(upstream, seconds)),
        }
        return {name: part for name, part in parts.items() if name in self.chosen.names}

    def _part(self, upstream: native.Upstream, name: str, part: Part) -> None:
        begin = time.monotonic()
        try:
            self.sizes[name] = part(upstream)
        except (scale.ScaleError, StartError, native.LoadFailedError, UnavailableError) as reason:
            self.progress.drop(name)
            self._skip(f"Interlock ({name})", str(reason))
        else:
            self.progress.done(name, time.monotonic() - begin, "measured")

    def results(self) -> dict[str, Any]:
        """Everything, as results.json holds it."""
        return {
            "command": "make bench" if self.whole else shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
            "whole": self.whole,
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
    machine.stay_off_the_contestant()
    bench = Bench(chosen)
    print(f"{bench.pace.rounds} rounds of {bench.pace.seconds:g} s a case: {', '.join(chosen.names)}", flush=True)
    with native.Upstream() as upstream:
        bench.measure(upstream)
    folder: Path = HERE if bench.whole else WORK / "partial"
    results = bench.results()
    report.write(results, folder)
    print("\n" + report.markdown(results))
    print(f"written to {folder.relative_to(ROOT)}/: RESULTS.md, results.svg, results.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
