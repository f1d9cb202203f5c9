"""Each agent's threads with their newest mail and how many they have, kept by triggers as the counts are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_SQLITE = (
    """
CREATE TRIGGER inbox_conversations_added AFTER INSERT ON inbox_mails BEGIN
  INSERT INTO inbox_conversations (agent, thread, newest, mails, unread)
  VALUES (NEW.agent, NEW.thread, NEW.position, 1, NOT NEW.seen)
  ON CONFLICT (agent, thread) DO UPDATE
  SET newest = max(newest, excluded.newest), mails = mails + 1, unread = unread + excluded.unread;
END
""",
    """
CREATE TRIGGER inbox_conversations_marked AFTER UPDATE OF seen ON inbox_mails WHEN OLD.seen <> NEW.seen BEGIN
  UPDATE inbox_conversations SET unread = unread + OLD.seen - NEW.seen WHERE agent = NEW.agent AND thread = NEW.thread;
END
""",
    """
CREATE TRIGGER inbox_conversations_gone AFTER DELETE ON inbox_mails BEGIN
  DELETE FROM inbox_conversations WHERE agent = OLD.agent AND thread = OLD.thread AND mails = 1;
  UPDATE inbox_conversations SET mails = mails - 1, unread = unread - (NOT OLD.seen),
    newest = (SELECT max(position) FROM inbox_mails WHERE agent = OLD.agent AND thread = OLD.thread)
  WHERE agent = OLD.agent AND thread = OLD.thread;
END
""",
)
_POSTGRESQL_ADD = """
INSERT INTO inbox_conversations AS kept (agent, thread, newest, mails, unread)
SELECT agent, thread, max(position), count(*), count(*) FILTER (WHERE NOT seen)
FROM added GROUP BY agent, thread ORDER BY agent, thread
ON CONFLICT (agent, thread) DO UPDATE SET newest = greatest(kept.newest, excluded.newest),
  mails = kept.mails + excluded.mails, unread = kept.unread + excluded.unread;
"""
_POSTGRESQL_MARK = """
UPDATE inbox_conversations AS kept SET unread = kept.unread + changed.more FROM (
  SELECT agent, thread, sum(CASE WHEN seen THEN -1 ELSE 1 END) AS more
  FROM (SELECT id, agent, thread, seen FROM added EXCEPT SELECT id, agent, thread, seen FROM gone) AS other
  GROUP BY agent, thread
) AS changed WHERE kept.agent = changed.agent AND kept.thread = changed.thread;
"""
_POSTGRESQL_TAKE = """
DELETE FROM inbox_conversations AS kept USING (SELECT agent, thread, count(*) AS mails FROM gone GROUP BY agent, thread) AS less
WHERE kept.agent = less.agent AND kept.thread = less.thread AND kept.mails <= less.mails;
UPDATE inbox_conversations AS kept SET mails = kept.mails - less.mails, unread = kept.unread - less.unread, newest = (
  SELECT max(position) FROM inbox_mails AS left_over WHERE left_over.agent = kept.agent AND left_over.thread = kept.thread
) FROM (
  SELECT agent, thread, count(*) AS mails, count(*) FILTER (WHERE NOT seen) AS unread FROM gone GROUP BY agent, thread
) AS less WHERE kept.agent = less.agent AND kept.thread = less.thread;
"""
_POSTGRESQL = (
    ("added", "INSERT", "REFERENCING NEW TABLE AS added", _POSTGRESQL_ADD),
    ("marked", "UPDATE", "REFERENCING OLD TABLE AS gone NEW TABLE AS added", _POSTGRESQL_MARK),
    ("gone", "DELETE", "REFERENCING OLD TABLE AS gone", _POSTGRESQL_TAKE),
)


def upgrade() -> None:
    op.create_table(
        "inbox_conversations",
        sa.Column("agent", sa.String(255), nullable=False),
        sa.Column("thread", sa.BigInteger, nullable=False),
        sa.Column("newest", sa.BigInteger, nullable=False),
        sa.Column("mails", sa.BigInteger, nullable=False),
        sa.Column("unread", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("agent", "thread"),
    )
    op.create_index("inbox_conversations_of_agent", "inbox_conversations", ["agent", "newest"])
    op.create_index("inbox_conversations_newest", "inbox_conversations", ["newest"])
    if op.get_context().dialect.name == "sqlite":
        for trigger in _SQLITE:
            op.execute(trigger)
    else:
        for name, event, tables, body in _POSTGRESQL:
            op.execute(
                f"CREATE FUNCTION inbox_conversations_{name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {body} RETURN NULL; END $$"
            )
            # It waits for whoever writes, and nobody else writes until this is committed: none is missed below.
            # By its name it comes behind the trigger of the counts: all who write go the same way.
            op.execute(
                f"CREATE TRIGGER inbox_counts_then_conversations_{name} AFTER {event} ON inbox_mails {tables} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION inbox_conversations_{name}()"
            )
    op.execute(
        "INSERT INTO inbox_conversations (agent, thread, newest, mails, unread) "
        "SELECT agent, thread, max(position), count(*), count(*) FILTER (WHERE NOT seen) FROM inbox_mails GROUP BY agent, thread"
    )
