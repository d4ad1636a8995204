"""The tables of the ledger, as the newest migration leaves them; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, MetaData, String, Table, Text

METADATA = MetaData()

#: Unix seconds: the same number in every database and time zone.
_AT = ("at", Float(53))

PROVIDER_CHECKS = Table(
    "provider_checks",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column(*_AT, nullable=False),
    Column("provider", String(64), nullable=False),
    Column("target", Text),
    Column("kind", String(16), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("latency", Float(53)),
    Column("detail", Text, nullable=False),
    Index("ix_provider_checks_at", "at"),
    Index("ix_provider_checks_provider_at", "provider", "at"),
)

CONFIG_CHANGES = Table(
    "config_changes",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column(*_AT, nullable=False),
    Column("key", Text),
    Column("provider", String(64), nullable=False),
    Column("files", JSON, nullable=False),
    Column("before", String(64), nullable=False),
    Column("after", String(64), nullable=False),
    Column("branch", Text),
    Column("patch", Text, nullable=False),
    Index("ix_config_changes_at", "at"),
)

REVISIONS = Table(
    "revisions",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column(*_AT, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("git_commit", String(64)),
    Index("ix_revisions_at", "at"),
)

#: Tables of which old rows are removed; who changed what, and what ran when, is kept.
PRUNED = (PROVIDER_CHECKS,)
