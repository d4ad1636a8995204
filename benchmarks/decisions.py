"""Times single decisions of the planner on folders given as ``NAME=FOLDER``; prints one line of JSON.

Run in Interlock's environment on the contestant's core. Folders are taken in turn, a slice of decisions each, so that
what disturbs the machine disturbs all alike, and the figures are the medians over the slices, so that a disturbance of
some is none of the result. Requests name routes at random (seeded), as a busy gateway's do.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from engine.compiler import compile_folder
from engine.graph import Graph
from engine.planner import Request, plan
from engine.state import State

SLICES = 40
REQUESTS = 1000


class Calm(State):
    """The live facts of an engine at rest whose credentials are all there."""

    __slots__ = ()

    def credential(self, provider: str) -> bool:
        """Every provider's secret is set."""
        return True


def requests(graph: Graph) -> list[Request]:
    """Requests that each match some route of the graph."""
    draw = random.Random(7)
    names = sorted({pattern.replace("*", "chat") for route in graph.routes.values() for pattern in route.models})
    return [
        Request(
            model=draw.choice(names),
            user=f"user-{draw.randrange(10_000)}",
            input_tokens=120,
            max_tokens=256,
            request_id=f"{draw.getrandbits(64):016x}",
        )
        for _ in range(REQUESTS)
    ]


def time_slice(graph: Graph, asked: list[Request], state: Calm) -> tuple[int, int]:
    """Median and p99 of one decision in nanoseconds, over the requests, the clock's own cost included."""
    clock = time.perf_counter_ns
    now = time.time()
    times: list[int] = []
    for request in asked:
        begin = clock()
        plan(graph, request, state, now)
        times.append(clock() - begin)
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.99)]


def main(arguments: list[str]) -> None:
    """Compiles every folder, times the decisions, prints the figures."""
    graphs: dict[str, tuple[Graph, list[Request], Calm]] = {}
    for argument in arguments:
        name, _, folder = argument.partition("=")
        compilation = compile_folder(Path(folder))
        if compilation.graph is None:
            raise SystemExit(f"{folder} does not compile: {compilation.diagnostics[0]}")
        asked = requests(compilation.graph)
        wrong = [r.model for r in asked if not plan(compilation.graph, r, Calm(), 0.0).candidates]
        if wrong:
            raise SystemExit(f"{folder}: no candidate for {wrong[0]}")
        graphs[name] = compilation.graph, asked, Calm()
    gc.collect()
    gc.freeze()
    slices: dict[str, list[tuple[int, int]]] = {name: [] for name in graphs}
    for _ in range(SLICES + 1):
        for name, (graph, asked, state) in graphs.items():
            slices[name].append(time_slice(graph, asked, state))
    figures: dict[str, Any] = {}
    for name, found in slices.items():
        medians, p99s = zip(*found[1:], strict=True)  # the first one warms up
        figures[name] = {
            "median_us": round(median(medians) / 1000, 2),
            "p99_us": round(median(p99s) / 1000, 2),
            "decisions": SLICES * REQUESTS,
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
