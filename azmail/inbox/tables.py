"""What stands in the inbox's database; the migrations make it, and a test holds the two against each other.

One row of `inbox_mails` is one mail of one agent. Its content stands beside it in pieces of bounded size: reading a
range of a file, or writing a mail of 15 MB, never holds more than a piece for the database.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    column,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

ID_CHARACTERS = 32
PAYLOAD = 0
"""The part of `inbox_pieces` that is what Mailjet posted, without the files; files are 1, 2, …"""

Position = BigInteger().with_variant(Integer, "sqlite")
METADATA = MetaData()
UNREAD = text("NOT seen")
"""Of `inbox_mails`, in the words of its index: SQLite uses that for no other ones."""

MAILS = Table(
    "inbox_mails",
    METADATA,
    # Given in the order of commits, never twice: cursors are positions.
    Column("position", Position, primary_key=True, autoincrement=True),
    Column("id", String(ID_CHARACTERS), nullable=False, unique=True),
    Column("agent", String(255), nullable=False),
    Column("thread", BigInteger, nullable=False),
    Column("direction", String(3), nullable=False),
    Column("seen", Boolean, nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("stored_at", BigInteger, nullable=False),
    Column("summary", Text, nullable=False),
    Index("inbox_mails_of_agent", "agent", "position"),
    Index("inbox_mails_of_thread", "agent", "thread", "position"),
    Index("inbox_mails_stored_at", "stored_at", postgresql_using="brin"),
    Index("inbox_mails_unread", "agent", "position", sqlite_where=UNREAD, postgresql_where=UNREAD),
    sqlite_autoincrement=True,
)
COUNTS = Table(
    # Of `inbox_mails`, kept by triggers (step 0003): a mailbox of a million mails takes a second to count.
    "inbox_counts",
    METADATA,
    Column("agent", String(255), primary_key=True),
    Column("mails", BigInteger, nullable=False),
    Column("unread", BigInteger, nullable=False),
)
CONVERSATIONS = Table(
    # The same for each thread (step 0004): a list of threads does not walk through a long one.
    "inbox_conversations",
    METADATA,
    Column("agent", String(255), nullable=False),
    Column("thread", BigInteger, nullable=False),
    # The position of its newest mail.
    Column("newest", BigInteger, nullable=False),
    Column("mails", BigInteger, nullable=False),
    Column("unread", BigInteger, nullable=False),
    PrimaryKeyConstraint("agent", "thread"),
    Index("inbox_conversations_of_agent", "agent", "newest"),
    Index("inbox_conversations_newest", "newest"),
)
PIECES = Table(
    "inbox_pieces",
    METADATA,
    Column("mail", String(ID_CHARACTERS), nullable=False),
    Column("part", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("mail", "part", "number"),
)
FILES = Table(
    "inbox_files",
    METADATA,
    Column("mail", String(ID_CHARACTERS), nullable=False),
    Column("part", Integer, nullable=False),
    Column("filename", Text, nullable=False),
    Column("content_type", String(255), nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("content_id", Text),
    Column("inline", Boolean, nullable=False),
    PrimaryKeyConstraint("mail", "part"),
)
THREADS = Table(
    "inbox_threads",
    METADATA,
    Column("agent", String(255), nullable=False),
    # A digest: ids and subjects are as long as their sender likes.
    Column("reference", String(ID_CHARACTERS), nullable=False),
    Column("thread", BigInteger, nullable=False),
    # Whether a mail with this id is there; else it was only mentioned.
    Column("own", Boolean, nullable=False),
    PrimaryKeyConstraint("agent", "reference"),
    Index("inbox_threads_of_thread", "agent", "thread"),
)
LABELS = Table(
    "inbox_labels",
    METADATA,
    Column("mail", String(ID_CHARACTERS), nullable=False),
    Column("label", String(64), nullable=False),
    Column("agent", String(255), nullable=False),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("mail", "label"),
    Index("inbox_labels_of_agent", "agent", "label", "position"),
)
EVENTS = Table(
    "inbox_events",
    METADATA,
    Column("position", Position, primary_key=True, autoincrement=True),
    Column("id", String(ID_CHARACTERS), nullable=False, unique=True),
    # "" where the mail that it is about named no agent.
    Column("agent", String(255), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("stored_at", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    Index("inbox_events_of_agent", "agent", "position"),
    Index("inbox_events_stored_at", "stored_at", postgresql_using="brin"),
    sqlite_autoincrement=True,
)
JOBS = Table(
    "inbox_jobs",
    METADATA,
    Column("position", Position, primary_key=True, autoincrement=True),
    Column("hook", String(64), nullable=False),
    Column("kind", String(5), nullable=False),
    Column("subject", String(ID_CHARACTERS), nullable=False),
    Column("agent", String(255), nullable=False),
    Column("attempts", Integer, nullable=False),
    # Milliseconds by the database's clock: when it may be taken (again), or its worker's lease ends.
    Column("due_at", BigInteger, nullable=False),
    Column("lease", String(32)),
    Column("dead", Boolean, nullable=False),
    Column("error", Text, nullable=False),
    Index("inbox_jobs_due", "dead", "due_at"),
    Index("inbox_jobs_in_order", "hook", "agent", "position"),
    Index("inbox_jobs_about", "subject"),
    sqlite_autoincrement=True,
)
DELETED = Table(
    "inbox_deleted",
    METADATA,
    # What Mailjet may bring again for a day though it was deleted here.
    Column("id", String(ID_CHARACTERS), primary_key=True),
    Column("agent", String(255), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("inbox_deleted_at", "at"),
    Index("inbox_deleted_of_agent", "agent"),
)
KEYS = Table(
    "inbox_keys",
    METADATA,
    # Replicas share what cursors are sealed with.
    Column("name", String(32), primary_key=True),
    Column("octets", LargeBinary, nullable=False),
)
SEARCH = Table(
    # PostgreSQL: this table. SQLite: an FTS5 table of the same name, which the migration makes.
    "inbox_search",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("words", TSVECTOR().with_variant(Text(), "sqlite"), nullable=False),
    Index("inbox_search_words", "words", postgresql_using="gin").ddl_if(dialect="postgresql"),
)
SQLITE_SEARCH = table("inbox_search", column("rowid"), column("words"))
