"""What translation costs: the same server asked in the upstream's own protocol, and in two others.

``python -m benchmarks.translated [--against FOLDER]``: FOLDER is another checkout of this project, whose spliced
requests are measured in the same rounds, to see what a change costs those that nobody translates. Everything runs side
by side and interleaved, like the rest of the benchmarks; read the ratios. It needs no environment but the project's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import native
from benchmarks.contestants import Launch, Server, interlock_config
from benchmarks.environments import ROOT, WORK, python_of
from benchmarks.machine import cpu_seconds
from benchmarks.rounds import Pace
from benchmarks.servers import Running

#: Translated requests may cost twice what spliced ones do, and no more; a change may cost the latter 5 %.
TRANSLATED, UNCHANGED = 0.5, 0.95
SPLICED = "chat"

SYSTEM, USER = (message["content"] for message in native.BODY["messages"])


@dataclass(frozen=True)
class Front:
    """A protocol of clients: its path, a request of the usual words, how its streams end.

    ``repeats`` is how many of a stream's last events tell all of the text again.
    """

    path: str
    body: dict[str, Any]
    end: str = "[DONE]"
    repeats: int = 0


FRONTS: dict[str, Front] = {
    SPLICED: Front("/v1/chat/completions", native.BODY),
    "messages": Front(
        "/v1/messages",
        {
            "system": SYSTEM,
            "messages": [{"role": "user", "content": USER}],
            "temperature": 0.2,
            "max_tokens": 256,
        },
        '"message_stop"',
    ),
    "responses": Front(
        "/v1/responses",
        {"instructions": SYSTEM, "input": USER, "temperature": 0.2, "max_output_tokens": 256},
        '"response.completed"',
        repeats=4,
    ),
}
#: Name, connections, streamed.
CASES = (("plain, 16 connections", 16, False), ("streams, 16 connections", 16, True))

Rates = dict[tuple[str, str], list[tuple[float, float]]]


def launch_of(folder: Path) -> Callable[[int, int], Launch]:
    """How to start the server of this checkout."""

    def launch(port: int, upstream: int) -> Launch:
        start = f"import sys; sys.path.insert(0, {str(folder)!r}); from engine.cli import main; main()"
        command = [str(python_of("interlock")), "-c", start, "serve", "--config", str(interlock_config(upstream))]
        return Launch([*command, "--host", "127.0.0.1", "--port", str(port)], "chat")

    return launch


def request_file(name: str, front: Front, *, stream: bool) -> Path:
    """A file with the front's request."""
    file = WORK / "requests" / f"translated-{name}{'-stream' if stream else ''}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    body = {**front.body, "model": "chat", **({"stream": True} if stream else {})}
    file.write_text(json.dumps(body, separators=(",", ":")))
    return file


def contestants(against: Path | None) -> list[tuple[str, Path, str]]:
    """Title, checkout and front of everything that is measured; the first is what the others are compared with."""
    rows = [(name, ROOT, name) for name in FRONTS]
    return rows if against is None else [*rows, ("there", against.resolve(), SPLICED)]


def measure(rows: list[tuple[str, Path, str]], upstream: native.Upstream, pace: Pace) -> Rates:
    """Requests a second and microseconds of processor time for one, by title and case, round by round."""
    rates: Rates = {}
    with ExitStack() as stack:
        # All at once, so that what is compared is measured within seconds; who is not asked does nothing.
        servers = {
            folder: stack.enter_context(Running(Server(folder.name, "", str, launch_of(folder), ""), upstream.port))
            for folder in dict.fromkeys(folder for _, folder, _ in rows)
        }
        for _ in range(pace.rounds):
            for case, connections, stream in CASES:
                for title, folder, name in rows:
                    running, front = servers[folder], FRONTS[name]
                    command = native.load_command(
                        running.port, front.path, "chat", connections, pace.seconds, pace.warm_up,
                        stream=stream, request=request_file(name, front, stream=stream), end=front.end,
                        pieces=native.PIECES + front.repeats,
                    )  # fmt: skip
                    before, asked = cpu_seconds(running.pid), upstream.stats()["requests"]
                    figures = native.run_load(command, pace.seconds)
                    if figures["bad"]:
                        raise SystemExit(f"{title}, {case}: {figures['bad']} bad replies: {figures['first_bad']}")
                    answered = upstream.stats()["requests"] - asked
                    spent = (cpu_seconds(running.pid) - before) / max(1, answered) * 1e6
                    rates.setdefault((title, case), []).append((figures["rate"], spent))
    return rates


def report(rates: Rates) -> None:
    """The table, and whether the goals are met: by processor time, which a busy machine disturbs least."""
    print(f"{'':10} {'case':26} {'requests/s':>10} {'µs CPU':>8} {'of spliced':>10}  goal")
    for (title, case), rows in rates.items():
        rate, spent = (median(column) for column in zip(*rows, strict=True))
        share = median(base[1] / row[1] for row, base in zip(rows, rates[SPLICED, case], strict=True))
        goal = ""
        if title == "there":
            goal = f"≤ {1 / UNCHANGED:.2f}: {'met' if share <= 1 / UNCHANGED else 'MISSED'}"
        elif title != SPLICED:
            goal = f"≥ {TRANSLATED}: {'met' if share >= TRANSLATED else 'MISSED'}"
        print(f"{title:10} {case:26} {rate:10.0f} {spent:8.1f} {share:10.2f}  {goal}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", type=Path, help="another checkout, whose spliced requests are measured too")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0)
    given = parser.parse_args()
    with native.Upstream() as upstream:
        upstream.mode("burst")
        report(measure(contestants(given.against), upstream, Pace(given.rounds, given.seconds, 0.2)))


if __name__ == "__main__":
    main()
