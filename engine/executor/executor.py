"""From a call to its reply: plan, attempt, obey ``advance``, report one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from engine.exchange import Call, Mirrored, Outcome, Tracing
from engine.graph import Graph
from engine.planner import DIRECT, Planner
from engine.state import State

from .clients import Clients, LiveView
from .mirroring import Mirrors
from .reply import Reply, StreamReply
from .run import Run
from .watch import Watches


class Pin(Protocol):
    """One request's hold on a snapshot: graph and clients that stay as they are until ``release``, called once."""

    graph: Graph
    clients: Clients

    def release(self) -> None:
        """The request has ended."""


class Executor:
    """Runs requests on one event loop.

    ``observe`` receives every outcome, exactly once, ``mirrored`` what became of copies; neither may raise or wait.
    """

    def __init__(
        self,
        state: State,
        observe: Callable[[Outcome], None],
        mirrored: Callable[[Mirrored], None] = lambda _: None,
    ) -> None:
        self.state = state
        self.observe = observe
        self._mirrors = Mirrors(mirrored)
        self.tracing: Tracing | None = None
        """How requests are traced from here on; ``None`` is not at all."""
        self.planner: Callable[[str], Planner] | None = None
        """Whom the request of an id asks where to go; ``None``: all of them the planner, and nobody takes notes."""
        self._watches: Watches | None = None

    def view(self, clients: Clients) -> LiveView:
        """The live facts that a plan for a graph with these clients consults."""
        return clients.view(self.state)

    def serve(self, pin: Pin, call: Call) -> Coroutine[Any, Any, Reply | StreamReply]:
        """The reply to ``call``, to be awaited at once. Never raises for what a request or an upstream does.

        ``pin`` is released at the request's end. Cancelling closes the upstream's connection and records the request as
        cancelled.
        """
        watches = self._watches
        if watches is None:
            watches = self._watches = Watches(asyncio.get_running_loop())
        planner = DIRECT if self.planner is None else self.planner(call.request_id)
        return Run(
            self.state, self.observe, pin.clients, pin.release, call, watches, self.tracing, self._mirrors, planner
        ).serve(pin.graph)

    async def close(self) -> None:
        """Give up copies of requests; requests go on."""
        await self._mirrors.close()
