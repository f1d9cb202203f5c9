"""Runs the steps on the connection that `azmail.inbox.database` hands over, within its transaction."""

from __future__ import annotations

from alembic import context

from azmail.inbox.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="inbox_version",
)
context.run_migrations()
