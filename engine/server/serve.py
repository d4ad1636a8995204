"""Running the app under uvicorn, with the engine around it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import uvicorn
from uvicorn.server import ServerState

from engine.diagnostics.human import render_one
from engine.errors import ConfigError, PrepareError
from engine.graph import Graph
from engine.ledger import default_url
from engine.runtime import Engine

from .access_log import AccessLog
from .asgi import App
from .front import Front
from .http11 import Http11

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

    0 after an orderly end; 1 where the configuration does not compile or cannot be made ready, or the address cannot be
    listened on; every case says why on standard error. ``host`` and ``port`` win over the settings document.
    """
    if workers != 1:
        raise ValueError("several workers need state that they share")
    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Every moved file would be a line of its own; what becomes of an edit is in our log.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # An edit of the settings counts from the next request on.
    access_log = AccessLog(wanted=lambda: not engine.ready() or engine.graph.settings.access_log)
    engine = Engine.open(
        config,
        overlays=overlays,
        last_good=last_good,
        watch=watch,
        observers=[access_log],
        ledger=default_url(config),
    )
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(engine, access_log, host, port, log_level))
    return 0


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not available on every platform; asyncio's own loop does the same, slower
        return None
    return uvloop.Loop


async def _serve(engine: Engine, access_log: AccessLog, host: str | None, port: int | None, log_level: str) -> int:
    try:
        async with engine:
            settings = engine.graph.settings
            address = host if host is not None else settings.host
            refusal = refuse_address(engine.graph, address)
            if refusal:
                return _fail(refusal)
            try:
                listener = _listen(address, port if port is not None else settings.port)
            except OSError as problem:
                where = f"{address}:{port if port is not None else settings.port}"
                remedy = "free the port, or name another with --port"
                return _fail(f"cannot listen on {where}: {problem.strerror}", remedy)
            engine.object_to(lambda graph: refuse_address(graph, address))
            await _run(engine, access_log, listener, log_level)
            return 0
    except ConfigError as problem:
        sys.stderr.write("\n".join(map(render_one, problem.diagnostics)) + "\n")
        return _fail("the configuration does not compile; nothing is served")
    except PrepareError as problem:
        return _fail(str(problem))
    finally:
        await access_log.aclose()


async def _run(engine: Engine, access_log: AccessLog, listener: socket.socket, log_level: str) -> None:
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
        log_level=log_level,
        timeout_graceful_shutdown=max(1, round(engine.graph.settings.drain)),
    )
    server = _Server(config, engine)
    # What is loaded by now stays: the collector need not walk through it again while requests are served.
    gc.collect()
    gc.freeze()
    name = listener.getsockname()
    shown = f"[{name[0]}]" if ":" in name[0] else name[0]
    _log.info("serving %s on http://%s:%d", engine.graph.fingerprint, shown, name[1])
    await server.serve(sockets=[listener])


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


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket: bound before uvicorn starts, so that a failure can be explained and port 0 be told."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(2048)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _fail(message: str, *hints: str) -> int:
    """Exit status 1, with what went wrong on standard error in the shape of the compiler's findings."""
    sys.stderr.write("\n  = ".join([f"error: {message}", *hints]) + "\n")
    return 1
