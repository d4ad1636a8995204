"""Running the app under uvicorn, with the engine around it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from engine.diagnostics import Diagnostic
from engine.diagnostics.human import render_one
from engine.errors import ConfigError, PrepareError
from engine.graph import Graph
from engine.ledger import default_url
from engine.runtime import Engine
from engine.runtime.last_good import LastGood
from engine.runtime.reading import read
from engine.runtime.source import FolderSource

from .access_log import AccessLog
from .asgi import App
from .front import Front
from .http11 import Http11
from .shedding import raise_file_limit
from .workers import Job, Options, Supervisor, refuse_workers

_log = logging.getLogger("interlock.server")


def run_server(
    config: Path,
    *,
    overlays: Sequence[Path] = (),
    host: str | None = None,
    port: int | None = None,
    workers: int = 1,
    last_good: Path | None = None,
    watch: bool = True,
    log_level: str = "info",
) -> int:
    """Serve until SIGTERM or SIGINT, then let requests under way finish. The exit status.

    0 after an orderly end; 1 where the configuration does not compile or cannot be made ready, the address cannot be
    listened on, or ``workers`` are more than the configuration allows; every case says why on standard error. ``host``
    and ``port`` win over the settings document. SIGHUP looks at the files now, whether watched or not.
    """
    kept = None if last_good is None else str(last_good)
    options = Options(str(config), tuple(map(str, overlays)), host, port, kept, watch, log_level)
    _log_to_stderr(log_level)
    if workers > 1:
        return _supervise(options, workers)
    return _work(_Work(options))


def serve_as_worker(job: Job, listener: socket.socket, ready: Callable[[], None]) -> int:
    """Serve as one of several workers, on the supervisor's socket; ``ready`` is called once requests are served."""
    _log_to_stderr(job.options.log_level, f"[worker {job.number}] ")
    return _work(_Work(job.options, job.workers, listener, ready, (Path(job.facts), str(job.number))))


def _log_to_stderr(level: str, who: str = "") -> None:
    shown = f"%(asctime)s %(levelname)s {who}%(name)s: %(message)s"
    logging.basicConfig(level=level.upper(), stream=sys.stderr, format=shown)
    # Every moved file would be a line of its own; what becomes of an edit is in our log.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class _Work:
    """What one process serves. A worker has its socket from the supervisor, and tells it when it is ready."""

    options: Options
    workers: int = 1
    listener: socket.socket | None = None
    ready: Callable[[], None] = lambda: None
    facts: tuple[Path, str] | None = None
    """Where workers keep what they know for a scrape of any of them, and what this one is called there."""


def _work(work: _Work) -> int:
    options = work.options
    raise_file_limit()
    # An edit of the settings counts from the next request on.
    access_log = AccessLog(
        wanted=lambda: not engine.ready() or engine.graph.settings.access_log, shared=work.workers > 1
    )
    engine = Engine.open(
        options.config,
        overlays=options.overlays,
        last_good=options.last_good,
        watch=options.watch,
        observers=[access_log],
        ledger=default_url(Path(options.config)),
    )
    if work.facts is not None:
        engine.telemetry.share(*work.facts)
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(engine, access_log, work))
    return 0


def _supervise(options: Options, workers: int) -> int:
    """Start several processes, once it is known that this configuration can be served by several."""
    overlays = [Path(overlay) for overlay in options.overlays]
    source = FolderSource(Path(options.config), overlays)
    reading = read(source)
    if reading.graph is None and options.last_good is not None:
        reading = LastGood(Path(options.last_good), source).restore() or reading
    graph = reading.graph
    if graph is None:
        return _does_not_compile(reading.diagnostics)
    address = options.host if options.host is not None else graph.settings.host
    port = options.port if options.port is not None else graph.settings.port
    refusal = refuse_workers(graph, workers)
    if refusal:
        _fail(*refusal)
        return 2
    closed = refuse_address(graph, address)
    if closed:
        return _fail(closed)

    async def run(facts: str) -> int:
        try:
            supervisor = Supervisor(options, workers, functools.partial(_listen, address), port, facts)
        except OSError as problem:
            return _cannot_listen(address, port, problem)
        _log.info("%d workers start on %s", workers, _shown(supervisor.name))
        return await supervisor.run()

    with tempfile.TemporaryDirectory(prefix="interlock-") as facts:
        return asyncio.run(run(facts))


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not available on every platform; asyncio's own loop does the same, slower
        return None
    return uvloop.Loop


async def _serve(engine: Engine, access_log: AccessLog, work: _Work) -> int:
    try:
        async with engine:
            settings, options = engine.graph.settings, work.options
            address = options.host if options.host is not None else settings.host
            refusal = _objection(engine.graph, address, work.workers)
            if refusal:
                return _fail(refusal)
            listener = work.listener
            if listener is None:
                port = options.port if options.port is not None else settings.port
                try:
                    listener = _listen(address, port)
                except OSError as problem:
                    return _cannot_listen(address, port, problem)
            engine.object_to(lambda graph: _objection(graph, address, work.workers))
            await _run(engine, access_log, listener, work)
            return 0
    except ConfigError as problem:
        return _does_not_compile(problem.diagnostics)
    except PrepareError as problem:
        return _fail(str(problem))
    finally:
        await access_log.aclose()


def _objection(graph: Graph, address: str, workers: int) -> str:
    """Why a server that listens on ``address`` with this many workers will not serve ``graph``; empty if it will."""
    return "; ".join(refuse_workers(graph, workers)) or refuse_address(graph, address)


async def _run(engine: Engine, access_log: AccessLog, listener: socket.socket, work: _Work) -> None:
    front = Front(engine)
    loop = asyncio.get_running_loop()

    def connection(*, server_state: ServerState, **_: object) -> Http11:
        return Http11(front, server_state, loop, access_log.aside)

    config = uvicorn.Config(
        App(engine),  # uvicorn wants an application; connections go to the front themselves
        http=connection,  # type: ignore[arg-type]  # any callable that makes a protocol will do
        interface="asgi3",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        log_level=work.options.log_level,
        timeout_graceful_shutdown=max(1, round(engine.graph.settings.drain)),
    )
    server = _Server(config, engine)
    # What is loaded by now stays: the collector need not walk through it again while requests are served.
    gc.collect()
    gc.freeze()
    _log.info("serving %s on %s", engine.graph.fingerprint, _shown(listener.getsockname()))
    _reload_on_hangup(engine, loop)
    if work.listener is not None:
        loop.add_reader(sys.stdin.fileno(), _orphaned, server, loop)
    loop.call_soon(work.ready)
    await server.serve(sockets=[listener])


def _reload_on_hangup(engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
    hangup = getattr(signal, "SIGHUP", None)  # not everywhere
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:  # as nohup leaves it
        return
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task = loop.create_task(engine.reload(), name="interlock-hangup")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(hangup, reload)


def _orphaned(server: uvicorn.Server, loop: asyncio.AbstractEventLoop) -> None:
    """The supervisor has ended without a word: a worker on its own would hold the port for ever."""
    if not os.read(sys.stdin.fileno(), 1):
        loop.remove_reader(sys.stdin.fileno())
        _log.error("the supervisor is gone; ending")
        server.should_exit = True


class _Server(uvicorn.Server):
    """Ends where it was started. uvicorn's own raises the signal that ended it once more, which would end the process
    before connections to providers are closed and the last lines of the access log are written.

    Before it ends it says so: ``/readyz`` is 503 from the signal on, and new connections are refused only after the
    settings' ``readiness.notice`` (SIGTERM; whoever presses Ctrl-C, or sends a second signal, does not want to wait).
    """

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine
        self._told = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal asks for the end."""
        notice = self._engine.graph.settings.readiness.notice
        self._engine.drain()
        if sig == signal.SIGTERM and not self._told and notice > 0:
            self._told = True
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, notice, super().handle_exit, sig, frame)
            _log.info("not ready any more; new connections are refused in %g s", notice)
        else:
            super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def refuse_address(graph: Graph, host: str) -> str:
    """Why the server will not listen on ``host`` with this graph; empty if it will.

    Without keys everyone who can connect may do everything, so that only this machine may connect.
    """
    if graph.keys or graph.settings.issuers or is_loopback(host):
        return ""
    return (
        f"refusing to listen on {host!r}: this configuration has no key document, so everyone who can connect could "
        "use it; add a key ('interlock key NAME' prints one) or listen on 127.0.0.1"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to what listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int, shared: bool = False) -> socket.socket:
    """A bound socket: bound before uvicorn starts, so that a failure can be explained and port 0 be told.

    ``shared`` allows further sockets on the same port, over which the kernel spreads connections.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(2048)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _shown(name: tuple[Any, ...]) -> str:
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def _cannot_listen(host: str, port: int, problem: OSError) -> int:
    return _fail(f"cannot listen on {host}:{port}: {problem.strerror}", "free the port, or name another with --port")


def _does_not_compile(diagnostics: Iterable[Diagnostic]) -> int:
    sys.stderr.write("\n".join(map(render_one, diagnostics)) + "\n")
    return _fail("the configuration does not compile; nothing is served")


def _fail(message: str, *hints: str) -> int:
    """Exit status 1, with what went wrong on standard error in the shape of the compiler's findings."""
    sys.stderr.write("\n  = ".join([f"error: {message}", *hints]) + "\n")
    return 1
