"""Databases to keep a ledger in: a file, and a PostgreSQL of this machine's own, where there is one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: Where Debian keeps the server's programs, which are not on its PATH.
_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def program(name: str) -> str | None:
    """A program of PostgreSQL's server, from the PATH or where Debian keeps it."""
    return shutil.which(name) or next((str(folder / name) for folder in _DEBIAN if (folder / name).exists()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a server that lives as long as the tests; skips where PostgreSQL is not installed."""
    initdb, server = program("initdb"), program("postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    # The server refuses to run as root; Debian's package brings a user for it.
    as_user: dict[str, str] = {}
    if os.getuid() == 0:
        if subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode:
            pytest.skip("PostgreSQL will not run as root, and there is no user postgres")
        as_user = {"user": "postgres"}
    with tempfile.TemporaryDirectory(prefix="interlock-postgres-") as name:
        folder = Path(name)
        if as_user:
            shutil.chown(folder, "postgres")
        with running(initdb, server, folder, as_user) as url:
            yield url


@contextmanager
def running(initdb: str, server: str, folder: Path, as_user: dict[str, str]) -> Iterator[str]:
    """A server on a free port, with its data in ``folder``; no password is asked for."""
    data = folder / "data"
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    made = [initdb, "-D", str(data), "-A", "trust", "-U", "ledger", "--no-sync", "-E", "UTF8"]
    subprocess.run(made, check=True, capture_output=True, cwd=folder, env=environ, **as_user)  # type: ignore[call-overload]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["-c", "fsync=off", "-c", f"unix_socket_directories={folder}", "-c", "listen_addresses=127.0.0.1"]
    process = subprocess.Popen(  # type: ignore[call-overload]
        [server, "-D", str(data), "-p", str(port), *options],
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_user,
    )
    try:
        url = f"postgresql://ledger@127.0.0.1:{port}/postgres"
        _wait(url)
        yield url
    finally:
        process.send_signal(signal.SIGINT)  # without waiting for clients to leave
        process.wait(20)


def _wait(url: str) -> None:
    import psycopg

    deadline = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, once of each sort."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite'}"
        return
    url: str = request.getfixturevalue("postgres")
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    yield url
