"""The shared store while its server is away, hangs, or does not let this process in."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
import time
from pathlib import Path

import pytest
from redis import Redis

from engine.state import Claim, Grant, Refusal
from engine.state.redis import AWAY_AGAIN

from ...redis_server import RedisServer, needs_redis
from .shared_stores import TEN, opened, run, take, taken, until

pytestmark = needs_redis


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
