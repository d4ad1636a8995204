"""Snapshots and pins: clients are let go exactly once, and never under a request."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.graph import Graph
from engine.runtime.snapshot import Pin, Snapshot


def snapshot(drained: list[Snapshot]) -> Snapshot:
    clients: Any = object()
    return Snapshot(Graph.empty(), clients, loaded_at=datetime.now(UTC), drained=drained.append)


def test_a_retired_snapshot_without_requests_is_drained_at_once() -> None:
    drained: list[Snapshot] = []
    s = snapshot(drained)
    assert drained == []
    s.retire()
    assert drained == [s]
    s.retire()
    assert drained == [s]


def test_a_pinned_snapshot_is_drained_by_the_last_request() -> None:
    drained: list[Snapshot] = []
    s = snapshot(drained)
    first, second = s.pin(), s.pin()
    assert first.graph is s.graph
    assert first.clients is s.clients
    s.retire()
    first.release()
    first.release()
    assert (s.pins, drained) == (1, [])
    second.release()
    assert (s.pins, drained) == (0, [s])


def test_pins_coming_and_going_do_not_drain_what_is_current() -> None:
    drained: list[Snapshot] = []
    s = snapshot(drained)
    s.pin().release()
    assert drained == []
    assert not s.retired


@given(st.lists(st.sampled_from(["pin", "release", "release again", "retire"])))
def test_drained_once_and_only_when_retired_and_free(steps: list[str]) -> None:
    drained: list[Snapshot] = []
    s = snapshot(drained)
    held: list[Pin] = []
    done: list[Pin] = []
    for step in steps:
        if step == "pin" and not s.retired:
            held.append(s.pin())
        elif step == "release" and held:
            done.append(held.pop())
            done[-1].release()
        elif step == "release again" and done:
            done[0].release()
        elif step == "retire":
            s.retire()
        assert s.pins == len(held)
        assert drained == ([s] if s.retired and not held else [])


def test_a_swap_lets_the_old_clients_go_after_their_last_request(stage: Any) -> None:
    async def scenario() -> None:
        live = stage.live
        graph = Graph.empty()
        live.swap(graph, live.prepare(graph), digest="a", git_commit=None)
        pin = live.pin()
        live.swap(graph, live.prepare(graph), digest="b", git_commit=None)
        await asyncio.sleep(0)
        assert [clients.released for clients in stage.made] == [0, 0]
        pin.release()
        await asyncio.sleep(0.01)
        assert [clients.released for clients in stage.made] == [1, 0]
        await live.close(1)
        assert [clients.released for clients in stage.made] == [1, 1]
        assert not live.open
        with pytest.raises(RuntimeError, match="not open"):
            live.pin()

    asyncio.run(scenario())


def test_closing_waits_for_requests_only_so_long(stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        live = stage.live
        live.swap(Graph.empty(), live.prepare(Graph.empty()), digest="a", git_commit=None)
        pin = live.pin()
        with caplog.at_level(logging.WARNING):
            await live.close(0.05)
        assert stage.made[0].released == 1
        pin.release()
        await asyncio.sleep(0.01)
        assert stage.made[0].released == 1

    asyncio.run(scenario())
    assert "1 requests still under way" in caplog.text


def test_closing_waits_for_a_request_that_ends(stage: Any) -> None:
    async def scenario() -> float:
        live = stage.live
        live.swap(Graph.empty(), live.prepare(Graph.empty()), digest="a", git_commit=None)
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, live.pin().release)
        before = loop.time()
        await live.close(30)
        assert stage.made[0].released == 1
        return loop.time() - before

    assert 0.04 < asyncio.run(scenario()) < 5


def test_a_client_that_fails_to_close_hurts_nobody(stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        live = stage.live
        live.swap(Graph.empty(), live.prepare(Graph.empty()), digest="a", git_commit=None)

        async def fails() -> None:
            raise OSError("no")

        stage.made[0].release = fails
        await live.close(1)

    asyncio.run(scenario())
    assert "could not close the clients" in caplog.text


def test_waiting_for_a_fingerprint(stage: Any) -> None:
    async def scenario() -> None:
        live = stage.live
        fingerprint = Graph.empty().fingerprint
        assert not await live.wait_for(fingerprint, 0.01)
        asyncio.get_running_loop().call_later(
            0.01, lambda: live.swap(Graph.empty(), live.prepare(Graph.empty()), digest="a", git_commit=None)
        )
        assert await live.wait_for(fingerprint, 5)
        assert await live.wait_for(fingerprint[:6], 0)
        assert not await live.wait_for("0000", 0.01)
        await live.close(1)

    asyncio.run(scenario())
