"""Names of hosts: one lookup at a time, remembered for a moment, and nobody's failure but its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.executor import transport_names
from engine.executor.transport_names import Names

Scenario = Callable[[Names, list[str], asyncio.Event], Awaitable[None]]


def play(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """With lookups that answer once they may; ``gone`` is a name that does not exist, ``nonsense`` none at all."""

    async def main() -> None:
        asked: list[str] = []
        may = asyncio.Event()

        async def getaddrinfo(host: str, *_: object, **__: object) -> list[Any]:
            asked.append(host)
            await may.wait()
            if host == "gone":
                raise socket.gaierror(-2, "Name or service not known")
            if host == "nonsense":
                raise UnicodeError("label too long")
            return [(socket.AF_INET, 1, 6, "", ("192.0.2.1", 0)), (socket.AF_INET6, 1, 6, "", ("2001:db8::1", 0, 0, 0))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        names = Names()
        await scenario(names, asked, may)
        names.close()

    asyncio.run(main())


def test_an_address_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(names: Names, asked: list[str], may: asyncio.Event) -> None:
        assert await names.addresses("127.0.0.1") == ("127.0.0.1",)
        assert await names.addresses("::1") == ("::1",)
        assert asked == []

    play(scenario, monkeypatch)


def test_many_who_ask_at_once_are_one_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(names: Names, asked: list[str], may: asyncio.Event) -> None:
        waiting = [asyncio.create_task(names.addresses("host")) for _ in range(50)]
        await asyncio.sleep(0)
        may.set()
        assert {await one for one in waiting} == {("192.0.2.1", "2001:db8::1")}
        assert asked == ["host"]

    play(scenario, monkeypatch)


def test_who_stops_waiting_takes_the_lookup_from_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(names: Names, asked: list[str], may: asyncio.Event) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(names.addresses("host"), 0.01)
        other = asyncio.create_task(names.addresses("host"))
        await asyncio.sleep(0)
        may.set()
        assert await other == ("192.0.2.1", "2001:db8::1")
        assert asked == ["host"]

    play(scenario, monkeypatch)


@pytest.mark.parametrize(("host", "kind"), [("gone", socket.gaierror), ("nonsense", OSError)])
def test_what_was_not_found_is_not_looked_for_again_at_once(
    host: str, kind: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(names: Names, asked: list[str], may: asyncio.Event) -> None:
        may.set()
        for _ in range(5):
            with pytest.raises(kind, match=r"known|name of a host"):
                await names.addresses(host)
        assert asked == [host]

    play(scenario, monkeypatch)


@pytest.mark.parametrize(("host", "moment"), [("host", "FOUND"), ("gone", "NOT_FOUND")])
def test_it_is_remembered_for_a_moment_only(host: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_names, moment, 0.0)

    async def scenario(names: Names, asked: list[str], may: asyncio.Event) -> None:
        may.set()
        for _ in range(2):
            await asyncio.gather(names.addresses(host), return_exceptions=True)
        assert asked == [host, host]

    play(scenario, monkeypatch)


def test_closing_gives_up_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(names: Names, asked: list[str], may: asyncio.Event) -> None:
        waiting = asyncio.create_task(names.addresses("host"))
        await asyncio.sleep(0)
        names.close()
        with pytest.raises(OSError, match="given up"):
            await waiting

    play(scenario, monkeypatch)
