"""What was measured, as a table for a terminal, CHAOS.md, chaos.json and a picture."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.chaos.figures import Result
from benchmarks.chaos.scenario import Scenario
from benchmarks.environments import UnavailableError, python_of
from benchmarks.report import table

HEAD = [
    "load",
    "variant",
    "offered",
    "served",
    "wrong",
    "silent",
    "p50",
    "p99",
    "first p50",
    "first p99",
    "attempts",
    "load/offered",
    "USD/1000",
]
WORDS = "The variant `all` has every mechanism; the others leave one out."


def told(scenario: Scenario, results: Mapping[str, Result]) -> dict[str, Any]:
    """A scenario's figures as JSON has them: rows of all variants, and the goals of the one with every mechanism."""
    rows, goals = [], []
    for load in scenario.loads:
        if load.leave is not None:
            continue
        for variant, result in results.items():
            if not result.unavailable:
                rows.append(
                    {
                        "load": load.name,
                        "variant": variant,
                        **asdict(result.figures(load.name, scenario.settled, scenario.until(result.seconds))),
                    }
                )
    whole = results["all"]
    if whole.unavailable:
        goals = [{"name": "all goals", "asked": "", "measured": f"not measured: {whole.unavailable}", "met": False}]
    else:
        goals = [asdict(goal) for goal in scenario.goals(whole)]
    return {
        "name": scenario.name,
        "says": scenario.says,
        "rows": rows,
        "goals": goals,
        "unavailable": {variant: result.unavailable for variant, result in results.items() if result.unavailable},
        "course": {v: course(r) for v, r in results.items() if scenario.plotted and not r.unavailable},
    }


def course(result: Result) -> dict[str, list[float]]:
    """Half seconds of a scenario: offered, served, and calls of each target, each a second."""
    step = 0.5
    slots = int(result.seconds / step)
    lines: dict[str, list[float]] = {}
    times = {
        "offered": [r.due for r in result.records],
        "served": [r.due for r in result.records if r.kind == "ok"],
        **{f"calls of {name}": [call.at for call in calls] for name, calls in result.calls.items()},
    }
    for name, moments in times.items():
        counts = Counter(int((moment - result.begun) / step) for moment in moments)
        lines[name] = [counts[slot] / step for slot in range(slots)]
    return lines


def _cells(row: Mapping[str, Any]) -> list[str]:
    seconds = [f"{row[key] * 1000:.0f} ms" for key in ("p50", "p99", "first50", "first99")]
    counts = [f"{row['offered']}", f"{row['served']:.2%}", f"{row['wrong']}", f"{row['silent']}"]
    return [
        row["load"],
        row["variant"],
        *counts,
        *seconds,
        f"{row['attempts']:.2f}",
        f"{row['upstream']:.2f}",
        f"{row['cost']:.4f}",
    ]


def _rows(played: Mapping[str, Any]) -> list[list[str]]:
    return [_cells(row) for row in played["rows"]]


def terminal(played: Mapping[str, Any]) -> list[str]:
    """The rows and goals of one scenario for a terminal."""
    rows = [HEAD, *_rows(played)] if played["rows"] else []
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))] if rows else []
    lines = ["  " + "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines += [f"  {variant}: not measured: {why}" for variant, why in played["unavailable"].items()]
    for goal in played["goals"]:
        mark = "met   " if goal["met"] else "MISSED"
        lines.append(f"  {mark} {goal['name']}: {goal['measured']} (asked {goal['asked']})")
    return [*lines, ""]


def markdown(results: Mapping[str, Any]) -> str:
    """CHAOS.md."""
    about = results["machine"]
    lines = [
        "# What becomes of requests when providers fail",
        "",
        f"`{results['command']}`, {results['date']}, commit {results['commit']}; {about['cpu']}, "
        f"{about['cores']} cores, {about['memory_gb']} GB, Linux {about['kernel']}, Python {about['python']}. "
        "[How it is measured](README.md#faults).",
        "",
        "![What was offered, served and called in the outage and the brown-out](chaos.png)",
        "",
        "## Goals",
        "",
    ]
    rows = [
        [f"{played['name']}: {goal['name']}", goal["asked"], goal["measured"], "met" if goal["met"] else "**MISSED**"]
        for played in results["scenarios"]
        for goal in played["goals"]
    ]
    lines += table(["goal", "asked", "measured", ""], rows)
    lines += ["## Figures", "", WORDS, ""]
    for played in results["scenarios"]:
        lines += [f"### {played['name']}", "", f"{played['says'][0].upper()}{played['says'][1:]}.", ""]
        if played["rows"]:
            lines += table(HEAD, _rows(played))
        lines += [f"Variant `{variant}` was not measured: {why}\n" for variant, why in played["unavailable"].items()]
    return "\n".join(lines).rstrip() + "\n"


def write(results: Mapping[str, Any], folder: Path) -> None:
    """Writes all three files; without the environment for the picture it says so and writes two."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "CHAOS.md").write_text(markdown(results))
    (folder / "chaos.json").write_text(json.dumps(results, indent=1) + "\n")
    if not any(played["course"] for played in results["scenarios"]):
        return
    try:
        command = [str(python_of("plots")), str(Path(__file__).parent / "plots.py"), str(folder / "chaos.json")]
    except UnavailableError as reason:
        print(f"  no picture: {reason}")
        return
    subprocess.run([*command, str(folder / "chaos.png")], check=True)
