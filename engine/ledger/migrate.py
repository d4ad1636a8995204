"""Bringing a database to the newest form of the tables."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

#: The newest step; a test compares it with the scripts.
HEAD = "0001"
SCRIPTS = Path(__file__).parent / "migrations"
#: The lock that PostgreSQL keeps other processes from migrating by; any number that nobody else uses will do.
_LOCK = 0x1D7E_410C


class NewerError(Exception):
    """The database was made by a newer version of the program."""


def migrate(connection: Connection) -> None:
    """Take every step that is missing, in the transaction of ``connection``; none where the database is up to date.

    Several processes may do so at once: the first does it, the others wait. Raises :class:`NewerError`.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if current(connection) == HEAD:
        return
    # Takes a quarter of a second to import, and is needed once in the life of a database.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as problem:
        raise NewerError(f"it was made by a newer version of Interlock ({problem})") from None


def current(connection: Connection) -> str | None:
    """The step that the database is at, ``None`` for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found
