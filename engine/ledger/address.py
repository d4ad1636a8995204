"""Addresses of databases: the default one, the form that SQLAlchemy wants, and the form that may be shown."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from engine.places import state_folder

_SQLITE, _POSTGRES, _DRIVER = "sqlite:///", "postgresql", "postgresql+psycopg"


def default_url(config: Path) -> str:
    """The file for a configuration that names no database: one for each configuration folder of this machine.

    Its name has the folder's, and a digest of the whole path, so that two configurations never share one.
    """
    whole = str(config.resolve())
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(whole).name) or "root"
    digest = blake2b(whole.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
    return f"{_SQLITE}{state_folder() / 'ledger' / f'{name}-{digest}.sqlite'}"


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite address, ``None`` for other databases."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def for_driver(url: str) -> str:
    """The address as SQLAlchemy wants it. Raises ``ValueError`` for a database that the ledger cannot be kept in."""
    scheme, _, rest = url.partition("://")
    if scheme in (_POSTGRES, "postgres", _DRIVER):
        return f"{_DRIVER}://{rest}"
    path = sqlite_path(url)
    if path is None or not path.name or ":memory:" in url:
        raise ValueError("a ledger is kept in sqlite:///FILE or postgresql://HOST/DATABASE")
    return url


def shown(url: str) -> str:
    """The address for logs: without user, password and options."""
    path = sqlite_path(url)
    if path is not None:
        return str(path)
    parts = urlsplit(url)
    at = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{at}{parts.path}"
