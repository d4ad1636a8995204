"""What is asked of each scenario, and whether the figures meet it."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Iterator

from benchmarks.chaos.figures import Result, busiest, percentile
from benchmarks.chaos.scenario import Goal

#: Seconds within which the upstream must be told that its client has left.
GONE_SECONDS = 0.05
#: Seconds within which a target that was slow must have its share again: trying it more often would cost the tail.
FOUND_AGAIN = 15.0


def _goal(name: str, asked: str, measured: str, met: bool) -> Goal:
    return Goal(name, asked, measured, met)


def _share(value: float) -> str:
    return f"{value:.2%}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _honest(result: Result, load: str = "") -> Iterator[Goal]:
    figures = result.figures(load)
    measured = f"{figures.wrong} wrong, {figures.silent} silent"
    yield _goal(f"{load or 'all'}: nothing wrong or silent", "0", measured, not figures.wrong + figures.silent)


def _served(result: Result, load: str, least: float = 0.999) -> Iterator[Goal]:
    figures = result.figures(load)
    lost = f" ({figures.codes})" if figures.served < 1 else ""
    yield _goal(f"{load or 'all'}: served", f"≥ {least:.1%}", _share(figures.served) + lost, figures.served >= least)


def mixed(result: Result) -> Iterable[Goal]:
    """Two targets on a bad day."""
    for load in ("plain", "streamed"):
        figures = result.figures(load)
        yield from _served(result, load)
        yield from _honest(result, load)
        yield _goal(f"{load}: p99", "< 2.5 s", f"{figures.p99:.2f} s", figures.p99 < 2.5)
    calls = result.figures().upstream
    yield _goal("upstream load over offered", "< 1.35", f"{calls:.2f}", calls < 1.35)


def dead(result: Result, routes: tuple[str, ...], settled: float) -> Iterable[Goal]:
    """The primary of each route is dead; the route ``direct`` goes to the spare alone."""
    plain = statistics.median(r.seconds for r in result.due("direct", settled))
    for name in routes:
        records = result.due(name, settled)
        served = sum(record.kind == "ok" for record in records) / len(records)
        # What is refused never arrives: attempts beyond the one that served were of the dead target.
        calls = sum(max(0, r.attempts - (r.target == "spare/m")) for r in records) / len(records)
        added = statistics.median(record.seconds for record in records) - plain
        yield _goal(f"{name}: added median latency", "< 1 ms", _ms(added), added < 0.001)
        yield _goal(f"{name}: calls of the dead target a request", "< 0.05", f"{calls:.3f}", calls < 0.05)
        yield _goal(
            f"{name}: served, from the first moment on", "100%", _share(result.figures(name).served), served == 1
        )
    yield from _honest(result)


def rate_limited(result: Result, routes: tuple[str, ...]) -> Iterable[Goal]:
    """The primary answers 429 and asks for five seconds; a call in the very moment of the first answer counts too."""
    direct = result.figures("direct")
    for name in routes:
        most = busiest(result.at(name), 4.9)
        figures = result.figures(name)
        yield _goal(f"{name}: calls of the held target in any 5 s", "≤ 1", str(most), most <= 1)
        added = figures.p99 - direct.p99
        yield _goal(f"{name}: nobody waits (p99 beyond the spare's own)", "< 50 ms", _ms(added), added < 0.05)
    yield from _served(result, "", 1.0)
    yield from _honest(result)


def outage(result: Result, begin: float, end: float) -> Iterable[Goal]:
    """Everything is down between these seconds."""
    settled = begin + 2.0
    offered = len(result.due(begin=settled, end=end))
    load = len(result.at("a", "b", begin=settled, end=end)) / offered
    yield _goal("upstream load over offered, 2 s into the outage", "< 0.3", f"{load:.2f}", load < 0.3)
    recovered = result.begun + end
    first = min((r.end for r in result.records if r.kind == "ok" and r.end > recovered), default=float("inf"))
    yield _goal("first success after recovery", "≤ 0.5 s", f"{first - recovered:.2f} s", first - recovered <= 0.5)
    late = max(end + 1.0, min(end + 9.0, result.seconds - 2.0))
    shares = [len(result.at(name, begin=late)) for name in ("a", "b")]
    share = min(shares) / max(1, sum(shares))
    asked = "each 35 to 65%"
    yield _goal(
        f"even load {late - end:.0f} s after recovery", asked, f"{share:.0%} and {1 - share:.0%}", share >= 0.35
    )
    served = result.figures("", late).served
    yield _goal(f"served {late - end:.0f} s after recovery", "100%", _share(served), served == 1)
    told = [r for r in result.due(begin=settled, end=end - 0.5) if r.kind == "failed"]
    waited = percentile((r.seconds for r in told), 0.99)
    yield _goal("who cannot be served is told soon (p99 in the outage)", "< 3 s", f"{waited:.2f} s", waited < 3)
    yield from _honest(result)


def quiet_callers(result: Result) -> Iterable[Goal]:
    """The caller's own 400s."""
    refused = [r for r in result.records if r.status == 400]
    tokens = {record.token for record in refused}
    calls = [call for call in result.at("a", "b") if call.token in tokens]
    each = len(calls) / max(1, len(refused))
    yield _goal("upstream calls for each of the caller's 400s", "1", f"{each:.3f} ({len(refused)})", each == 1)
    elsewhere = len(result.at("b"))
    yield _goal("calls of the second target", "0", str(elsewhere), elsewhere == 0)
    others = [r for r in result.records if r.status != 400]
    served = sum(record.kind == "ok" for record in others) / len(others)
    yield _goal("everybody else served", "100%", _share(served), served == 1)


def client_gone(result: Result) -> Iterable[Goal]:
    """How long after a client left its upstream call was closed."""
    calls = {call.token: call for target in result.calls.values() for call in target}
    for load in ("plain", "before output", "in output"):
        gone = [record for record in result.records if record.load == load and record.kind == "left"]
        found = [calls[record.token].left for record in gone if record.token in calls]
        delays = [left - r.end for r, left in zip(gone, found, strict=False) if left is not None]
        worst = max(delays, default=float("inf"))
        missing = len(gone) - len(delays)
        measured = f"{_ms(worst)} (p50 {_ms(percentile(delays, 0.5))}), {missing} of {len(gone)} never"
        yield _goal(f"{load}: upstream closed", "≤ 50 ms", measured, not missing and worst <= GONE_SECONDS)


def nothing_false(result: Result) -> Iterable[Goal]:
    """Half answers: told as failures, never as successes, never in silence."""
    for load in ("streamed", "plain"):
        yield from _honest(result, load)
    yield from _served(result, "plain", 0.999)
    drips = {call.token for call in result.at("a") if call.fate == "a slow drip"}
    records = [record for record in result.records if record.token in drips]
    whole = sum(record.kind == "ok" for record in records) / max(1, len(records))
    yield _goal("slow drips arrive whole", "100%", f"{whole:.1%} ({len(records)})", whole == 1)


def slow_one(result: Result, settled: float, until: float) -> Iterable[Goal]:
    """One of three is ten times slower between these seconds, against two healthy ones."""
    three, two = result.figures("three", settled, until), result.figures("two", settled, until)
    factor = three.p99 / two.p99
    yield _goal("p99 over that of two healthy targets", "≤ 1.5", f"{factor:.2f} ({_ms(three.p99)})", factor <= 1.5)
    yield from _served(result, "three", 1.0)
    begin = result.seconds - 2.0
    if begin - until < FOUND_AGAIN:
        return
    share = len(result.at("c", begin=begin)) / max(1, len(result.due("three", begin)))
    yield _goal(f"its share {begin - until:.0f} s after it has recovered", "≥ 10%", _share(share), share >= 0.1)


def hedged(result: Result) -> Iterable[Goal]:
    """Calls that never answer, and a second one after 150 ms."""
    for load in ("plain", "streamed"):
        figures = result.figures(load)
        yield from _served(result, load)
        yield _goal(f"{load}: p99", "< 0.6 s", f"{figures.p99:.2f} s", figures.p99 < 0.6)
        yield from _honest(result, load)
    calls = result.figures().upstream
    yield _goal("upstream load over offered", "< 1.15", f"{calls:.2f}", calls < 1.15)


def brown_out(result: Result, ends: float) -> Iterable[Goal]:
    """A brown-out beside a healthy spare that is over at this second."""
    for load in ("plain", "streamed"):
        yield from _served(result, load)
        yield from _honest(result, load)
    calls = result.figures().upstream
    yield _goal("upstream load over offered", "< 1.35", f"{calls:.2f}", calls < 1.35)
    begin = result.seconds - 2.0
    if begin - ends < FOUND_AGAIN:
        return
    back = len(result.at("a", begin=begin)) / max(1, len(result.due(begin=begin)))
    yield _goal(f"share of the primary {begin - ends:.0f} s after its recovery", "> 50%", f"{back:.0%}", back > 0.5)


def limit_kept(result: Result, allowed: int, window: float) -> Iterable[Goal]:
    """A provider limit with three times as much offered. The window is shorter by what a call may travel."""
    most = busiest(result.at("a"), window - 0.02)
    yield _goal(f"calls of the limited provider in any {window:g} s", f"≤ {allowed}", str(most), most <= allowed)
    for load in ("plain", "streamed"):
        yield from _served(result, load, 1.0)
    share = len(result.at("a")) / (allowed * math.ceil(result.seconds / window))
    yield _goal("share of the limit that is used", "≥ 80%", _share(share), share >= 0.8)
    yield from _honest(result)


def queue_order(result: Result) -> Iterable[Goal]:
    """Two at a time, and more offered than fits for a while."""
    calls = {call.token: call.at for call in result.at("a")}
    for load in ("flood", "steady"):
        records = [r for r in result.due(load) if r.token in calls]
        order = [calls[record.token] for record in records]
        turned = sum(one > two for one, two in itertools.pairwise(order)) / max(1, len(order))
        yield _goal(f"{load}: calls out of the order of arrival", "≤ 1%", _share(turned), turned <= 0.01)
        yield from _served(result, load, 1.0)
    intervals = sorted((c.at, 1) for c in result.at("a")) + [(c.at + 0.0385, -1) for c in result.at("a")]
    most = under_way = 0
    for _, step in sorted(intervals):
        under_way += step
        most = max(most, under_way)
    yield _goal("calls at once", "≤ 2", str(most), most <= 2)
