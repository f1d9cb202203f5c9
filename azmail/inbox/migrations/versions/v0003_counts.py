"""How many mails each agent has, and how many of them are unread, kept by triggers: whatever writes, they are exact."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SQLITE = (
    """
CREATE TRIGGER inbox_counts_added AFTER INSERT ON inbox_mails BEGIN
  INSERT INTO inbox_counts (agent, mails, unread) VALUES (NEW.agent, 1, NOT NEW.seen)
  ON CONFLICT (agent) DO UPDATE SET mails = mails + 1, unread = unread + excluded.unread;
END
""",
    """
CREATE TRIGGER inbox_counts_marked AFTER UPDATE OF seen ON inbox_mails WHEN OLD.seen <> NEW.seen BEGIN
  UPDATE inbox_counts SET unread = unread + OLD.seen - NEW.seen WHERE agent = NEW.agent;
END
""",
    """
CREATE TRIGGER inbox_counts_gone AFTER DELETE ON inbox_mails BEGIN
  UPDATE inbox_counts SET mails = mails - 1, unread = unread - (NOT OLD.seen) WHERE agent = OLD.agent;
  DELETE FROM inbox_counts WHERE agent = OLD.agent AND mails = 0;
END
""",
)
# Once for a statement, however many mails it is about, and agents in one order: two that write never wait in a circle.
_POSTGRESQL_ADD = """
INSERT INTO inbox_counts AS kept (agent, mails, unread)
SELECT agent, count(*), count(*) FILTER (WHERE NOT seen) FROM added GROUP BY agent ORDER BY agent
ON CONFLICT (agent) DO UPDATE SET mails = kept.mails + excluded.mails, unread = kept.unread + excluded.unread;
"""
_POSTGRESQL_MARK = """
UPDATE inbox_counts SET unread = inbox_counts.unread + changed.more FROM (
  SELECT agent, sum(CASE WHEN seen THEN -1 ELSE 1 END) AS more
  FROM (SELECT id, agent, seen FROM added EXCEPT SELECT id, agent, seen FROM gone) AS other GROUP BY agent
) AS changed WHERE inbox_counts.agent = changed.agent;
"""
_POSTGRESQL_TAKE = """
UPDATE inbox_counts SET mails = inbox_counts.mails - less.mails, unread = inbox_counts.unread - less.unread FROM (
  SELECT agent, count(*) AS mails, count(*) FILTER (WHERE NOT seen) AS unread FROM gone GROUP BY agent
) AS less WHERE inbox_counts.agent = less.agent;
DELETE FROM inbox_counts WHERE mails = 0 AND agent IN (SELECT agent FROM gone);
"""
_POSTGRESQL = (
    ("added", "INSERT", "REFERENCING NEW TABLE AS added", _POSTGRESQL_ADD),
    ("marked", "UPDATE", "REFERENCING OLD TABLE AS gone NEW TABLE AS added", _POSTGRESQL_MARK),
    ("gone", "DELETE", "REFERENCING OLD TABLE AS gone", _POSTGRESQL_TAKE),
)


def upgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    op.create_table(
        "inbox_counts",
        sa.Column("agent", sa.String(255), primary_key=True),
        sa.Column("mails", sa.BigInteger, nullable=False),
        sa.Column("unread", sa.BigInteger, nullable=False),
    )
    if is_sqlite:
        for trigger in _SQLITE:
            op.execute(trigger)
    else:
        # Room beside each row: one that is counted up stays on its page.
        op.execute("ALTER TABLE inbox_counts SET (fillfactor = 50)")
        for name, event, tables, body in _POSTGRESQL:
            op.execute(
                f"CREATE FUNCTION inbox_counts_{name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {body} RETURN NULL; END $$"
            )
            # It waits for whoever writes, and nobody else writes until this is committed: none is missed below.
            op.execute(
                f"CREATE TRIGGER inbox_counts_{name} AFTER {event} ON inbox_mails {tables} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION inbox_counts_{name}()"
            )
    op.execute(
        "INSERT INTO inbox_counts (agent, mails, unread) "
        "SELECT agent, count(*), count(*) FILTER (WHERE NOT seen) FROM inbox_mails GROUP BY agent"
    )
