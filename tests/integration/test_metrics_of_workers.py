"""Several real processes on one port: whichever is scraped, the numbers are those of all, and never go back."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from .gateway import configuration, environ
from .prometheus import fetch
from .upstream import PATIENCE, Upstream, served

ROOT = Path(__file__).parents[2]
REQUESTS = 40
#: No such store is there: what is shared here is the port and the metrics.
SETTINGS = {"version": 1, "kind": "settings", "name": "s", "state": {"store": "redis", "url": "redis://127.0.0.1:9/0"}}


async def ask(port: int) -> int:
    """The status of one request on a connection of its own, which the kernel gives to one of the workers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"model": "chat", "messages": []}).encode()
    head = f"POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    async with asyncio.timeout(PATIENCE):
        reply = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(reply.split()[1])


async def scrape(port: int) -> dict[str, float]:
    """Served requests by worker."""
    _, body = await fetch(port, "/metrics")
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            if sample.name == "interlock_requests_total":
                found[sample.labels["worker"]] += sample.value
            elif sample.name == "process_resident_memory_bytes":
                found[sample.labels["worker"]] += 0
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel spreads connections over workers on Linux")
def test_whichever_worker_is_scraped_answers_for_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Upstream(one=served(False)) as upstream:
            folder = configuration(tmp_path / "config", upstream.port, more=[SETTINGS])
            env = {**os.environ, **environ(), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
            command = ["-m", "engine.cli", "serve", "--config", str(folder), "--port", "0", "--workers", "3"]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                cwd=tmp_path,
                env=env,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                assert process.stderr is not None
                said = ""
                async with asyncio.timeout(3 * PATIENCE):
                    while "workers serve: pids" not in said:
                        line = (await process.stderr.readline()).decode()
                        assert line, said
                        said += line
                await count(int(re.findall(r"start on http://127\.0\.0\.1:(\d+)", said)[0]))
            finally:
                process.send_signal(signal.SIGTERM)
                await asyncio.wait_for(process.communicate(), PATIENCE)

    asyncio.run(scenario())
    # Nothing is left of what the workers told each other.
    assert list(tmp_path.glob("interlock-*")) == []


async def count(port: int) -> None:
    before: dict[str, float] = {}
    for _ in range(REQUESTS):
        assert await ask(port) == 200
        now = await scrape(port)
        assert all(now[worker] >= counted for worker, counted in before.items())
        before = now
    assert set(before) == {"1", "2", "3"}
    totals: list[float] = []
    for _ in range(100):
        totals.append(sum((await scrape(port)).values()))
        if totals[-1] == REQUESTS:
            break
        await asyncio.sleep(0.05)
    assert totals[-1] == REQUESTS
    assert totals == sorted(totals)
    _, body = await fetch(port, "/metrics")
    assert all(f'interlock_store_up{{worker="{worker}"}} 0'.encode() in body for worker in "123")
