"""Mails with their content, threads, search index and labels; hooks and events."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0001"
down_revision = None

_POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _mails()
    _hooks()


def _mails() -> None:
    op.create_table(
        "inbox_mails",
        sa.Column("position", _POSITION, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("agent", sa.String(255), nullable=False),
        sa.Column("thread", sa.BigInteger, nullable=False),
        sa.Column("direction", sa.String(3), nullable=False),
        sa.Column("seen", sa.Boolean, nullable=False),
        sa.Column("octets", sa.BigInteger, nullable=False),
        sa.Column("stored_at", sa.BigInteger, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("inbox_mails_of_agent", "inbox_mails", ["agent", "position"])
    op.create_index("inbox_mails_of_thread", "inbox_mails", ["agent", "thread", "position"])
    op.create_index("inbox_mails_stored_at", "inbox_mails", ["stored_at"])
    unread = sa.text("NOT seen")
    op.create_index(
        "inbox_mails_unread", "inbox_mails", ["agent", "position"], sqlite_where=unread, postgresql_where=unread
    )
    op.create_table(
        "inbox_pieces",
        sa.Column("mail", sa.String(32), nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("mail", "part", "number"),
    )
    op.create_table(
        "inbox_files",
        sa.Column("mail", sa.String(32), nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("content_type", sa.String(255), nullable=False),
        sa.Column("octets", sa.BigInteger, nullable=False),
        sa.Column("content_id", sa.Text),
        sa.Column("inline", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("mail", "part"),
    )
    op.create_table(
        "inbox_threads",
        sa.Column("agent", sa.String(255), nullable=False),
        sa.Column("reference", sa.String(32), nullable=False),
        sa.Column("thread", sa.BigInteger, nullable=False),
        sa.Column("own", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("agent", "reference"),
    )
    op.create_index("inbox_threads_of_thread", "inbox_threads", ["agent", "thread"])
    op.create_table(
        "inbox_deleted",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("agent", sa.String(255), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("inbox_deleted_at", "inbox_deleted", ["at"])
    op.create_index("inbox_deleted_of_agent", "inbox_deleted", ["agent"])
    keys = op.create_table(
        "inbox_keys",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(keys, [{"name": "cursors", "octets": secrets.token_bytes(32)}])
    if op.get_context().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE inbox_search USING fts5(words, tokenize='unicode61 remove_diacritics 0')")
    else:
        op.create_table(
            "inbox_search",
            sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("words", TSVECTOR, nullable=False),
        )
        op.create_index("inbox_search_words", "inbox_search", ["words"], postgresql_using="gin")
        # Files are compressed already for the most part: trying again takes the time of a delivery.
        op.execute("ALTER TABLE inbox_pieces ALTER COLUMN content SET STORAGE EXTERNAL")


def _hooks() -> None:
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
