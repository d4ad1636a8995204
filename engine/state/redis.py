"""The store that processes share: limits, concurrency and closures in Redis or Valkey.

Every decision is one script, awaited for at most the store's timeout; everything else is sent along and not waited for.
What this process was granted is counted in its own memory too: that is what it goes by while the store is away, and
what it tells the store to be in flight once it is back.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Literal
from zlib import crc32

from msgspec import Struct

from .closure import Closure
from .redis_company import Company, Peer
from .redis_link import Command, Link
from .redis_scripts import BEAT, HOLD, HOLDER, KEEP, LEAVE, PUBLISH, RELEASE, SETTLE, TAKE
from .store import Claim, Grant, MemoryStore, Refusal

_log = logging.getLogger("interlock.state")

#: Seconds between two beats: a sign of life, and news of closures.
EVERY = 0.25
#: Seconds for which a refusal is taken for granted without asking again: others may give back what they did not use.
REMEMBERED = 0.25
#: Refusals that are remembered.
ROOM = 10_000
#: Seconds to wait with ``when_away: reject``.
AWAY_AGAIN = 1.0
#: More than any limit: what is counted beside the store is never refused.
_ANY = 1 << 62

WhenAway = Literal["local", "admit", "reject"]
_WORDS: Mapping[WhenAway, str] = MappingProxyType(
    {
        "local": "each process counts its equal share of every limit",
        "admit": "limits are not counted",
        "reject": "requests that a limit would have to count are refused",
    }
)


class SharedGrant(Grant):
    """What the store granted (``buckets`` are where), or what was decided without it (no buckets)."""

    shadow: Grant | None = None
    buckets: tuple[str, ...] = ()


class Counters(Struct):
    """What happened since the start, for metrics."""

    asked: int = 0
    """Decisions that the store made."""
    refused: int = 0
    alone: int = 0
    """Decisions made without the store because it was away."""
    aways: int = 0
    """Times that the store went away."""
    away_seconds: float = 0.0


class RedisStore:
    """The protocol of :class:`~engine.state.store.Store` over Redis. Belongs to one event loop.

    ``address``, ``timeout`` and ``ca_file`` are the link's; ``who``, ``clock`` and ``tell`` the company's. With
    ``server_time=False`` the ``now`` of the caller is the time, for tests.
    """

    def __init__(
        self,
        address: Callable[[], Awaitable[str | None]],
        who: Callable[[], Peer],
        clock: Callable[[], float],
        *,
        prefix: str = "interlock",
        timeout: float = 0.05,
        ca_file: str | None = None,
        when_away: WhenAway = "local",
        tell: Callable[[str, Closure | None], None] = lambda id_, closure: None,
        server_time: bool = True,
    ) -> None:
        # One hash tag, so that a cluster keeps together what one script needs.
        self._head = f"{{{prefix}}}:"
        company = self._company = Company(self._head, who, clock, tell)
        self._me = company.me
        self._clock = clock
        self._timeout = timeout
        self._when_away = when_away
        self._server_time = server_time
        self._memory = MemoryStore()
        self._refusals: dict[str, tuple[float, Refusal]] = {}
        self._doubtful: set[str] = set()
        self._keys: dict[tuple[str, float | None], tuple[str, str]] = {}
        self._beats: asyncio.Task[None] | None = None
        self._away_since: float | None = None
        self.reason = ""
        """Why the store is away; empty while it is there."""
        self.counters = Counters()
        self.link = Link(
            address,
            {
                "take": TAKE,
                "settle": SETTLE,
                "hold": HOLD,
                "release": RELEASE,
                "publish": PUBLISH,
                "beat": BEAT,
                "keep": KEEP,
                "holder": HOLDER,
                "leave": LEAVE,
            },
            timeout=timeout,
            ca_file=ca_file,
            greeting=self._greeting,
            changed=self._changed,
            # Tries of several processes to connect again do not fall together.
            spread=0.75 + crc32(self._me.encode()) % 1000 / 2000,
        )

    async def start(self) -> None:
        """Connect. Returns as soon as the store was reached or was not; either way requests can be served."""
        await self.link.start()
        self._beats = asyncio.get_running_loop().create_task(self._beat_on(), name="interlock-beat")

    async def aclose(self) -> None:
        """Say goodbye, so that nobody waits for this process's lease to end. Safe to repeat."""
        beats, self._beats = self._beats, None
        if beats is not None:
            beats.cancel()
            await asyncio.wait([beats])
            self.link.submit(self._company.leave())
        await self.link.aclose()

    # -- the protocol --------------------------------------------------------------------------------------------

    def take(self, claims: tuple[Claim, ...], now: float) -> Grant | Refusal | Awaitable[Grant | Refusal]:
        """See :class:`Store`. To be awaited while the store is there, the answer itself while it is away."""
        for claim in claims:
            if claim.cost > claim.limit:
                return self._memory.peek((claim,), now) or Refusal(claim.key, math.inf)
        if not self.link.up:
            return self._alone(claims, now)
        keys = [self._company.processes[0]]
        arguments: list[str | int] = [self._me, self._time(now)]
        for claim in claims:
            keys += self._keys_of(claim)
            arguments += (claim.limit, 0 if claim.per is None else round(claim.per * 1_000_000), claim.cost)
        future: asyncio.Future[Grant | Refusal] = asyncio.get_running_loop().create_future()

        def answered(answer: Any) -> None:
            self._answered(claims, now, future, answer)

        self.link.submit(Command("take", keys, arguments, answered))
        return future

    def peek(self, claims: tuple[Claim, ...], now: float) -> Refusal | None:
        """See :class:`Store`. This process knows what it was granted itself, and the store's latest refusals."""
        if not self.link.up and self._when_away != "local":
            return None if self._when_away == "admit" else Refusal(claims[0].key, AWAY_AGAIN)
        refused = self._memory.peek(claims if self.link.up else self._shares(claims), now)
        for claim in claims:
            known = self._refusals.get(claim.key)
            if known is None:
                continue
            age, refusal = now - known[0], known[1]
            wait = refusal.retry_after - age
            if 0 <= age < REMEMBERED and wait > 0 and (refused is None or wait > refused.retry_after):
                refused = Refusal(claim.key, wait, refusal.left)
        return refused

    def settle(self, grant: Grant, costs: Mapping[str, int]) -> None:
        """See :class:`Store`."""
        if grant.settled or not isinstance(grant, SharedGrant):
            return
        grant.settled = True
        if grant.shadow is not None:
            self._memory.settle(grant.shadow, costs)
        for claim, bucket in zip(grant.claims, grant.buckets, strict=False):
            real = costs.get(claim.key)
            if real is None or claim.per is None or real == claim.cost:
                continue
            if real < claim.cost:
                self._refusals.pop(claim.key, None)
            self.link.submit(Command("settle", (self._keys_of(claim)[1],), (bucket, real - claim.cost)))

    def release(self, grant: Grant) -> None:
        """See :class:`Store`."""
        if grant.released or not isinstance(grant, SharedGrant):
            return
        grant.released = True
        if grant.shadow is not None:
            self._memory.release(grant.shadow)
        if self.link.up:
            for claim in grant.claims:
                if claim.per is None:
                    # What was granted while the store was away has been told to it by the greeting.
                    self._refusals.pop(claim.key, None)
                    self.link.submit(Command("release", (self._keys_of(claim)[0],), (self._me, claim.cost)))

    def publish(self, id_: str, closure: Closure | None) -> None:
        """See :class:`Store`. While the store is away nobody is told: every process finds out by itself."""
        command = self._company.publish(id_, closure)
        if command is not None:
            self.link.submit(command)

    def keep(self, conversation: str, target: str) -> None:
        """See :class:`~engine.state.conversations.Elsewhere`. Kept for a day."""
        self.link.submit(Command("keep", (self._conversation(conversation),), (target,)))

    def holder(self, conversation: str) -> Awaitable[str | None]:
        """See :class:`~engine.state.conversations.Elsewhere`."""
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        answered = functools.partial(_unless_done, future)
        self.link.submit(Command("holder", (self._conversation(conversation),), (), answered))
        return future

    def closures(self) -> Mapping[str, Closure]:
        """See :class:`Store`."""
        return self._company.closures()

    # -- what is known of the store ------------------------------------------------------------------------------

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The processes that share the store, this one included, as of the latest beat."""
        return self._company.peers

    def status(self) -> dict[str, Any]:
        """The store as ``GET /api/v1/status`` shows it, as plain JSON values; ``processes`` include this one.

        ``agree`` of them run the graph that this one runs.
        """
        shown: dict[str, Any] = {
            "store": "redis",
            "state": "connected" if self.link.up else "away",
            "when_away": self._when_away,
        }
        if not self.link.up:
            shown["reason"] = self.reason
        mine = self._company.said().fingerprint
        shown["agree"] = sum(peer.fingerprint == mine for peer in self.peers)
        shown["processes"] = [
            {"host": peer.host, "pid": peer.pid, "fingerprint": peer.fingerprint} for peer in self.peers
        ]
        return shown

    def export(self) -> dict[str, float]:
        """Counters since the start, and ``up`` (1 or 0), for metrics."""
        counters = self.counters
        away = self.away_seconds()
        return {
            "up": float(self.link.up),
            "asked": counters.asked,
            "refused": counters.refused,
            "alone": counters.alone,
            "aways": counters.aways,
            "away_seconds": away,
            "processes": len(self.peers),
        }

    def away_seconds(self) -> float:
        """Seconds that the store was away since the start."""
        since = self._away_since
        return self.counters.away_seconds + (0.0 if since is None else self._clock() - since)

    # -- inside --------------------------------------------------------------------------------------------------

    def _conversation(self, id_: str) -> str:
        # Clients choose the id, of any length.
        return f"{self._head}c:{blake2b(id_.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"

    def _time(self, now: float) -> str:
        return "" if self._server_time else f"{now * 1_000_000:.0f}"

    def _keys_of(self, claim: Claim) -> tuple[str, str]:
        keys = self._keys.get((claim.key, claim.per))
        if keys is None:
            if len(self._keys) >= ROOM:
                self._keys.clear()
            if claim.per is None:
                keys = (f"{self._head}n:{claim.key}",) * 2
            else:
                # A limit whose window is changed begins anew: its sums are of another width.
                name = f"{self._head}w:{claim.key}:{round(claim.per * 1_000_000)}"
                keys = (f"{name}:order", name)
            self._keys[claim.key, claim.per] = keys
        return keys

    def _answered(
        self, claims: tuple[Claim, ...], now: float, future: asyncio.Future[Grant | Refusal], answer: Any
    ) -> None:
        if answer is None:
            # It may have been granted all the same. What is in flight is told anew; a window forgets by itself.
            self._doubtful.update(claim.key for claim in claims if claim.per is None)
            if not future.done():
                future.set_result(self._alone(claims, now))
            return
        self.counters.asked += 1
        if answer[0]:
            shadow = self._memory.take(_uncounted(claims), now)
            assert isinstance(shadow, Grant)  # noqa: S101 (no limit refuses)
            left, resets = tuple(answer[2::3]), tuple(micro / 1_000_000 for micro in answer[3::3])
            grant = SharedGrant(claims, left, resets, shadow=shadow, buckets=tuple(answer[1::3]))
            if future.cancelled():
                # Whoever asked has gone: nothing was used.
                self.settle(grant, {claim.key: 0 for claim in claims})
                self.release(grant)
            elif not future.done():
                future.set_result(grant)
            return
        self.counters.refused += 1
        refusal = Refusal(claims[answer[1] - 1].key, answer[2] / 1_000_000, answer[3])
        if len(self._refusals) >= ROOM:
            self._refusals = {key: known for key, known in self._refusals.items() if now - known[0] < REMEMBERED}
        if len(self._refusals) < ROOM:
            self._refusals[refusal.key] = (now, refusal)
        if not future.done():
            future.set_result(refusal)

    def _alone(self, claims: tuple[Claim, ...], now: float) -> Grant | Refusal:
        """The decision without the store."""
        self.counters.alone += 1
        if self._when_away == "reject":
            return Refusal(claims[0].key, AWAY_AGAIN)
        asked = self._shares(claims) if self._when_away == "local" else _uncounted(claims)
        shadow = self._memory.take(asked, now)
        if isinstance(shadow, Refusal):
            return shadow
        left = shadow.left if self._when_away == "local" else tuple(claim.limit for claim in claims)
        return SharedGrant(claims, left, shadow.resets, shadow=shadow)

    def _shares(self, claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
        """The claims against this process's share of each limit; at least what one of them needs."""
        processes = max(1, len(self.peers))
        if processes == 1:
            return claims
        return tuple(
            Claim(claim.key, max(claim.limit // processes, claim.cost, 1), claim.per, claim.cost) for claim in claims
        )

    def _changed(self, reason: str) -> None:
        if reason:
            if self._away_since is None:
                self.counters.aways += 1
                self._away_since = self._clock()
                self._refusals.clear()
            if reason != self.reason:
                self.reason = reason
                words = _WORDS[self._when_away]
                _log.error("the state store is away: %s; until it is back %s (state.when_away)", reason, words)
            return
        if self._away_since is not None:
            lasted = self._clock() - self._away_since
            self.counters.away_seconds += lasted
            self._away_since = None
            _log.warning("the state store is back after %.1f s", lasted)
        self.reason = ""

    def _greeting(self) -> list[Command]:
        """Who this is and what it has in flight: the store may have been emptied, or have given up this process."""
        held = self._memory.under_way()
        doubtful, self._doubtful = self._doubtful, set()
        held |= dict.fromkeys(doubtful - held.keys(), 0)
        holds = [
            Command("hold", (self._keys_of(Claim(key, 1, None))[0],), (self._me, count)) for key, count in held.items()
        ]
        return [self._company.beat(self.link, greeting=True), *holds]

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            if self.link.up:
                self.beat()

    def beat(self) -> None:
        """Say now what has changed of this process, instead of at the next beat."""
        self.link.submit(self._company.beat(self.link))


def _unless_done(future: asyncio.Future[str | None], answer: str | None) -> None:
    if not future.done():
        future.set_result(answer)


def _uncounted(claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
    return tuple(Claim(claim.key, _ANY, claim.per, claim.cost) for claim in claims)
