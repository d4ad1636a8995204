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
SPREAD = ("spread1", "spread16")
PEERS = ("bare", "tensorzero", "litellm", "nginx")


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


def headline(cases: dict[str, list[dict[str, Any]]]) -> str:
    """The latest figures of one contestant in a few words, for those who watch the run."""
    wanted = (
        ("plain64", "rate", "requests/s"),
        ("stream16", "rate", "streams/s"),
        ("inprocess64", "rate", "answers/s"),
        ("memory", "rss_mb", "MB"),
    )
    return ", ".join(f"{number(cases[case][-1][key])} {unit}" for case, key, unit in wanted if cases.get(case))


def throughput(servers: Figures, missing: list[str]) -> list[str]:
    """Answers a second of every server; those that could not be measured have their row too."""
    cases = [case for case in CASES if case.mode != "spread"]
    head = ["", *(f"{case.title}: {'streams' if case.mode else 'requests'}/s" for case in cases)]
    rows = []
    for name, title in TITLES.items():
        if name in servers:
            rows.append([title, *(number(_cell(servers, name, case.name, "rate")) for case in cases)])
        elif f"{title} (server)" in missing:
            rows.append([f"{title} (missing)", *("-" for _ in cases)])
    return table(head, rows)


def multiples(servers: Figures) -> list[str]:
    """How many times each peer's rate Interlock's is, and what share of its processor time it needs."""
    cases = [case for case in CASES if case.mode != "spread"]
    head = ["Interlock, as a multiple of", *(case.title for case in cases)]
    head += [f"processor time: {title}" for title in ("64 connections", "streams", "streams spread over time")]
    rows = []
    for name in PEERS:
        if name in servers and "interlock" in servers:
            rates = [_pair(servers, name, case.name, "rate") for case in cases]
            times = [_pair(servers, name, case, "cpu_us") for case in ("plain64", "stream16", "spread16")]
            rows.append([TITLES[name], *rates, *times])
    return table(head, rows) if rows else []


def _pair(servers: Figures, peer: str, case: str, key: str) -> str:
    return ratio(_cell(servers, "interlock", case, key), _cell(servers, peer, case, key))


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
    head = [""]
    for words in ("1 stream", "16 streams"):
        head += [f"{words}: first event p50, ms", "first to last piece, ms", "share of direct"]
    rows = []
    for name in TITLES:
        if not all(case in servers.get(name, {}) for case in SPREAD):
            continue
        row, shares = [TITLES[name]], []
        for case in SPREAD:
            spread, direct = (_cell(servers, who, case, "spread_us") or 0.0 for who in (name, DIRECT))
            shares.append(spread / direct if direct else 0.0)
            row += [number((_cell(servers, name, case, "first_us") or 0.0) / 1000), number(spread / 1000)]
            row.append(f"{shares[-1]:.0%}")
        alone, together = (share >= 0.8 for share in shares)
        rows.append([*row, "yes" if together else "one alone; several in bunches" if alone else "no: buffered"])
    return table([*head, "relayed as they come"], rows)


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
    peers = [peer for peer in PEERS if peer in LIBRARY_TITLES]
    head += [f"of {LIBRARY_TITLES[peer]}" for peer in peers]
    rows = []
    for name, cases in figures.items():
        mine = cases.get("inprocess64", {})
        if mine:
            row = [LIBRARY_TITLES[name], number(mine["rate"]), number(mine["p50_us"] / 1000)]
            row += [number(mine["p99_us"] / 1000), number(mine["rss_mb"]), number(mine["cold_start"])]
            row += [ratio(mine["rate"], _cell(figures, peer, "inprocess64", "rate")) for peer in peers]
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
        rows += [[f"server on {LARGEST:,} routes: start to first 200", f"{reload['start_s']:.2f} s"]]
        rows += [["requests' p50 / p99 / max, no edits (16 connections)", _times(reload["quiet"])]]
        for name, words in (("one", "one file of routes"), ("all", "all files of routes")):
            during = reload[name]
            rows += [
                [f"edit of {words} to live, under load: median", f"{reload[f'{name}_live_s']:.2f} s"],
                [f"the same: slowest of {reload[f'{name}_edits']}", f"{reload[f'{name}_slowest_s']:.2f} s"],
                [f"requests' p50 / p99 / max while {words} are edited again and again", _times(during)],
                ["failed requests meanwhile", f"{during['bad']} of {during['completed']:,}"],
            ]
        rows += [["RSS after it", f"{reload['rss_mb']:.0f} MB"]]
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
    return [*lines, ""]


def missing(results: Figures) -> list[str]:
    """Who could not be measured, and why."""
    lines = [f"* **{who}**: {why}" for who, why in results["skipped"].items()]
    return ["## Missing", "", *lines, ""] if lines else []


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
    lines += missing(results)
    if rows := goals(results):
        lines += ["## Goals", "", *table(["goal", "asked", "measured", ""], rows)]
    if results["servers"]:
        lines += ["## Servers, one core each", "", *throughput(results["servers"], list(results["skipped"]))]
        lines += [*multiples(results["servers"]), *latency(results["servers"]), *processor(results["servers"])]
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


def _added(servers: Figures) -> plot.Panel:
    bars = []
    for server in SERVERS:
        with_it, without = _cell(servers, server.name, "plain1", "p50_us"), _cell(servers, DIRECT, "plain1", "p50_us")
        if with_it and without:
            added = (with_it - without) / 1000
            bars.append(plot.Bar(server.name, server.title, added, f"{number(added)} ms"))
    bars.sort(key=lambda bar: bar.value)
    return plot.Panel("Added latency", "median at 1 connection; shorter is better", tuple(bars))


def write(results: Figures, folder: Path) -> None:
    """Writes the three files into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "RESULTS.md").write_text(markdown(results))
    servers, inside = results["servers"], results["libraries"]
    panels = [
        _panel("Requests a second", "64 connections, one core; longer is better", servers, "plain64", TITLES),
        _panel("Streams a second", "23 events each, 16 connections, one core", servers, "stream16", TITLES),
        _added(servers),
        _panel("In process: answers a second", "64 tasks, one core", inside, "inprocess64", LIBRARY_TITLES),
    ]
    panels = [panel for panel in panels if panel.bars]
    if not panels:
        return
    footer = f"{results['date']} · {results['machine']['cpu']} · tree {results['commit']} · {results['command']}"
    plot.write(folder / "results.svg", "Relaying a chat completion", footer, panels)
