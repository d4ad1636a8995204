"""Draws the course of scenarios over time, in an environment of its own: it needs matplotlib and nothing of ours."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

COLOURS = {"offered": "#b9c0c7", "served": "#1f6f54"}
OTHERS = ("#b5673a", "#7a6aa8", "#8aa69b")


def main(source: str, file: str) -> None:
    """A row for each scenario, a panel for each of its variants."""
    played = [one for one in json.loads(Path(source).read_text())["scenarios"] if one["course"]]
    columns = max(len(one["course"]) for one in played)
    figure, axes = pyplot.subplots(
        len(played), columns, figsize=(4.6 * columns, 3.1 * len(played)), squeeze=False, sharey="row"
    )
    for row, one in zip(axes, played, strict=True):
        for axis in row[len(one["course"]) :]:
            axis.set_visible(False)
        for axis, (variant, lines) in zip(row, one["course"].items(), strict=False):
            others = iter(OTHERS)
            for name, values in lines.items():
                seconds = [0.5 * number for number in range(len(values))]
                colour = COLOURS.get(name) or next(others)
                axis.plot(seconds, values, label=name, color=colour, linewidth=2.2 if name in COLOURS else 1.2)
            axis.set_title(f"{one['name']}: {variant}", fontsize=11)
            axis.set_xlabel("seconds", fontsize=9)
            axis.grid(alpha=0.25)
        row[0].set_ylabel("a second", fontsize=9)
    axes[0][0].legend(fontsize=8, loc="upper right")
    figure.tight_layout()
    figure.savefig(file, dpi=90)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
