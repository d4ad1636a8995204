"""A real Prometheus, where there is one, and how to ask it."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from .upstream import PATIENCE

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus and promtool are not installed (Debian: apt-get install prometheus)",
)


async def fetch(port: int, path: str, **headers: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a GET over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/1.0", "host: test", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    async with asyncio.timeout(PATIENCE):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    rows = head.decode("latin-1").split("\r\n")
    assert rows[0].split()[1] == "200", rows[0]
    return {name.lower(): value for name, _, value in (row.partition(": ") for row in rows[1:])}, body


class Prometheus:
    """A server that scrapes; ``ask`` evaluates a query now."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def get(self, path: str, **query: str) -> Any:
        _, body = await fetch(self.port, f"/api/v1/{path}?{urlencode(query)}")
        answer = json.loads(body)
        assert answer["status"] == "success", answer
        return answer["data"]

    async def ask(self, query: str) -> list[dict[str, Any]]:
        """The samples of an instant query; a query that Prometheus refuses fails the test."""
        data = await self.get("query", query=query)
        return list(data["result"])


@asynccontextmanager
async def scraping(folder: Path, port: int, rules: Path | None = None) -> AsyncIterator[Prometheus]:
    """Prometheus itself, scraping ``/metrics`` of this port every 200 ms; ready, and gone afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        own = probe.getsockname()[1]
    config = {
        "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
        "rule_files": [str(rules)] if rules else [],
        "scrape_configs": [{"job_name": "interlock", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        server = Prometheus(own)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    if await server.ask('up{job="interlock"} == 1'):
                        break
                except (OSError, AssertionError):  # it does not listen yet, or is not ready
                    pass
                await asyncio.sleep(0.05)
        yield server
    finally:
        process.terminate()
        await process.wait()
