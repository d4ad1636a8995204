"""Starts a contestant's server on its core, waits for its first good answer, and ends it again."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from urllib.parse import urlsplit

from benchmarks import native
from benchmarks.contestants import CLEAN, Launch, Server
from benchmarks.environments import ROOT, WORK
from benchmarks.machine import cores, free_port, pinned, resident

START_SECONDS = 120.0


class StartError(Exception):
    """The server did not come up; the message is the end of what it said."""


class Running:
    """A started server. A context manager; ``cold_start`` is seconds from the start of its process to its first 200."""

    def __init__(self, server: Server, upstream_port: int) -> None:
        self.server = server
        self.port = free_port()
        self.launch: Launch = server.launch(self.port, upstream_port)
        self.path = self.launch.path
        self.cold_start = 0.0
        self._log = WORK / "logs" / f"{server.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Running:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self.launch.command,
                # A pipe that nobody empties would stop a contestant that logs there.
                stdout=log if self.launch.says_its_port else subprocess.DEVNULL,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env={**CLEAN, **self.launch.env},
                preexec_fn=pinned(cores().contestant),
                start_new_session=True,
            )
        try:
            if self.launch.says_its_port:
                self.port = self._port_it_says(begin)
            self._wait_for_answer(begin)
        except BaseException:
            self.stop()
            raise
        self.cold_start = time.perf_counter() - begin
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process that was started."""
        assert self._process is not None
        return self._process.pid

    def rss(self) -> float:
        """Resident memory of the server and its children, in MB."""
        return resident(self.pid)

    def stop(self) -> None:
        """Ends the server's process group: politely, and after five seconds for good."""
        if self._process is None or self._process.poll() is not None:
            return
        group = self._process.pid
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
                return

    def load(self, connections: int, seconds: float, warm_up: float, *, stream: bool = False) -> list[str]:
        """The command of a load run against this server."""
        return native.load_command(
            self.port, self.path, self.launch.model, connections, seconds, warm_up, stream=stream
        )

    def _port_it_says(self, begin: float) -> int:
        while time.perf_counter() - begin < START_SECONDS:
            self._must_live()
            for line in self._log.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith("http://") and line.endswith("\n") and (port := urlsplit(line.strip()).port):
                    return port
            time.sleep(0.003)
        raise StartError(f"it named no port after {START_SECONDS:.0f} s: {self._said()}")

    def _wait_for_answer(self, begin: float) -> None:
        body = json.dumps(native.body(self.launch.model))
        headers = {"content-type": "application/json", "authorization": "Bearer sk-loopback"}
        last = "it does not listen"
        while time.perf_counter() - begin < START_SECONDS:
            self._must_live()
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("POST", self.path, body, headers)
                reply = connection.getresponse()
                text = reply.read().decode(errors="replace")
                if reply.status == 200 and "piece00" in text:
                    return
                last = f"it answers {reply.status}: {text[:300]}"
                time.sleep(0.05)
            except OSError:
                time.sleep(0.003)
            finally:
                connection.close()
        raise StartError(f"no good answer after {START_SECONDS:.0f} s: {last}; {self._said()}")

    def _must_live(self) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            raise StartError(f"it ended with status {self._process.returncode}: {self._said()}")

    def _said(self) -> str:
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return " | ".join(lines[-3:])[-500:] or "it said nothing"
