"""Storing mails in SQLite: the file has one writer, so what is new when the transaction begins stays so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, insert, select

from azmail.inbox.conversations import Known, Place, asked, placed
from azmail.inbox.database import Database
from azmail.inbox.parcels import Parcel, contents
from azmail.inbox.queue import add_jobs
from azmail.inbox.tables import DELETED, FILES, MAILS, PIECES, SQLITE_SEARCH, THREADS

MOST_PARAMETERS = 500


class SqliteWriting:
    """Raises InboxDatabaseError."""

    def __init__(self, database: Database, hooks: Sequence[str]) -> None:
        self._database = database
        self._hooks = hooks

    def write(self, parcels: Mapping[str, Parcel]) -> set[str]:
        """One transaction; the ids of those that were not there before."""
        with self._database.writing() as connection:
            there = {
                key
                for part in _parts(list(parcels))
                for key in connection.execute(
                    select(MAILS.c.id)
                    .where(MAILS.c.id.in_(part))
                    .union_all(select(DELETED.c.id).where(DELETED.c.id.in_(part)))
                ).scalars()
            }
            new = [parcel for key, parcel in parcels.items() if key not in there]
            if new:
                self._add(connection, new)
        return {parcel.id for parcel in new}

    def _add(self, connection: Connection, parcels: Sequence[Parcel]) -> None:
        threads = self._threads(connection, parcels)
        for parcel in parcels:
            connection.execute(insert(PIECES), [_piece_row(parcel.id, *piece) for piece in contents(parcel)])
        mails = [_mail_row(parcel, threads[parcel.id]) for parcel in parcels]
        added = (
            insert(MAILS)
            .values(stored_at=self._database.now)
            .returning(MAILS.c.id, MAILS.c.position, MAILS.c.stored_at)
        )
        given = connection.execute(added, mails).all()
        positions = {row.id: row.position for row in given}
        _execute_all(connection, insert(FILES), [row for parcel in parcels for row in _file_rows(parcel)])
        words = [{"at": positions[parcel.id], "of": parcel.words} for parcel in parcels]
        _execute_all(connection, insert(SQLITE_SEARCH).values(rowid=bindparam("at"), words=bindparam("of")), words)
        came = [(one.id, one.agent) for one in parcels if one.direction == "in"]
        add_jobs(connection, self._hooks, "mail", came, given[0].stored_at)

    def _threads(self, connection: Connection, parcels: Sequence[Parcel]) -> dict[str, int]:
        wanted = asked(parcels)
        agents = sorted({agent for agent, _ in wanted})
        known: dict[Place, Known] = {}
        for part in _parts(sorted({reference for _, reference in wanted})):
            rows = connection.execute(
                select(THREADS.c.agent, THREADS.c.reference, THREADS.c.thread, THREADS.c.own).where(
                    THREADS.c.reference.in_(part), THREADS.c.agent.in_(agents)
                )
            )
            known |= {(row[0], row[1]): Known(row[2], bool(row[3])) for row in rows}
        threads, changed = placed(parcels, known)
        written = self._database.insert(THREADS)
        update = {"own": written.excluded.own, "thread": written.excluded.thread}
        statement = written.on_conflict_do_update(index_elements=["agent", "reference"], set_=update)
        remembered = [
            {"agent": agent, "reference": reference, "thread": one.thread, "own": one.own}
            for (agent, reference), one in changed.items()
        ]
        _execute_all(connection, statement, remembered)
        return threads


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(keys), MOST_PARAMETERS):
        yield keys[begin : begin + MOST_PARAMETERS]


def _execute_all(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _mail_row(parcel: Parcel, thread: int) -> dict[str, object]:
    return {
        "id": parcel.id,
        "agent": parcel.agent,
        "thread": thread,
        "direction": parcel.direction,
        "seen": parcel.direction == "out",
        "octets": parcel.octets,
        "summary": json.dumps(parcel.summary),
    }


def _piece_row(mail: str, part: int, number: int, content: memoryview) -> dict[str, object]:
    return {"mail": mail, "part": part, "number": number, "content": content}


def _file_rows(parcel: Parcel) -> Iterator[dict[str, object]]:
    for part, file in enumerate(parcel.files, 1):
        yield {
            "mail": parcel.id, "part": part, "filename": file.filename, "content_type": file.content_type,
            "octets": len(file.content), "content_id": file.content_id, "inline": file.inline,
        }  # fmt: skip
