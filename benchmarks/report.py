"""Turns measured figures into RESULTS.md, results.svg and results.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import plot
from benchmarks.contestants import LIBRARIES, SERVERS
from benchmarks.goals import goals
from benchmarks.native import GAP_MS, PIECES
from benchmarks.rounds import CASES, DIRECT, LIBRARY_TASKS
from benchmarks.scale import LARGEST

Figures = dict[str, Any]
TITLES = {DIRECT: "no gateway (direct)", **{server.name: server.title for server in SERVERS}}
LIBRARY_TITLES = {library.name: library.title for library in LIBRARIES}
PEERS = ("bare", "tensorzero", "litellm")


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def number(value: float | None) -> str:
    """A figure for people: thousands separated, small ones with decimals, a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(mine: float | None, other: float | None) -> str:
    """How many times the other's figure mine is."""
    return "-" if not mine or not other else f"{number(mine / other)}x"


def _cell(figures: Figures, name: str, case: str, key: str) -> float | None:
    value = figures.get(name, {}).get(case, {}).get(key)
    return None if value is None else float(value)


def throughput(servers: Figures) -> list[str]:
    """Answers a second of every server, and the ratios to the peers at 64 connections and for streams."""
    cases = [case for case in CASES if case.mode != "spread"]
    head = ["", *(f"{case.title}: {'streams' if case.mode else 'requests'}/s" for case in cases)]
    rows = [
        [TITLES[name], *(number(_cell(servers, name, case.name, "rate")) for case in cases)]
        for name in TITLES
        if name in servers
    ]
    lines = table(head, rows)
    lines += ["As multiples (64 connections; streams at 16):", ""]
    head = ["", *(f"of {TITLES[peer]}" for peer in PEERS), *(f"streams, of {TITLES[peer]}" for peer in PEERS)]
    rows = []
    for name in (server.name for server in SERVERS):
        if name in servers:
            cells = [
                ratio(_cell(servers, name, case, "rate"), _cell(servers, peer, case, "rate"))
                for case in ("plain64", "stream16")
                for peer in PEERS
            ]
            rows.append([TITLES[name], *cells])
    return lines + table(head, rows)


def processor(servers: Figures) -> list[str]:
    """Processor time of the contestant for one request or stream."""
    cases = [case for case in CASES if case.name != "spread1"]
    rows = [
        [TITLES[name], *(number(_cell(servers, name, case.name, "cpu_us")) for case in cases)]
        for name in (server.name for server in SERVERS if server.name in servers)
    ]
    return table(["processor time a request, µs", *(case.title for case in cases)], rows)


def latency(servers: Figures) -> list[str]:
    """Added latency against the direct runs of the same rounds."""
    cases = [case for case in CASES if not case.mode]
    head = ["added latency, µs", *(f"{case.title}, {p}" for case in cases for p in ("p50", "p99"))]
    rows = []
    for name in (server.name for server in SERVERS if server.name in servers):
        row = [TITLES[name]]
        for case in cases:
            for key in ("p50_us", "p99_us"):
                with_it, without = _cell(servers, name, case.name, key), _cell(servers, DIRECT, case.name, key)
                row.append(number(None if with_it is None or without is None else with_it - without))
        rows.append(row)
    return table(head, rows)


def streams(servers: Figures) -> list[str]:
    """Whether pieces arrive as they were sent, and how soon the first event does."""
    head = ["", "first event p50, ms", "first to last piece, ms", "share of direct", "16 streams: first event p50, ms"]
    head += ["16 streams: share of direct", "relayed as they come"]
    rows = []
    for name in TITLES:
        if "spread1" not in servers.get(name, {}):
            continue
        spread = _cell(servers, name, "spread1", "spread_us") or 0.0
        whole = _cell(servers, DIRECT, "spread1", "spread_us") or 0.0
        many = _cell(servers, name, "spread16", "spread_us") or 0.0
        many_whole = _cell(servers, DIRECT, "spread16", "spread_us") or 0.0
        share = spread / whole if whole else 0.0
        rows.append([
            TITLES[name],
            number((_cell(servers, name, "spread1", "first_us") or 0.0) / 1000),
            number(spread / 1000),
            f"{share:.0%}",
            number((_cell(servers, name, "spread16", "first_us") or 0.0) / 1000),
            f"{many / many_whole if many_whole else 0.0:.0%}",
            "yes" if share >= 0.8 else "no: buffered",
        ])  # fmt: skip
    return table(head, rows)


def footprint(servers: Figures) -> list[str]:
    """Memory after load and cold start."""
    rows = [
        [
            TITLES[name],
            number(_cell(servers, name, "memory", "rss_mb")),
            number(_cell(servers, name, "start", "cold_start")),
        ]
        for name in (server.name for server in SERVERS if server.name in servers)
    ]
    return table(["", "RSS after load, MB", "cold start to first 200, s"], rows)


def libraries(figures: Figures) -> list[str]:
    """The in-process contestants."""
    head = ["", "answers/s", "p50, ms", "p99, ms", "RSS, MB", "start to first answer, s"]
    head += [f"of {LIBRARY_TITLES[peer]}" for peer in PEERS]
    rows = []
    for name, cases in figures.items():
        mine = cases.get("inprocess64", {})
        if mine:
            row = [LIBRARY_TITLES[name], number(mine["rate"]), number(mine["p50_us"] / 1000)]
            row += [number(mine["p99_us"] / 1000), number(mine["rss_mb"]), number(mine["cold_start"])]
            row += [ratio(mine["rate"], _cell(figures, peer, "inprocess64", "rate")) for peer in PEERS]
            rows.append(row)
    return table(head, rows)


def size(results: Figures) -> list[str]:
    """The planner's decisions, the compiler, the reloads."""
    lines: list[str] = []
    if decisions := results.get("decisions"):
        rows = []
        for name, row in decisions.items():
            kind, _, routes = name.partition("-")
            base = decisions[f"{kind}-10"]["p99_us"]
            rows.append([
                f"{int(routes):,} routes, {'exact names' if kind == 'exact' else 'prefix globs'}",
                number(row["median_us"]), number(row["p99_us"]), ratio(row["p99_us"], base),
            ])  # fmt: skip
        lines += table(["one decision", "median, µs", "p99, µs", "p99 against 10 routes"], rows)
    rows = []
    if compiled := results.get("compile"):
        rows += [
            [f"cold compile of {LARGEST:,} routes over 1,000 targets", f"{compiled['cold_s']:.2f} s"],
            ["compile again after an edit of one file", f"{compiled['edit_s']:.2f} s"],
        ]
    if reload := results.get("reload"):
        rows += [
            [f"server on {LARGEST:,} routes: start to first 200", f"{reload['start_s']:.2f} s"],
            ["edit of one file to live, under load: median", f"{reload['live_median_s']:.2f} s"],
            [f"the same: slowest of {reload['edits']}", f"{reload['live_max_s']:.2f} s"],
            ["requests' p50 / p99 / max, no edits (16 connections)", _times(reload["quiet"])],
            ["requests' p50 / p99 / max while reloading all the time", _times(reload["during"])],
            ["failed requests while reloading", f"{reload['during']['bad']} of {reload['during']['completed']:,}"],
            ["RSS after it", f"{reload['rss_mb']:.0f} MB"],
        ]
    return lines + (table(["size", ""], rows) if rows else [])


def _times(figures: Figures) -> str:
    return " / ".join(f"{figures[key] / 1000:.1f}" for key in ("p50_us", "p99_us", "max_us")) + " ms"


def notes(results: Figures) -> list[str]:
    """How it was measured, each contestant's settings, who is missing and why."""
    pace = results["pace"]
    lines = [
        f"* {pace['rounds']} rounds, interleaved: in each round every contestant starts afresh, is measured "
        f"{pace['seconds']:g} s a case after {pace['warm_up']:g} s of warm-up, and ends. Figures are medians.",
        "* The contestant alone has one core; load generator and upstream (`native/`, C, epoll) share the other. "
        "Libraries run their caller on their core too. All connections are keep-alive, plain HTTP/1.1 on loopback.",
        f"* Every reply is checked: status 200 and the upstream's text, streams for all {PIECES} pieces and `[DONE]`. "
        f"Streams of the throughput case come from the upstream in one burst; the spread case sends an event each "
        f"{GAP_MS} ms. The load acknowledges at once (`TCP_QUICKACK`), so that a server which leaves Nagle's algorithm "
        "on is not charged 40 ms a stream.",
        "* Keys, databases, caches, callbacks and request logs are off, unless a contestant's line says otherwise.",
    ]
    if results["others"]:
        most = max(results["others"])
        lines.insert(1, f"* Before each round, others kept the busier core {most:.0%} busy at most.")
        if most > 0.1:
            lines[1] += " **The machine was not quiet: trust the ratios, not the figures.**"
    about = [("server", one.name, one.title, one.notes) for one in SERVERS]
    about += [("in process", one.name, one.title, one.notes) for one in LIBRARIES]
    for kind, name, title, words in about:
        if version := results["versions"].get(name, ""):
            lines.append(f"* **{title}** ({kind}, {version}): {words}.")
    for who, why in results["skipped"].items():
        lines.append(f"* Not measured: **{who}**: {why}")
    return [*lines, ""]


def bad_replies(results: Figures) -> list[str]:
    """A warning for every case in which replies were not good."""
    lines = []
    for kind in ("servers", "libraries"):
        for name, cases in results[kind].items():
            for case, row in cases.items():
                if row.get("bad"):
                    lines.append(f"* {name}, {case}: {row['bad']} bad replies. {row.get('first_bad', '')[:200]}")
    return ["## Replies that were not good", "", *lines, ""] if lines else []


def markdown(results: Figures) -> str:
    """The whole page."""
    machine = results["machine"]
    alone = "" if results["separate_cores"] else "**Only one core: contestants shared it with the load.**"
    lines = [
        "# Benchmark results",
        "",
        f"Made by `{results['command']}` on {results['date']}, tree `{results['commit']}`. "
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, Linux {machine['kernel']}, "
        f"Python {machine['python']}. [How it is measured](README.md). {alone}",
        "",
    ]
    if results["servers"] or results["libraries"]:
        lines += ["![results](results.svg)", ""]
    if rows := goals(results):
        lines += ["## Goals", "", *table(["goal", "asked", "measured", ""], rows)]
    if results["servers"]:
        lines += ["## Servers, one core each", "", *throughput(results["servers"])]
        lines += [*processor(results["servers"]), *latency(results["servers"])]
        lines += ["### Streams", "", *streams(results["servers"])]
        lines += ["### Memory and start", "", *footprint(results["servers"])]
    if results["libraries"]:
        lines += [f"## In process, {LIBRARY_TASKS} concurrent tasks, one core", "", *libraries(results["libraries"])]
    if sized := size(results):
        lines += ["## Size", "", *sized]
    return "\n".join([*lines, *bad_replies(results), "## Notes", "", *notes(results)])


def _panel(title: str, note: str, figures: Figures, case: str, titles: dict[str, str]) -> plot.Panel:
    bars = [
        plot.Bar(name, titles[name], rate, f"{rate:,.0f}")
        for name in titles
        if name != DIRECT and (rate := _cell(figures, name, case, "rate"))
    ]
    return plot.Panel(title, note, tuple(sorted(bars, key=lambda bar: -bar.value)))


def write(results: Figures, folder: Path) -> None:
    """Writes the three files into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "RESULTS.md").write_text(markdown(results))
    servers, inside = results["servers"], results["libraries"]
    panels = [
        _panel("Requests a second", "64 connections, one core; longer is better", servers, "plain64", TITLES),
        _panel("Streams a second", "23 events each, 16 connections, one core", servers, "stream16", TITLES),
        _panel("In process: answers a second", "64 tasks, one core", inside, "inprocess64", LIBRARY_TITLES),
    ]
    panels = [panel for panel in panels if panel.bars]
    if not panels:
        return
    footer = f"{results['date']} · {results['machine']['cpu']} · tree {results['commit']} · {results['command']}"
    plot.write(folder / "results.svg", "Relaying a chat completion", footer, panels)
