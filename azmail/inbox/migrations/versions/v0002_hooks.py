"""Hooks with retries, events of sent mail, and labels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "inbox_labels",
        sa.Column("mail", sa.String(32), nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(255), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("mail", "label"),
    )
    op.create_index("inbox_labels_of_agent", "inbox_labels", ["agent", "label", "position"])
    op.create_table(
        "inbox_events",
        sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("agent", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("stored_at", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("inbox_events_of_agent", "inbox_events", ["agent", "position"])
    op.create_index("inbox_events_stored_at", "inbox_events", ["stored_at"])
    op.create_table(
        "inbox_jobs",
        sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
        sa.Column("hook", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(5), nullable=False),
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("agent", sa.String(255), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.Column("dead", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("inbox_jobs_due", "inbox_jobs", ["dead", "due_at"])
    op.create_index("inbox_jobs_in_order", "inbox_jobs", ["hook", "agent", "position"])
    op.create_index("inbox_jobs_about", "inbox_jobs", ["subject"])
