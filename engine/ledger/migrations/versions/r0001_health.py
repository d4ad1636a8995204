"""Checks of providers, changes by API, configurations that went live."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "provider_checks",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("target", sa.Text()),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("latency", sa.Float(53)),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_index("ix_provider_checks_at", "provider_checks", ["at"])
    op.create_index("ix_provider_checks_provider_at", "provider_checks", ["provider", "at"])
    op.create_table(
        "config_changes",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("key", sa.Text()),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("before", sa.String(64), nullable=False),
        sa.Column("after", sa.String(64), nullable=False),
        sa.Column("branch", sa.Text()),
        sa.Column("patch", sa.Text(), nullable=False),
    )
    op.create_index("ix_config_changes_at", "config_changes", ["at"])
    op.create_table(
        "revisions",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("git_commit", sa.String(64)),
    )
    op.create_index("ix_revisions_at", "revisions", ["at"])
