"""What the project asks of its own speed, and whether the figures meet it."""

from __future__ import annotations

from typing import Any

from benchmarks.rounds import DIRECT

Figures = dict[str, Any]
#: Goal, what is asked, and what was measured with the verdict; ``None`` where it was not.
Row = tuple[str, str, tuple[str, str] | None]


def goals(results: Figures) -> list[list[str]]:
    """Rows (goal, asked, measured, met or MISSED) for every goal; of a partial run, those that it measured."""
    servers, libraries = results["servers"], results["libraries"]
    rows = [*_ratios(servers, libraries), *_footprint(servers), *_size(results)]
    return [
        [goal, asked, *(["not measured", "**MISSED**"] if found is None else [found[0], found[1]])]
        for goal, asked, found in rows
        if found is not None or results["whole"]
    ]


def _rate(figures: Figures, name: str, case: str) -> float:
    return float(figures.get(name, {}).get(case, {}).get("rate") or 0.0)


def _found(measured: str, met: bool) -> tuple[str, str]:
    return measured, "met" if met else "**MISSED**"


def _ratios(servers: Figures, libraries: Figures) -> list[Row]:
    asked = [
        ("requests at 64 connections, of LiteLLM's proxy", servers, "litellm", "plain64", 50.0),
        ("requests at 64 connections, of TensorZero's gateway", servers, "tensorzero", "plain64", 1.0),
        ("requests at 64 connections, of the bare prototype", servers, "bare", "plain64", 0.55),
        ("streams at 16 connections, of LiteLLM's proxy", servers, "litellm", "stream16", 50.0),
        ("streams at 16 connections, of TensorZero's gateway", servers, "tensorzero", "stream16", 1.0),
        ("streams at 16 connections, of the bare prototype", servers, "bare", "stream16", 0.55),
        ("in process, of TensorZero's embedded gateway", libraries, "tensorzero", "inprocess64", 1.0),
        ("in process, of LiteLLM's Router", libraries, "litellm", "inprocess64", 30.0),
    ]
    rows: list[Row] = []
    for goal, figures, peer, case, factor in asked:
        mine, other = _rate(figures, "interlock", case), _rate(figures, peer, case)
        found = _found(f"{mine / other:.2f}x", mine >= factor * other) if mine and other else None
        rows.append((goal, f"≥ {factor:g}x", found))
    return rows


def _footprint(servers: Figures) -> list[Row]:
    found: dict[str, tuple[str, str]] = {}
    at = {name: servers.get(name, {}).get("plain1", {}).get("p50_us") for name in ("interlock", "bare", DIRECT)}
    if all(at.values()):
        mine, theirs = at["interlock"] - at[DIRECT], at["bare"] - at[DIRECT]
        found["latency"] = _found(f"{mine / theirs:.2f}x", mine <= 1.5 * theirs)
    if rss := servers.get("interlock", {}).get("memory", {}).get("rss_mb"):
        found["rss"] = _found(f"{rss:.0f} MB", rss < 90)
    for case in ("spread1", "spread16"):
        spread = {name: servers.get(name, {}).get(case, {}).get("spread_us") for name in ("interlock", DIRECT)}
        if all(spread.values()):
            share = spread["interlock"] / spread[DIRECT]
            found[case] = _found(f"{share:.0%}", share >= 0.8)
    return [
        ("added median latency at 1 connection, of the bare prototype's", "≤ 1.5x", found.get("latency")),
        ("RSS after load", "< 90 MB", found.get("rss")),
        ("one stream arrives as spread as it was sent", "≥ 80 %", found.get("spread1")),
        ("16 streams arrive as spread as they were sent", "≥ 80 %", found.get("spread16")),
    ]


def _size(results: Figures) -> list[Row]:
    found: dict[str, tuple[str, str]] = {}
    if decisions := results.get("decisions"):
        worst = max(row["median_us"] for row in decisions.values())
        found["median"] = _found(f"{worst:.1f} µs", worst < 20)
        for kind in ("exact", "globs"):
            ratio = decisions[f"{kind}-10000"]["p99_us"] / decisions[f"{kind}-10"]["p99_us"]
            found[kind] = _found(f"{ratio:.2f}x", ratio <= 1.5)
    if compiled := results.get("compile"):
        found["cold"] = _found(f"{compiled['cold_s']:.2f} s", compiled["cold_s"] <= 10)
    if reload := results.get("reload"):
        found["live"] = _found(f"{reload['one_slowest_s']:.2f} s", reload["one_slowest_s"] <= 1)
        p99 = max(reload["one"]["p99_us"], reload["all"]["p99_us"]) / 1000
        found["p99"] = _found(f"{p99:.1f} ms", p99 < 100)
        bad = reload["one"]["bad"] + reload["all"]["bad"]
        found["failed"] = _found(str(bad), not bad)
    against = "decision p99 with 10,000 routes, of that with 10"
    return [
        ("one decision, median", "< 20 µs", found.get("median")),
        (f"{against} (exact names)", "≤ 1.5x", found.get("exact")),
        (f"{against} (prefix globs)", "≤ 1.5x", found.get("globs")),
        ("cold compile of 10,000 routes over 1,000 targets", "≤ 10 s", found.get("cold")),
        ("one-file edit live, 10,000 routes, under load: slowest", "≤ 1 s", found.get("live")),
        ("requests' p99 while 10,000 routes reload", "< 100 ms", found.get("p99")),
        ("requests that failed while 10,000 routes reload", "0", found.get("failed")),
    ]
