"""On PostgreSQL the times of storing, which grow with the table, are indexed by ranges of pages."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        return  # it has one kind of index
    for table in ("inbox_mails", "inbox_events"):
        op.drop_index(f"{table}_stored_at", table)
        op.create_index(f"{table}_stored_at", table, ["stored_at"], postgresql_using="brin")
