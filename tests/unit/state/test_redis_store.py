"""The shared store against a real server: who holds what, what others learn, and what happens while it is away."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from engine.state import Claim, Closure, Grant, Refusal
from engine.state import redis_company as company
from engine.state.redis import AWAY_AGAIN, RedisStore
from engine.state.redis_company import Peer

from ...redis_server import PATIENCE, RedisServer, needs_redis

pytestmark = needs_redis

#: A timeout that a busy machine keeps; tests of the timeout itself say their own.
LONG = 5.0
_numbers = itertools.count()
PLACES = (Claim("p", 3, None),)
TEN = (Claim("w", 10, 60.0),)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may kill."""
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def prefix() -> str:
    return f"test-{next(_numbers)}"


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


@contextlib.asynccontextmanager
async def opened(redis: RedisServer, prefix: str, name: str = "a", **options: Any) -> AsyncIterator[RedisStore]:
    url = options.pop("url", redis.url)

    async def address() -> str | None:
        found = url() if callable(url) else url
        assert found is None or isinstance(found, str)
        return found

    clock = options.pop("clock", time.time)
    options = {"timeout": LONG, **options}
    store = RedisStore(address, lambda: Peer(name, "host", 1, f"graph-{name}"), clock, prefix=prefix, **options)
    await store.start()
    try:
        yield store
    finally:
        await store.aclose()


async def take(store: RedisStore, claims: tuple[Claim, ...]) -> Grant | Refusal:
    answer = store.take(claims, time.monotonic())
    return answer if isinstance(answer, Grant | Refusal) else await answer


async def taken(store: RedisStore, claims: tuple[Claim, ...]) -> Grant:
    grant = await take(store, claims)
    assert isinstance(grant, Grant)
    return grant


async def until(holds: Callable[[], object], patience: float = PATIENCE) -> float:
    """Seconds until ``holds``."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < patience, "it did not happen in time"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


def test_two_processes_share_a_window_and_places(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as a, opened(redis, prefix, "b") as b:
            for store, left in [(a, 9), (b, 8), (a, 7)]:
                assert (await taken(store, TEN)).left == (left,)
            grants = [await taken(store, PLACES) for store in (a, b, b)]
            assert [grant.left for grant in grants] == [(2,), (1,), (0,)]
            assert await take(a, PLACES) == Refusal("p", 1.0)
            b.release(grants[1])
            b.release(grants[1])
            await taken(b, PLACES)
            assert (await taken(a, TEN)).left == (6,)

    run(test)


def test_all_claims_or_none(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as store:
            both = (Claim("w", 10, 60.0), Claim("t", 100, 60.0, 40), Claim("p", 3, None))
            assert (await taken(store, both)).left == (9, 60, 2)
            second = await taken(store, both)
            assert second.left == (8, 20, 1)
            refused = await take(store, both)
            assert isinstance(refused, Refusal)
            assert refused.key == "t"
            assert 55 < refused.retry_after <= 60.06
            store.settle(second, {"t": 5})
            store.settle(second, {"t": 0})
            assert (await taken(store, both)).left == (7, 15, 0)
            assert await take(store, (Claim("w", 10, 60.0, 11),)) == Refusal("w", float("inf"))

    run(test)


def test_what_was_used_beyond_the_claim_counts(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as store:
            claim = (Claim("t", 100, 60.0, 10),)
            store.settle(await taken(store, claim), {"t": 120})
            assert isinstance(await take(store, claim), Refusal)

    run(test)


def test_whoever_gives_up_waiting_takes_nothing(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as store:
            claims = (Claim("w", 10, 60.0), Claim("p", 1, None))
            task = asyncio.ensure_future(store.take(claims, time.monotonic()))  # type: ignore[arg-type]
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await taken(store, (Claim("other", 1, 1.0),))  # the first was answered before
            assert (await taken(store, claims)).left == (9, 0)

    run(test)


def test_places_of_a_process_that_died_are_free_after_its_lease(
    redis: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "LEASE", 0.6)

    async def test() -> None:
        async with opened(redis, prefix) as a:
            dead = opened(redis, prefix, "dead")
            b = await dead.__aenter__()
            for _ in range(3):
                await taken(b, PLACES)
            assert isinstance(await take(a, PLACES), Refusal)
            assert b._beats is not None
            b._beats.cancel()  # it says no more
            began = time.monotonic()
            while isinstance(await take(a, PLACES), Refusal):  # noqa: ASYNC110 (nobody tells when a lease ends)
                await asyncio.sleep(0.02)
            assert 0.2 < time.monotonic() - began < 5
            assert isinstance(await take(a, PLACES), Grant)
            await until(lambda: len(a.peers) == 1)
            await dead.__aexit__(None, None, None)

    run(test)


def test_a_process_that_was_given_up_tells_again_what_it_has_in_flight(
    redis: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as a:
            held = [await taken(a, PLACES) for _ in range(2)]
            Redis(port=redis.port).delete(*_keys(redis, prefix))
            await until(lambda: a.link.connects == 2)
            assert (await taken(a, PLACES)).left == (0,)
            for grant in held:
                a.release(grant)
            assert (await taken(a, PLACES)).left == (1,)

    run(test)


def test_who_ends_in_order_frees_its_places_at_once(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as a:
            async with opened(redis, prefix, "b") as b:
                for _ in range(3):
                    await taken(b, PLACES)
                await until(lambda: len(a.peers) == 2)
                assert {peer.fingerprint for peer in a.peers} == {"graph-a", "graph-b"}
                assert a.status()["agree"] == 1
            assert (await taken(a, PLACES)).left == (2,)

    run(test)


def test_closures_are_learnt_within_half_a_second_whatever_the_clocks_say(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        heard: list[tuple[str, Closure | None]] = []
        # The one who listens is an hour behind.
        behind: dict[str, Any] = {"clock": lambda: time.time() - 3600, "tell": lambda *news: heard.append(news)}
        async with opened(redis, prefix) as a, opened(redis, prefix, "b", **behind) as b:
            a.publish("x/m", Closure(time.time() + 30, "breaker", "5 of 6 failed"))
            assert await until(lambda: b.closures()) < 0.5 + 1  # the machine may be busy
            closure = b.closures()["x/m"]
            assert (closure.reason, closure.detail) == ("breaker", "5 of 6 failed")
            assert closure.until == pytest.approx(time.time() - 3600 + 30, abs=2)
            a.publish("x/m", Closure(time.time() + 10, "held"))  # ends sooner, and changes nothing
            a.publish("x/m", Closure(time.time() + 90, "held"))
            await until(lambda: b.closures()["x/m"].reason == "held")
            assert a.closures() == {}
            b.publish("x/m", None)
            assert b.closures() == {}
            a.publish("y/m", Closure(time.time() + 30, "credential"))
            await until(lambda: len(heard) == 3)
            assert [id_ for id_, _ in heard] == ["x/m", "x/m", "y/m"]
            a.publish("y/m", None)
            await until(lambda: heard[-1] == ("y/m", None))
            assert b.closures() == {}
            a.publish("z/m", Closure(time.time() - 1, "held"))
        async with opened(redis, prefix, "late") as late:  # what is over or has returned is no news to it
            assert late.closures() == {}

    run(test)


def test_nothing_stays_behind_and_a_large_limit_costs_no_more(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix) as store:
            claims = (Claim("big", 10_000_000, 0.5), Claim("p", 10_000_000, None))
            end = time.monotonic() + 1.2
            asked = 0
            while time.monotonic() < end:
                await asyncio.gather(*(store.take(claims, time.monotonic()) for _ in range(50)))  # type: ignore[arg-type]
                asked += 50
            assert asked > 1000
            store.publish("x/m", Closure(time.time() + 30, "breaker"))
            await taken(store, claims)
            with Redis(port=redis.port, decode_responses=True) as server:
                keys = _keys(redis, prefix)
                assert len(keys) == 8
                assert all(0 < server.pttl(key) <= 86_400_000 for key in keys)
                (order,) = [key for key in keys if key.endswith(":order") and ":w:" in key]
                assert 100 < server.llen(order) <= 1001

    run(test)


def _keys(redis: RedisServer, prefix: str) -> list[str]:
    with Redis(port=redis.port, decode_responses=True) as server:
        return list(server.scan_iter(f"{{{prefix}}}:*", count=1000))


def test_a_store_that_never_was_there(tmp_path: Path, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    nobody = RedisServer(tmp_path)

    async def test() -> None:
        async with opened(nobody, prefix) as store:
            assert not store.link.up
            grant = store.take(TEN, time.monotonic())
            assert isinstance(grant, Grant)  # at once: nothing to await
            assert grant.left == (9,)
            store.settle(grant, {})
            store.release(grant)
            status = store.status()
            assert status["state"] == "away"
            assert "Connect" in status["reason"] or "connect" in status["reason"]
            assert store.export()["up"] == 0
            assert store.export()["alone"] == 1

    run(test)
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert said.startswith("the state store is away: ")
    assert said.endswith("until it is back each process counts its equal share of every limit (state.when_away)")


@pytest.mark.parametrize("policy", ["admit", "reject"])
def test_the_other_policies(tmp_path: Path, prefix: str, policy: str) -> None:
    async def test() -> None:
        async with opened(RedisServer(tmp_path), prefix, when_away=policy) as store:
            one = (Claim("w", 1, 60.0),)
            answers = [store.take(one, time.monotonic()) for _ in range(3)]
            refusal = Refusal("w", AWAY_AGAIN)
            if policy == "reject":
                assert answers == [refusal] * 3
                assert store.peek(one, time.monotonic()) == refusal
            else:
                assert all(isinstance(answer, Grant) for answer in answers)
                assert store.peek(one, time.monotonic()) is None

    run(test)


def test_killed_and_back(own: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each process goes on with its share, counts what it was granted before, and tells what it has in flight."""

    async def test() -> None:
        async with opened(own, prefix) as a, opened(own, prefix, "b") as b:
            await until(lambda: len(a.peers) == len(b.peers) == 2)
            places = (Claim("p", 8, None),)
            held = [await taken(a, (*TEN, *places)) for _ in range(2)]
            own.kill()
            await until(lambda: not a.link.up and not b.link.up)
            answers = [a.take(TEN, time.monotonic()) for _ in range(5)]
            # Half of ten is its share, and two it had.
            assert [type(answer).__name__ for answer in answers] == ["SharedGrant"] * 3 + ["Refusal"] * 2
            # A request that needs more than the share may have it, if nothing else was granted.
            assert isinstance(b.take((Claim("t", 10, 60.0, 8),), time.monotonic()), Grant)
            held.append(a.take(places, time.monotonic()))  # type: ignore[arg-type]
            a.release(held[0])
            own.start()
            await until(lambda: a.link.up and b.link.up)
            await taken(a, (Claim("other", 1, 1.0),))  # its greeting has gone before
            assert (await taken(b, places)).left == (5,)
            for grant in held[1:]:
                a.release(grant)
            assert (await taken(a, places)).left == (6,)
            assert a.export()["aways"] == 1
            assert a.export()["away_seconds"] > 0

    run(test)
    assert sum("is back after" in record.getMessage() for record in caplog.records) == 2


def test_one_that_hangs_delays_only_those_who_are_asking(own: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(own, prefix, timeout=0.1) as store:
            await taken(store, TEN)
            own.pause()
            began = time.monotonic()
            waiting = [store.take((Claim("p", 50, None),), began) for _ in range(20)]
            grants = [await answer for answer in waiting]  # type: ignore[misc]
            assert time.monotonic() - began < 1
            assert all(isinstance(grant, Grant) for grant in grants)
            began = time.monotonic()
            for _ in range(100):
                assert isinstance(store.take((Claim("q", 200, 60.0),), began), Grant)
            assert time.monotonic() - began < 0.1
            assert "no answer within 100 ms" in store.reason
            for grant in grants[:15]:
                store.release(grant)
            own.resume()
            await until(lambda: store.link.up)
            # The script had run all the same when the server woke up; what the process says of itself is what counts.
            assert (await taken(store, (Claim("p", 50, None),))).left == (44,)

    run(test)


def test_a_slow_event_loop_is_not_a_slow_store(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix, timeout=0.05) as store:
            for _ in range(5):
                answer = store.take((Claim("w", 100, 60.0),), time.monotonic())
                asyncio.get_running_loop().call_soon(time.sleep, 0.12)
                await answer  # type: ignore[misc]
            assert store.export()["aways"] == 0

    run(test)


def test_the_password_is_asked_for_again_and_never_shown(
    tmp_path: Path, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with RedisServer(tmp_path) as server, Redis(port=server.port) as admin:
        admin.config_set("requirepass", "correct-horse")
        passwords = ["wrong-battery"]

        def url() -> str | None:
            return f"redis://:{passwords[-1]}@127.0.0.1:{server.port}/0" if passwords[-1] else None

        async def test() -> None:
            async with opened(server, prefix, url=url) as store:
                assert not store.link.up
                assert "password" in store.reason.lower()
                passwords.append("")
                await until(lambda: "not set" in store.reason)
                passwords.append("correct-horse")
                await until(lambda: store.link.up)
                assert isinstance(await take(store, TEN), Grant)

        run(test)
    assert "battery" not in caplog.text
    assert "horse" not in caplog.text


def test_an_address_that_cannot_be_read_is_not_shown(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix, url="redis://:pa#ss:word@h:6379x/0") as store:
            assert not store.link.up
            assert store.reason.startswith("its address cannot be read")

    run(test)


def test_valkey_may_be_called_so(redis: RedisServer, prefix: str) -> None:
    async def test() -> None:
        async with opened(redis, prefix, url=redis.url.replace("redis://", "valkey://")) as store:
            assert store.link.up

    run(test)


def test_tls(tmp_path: Path, prefix: str) -> None:
    cert, key = _certificate(tmp_path)
    server = RedisServer(tmp_path)
    tls = ("--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
    server = RedisServer(tmp_path, "--port", "0", "--tls-port", str(server.port), *tls, port=server.port)
    url = f"rediss://127.0.0.1:{server.port}/0"

    async def test() -> None:
        async with opened(server, prefix, url=url, ca_file=cert) as store:
            assert isinstance(await take(store, TEN), Grant)
        async with opened(server, prefix, url=url) as store:
            assert not store.link.up
            assert "certificate" in store.reason.lower()

    with server:
        run(test)


def _certificate(folder: Path) -> tuple[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return str(folder / "cert.pem"), str(folder / "key.pem")
