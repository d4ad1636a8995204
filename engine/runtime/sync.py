"""The engine for code without an event loop."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from engine.diagnostics import Diagnostic
from engine.executor.clients import TransportFactory
from engine.graph import Graph
from engine.planner import Plan

from .engine import Engine
from .observers import Observer
from .replies import ChatStream, Reply

_T = TypeVar("_T")


class SyncEngine:
    """An :class:`Engine` on an event loop of its own, in a thread of its own. Safe to use from several threads.

    Use as ``with SyncEngine.open(...)``. Arguments, results and exceptions are those of :class:`Engine`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

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
        """As :meth:`Engine.open`; nothing is read and no thread runs before ``with``."""
        return cls(
            Engine.open(
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
        )

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(self._loop,), name="interlock", daemon=True)
        self._thread.start()
        try:
            self._run(self._engine.__aenter__())
        except BaseException:
            self._stop()
            raise
        # A script may end, or fail, without ever coming to `close`.
        atexit.register(self.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self, patience: float | None = None) -> None:
        """Let requests under way finish, close every client, end the thread. Safe to repeat."""
        if self._loop is not None:
            try:
                self._run(self._engine.aclose(patience))
            finally:
                self._stop()

    def chat(
        self,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Reply:
        """As :meth:`Engine.chat`."""
        return self._run(self._engine.chat(body, headers=headers, metadata=metadata, deadline=deadline))

    def completions(
        self,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Reply:
        """As :meth:`Engine.completions`."""
        return self._run(self._engine.completions(body, headers=headers, metadata=metadata, deadline=deadline))

    def embeddings(
        self,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Reply:
        """As :meth:`Engine.embeddings`."""
        return self._run(self._engine.embeddings(body, headers=headers, metadata=metadata, deadline=deadline))

    def stream(
        self,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> Iterator[dict[str, Any]]:
        """As :meth:`Engine.stream`: an iterator of chunks; leaving it early cancels the upstream request."""
        stream = self._engine.stream(body, headers=headers, metadata=metadata, deadline=deadline)
        try:
            while (chunk := self._run(_next(stream))) is not None:
                yield chunk
        finally:
            # After `close` there is no loop left to tell, and nothing left to cancel.
            if self._loop is not None:
                self._run(stream.aclose())

    def explain(self, body: Mapping[str, Any], **attributes: Any) -> Plan:
        """As :meth:`Engine.explain`."""
        return self._engine.explain(body, **attributes)

    def status(self) -> dict[str, Any]:
        """As :meth:`Engine.status`."""
        return self._engine.status()

    def ready(self) -> bool:
        """As :meth:`Engine.ready`."""
        return self._engine.ready()

    def reload(self) -> tuple[Diagnostic, ...]:
        """As :meth:`Engine.reload`."""
        return self._run(self._engine.reload())

    def metrics(self, accept: str | None = None) -> tuple[str, bytes]:
        """As :meth:`Engine.metrics`."""
        return self._run(self._engine.metrics(accept))

    def wait_for(self, fingerprint: str, timeout: float | None = None) -> bool:
        """As :meth:`Engine.wait_for`."""
        return self._run(self._engine.wait_for(fingerprint, timeout))

    @property
    def graph(self) -> Graph:
        """As :attr:`Engine.graph`."""
        return self._engine.graph

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        loop = self._loop
        if loop is None:
            work.close()
            raise RuntimeError("the engine is not open; use it inside `with SyncEngine.open(...)`")
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("SyncEngine may not be called from its own observers: they run on its event loop")
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except BaseException:
            # Interrupted while waiting (Ctrl-C): the request must not go on without anyone.
            future.cancel()
            raise

    def _stop(self) -> None:
        atexit.unregister(self.close)
        loop, self._loop = self._loop, None
        thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            with suppress(RuntimeError):  # the loop was closed by a concurrent close
                loop.call_soon_threadsafe(loop.stop)
            thread.join()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped, then leave nothing of it behind, as ``asyncio.run`` would."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _next(stream: ChatStream) -> dict[str, Any] | None:
    return await anext(stream, None)
