"""Addresses of hosts: one lookup of a name at a time, remembered for a moment.

Event loops look names up on a few threads (uvloop: four), and a name server that does not answer keeps a thread for
many seconds. Were every attempt to look for itself, one provider whose name cannot be found would keep all providers
from connecting.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

#: Seconds that addresses are remembered, and that a name which was not found is not looked for again. Connections are
#: kept, so that new ones are rare; a service that moves is found at its new address after this long.
FOUND, NOT_FOUND = 5.0, 1.0


class Names:
    """The addresses of the hosts of one transport. It belongs to one event loop."""

    __slots__ = ("_known", "_under_way")

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, tuple[str, ...] | OSError]] = {}
        self._under_way: dict[str, asyncio.Future[list[Any]]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The host's addresses, best first; an address is its own. Raises ``OSError`` or ``UnicodeError``.

        Whoever stops waiting does not stop the lookup: the others wait for it too.
        """
        if _is_address(host):
            return (host,)
        loop = asyncio.get_running_loop()
        until, known = self._known.get(host, (0.0, ()))
        if loop.time() >= until:
            lookup = self._under_way.get(host)
            if lookup is None:
                lookup = asyncio.ensure_future(loop.getaddrinfo(host, None, type=socket.SOCK_STREAM))
                self._under_way[host] = lookup
                lookup.add_done_callback(lambda done: self._note(host, done, loop.time()))
            await asyncio.wait([lookup])
            _, known = self._known.get(host, (0.0, OSError("the lookup of its name was given up")))
        if isinstance(known, OSError):
            raise type(known)(*known.args)
        return known

    def _note(self, host: str, lookup: asyncio.Future[list[Any]], now: float) -> None:
        self._under_way.pop(host, None)
        if lookup.cancelled():
            return
        problem = lookup.exception()
        if problem is None:
            found = tuple(dict.fromkeys(str(info[4][0]) for info in lookup.result()))
            self._known[host] = (now + FOUND, found)
        else:
            told = problem if isinstance(problem, OSError) else OSError(f"{host!r} is no name of a host: {problem}")
            self._known[host] = (now + NOT_FOUND, told)

    def close(self) -> None:
        """Give up what is under way."""
        for lookup in list(self._under_way.values()):
            lookup.cancel()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
