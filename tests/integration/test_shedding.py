"""Too many requests at once: what is taken on is answered in time, the rest is refused at once and may come back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from engine.server import shedding

from .gateway import Gateway, play
from .upstream import Answer, Do, Seen, Upstream, served, until

OK = served(False)


def settings(**limits: Any) -> dict[str, Any]:
    return {"version": 1, "kind": "settings", "name": "server", "limits": limits}


def test_one_too_many_is_refused_in_the_protocol_of_its_client_and_management_is_not(tmp_path: Path) -> None:
    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        _, first = await gateway.send()
        await until(lambda: upstream.seen)
        got = await gateway.ask(x_request_id="mine")
        assert (got.status, got.error["code"], got.headers["retry-after"]) == (503, "overloaded", "1")
        assert (got.headers["x-request-id"], "x-should-retry" in got.headers) == ("mine", False)
        assert "limits.in_flight" in got.error["message"]
        body = {"model": "chat", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
        other = await gateway.ask(body, "/v1/messages")
        assert (other.status, other.json["type"], other.error["type"]) == (503, "error", "overloaded_error")
        assert (await gateway.ask(b"{}", "/api/v1/explain")).status == 400
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n")
        assert b" 200 " in await reader.readline()
        writer.close()
        assert len(upstream.seen) == 1
        first.close()
        await until(lambda: not gateway.engine.in_flight)
        upstream.scripts["one"] = OK
        assert (await gateway.ask()).status == 200

    play(tmp_path, scenario, scripts={"one": (Do.STALL,)}, more=[settings(in_flight=1)])


def within(share: float, seconds: list[float]) -> float:
    """The time that such a share of them stays within."""
    return sorted(seconds)[int(len(seconds) * share)]


def test_what_is_taken_on_stays_quick_at_eight_times_the_capacity(tmp_path: Path) -> None:
    """An upstream that works on 8 at a time, 20 ms each; 8 and then 64 clients that ask again and again."""
    pending = 0

    def work(seen: Seen) -> Answer:
        nonlocal pending
        pending += 1
        # Beyond eight at a time everybody waits in proportion, as at a machine whose cores are shared.
        return (0.02 * max(1.0, pending / 8), leave, *OK)

    def leave() -> bool:
        nonlocal pending
        pending -= 1
        return True

    async def load(gateway: Gateway, clients: int) -> tuple[list[float], int]:
        took: list[float] = []
        shed = 0
        end = time.monotonic() + 0.8

        async def client() -> None:
            nonlocal shed
            while time.monotonic() < end:
                began = time.monotonic()
                got = await gateway.ask()
                if got.status == 200:
                    took.append(time.monotonic() - began)
                else:
                    assert got.status == 503
                    shed += 1
                    await asyncio.sleep(0.05)

        await asyncio.gather(*(client() for _ in range(clients)))
        return took, shed

    async def scenario(gateway: Gateway, upstream: Upstream) -> None:
        alone, _ = await load(gateway, 8)
        crowded, shed = await load(gateway, 64)
        assert shed > 100
        assert len(crowded) > len(alone) / 2
        assert within(0.5, crowded) < 2 * within(0.5, alone)
        # Were all let in, each would take eight times 20 ms.
        assert within(0.95, crowded) < 0.16

    play(tmp_path, scenario, scripts={"one": work}, more=[settings(in_flight=8)])


@pytest.mark.parametrize(("handles", "most"), [(1024, 448), (10_000_000, 10_000), (-1, 10_000), (64, 1)])
def test_the_bound_is_what_the_process_has_file_handles_for(
    handles: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (handles, handles))
    assert shedding.most_in_flight() == most


def test_handles_are_asked_for_up_to_what_the_system_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    asked: list[Any] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    for soft, hard in ((1024, 4096), (1024, 1_000_000), (4096, 4096), (1024, resource.RLIM_INFINITY)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft, hard=hard: (soft, hard))
        shedding.raise_file_limit()
    assert asked == [(4096, 4096), (20_128, 1_000_000), (20_128, resource.RLIM_INFINITY)]
