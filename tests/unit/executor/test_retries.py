"""The retry budget where it is spent: many requests that fail at once must see each other's retries."""

from __future__ import annotations

import asyncio
from collections import Counter

from engine.exchange import Call, Outcome
from engine.executor.clients import Clients
from engine.executor.executor import Executor
from engine.executor.intake import make_call
from engine.executor.transport import Answer, StreamAnswer, header_of
from engine.graph import Auth, Graph, Provider, Retry, Route, Target, TargetStep
from engine.state import State

REQUESTS = 100


class Overloaded:
    """A transport to a service that says 503, always."""

    async def send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        await asyncio.sleep(0)
        return Answer(503, header_of({}), b"")

    async def open(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> StreamAnswer:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


class Pinned:
    def __init__(self, graph: Graph, clients: Clients) -> None:
        self.graph = graph
        self.clients = clients

    def release(self) -> None:
        """Nothing follows."""


def graph_with(budget: float) -> Graph:
    provider = Provider("north", "cloud", "openai-chat", "http://north.example/v1", "http", Auth("none"))
    target = Target("north/x", provider, "x", "x", None, None, frozenset({"chat"}))
    retry = Retry(per_target=2, initial=0.02, max=0.02, budget=budget)
    step = TargetStep(target, retry=retry)
    route = Route("chat", ("chat",), None, 0, step, retry, targets=(target,))
    return Graph.build(providers=[provider], targets=[target], routes=[route])


def attempts(budget: float) -> Counter[int]:
    """How many requests made how many attempts, all of them sent at once."""
    outcomes: list[Outcome] = []

    def calls() -> list[Call]:
        return [make_call("/chat/completions", b'{"model":"chat","messages":[]}') for _ in range(REQUESTS)]

    async def run() -> None:
        graph = graph_with(budget)
        pin = Pinned(graph, Clients.prepare(graph, {}, transport=lambda *_: Overloaded()))
        executor = Executor(State(), outcomes.append)
        await asyncio.gather(*(executor.serve(pin, call) for call in calls()))

    asyncio.run(run())
    return Counter(len(outcome.attempts) for outcome in outcomes)


def test_requests_that_fail_together_share_one_budget() -> None:
    assert attempts(0.2) == {1: REQUESTS - 20, 2: 20}


def test_a_budget_of_all_lets_all_try_again_and_a_budget_of_nothing_none() -> None:
    assert attempts(1.0) == {2: REQUESTS}
    assert attempts(0.0) == {1: REQUESTS}
