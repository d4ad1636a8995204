"""The engine: a configuration, kept live, and the calls it answers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.diagnostics import Diagnostic, to_dict
from engine.exchange import Call
from engine.executor.attributes import request_of
from engine.executor.clients import Clients, LiveView, ProviderClient, TransportFactory, make_client
from engine.executor.executor import Executor
from engine.executor.reply import Reply as WireReply
from engine.executor.reply import StreamReply
from engine.graph import Graph, Key, Provider
from engine.planner import Plan, plan
from engine.state import State

from .calls import make, surface_of
from .checks import Checks
from .decisions import Decisions, writable
from .last_good import LastGood
from .live import Live
from .observers import Observer, Observers
from .probes import Prober
from .readiness import Standing, seen_at
from .records import Records
from .reloader import Reloader
from .replies import ChatStream, Reply, answer
from .shared import Shared
from .snapshot import Pin, Snapshot
from .source import FolderSource
from .startup import start
from .telemetry import Telemetry, require
from .watch import Sight, Watcher, look


class Engine:
    """Routes requests by a configuration folder and follows its edits. Use as ``async with Engine.open(...)``.

    Belongs to the event loop it was entered on; there may be any number of engines in a process. For code without an
    event loop there is :class:`SyncEngine`.
    """

    def __init__(
        self,
        config: str | os.PathLike[str],
        *,
        overlays: Sequence[str | os.PathLike[str]] = (),
        last_good: str | os.PathLike[str] | None = None,
        watch: bool = True,
        environ: Mapping[str, str] | None = None,
        observers: Iterable[Observer] = (),
        transport: TransportFactory | None = None,
        ledger: str | None = None,
        probes: bool = True,
    ) -> None:
        self._source = FolderSource(Path(config), [Path(overlay) for overlay in overlays], environ)
        self._environ = environ
        self._transport = transport
        self._watch = watch
        self._tasks: list[asyncio.Task[None]] = []
        self._entered = False
        self.state = State()
        self.shared = Shared(self.state, os.environ if environ is None else environ)
        self.records = Records(ledger, environ)
        self.checks = Checks(self.state, self.records)
        self._probes = probes
        self._live = Live(self._prepare, self._went_live, lambda snapshot: self.state.let_go(snapshot.graph))
        self._last_good = LastGood(Path(last_good), self._source) if last_good is not None else None
        self._prober = Prober(self._live, self.state, self.checks)
        self._reloader = Reloader(self._source, self._live, self._last_good)
        self._standing = Standing(self._live, self._reloader, self.checks)
        self.telemetry = Telemetry(self.state, self._live, self._reloader, self.shared, self.records)
        self._observers = Observers([self.telemetry.observe, *observers])
        self._decisions = Decisions(self._observers)
        self.executor = Executor(self.state, self._observers, self._observers.mirrored)

    @classmethod
    def open(
        cls,
        config: str | os.PathLike[str],
        *,
        overlays: Sequence[str | os.PathLike[str]] = (),
        last_good: str | os.PathLike[str] | None = None,
        watch: bool = True,
        environ: Mapping[str, str] | None = None,
        observers: Iterable[Observer] = (),
        transport: TransportFactory | None = None,
        ledger: str | None = None,
        probes: bool = True,
    ) -> Self:
        """An engine for the folder ``config``; nothing is read before ``async with``.

        Entering raises :class:`ConfigError` with every diagnostic if the configuration does not compile, and
        :class:`PrepareError` if it compiles and cannot be made ready.

        ``overlays`` are folders merged over it, in order. ``last_good`` is a folder in which the last configuration
        that went live is kept, to start on when ``config`` is broken. ``watch=False`` follows no edits (``reload``
        does, when called). ``environ`` stands in for ``os.environ``. ``observers`` are called once a request with its
        frozen :class:`Outcome`. ``transport`` makes the transport for a provider instead of the built-in one.
        ``ledger`` is the address of the database to write to where the settings name none (by default nothing is
        written then). ``probes=False`` asks no provider whether it works, whatever its document says.
        """
        return cls(
            config,
            overlays=overlays,
            last_good=last_good,
            watch=watch,
            environ=environ,
            observers=observers,
            transport=transport,
            ledger=ledger,
            probes=probes,
        )

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("this engine was opened before; make another with Engine.open")
        self._entered = True
        try:
            await start(self._reloader, self._last_good)
            await self.shared.open(self.graph)
            await self.records.open(self.graph.settings)
        except BaseException:
            await self.aclose(0.0)
            raise
        if self.records.ledger is not None:
            self._observers.add(self.checks.observe)
            self.records.revision(self.snapshot)
        self.telemetry.start()
        if self._watch:
            watcher = Watcher(self._source.folders, self._look, self._reloader.changed, self._poll_seconds)
            self._tasks = [
                asyncio.create_task(watcher.run(), name="interlock-watch"),
                asyncio.create_task(self._reloader.run(), name="interlock-reload"),
            ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self, patience: float | None = None) -> None:
        """Stop following edits, let requests under way finish, close every client. Safe to repeat.

        Waits at most ``patience`` seconds for requests (default: ``drain`` of the settings).
        """
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._prober.close()
        await self.executor.close()
        if self._live.open:
            await self._live.close(self.graph.settings.drain if patience is None else patience)
        await self._decisions.aclose()
        await self.telemetry.stop()
        await self.shared.aclose()
        self._reloader.close()
        await self.records.close()

    # -- requests ------------------------------------------------------------------------------------------------

    async def chat(
        self,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Reply:
        """Answer a chat request in OpenAI's shape.

        ``headers`` are what a client would send (``x-request-id``, ``x-interlock-*``, and what conditions on
        ``header.*`` read); ``metadata`` adds to the body's; ``deadline`` is the most seconds it may take. Raises
        :class:`RequestError`.
        """
        return await self._answer("chat", body, headers, metadata, deadline)

    async def completions(
        self,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Reply:
        """Answer a text completion request; otherwise as :meth:`chat`."""
        return await self._answer("completions", body, headers, metadata, deadline)

    async def embeddings(
        self,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Reply:
        """Answer an embeddings request; otherwise as :meth:`chat`."""
        return await self._answer("embeddings", body, headers, metadata, deadline)

    def stream(
        self,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> ChatStream:
        """Answer a chat request as a stream of chunks in OpenAI's shape; ``stream: true`` is added to the body."""

        async def begin() -> WireReply | StreamReply:
            return await self.serve(make(self.graph, "chat", {**body, "stream": True}, headers, metadata, deadline))

        return ChatStream(begin)

    def serve(self, call: Call) -> Coroutine[Any, Any, WireReply | StreamReply]:
        """Serve a call by the graph that is current at this moment, to its end. Never raises for the request's sake.

        To be awaited, at once: the snapshot is held from here on.
        """
        return self.executor.serve(self._live.pin(), call)

    def explain(
        self,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        key: Key | None = None,
    ) -> Plan:
        """What would be done with this request at this moment. Pure: nothing is sent, nothing is counted.

        ``body`` is a request as it would be sent; what routing does not read may be left out. A body with ``prompt``
        is a text completion, one with ``input`` embeddings, any other a chat. ``key`` is the client's key, whose routes
        and metadata would apply. Raises :class:`RequestError` for a body that cannot be understood.
        """
        surface = surface_of(body)
        if surface == "chat" and "messages" not in body:
            body = {**body, "messages": []}
        call = make(self.graph, surface, body, headers, metadata, None, key)
        return plan(self.graph, request_of(call), LiveView(self.state, self._live.current.clients), time.time())

    # -- the configuration ---------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """What new requests are served by at this moment."""
        return self._live.current

    @property
    def graph(self) -> Graph:
        """The graph of :attr:`snapshot`."""
        return self._live.current.graph

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self._live.pins

    @property
    def source(self) -> FolderSource:
        """Where the configuration comes from."""
        return self._source

    def health(self, provider: str) -> dict[str, Any]:
        """How a provider does, and why that is thought, as plain JSON values; times are Unix seconds."""
        return self.checks.describe(self.graph, provider)

    def client_for(self, provider: Provider, secrets: Mapping[str, str] | None = None) -> ProviderClient:
        """A client that belongs to the caller, for a provider that need not be in the graph; close it after use.

        ``secrets`` are added to the environment that it reads its secrets from.
        """
        environ = {**(os.environ if self._environ is None else self._environ), **(secrets or {})}
        return make_client(provider, self.graph.settings, environ, self._transport)

    def pin(self) -> Pin:
        """A hold on the current snapshot, for one request; the holder must release it."""
        return self._live.pin()

    def ready(self) -> bool:
        """Whether requests can be served. A rejected edit does not change it: the running configuration goes on.

        Nor does an outage of every provider, unless the settings say so (``readiness.outage``).
        """
        return self._standing.ready()

    def drain(self) -> None:
        """Say that this engine is not ready from here on, although it serves: it is about to be closed."""
        self._standing.draining = True

    def ready_detail(self) -> str:
        """One line for people on what is being served, and what is not."""
        return self._standing.detail()

    def status(self) -> dict[str, Any]:
        """The running and the candidate configuration, and live state, as ``GET /api/v1/status`` answers."""
        snapshot, candidate = self._live.current, self._reloader.candidate
        return {
            "running": {
                "fingerprint": snapshot.graph.fingerprint,
                "git_commit": snapshot.git_commit,
                "loaded_at": snapshot.loaded_at.isoformat(timespec="milliseconds"),
            },
            "candidate": candidate and {"fingerprint": candidate.fingerprint, "seen_at": seen_at(candidate)},
            "diagnostics": [to_dict(d) for d in candidate.diagnostics] if candidate else [],
            "state": self.state.export(time.time()),
            "shared": self.shared.status(),
        }

    @property
    def reload_counts(self) -> dict[str, int]:
        """How many edits were seen since the start (``attempts``), and how they ended."""
        counts = self._reloader.counts
        return {
            "attempts": counts.attempts,
            "applied": counts.applied,
            "rejected": counts.rejected,
            "unchanged": counts.unchanged,
        }

    async def metrics(self, accept: str | None = None) -> tuple[str, bytes]:
        """Content type and body for Prometheus: text, or OpenMetrics where the header ``accept`` asks for it."""
        return await self.telemetry.expose(accept)

    async def reload(self) -> tuple[Diagnostic, ...]:
        """Look at the files now, whether watched or not. Returns why they are not live; nothing if they are."""
        return await self._reloader.reload(force=True)

    def object_to(self, reason: Callable[[Graph], str]) -> None:
        """Refuse edits for a reason that only the caller knows: ``reason`` answers why not, or with an empty string.

        It is asked about every graph that would go live from here on; what it refuses is a rejected edit like others.
        """
        self._reloader.objection = reason

    async def wait_for(self, fingerprint: str, timeout: float | None = None) -> bool:  # noqa: ASYNC109 (reads as a question)
        """Whether the graph of this fingerprint (or a prefix) is live, or gets live within ``timeout`` seconds."""
        return await self._live.wait_for(fingerprint, timeout)

    # -- inside --------------------------------------------------------------------------------------------------

    def _prepare(self, graph: Graph, previous: Clients | None) -> Clients:
        require(graph.settings)
        writable(graph.settings)
        environ = os.environ if self._environ is None else self._environ
        return Clients.prepare(graph, environ, previous, transport=self._transport)

    def _went_live(self, snapshot: Snapshot) -> None:
        self.state.retain(snapshot.graph)
        now = time.time()
        for provider in snapshot.clients.renewed:
            self.state.renew(provider, now)
        self.checks.retain(snapshot.graph)
        if self._probes:
            self._prober.changed()
        self.records.revision(snapshot)
        self.shared.follow(snapshot.graph)
        self.telemetry.follow(snapshot, os.environ if self._environ is None else self._environ)
        self.executor.tracing = self.telemetry.tracing
        self.executor.planner = self._decisions.follow(snapshot, self.telemetry.worker)

    def _poll_seconds(self) -> float:
        return self.graph.settings.reload_poll

    async def _look(self) -> Sight:
        return await self._reloader.in_thread(look, self._source.folders, self._source)

    async def _answer(
        self,
        surface: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None,
        metadata: Mapping[str, str] | None,
        deadline: float | None,
    ) -> Reply:
        if body.get("stream"):
            raise ValueError("this body asks for a stream; call engine.stream(...) for one, or leave `stream` out")
        return answer(await self.serve(make(self.graph, surface, body, headers, metadata, deadline)))
