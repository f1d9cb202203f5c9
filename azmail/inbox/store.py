"""Storing: one transaction for all that waits, a repetition changes nothing, and whoever was told 200 can rely on it."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Executable, Insert, bindparam, delete, func, insert, select
from sqlalchemy.exc import OperationalError

from azmail.events import MailEvent
from azmail.inbox.database import Database, InboxDatabaseError
from azmail.inbox.parcels import PIECE_OCTETS, Parcel, mail_id, pieces
from azmail.inbox.tables import DELETED, EVENTS, FILES, JOBS, MAILS, PAYLOAD, PIECES, SEARCH, SQLITE_SEARCH, THREADS

MOST_AT_ONCE = 200
MOST_OCTETS_AT_ONCE = 32 * 1024 * 1024
MOST_PARAMETERS = 500


@dataclass(slots=True)
class _Waiting:
    parcel: Parcel
    done: bool = False
    fresh: bool = False
    error: InboxDatabaseError | None = None


class MailStore:
    """Safe to share between threads. Raises InboxDatabaseError from every call.

    Threads that store at the same time share a transaction, and so the wait for the disk: whoever comes while one is
    being written goes with the next.
    """

    def __init__(self, database: Database, *, hooks: Collection[str] = ()) -> None:
        """`hooks`: names of what is to be done with each mail and event; workers know what the names stand for."""
        self.database = database
        self.hooks = tuple(hooks)
        self._changed = threading.Condition()
        self._is_writing = False
        self._waiting: list[_Waiting] = []

    def store(self, parcel: Parcel) -> bool:
        """Committed when it returns; False where the mail was there before."""
        mine = _Waiting(parcel)
        with self._changed:
            self._waiting.append(mine)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: mine.done or not self._is_writing)
                if mine.done:
                    break
                self._is_writing = True
                batch = self._take()
            try:
                self._write(batch)
            finally:
                with self._changed:
                    self._is_writing = False
                    self._changed.notify_all()
        if mine.error is not None:
            raise mine.error
        return mine.fresh

    def store_events(self, events: Iterable[MailEvent]) -> int:
        """How many of them were not there before."""
        rows = {
            mail_id(event.agent_id or "", event.delivery_key): {
                "agent": _fitting(event.agent_id or "", 255),
                "kind": _fitting(event.kind, 64),
                "payload": json.dumps(event.payload),
            }
            for event in events
        }
        with self.database.writing() as connection:
            self.database.in_order(connection)
            rows = {key: rows[key] for key in _missing(connection, EVENTS.c.id, rows)}
            now = self.database.time(connection)
            for key, row in rows.items():
                connection.execute(insert(EVENTS).values(id=key, stored_at=now, **row))
            self._add_jobs(connection, "event", [(key, row["agent"]) for key, row in rows.items()], now)
        return len(rows)

    def _take(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        octets = 0
        while self._waiting and len(taken) < MOST_AT_ONCE:
            octets += self._waiting[0].parcel.octets
            if taken and octets > MOST_OCTETS_AT_ONCE:
                break
            taken.append(self._waiting.pop(0))
        return taken

    def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            fresh = self._write_all({one.parcel.id: one.parcel for one in batch})
        except InboxDatabaseError as error:
            if len(batch) > 1 and not isinstance(error.__cause__, OperationalError):
                for one in batch:  # what the database refuses of one mail must not stand in the others' way
                    self._write([one])
                return
            for one in batch:
                one.error, one.done = error, True
            return
        except BaseException as error:
            for one in batch:
                one.error, one.done = InboxDatabaseError(error), True
            raise
        for one in batch:
            # Of the same mail twice in a batch, the first is the one that was stored.
            one.fresh = one.parcel.id in fresh
            fresh.discard(one.parcel.id)
            one.done = True

    def _write_all(self, parcels: dict[str, Parcel]) -> set[str]:
        with self.database.writing() as connection:
            # A large mail that comes again is not to be carried to the database for nothing.
            large = [key for key, parcel in parcels.items() if parcel.octets > PIECE_OCTETS]
            known = {key for key in large if key not in self._new(connection, large)} if large else set()
            contents = [row for key in sorted(parcels.keys() - known) for row in _content(parcels[key])]
            _execute_all(connection, self.database.insert(PIECES).on_conflict_do_nothing(), contents)
            self.database.in_order(connection)
            # Nobody else stores from here on: what is new now stays so.
            new = self._new(connection, parcels)
            if gone := parcels.keys() - new - known:
                deleted = set(connection.execute(select(DELETED.c.id).where(DELETED.c.id.in_(gone))).scalars())
                connection.execute(delete(PIECES).where(PIECES.c.mail.in_(deleted)))
            if new:
                self._add(connection, [parcels[key] for key in parcels if key in new])
        return new

    def _new(self, connection: Connection, keys: Collection[str]) -> set[str]:
        there: set[str] = set()
        listed = list(keys)
        for begin in range(0, len(listed), MOST_PARAMETERS):
            part = listed[begin : begin + MOST_PARAMETERS]
            stored = select(MAILS.c.id).where(MAILS.c.id.in_(part))
            there.update(
                connection.execute(stored.union_all(select(DELETED.c.id).where(DELETED.c.id.in_(part)))).scalars()
            )
        return set(keys) - there

    def _add(self, connection: Connection, parcels: Sequence[Parcel]) -> None:
        threads = self._threads(connection, parcels)
        rows = [
            {
                "id": parcel.id,
                "agent": parcel.agent,
                "thread": threads[parcel.id],
                "direction": parcel.direction,
                "seen": parcel.direction == "out",
                "octets": parcel.octets,
                "summary": json.dumps(parcel.summary),
            }
            for parcel in parcels
        ]
        added = (
            insert(MAILS).values(stored_at=self.database.now).returning(MAILS.c.id, MAILS.c.position, MAILS.c.stored_at)
        )
        given = connection.execute(added, rows).all()
        positions = {row.id: row.position for row in given}
        files = [row for parcel in parcels for row in _file_rows(parcel)]
        _execute_all(connection, insert(FILES), files)
        words = [{"at": positions[parcel.id], "of": parcel.words} for parcel in parcels]
        _execute_all(connection, self._index(), words)
        came = [(one.id, one.agent) for one in parcels if one.direction == "in"]
        self._add_jobs(connection, "mail", came, given[0].stored_at)

    def _index(self) -> Insert:
        if self.database.is_sqlite:
            return insert(SQLITE_SEARCH).values(rowid=bindparam("at"), words=bindparam("of"))
        words = func.array_to_tsvector(func.string_to_array(bindparam("of"), " "))
        return insert(SEARCH).values(position=bindparam("at"), words=words)

    def _threads(self, connection: Connection, parcels: Sequence[Parcel]) -> dict[str, int]:
        """The thread of each mail; what it can be found by is remembered."""
        wanted = {
            (parcel.agent, one)
            for parcel in parcels
            for one in (
                *parcel.references,
                *parcel.mentions,
                *((parcel.own_reference,) if parcel.own_reference else ()),
            )
        }
        known: dict[tuple[str, str], tuple[int, bool]] = {}
        references = sorted({reference for _, reference in wanted})
        agents = sorted({agent for agent, _ in wanted})
        for begin in range(0, len(references), MOST_PARAMETERS):
            rows = connection.execute(
                select(THREADS.c.agent, THREADS.c.reference, THREADS.c.thread, THREADS.c.own).where(
                    THREADS.c.reference.in_(references[begin : begin + MOST_PARAMETERS]), THREADS.c.agent.in_(agents)
                )
            )
            known |= {(row[0], row[1]): (row[2], row[3]) for row in rows}
        before = dict(known)
        found: dict[str, int] = {}
        for parcel in parcels:
            mine = known.get((parcel.agent, parcel.own_reference or ""))
            places = [known[parcel.agent, one] for one in parcel.references if (parcel.agent, one) in known]
            if mine is not None and not mine[1]:
                places.insert(0, mine)  # somebody answered to it, and that came first
            thread = places[0][0] if places else int(parcel.id[:15], 16)
            for one in parcel.mentions:
                known.setdefault((parcel.agent, one), (thread, False))
            # Some senders give every mail the same id: that ties nothing together, and the first keeps it.
            if parcel.own_reference and (mine is None or not mine[1]):
                known[parcel.agent, parcel.own_reference] = (thread, True)
            found[parcel.id] = thread
        changed = [
            {"agent": agent, "reference": reference, "thread": thread, "own": own}
            for (agent, reference), (thread, own) in known.items()
            if before.get((agent, reference)) != (thread, own)
        ]
        written = self.database.insert(THREADS)
        update = {"own": written.excluded.own, "thread": written.excluded.thread}
        statement = written.on_conflict_do_update(index_elements=["agent", "reference"], set_=update)
        _execute_all(connection, statement, changed)
        return found

    def _add_jobs(self, connection: Connection, kind: str, subjects: Sequence[tuple[str, str]], now: int) -> None:
        rows = [
            {
                "hook": hook, "kind": kind, "subject": subject, "agent": agent, "attempts": 0, "due_at": now,
                "lease": None, "dead": False, "error": "",
            }
            for subject, agent in subjects
            for hook in self.hooks
        ]  # fmt: skip
        _execute_all(connection, insert(JOBS), rows)


def _execute_all(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _missing(connection: Connection, column: Column[str], keys: Collection[str]) -> list[str]:
    listed = list(keys)
    there: set[str] = set()
    for begin in range(0, len(listed), MOST_PARAMETERS):
        part = listed[begin : begin + MOST_PARAMETERS]
        there.update(connection.execute(select(column).where(column.in_(part))).scalars())
    return [key for key in listed if key not in there]


def _content(parcel: Parcel) -> Iterator[dict[str, object]]:
    """Sorted by mail when mails are: two transactions with the same ones then never wait for each other in a circle."""
    for part, content in enumerate((parcel.payload, *(file.content for file in parcel.files)), PAYLOAD):
        for number, piece in enumerate(pieces(content)):
            yield {"mail": parcel.id, "part": part, "number": number, "content": piece}


def _file_rows(parcel: Parcel) -> Iterator[dict[str, object]]:
    for part, file in enumerate(parcel.files, PAYLOAD + 1):
        yield {
            "mail": parcel.id, "part": part, "filename": file.filename, "content_type": file.content_type,
            "octets": len(file.content), "content_id": file.content_id, "inline": file.inline,
        }  # fmt: skip


def _fitting(text: str, most: int) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")[:most]
