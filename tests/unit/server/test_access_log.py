"""The access log: one line a request, while the settings want it."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pytest

from engine.executor.reply import Reply
from engine.server.access_log import WHOLE, AccessLog

HEALTHY = Reply(200, [(b"x-request-id", b"req_1")], b"{}")


def lines(out: io.BytesIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_request_that_no_route_had_a_part_in_is_a_line_without_content() -> None:
    out = io.BytesIO()

    async def scenario() -> None:
        log = AccessLog(out)
        log.aside("GET", "/healthz", 200, 0.5, HEALTHY)
        await log.aclose()

    asyncio.run(scenario())
    (line,) = lines(out)
    assert line.pop("started_at")
    assert line == {"request_id": "req_1", "method": "GET", "path": "/healthz", "status": 200, "duration": 0.5}


def test_the_settings_are_asked_at_every_request() -> None:
    out = io.BytesIO()
    wanted = iter([True, False, True])

    async def scenario() -> None:
        log = AccessLog(out, lambda: next(wanted))
        for path in ("/one", "/two", "/three"):
            log.aside("GET", path, 200, 0.5, HEALTHY)
        await log.aclose()

    asyncio.run(scenario())
    assert [line["path"] for line in lines(out)] == ["/one", "/three"]


def test_nothing_is_left_to_do_once_it_is_closed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's threads end soon after: a batch begun then would fail."""
    monkeypatch.setattr("engine.server.access_log.FLUSH", 0.01)
    out = io.BytesIO()

    async def scenario() -> None:
        log = AccessLog(out)
        log.aside("GET", "/healthz", 200, 0.5, HEALTHY)
        await log.aclose()
        await asyncio.get_running_loop().shutdown_default_executor()
        await asyncio.sleep(0.05)

    asyncio.run(scenario())
    assert len(lines(out)) == 1
    assert caplog.records == []


def test_what_several_processes_write_is_written_in_pieces_that_a_pipe_takes_whole() -> None:
    pieces: list[bytes] = []

    class Pipe(io.BytesIO):
        def write(self, data: Any) -> int:
            pieces.append(bytes(data))
            return super().write(data)

    async def run() -> None:
        log = AccessLog(Pipe(), shared=True)
        for n in range(100):
            log.aside("GET", "/" + "x" * (n * 7 % 200), 200, 0.1, Reply(200, [], b""))
        log.aside("G" * 2 * WHOLE, "/", 200, 0.1, Reply(200, [], b""))
        log.aside("GET", "/last", 200, 0.1, Reply(200, [], b""))
        await log.aclose()

    asyncio.run(run())
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert [len(piece) > WHOLE for piece in pieces].count(True) == 1
    assert 3 < len(pieces) < 30
    assert len([json.loads(line) for line in b"".join(pieces).splitlines()]) == 102
