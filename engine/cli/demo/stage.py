"""What the story plays on: a copy of the demo's configuration, the embedded model, and the server as a user runs it."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cli.terminal import Problem

from .model_server import MODEL, require_packages
from .processes import Child

CONFIG = Path(__file__).parent / "config"
"""The demo's configuration as it ships, a good one to copy."""

_SHIPPED_URL = "http://127.0.0.1:11811/v1"
_MODEL_TIMEOUT = 120.0
_SERVER_TIMEOUT = 60.0
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Stage:
    """A running server on ``config``, a folder that may be edited. Times are seconds until ready."""

    config: Path
    url: str
    model_url: str
    model_seconds: float
    server_seconds: float
    server: Child

    def status(self) -> dict[str, Any]:
        """What ``GET /api/v1/status`` answers."""
        from engine.executor.transport_status import fetch_status

        return fetch_status(self.url)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace ``old``, which must be there once, in a file of the configuration, the way an editor saves it."""
        path = self.config / file
        text = path.read_text("utf-8")
        if text.count(old) != 1:
            raise Problem(f'the demo\'s "{file}" was changed: it should hold "{old}" once', code=1)
        path.write_text(text.replace(old, new), "utf-8")


@contextmanager
def open_stage(port: int = 0) -> Iterator[Stage]:
    """A stage with everything running; all of it is stopped and its folder removed on leaving.

    ``port`` is the server's; 0 takes a free one. Raises :class:`Problem` when something is missing or does not start.
    """
    require_packages()
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="interlock-demo-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary))
        config = folder / "config"
        shutil.copytree(CONFIG, config)
        began = time.monotonic()
        model = stack.enter_context(
            Child(
                "the embedded model", "engine.cli.demo.model_server", "--until-stdin-closes", log=folder / "model.log"
            )
        )
        model_url = model.wait_for_line("ready ", _MODEL_TIMEOUT).split()[1]
        model_seconds = time.monotonic() - began
        _point_at(config / "providers.d" / "embedded.yaml", model_url)
        began = time.monotonic()
        port = port or _free_port()
        arguments = ("serve", "--config", str(config), "--host", "127.0.0.1", "--port", str(port))
        server = stack.enter_context(Child("`interlock serve`", "engine.cli", *arguments, log=folder / "server.log"))
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(server, url)
        yield Stage(config, url, model_url, model_seconds, time.monotonic() - began, server)


def _point_at(provider: Path, url: str) -> None:
    """Write the model's address of this run into the copied provider file."""
    text = provider.read_text("utf-8")
    provider.write_text(text.replace(_SHIPPED_URL, url, 1), "utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(server: Child, url: str) -> None:
    from engine.executor.transport_status import StatusError, fetch_status

    deadline = time.monotonic() + _SERVER_TIMEOUT
    while True:
        try:
            fetch_status(url, timeout=2.0)
        except StatusError as error:
            server.check("before it answered")
            if time.monotonic() > deadline or not error.waiting_helps:
                raise server.problem(f"did not answer within {_SERVER_TIMEOUT:g} s: {error.message}") from error
            time.sleep(_POLL)
        else:
            return


__all__ = ["CONFIG", "MODEL", "Stage", "open_stage"]
