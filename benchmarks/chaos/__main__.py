"""``python -m benchmarks.chaos``: plays the scenarios against the real server, and says what came of them."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import shlex
import sys
from typing import Any

import uvloop

from benchmarks import machine
from benchmarks.chaos import report
from benchmarks.chaos.scenario import Scenario, play
from benchmarks.chaos.scenarios import HEATS, heats
from benchmarks.environments import HERE, ROOT, WORK


def options(arguments: list[str]) -> argparse.Namespace:
    """The command line; ends the program with status 2 where it cannot be understood."""
    names = [scenario.name for together in HEATS for scenario in together]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="shorter scenarios, for a first look")
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"some of: {', '.join(names)}")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a goal was missed")
    chosen = parser.parse_args(arguments)
    chosen.names = [name for name in chosen.only.split(",") if name]
    if unknown := sorted(set(chosen.names) - set(names)):
        parser.error(f"--only does not know {', '.join(unknown)}; it knows {', '.join(names)}")
    return chosen


async def run(chosen: argparse.Namespace) -> dict[str, Any]:
    """Plays what was chosen, and returns everything that the report needs."""
    played: list[dict[str, Any]] = []
    for together in heats(chosen.names):
        start = asyncio.Barrier(len(together))

        async def one(scenario: Scenario, start: asyncio.Barrier) -> dict[str, Any]:
            length = scenario.short if chosen.short else scenario.seconds
            told = report.told(scenario, await play(scenario, length, WORK / "chaos", start))
            print("\n".join([f"{scenario.name}: {scenario.says}", *report.terminal(told)]), flush=True)
            return told

        played += await asyncio.gather(*(one(scenario, start) for scenario in together))
    return {
        "command": shlex.join(["python", "-m", "benchmarks.chaos", *sys.argv[1:]]) if sys.argv[1:] else "make chaos",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": machine.commit(ROOT),
        "machine": machine.describe(),
        "scenarios": played,
    }


def main(arguments: list[str]) -> int:
    """Runs the command; 0 when figures were written, 1 under ``--strict`` where a goal was missed."""
    chosen = options(arguments)
    machine.stay_off_the_contestant()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(run(chosen))
    folder = HERE if not arguments else WORK / "partial"
    report.write(results, folder)
    missed = sum(not goal["met"] for played in results["scenarios"] for goal in played["goals"])
    print(f"{missed} goals missed; written to {folder.relative_to(ROOT)}/: CHAOS.md, chaos.json, chaos.png")
    return 1 if missed and chosen.strict else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
