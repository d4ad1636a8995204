"""What a scenario is, and how it is played: all its variants at once, each with a server and targets of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos.figures import Result
from benchmarks.chaos.load import Client, Load
from benchmarks.chaos.server import RefusedError, Server, write
from benchmarks.chaos.upstream import Behaviour, Target, Upstream

Document = Mapping[str, Any]
#: Two seconds a try, as the comparison with other routers was made; everything else is the product's own default.
TIMEOUTS = {"connect": "1s", "first_token": "2s", "idle": "2s", "attempt": "2s", "total": "10s"}
#: What each variant leaves out, as a change of the policy that holds for everything.
VARIANTS: dict[str, dict[str, Any]] = {
    "all": {},
    "no breaker": {"breaker": {"min_requests": 1_000_000, "consecutive": 1_000_000}},
    "no retry": {"retry": {"per_target": 1, "budget": "0%"}},
}


@dataclass(frozen=True)
class Goal:
    """Something that is asked of the variant with all mechanisms, and what was measured."""

    name: str
    asked: str
    measured: str
    met: bool


@dataclass(frozen=True)
class Scenario:
    """A script as data.

    ``timeline`` holds (second, target, behaviour) in order. ``route`` gives the documents of routes and more for a
    variant; providers and the policy come by themselves. The table's figures count
    from second ``settled`` to ``until`` of the scenario's length.
    ``addresses`` replaces the base URL of a target, with its port for ``{}``; ``providers`` changes their documents.
    """

    name: str
    says: str
    seconds: float
    short: float
    targets: Mapping[str, Behaviour]
    routes: Callable[[str], list[Document]]
    loads: tuple[Load, ...]
    goals: Callable[[Result], Iterable[Goal]]
    variants: tuple[str, ...] = ("all",)
    timeline: Callable[[float], list[tuple[float, str, Behaviour]]] = lambda seconds: []
    settled: float = 0.0
    until: Callable[[float], float] = lambda seconds: seconds
    addresses: Mapping[str, str] = field(default_factory=dict)
    providers: Callable[[str], Mapping[str, Document]] = lambda variant: {}
    policy: Mapping[str, Any] = field(default_factory=dict)
    plotted: bool = False
    """Whether its course over time is drawn."""


def documents(scenario: Scenario, variant: str, targets: Mapping[str, Target]) -> list[Document]:
    """The configuration of one variant."""
    changes = scenario.providers(variant)
    found: list[Document] = []
    for name, target in targets.items():
        address = scenario.addresses.get(name, "http://127.0.0.1:{}/v1").format(target.port)
        model = {"supports": ["chat", "stream", "tools"], "price": {"input": 0.15, "output": 0.6}, "max_output": 1000}
        base = {
            "version": 1,
            "kind": "provider",
            "name": name,
            "dialect": "openai-chat",
            "base_url": address,
            "auth": {"scheme": "bearer", "secret": {"env": "BENCH_KEY"}},
            "models": {"m": model},
        }
        found.append({**base, **changes.get(name, {})})
    rules: dict[str, Any] = {"timeouts": TIMEOUTS, **scenario.policy, **VARIANTS.get(variant, {})}
    found.append({"version": 1, "kind": "policy", "name": "everywhere", "applies_to": {"all": True}, **rules})
    return [*found, *scenario.routes(variant)]


def route(name: str, step: object) -> Document:
    """A route document; a list is a fallback."""
    return {"version": 1, "kind": "route", "name": name, "step": {"fallback": step} if isinstance(step, list) else step}


async def play(scenario: Scenario, seconds: float, folder: Path, start: asyncio.Barrier) -> dict[str, Result]:
    """Plays all variants at the same time, so that a disturbance of the machine meets them all.

    ``start`` is passed when all servers are there.
    """
    async with Upstream(folder) as upstream:
        with ExitStack() as stack:
            stages: dict[str, tuple[Server, dict[str, Target]]] = {}
            for variant in scenario.variants:
                targets = {
                    name: await upstream.target(
                        name, behaviour, tls=scenario.addresses.get(name, "").startswith("https")
                    )
                    for name, behaviour in scenario.targets.items()
                }
                config = folder / scenario.name / variant.replace(" ", "-")
                stages[variant] = (Server(write(config, documents(scenario, variant, targets))), targets)
            results: dict[str, Result] = {}
            started = await asyncio.gather(*(server.start() for server, _ in stages.values()), return_exceptions=True)
            for (variant, (server, _)), problem in zip(list(stages.items()), started, strict=True):
                stack.callback(server.end)
                if isinstance(problem, RefusedError):
                    results[variant] = Result(0.0, 0.0, unavailable=str(problem))
                    del stages[variant]
                elif problem is not None:
                    raise problem
            await start.wait()
            begun = time.monotonic() + 0.2
            played = [_variant(scenario, seconds, begun, *stage) for stage in stages.values()]
            results.update(zip(stages, await asyncio.gather(*played), strict=True))
            return {variant: results[variant] for variant in scenario.variants}


async def _variant(
    scenario: Scenario, seconds: float, begun: float, server: Server, targets: Mapping[str, Target]
) -> Result:
    result = Result(begun, seconds)
    client = Client(server.port)
    script = asyncio.create_task(_script(scenario.timeline(seconds), begun, targets))
    await asyncio.gather(*(client.run(load, begun, seconds, result.records) for load in scenario.loads))
    await asyncio.sleep(0.1)  # until the upstream has noticed who left last
    script.cancel()
    client.close()
    result.calls = {name: target.calls for name, target in targets.items()}
    result.memory = server.rss()
    return result


async def _script(timeline: list[tuple[float, str, Behaviour]], begun: float, targets: Mapping[str, Target]) -> None:
    for at, name, behaviour in timeline:
        await asyncio.sleep(max(0.0, begun + at - time.monotonic()))
        await targets[name].behave(behaviour)
