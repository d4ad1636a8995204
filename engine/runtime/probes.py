"""Asking the providers from time to time whether they work, as their documents say: one task for a whole engine."""

from __future__ import annotations

import asyncio
import logging
import random
import time

from engine.executor.clients import ProviderClient
from engine.executor.probe import Probed, check, wanted
from engine.graph import Graph, Probe, Provider, Target
from engine.planner import Request, claims_at
from engine.state import Grant, Refusal, State

from .checks import Checks
from .live import Live

_log = logging.getLogger("interlock.health")

#: Probes under way at a time, however many providers there are.
AT_ONCE = 4
#: Share by which the time between two probes varies, so that engines that start together do not ask together.
JITTER = 0.1
#: Seconds after the start (or the edit) within which a provider is asked for the first time.
SOON = 2.0
#: What a probe takes of a provider's limits: a sentence, and the tokens that it asks for.
_SMALLEST = Request(input_tokens=8, max_tokens=16)


class Prober:
    """Probes the providers of the current graph that ask for it. While none does, there is no task."""

    def __init__(self, live: Live, state: State, checks: Checks, seed: int | None = None) -> None:
        self._live = live
        self._state = state
        self._checks = checks
        self._dice = random.Random(seed)  # noqa: S311 (spreads load, keeps no secret)
        self._graph: Graph | None = None
        self._due: dict[str, tuple[Provider, float]] = {}
        """Who is asked when, by the loop's clock."""
        self._running: dict[str, tuple[Provider, asyncio.Task[None]]] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Another graph is current: probe by it from here on."""
        self._wake.set()
        asked = any(provider.health is not None for provider in self._live.current.graph.providers.values())
        if asked and self._task is None:
            self._graph = None
            self._task = asyncio.create_task(self._run(), name="interlock-probes")

    async def close(self) -> None:
        """Probe no more; then no probe is under way either. May be repeated."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        """Probe until cancelled, or until nobody is to be asked."""
        try:
            while True:
                self._follow(self._live.current.graph)
                if not self._due and not self._running:
                    self._task = None
                    return
                self._begin()
                await self._wait()
        finally:
            tasks = [task for _, task in self._running.values()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def _follow(self, graph: Graph) -> None:
        """Take up who is to be asked by this graph, and leave alone who is not any more."""
        if graph is self._graph:
            return
        self._graph = graph
        wanted = {name: provider for name, provider in graph.providers.items() if provider.health is not None}
        for name in [name for name, (provider, _) in self._due.items() if wanted.get(name) is not provider]:
            del self._due[name]
        for name, (provider, task) in list(self._running.items()):
            if wanted.get(name) is not provider:
                task.cancel()
        now = time.monotonic()
        for name, provider in wanted.items():
            running = self._running.get(name)
            if name not in self._due and (running is None or running[0] is not provider):
                assert provider.health is not None  # noqa: S101 (they were chosen by it)
                self._due[name] = (provider, now + self._dice.random() * min(SOON, provider.health.every))

    def _begin(self) -> None:
        """Start what is due, as far as there is room."""
        now = time.monotonic()
        for name, (provider, at) in sorted(self._due.items(), key=lambda item: item[1][1]):
            if at > now or len(self._running) >= AT_ONCE:
                return
            if name in self._running:
                continue  # the probe of the provider as it was is ending
            del self._due[name]
            task = asyncio.create_task(self._probe(provider), name="interlock-probe")
            self._running[name] = (provider, task)
            task.add_done_callback(lambda _, provider=provider: self._ended(provider))  # type: ignore[misc]

    def _ended(self, provider: Provider) -> None:
        self._running.pop(provider.name, None)
        if self._graph is not None and self._graph.providers.get(provider.name) is provider and provider.health:
            wait = provider.health.every * self._dice.uniform(1 - JITTER, 1 + JITTER)
            self._due.setdefault(provider.name, (provider, time.monotonic() + wait))
        self._wake.set()

    async def _wait(self) -> None:
        """Until the next probe is due and there is room for it, one has ended, or the graph is another."""
        due = [at for name, (_, at) in self._due.items() if name not in self._running]
        timeout = None
        if due and len(self._running) < AT_ONCE:
            timeout = max(0.0, min(due) - time.monotonic())
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _probe(self, provider: Provider) -> None:
        """One probe, by the graph and the connections of the moment."""
        pin = self._live.pin()
        try:
            client, asked = pin.clients.find(provider.name), provider.health
            if client is None or asked is None or self._checks.postpone(pin.graph, provider, asked):
                return
            targets = [target for target in pin.graph.targets.values() if target.provider.name == provider.name]
            began = time.time()
            probed = await self._send(client, provider, asked, targets)
            if probed is not None and pin.graph.providers.get(provider.name) is provider:
                self._checks.probed(pin.graph, provider, asked, probed, began)
        except Exception:  # boundary: a defect in one probe must not end the others
            _log.exception("the probe of provider %s failed inside the gateway", provider.name)
        finally:
            pin.release()

    async def _send(
        self, client: ProviderClient, provider: Provider, asked: Probe, targets: list[Target]
    ) -> Probed | None:
        """The probe's end; ``None`` where the provider's limits have no room: to them it is a request like others."""
        target = wanted(asked, targets)
        if asked.kind == "models" or target is None or not provider.limits:
            return await check(client, asked, targets)
        now = asyncio.get_running_loop().time()
        answer = self._state.store.take(claims_at(target, provider.accounts[0], _SMALLEST), now)
        if not isinstance(answer, Grant | Refusal):
            answer = await answer
        if isinstance(answer, Refusal):
            return None
        try:
            return await check(client, asked, targets)
        finally:
            self._state.store.release(answer)
            if (alarm := self._state.desks.of(provider.name).alarm) is not None:
                alarm()  # somebody may wait for this place
