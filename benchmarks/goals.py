"""What the project asks of its own speed, and whether the figures meet it."""

from __future__ import annotations

from typing import Any

from benchmarks.rounds import DIRECT

Figures = dict[str, Any]


def goals(results: Figures) -> list[list[str]]:
    """Rows (goal, asked, measured, met or MISSED) for every goal whose figures are there."""
    servers, libraries = results["servers"], results["libraries"]
    rows = _ratios(servers, libraries) + _footprint(servers)
    return rows + _size(results)


def _rate(figures: Figures, name: str, case: str) -> float:
    return float(figures.get(name, {}).get(case, {}).get("rate") or 0.0)


def _row(goal: str, asked: str, measured: str, met: bool) -> list[str]:
    return [goal, asked, measured, "met" if met else "**MISSED**"]


def _ratios(servers: Figures, libraries: Figures) -> list[list[str]]:
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
    rows = []
    for goal, figures, peer, case, factor in asked:
        mine, other = _rate(figures, "interlock", case), _rate(figures, peer, case)
        if mine and other:
            rows.append(_row(goal, f"≥ {factor:g}x", f"{mine / other:.2f}x", mine >= factor * other))
    return rows


def _footprint(servers: Figures) -> list[list[str]]:
    rows = []
    at = {name: servers.get(name, {}).get("plain1", {}).get("p50_us") for name in ("interlock", "bare", DIRECT)}
    if all(at.values()):
        mine, floor = at["interlock"] - at[DIRECT], at["bare"] - at[DIRECT]
        goal = "added median latency at 1 connection, of the bare prototype's"
        rows.append(_row(goal, "≤ 1.5x", f"{mine / floor:.2f}x", mine <= 1.5 * floor))
    if rss := servers.get("interlock", {}).get("memory", {}).get("rss_mb"):
        rows.append(_row("RSS after load", "< 90 MB", f"{rss:.0f} MB", rss < 90))
    one = {name: servers.get(name, {}).get("spread1", {}).get("spread_us") for name in ("interlock", DIRECT)}
    if all(one.values()):
        share = one["interlock"] / one[DIRECT]
        rows.append(_row("streams arrive as spread as they were sent", "≥ 80 %", f"{share:.0%}", share >= 0.8))
    return rows


def _size(results: Figures) -> list[list[str]]:
    rows = []
    if decisions := results.get("decisions"):
        worst = max(row["median_us"] for row in decisions.values())
        rows.append(_row("one decision, median", "< 20 µs", f"{worst:.1f} µs", worst < 20))
        for kind, words in (("exact", "exact names"), ("globs", "prefix globs")):
            ratio = decisions[f"{kind}-10000"]["p99_us"] / decisions[f"{kind}-10"]["p99_us"]
            goal = f"decision p99 with 10,000 routes, of that with 10 ({words})"
            rows.append(_row(goal, "≤ 1.5x", f"{ratio:.2f}x", ratio <= 1.5))
    if compiled := results.get("compile"):
        cold = compiled["cold_s"]
        rows.append(_row("cold compile of 10,000 routes over 1,000 targets", "≤ 10 s", f"{cold:.2f} s", cold <= 10))
    if reload := results.get("reload"):
        live, p99 = reload["live_median_s"], reload["during"]["p99_us"] / 1000
        rows.append(_row("one-file edit live, 10,000 routes, under load", "≤ 1 s", f"{live:.2f} s", live <= 1))
        rows.append(_row("requests' p99 while 10,000 routes reload", "< 100 ms", f"{p99:.1f} ms", p99 < 100))
    return rows
