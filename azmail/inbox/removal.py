"""Taking mail out: one mail, what is older than it may be, or all that there is of an agent."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, select

from azmail.inbox.database import Database
from azmail.inbox.tables import DELETED, EVENTS, FILES, JOBS, LABELS, MAILS, PIECES, SEARCH, SQLITE_SEARCH, THREADS

DAY_MILLISECONDS = 86_400_000
REPEATED_DAYS = 8
"""Mailjet repeats for a day; for so long a mail that was deleted is known, so that it doesn't come back."""
MOST_REMOVED_AT_ONCE = 500
"""Mails of one transaction: others want to write meanwhile."""


def delete_mail(database: Database, agent: str | None, mail: str) -> bool:
    """False where the agent has no such mail. Hooks that have not had it yet do not get it any more."""
    with database.writing() as connection:
        database.in_order(connection)
        mine = (MAILS.c.id == mail, *(() if agent is None else (MAILS.c.agent == agent,)))
        return _remove(database, connection, mine, most=1, remember=True) > 0


def expire(database: Database, days: int) -> int:
    """Remove mails and events that were stored more than so many days ago; how many."""
    removed = 0
    while True:
        with database.writing() as connection:
            database.in_order(connection)
            before = database.time(connection) - days * DAY_MILLISECONDS
            old = (MAILS.c.stored_at < before,)
            found = _remove(database, connection, old, most=MOST_REMOVED_AT_ONCE, remember=days < REPEATED_DAYS)
            events = select(EVENTS.c.position).where(EVENTS.c.stored_at < before).limit(MOST_REMOVED_AT_ONCE)
            found += _remove_events(connection, events.scalar_subquery())
        removed += found
        if not found:
            return removed


def erase(database: Database, agent: str) -> int:
    """Remove everything of an agent, and every trace of it; how many mails and events."""
    removed = 0
    while True:
        with database.writing() as connection:
            database.in_order(connection)
            found = _remove(database, connection, (MAILS.c.agent == agent,), most=MOST_REMOVED_AT_ONCE, remember=False)
            if not found:
                events = select(EVENTS.c.position).where(EVENTS.c.agent == agent)
                found_events = _remove_events(connection, events.scalar_subquery())
                for table in (THREADS, DELETED, JOBS, LABELS):
                    connection.execute(delete(table).where(table.c.agent == agent))
                return removed + found_events
        removed += found


def sweep(database: Database) -> None:
    """Forget what Mailjet will not bring again."""
    with database.writing() as connection:
        past = database.time(connection) - REPEATED_DAYS * DAY_MILLISECONDS
        connection.execute(delete(DELETED).where(DELETED.c.at < past))


def _remove(
    database: Database, connection: Connection, which: Sequence[ColumnElement[bool]], *, most: int, remember: bool
) -> int:
    found = connection.execute(
        select(MAILS.c.id, MAILS.c.position, MAILS.c.agent, MAILS.c.thread)
        .where(*which)
        .order_by(MAILS.c.position)
        .limit(most)
    ).all()
    if not found:
        return 0
    keys = [row.id for row in found]
    positions = [row.position for row in found]
    connection.execute(delete(MAILS).where(MAILS.c.position.in_(positions)))
    for column in (PIECES.c.mail, FILES.c.mail, LABELS.c.mail, JOBS.c.subject):
        connection.execute(delete(column.table).where(column.in_(keys)))
    if database.is_sqlite:
        connection.execute(delete(SQLITE_SEARCH).where(SQLITE_SEARCH.c.rowid.in_(positions)))
    else:
        connection.execute(delete(SEARCH).where(SEARCH.c.position.in_(positions)))
    connection.execute(
        delete(THREADS).where(
            THREADS.c.agent.in_({row.agent for row in found}),
            THREADS.c.thread.in_({row.thread for row in found}),
            ~exists().where(MAILS.c.agent == THREADS.c.agent, MAILS.c.thread == THREADS.c.thread),
        )
    )
    if remember:
        now = database.time(connection)
        connection.execute(insert(DELETED), [{"id": row.id, "agent": row.agent, "at": now} for row in found])
    return len(found)


def _remove_events(connection: Connection, positions: ColumnElement[int]) -> int:
    keys = (
        connection.execute(delete(EVENTS).where(EVENTS.c.position.in_(positions)).returning(EVENTS.c.id))
        .scalars()
        .all()
    )
    for begin in range(0, len(keys), MOST_REMOVED_AT_ONCE):
        connection.execute(delete(JOBS).where(JOBS.c.subject.in_(keys[begin : begin + MOST_REMOVED_AT_ONCE])))
    return len(keys)
