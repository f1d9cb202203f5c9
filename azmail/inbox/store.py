"""Storing: one transaction for all that waits, a repetition changes nothing, and whoever was told 200 can rely on it."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import psycopg
from sqlalchemy import Column, Connection, insert, select
from sqlalchemy.exc import OperationalError

from azmail.events import MailEvent
from azmail.inbox.database import Database, InboxDatabaseError
from azmail.inbox.parcels import Parcel, mail_id
from azmail.inbox.queue import add_jobs
from azmail.inbox.tables import EVENTS
from azmail.inbox.writing_postgresql import PostgresqlWriting
from azmail.inbox.writing_sqlite import MOST_PARAMETERS, SqliteWriting

MOST_AT_ONCE = 200
MOST_OCTETS_AT_ONCE = 8 * 1024 * 1024


class Writing(Protocol):
    """How a database takes mails."""

    def write(self, parcels: Mapping[str, Parcel]) -> set[str]:
        """One transaction; the ids of those that were not there before. Raises InboxDatabaseError."""


class HoldsParcel(Protocol):
    """Whatever waits for its mail to be stored."""

    parcel: Parcel


Holder = TypeVar("Holder", bound=HoldsParcel)


@dataclass(slots=True)
class _Waiting:
    parcel: Parcel
    turn: threading.Event = field(default_factory=threading.Event)
    """Set when it is done, or when its thread is to write for all."""
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
        self._writing: Writing = (SqliteWriting if database.is_sqlite else PostgresqlWriting)(database, self.hooks)
        self._lock = threading.Lock()
        self._is_writing = False
        self._waiting: list[_Waiting] = []

    def store(self, parcel: Parcel) -> bool:
        """Committed when it returns; False where the mail was there before."""
        (told,) = self.store_all([parcel])
        if isinstance(told, InboxDatabaseError):
            raise told
        return told

    def store_all(self, parcels: Sequence[Parcel]) -> list[bool | InboxDatabaseError]:
        """Of each whether it is fresh, committed then, or why it could not be stored; it raises nothing of that."""
        mine = [_Waiting(one) for one in parcels]
        with self._lock:
            self._waiting.extend(mine)
            is_my_turn, self._is_writing = not self._is_writing, True
        for one in mine:
            if not is_my_turn:
                one.turn.wait()
            is_my_turn = False
            if not one.done:
                self._write_waiting()
        return [one.fresh if one.error is None else one.error for one in mine]

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
            if rows:
                connection.execute(insert(EVENTS), [{"id": key, "stored_at": now, **row} for key, row in rows.items()])
            add_jobs(connection, self.hooks, "event", [(key, row["agent"]) for key, row in rows.items()], now)
        return len(rows)

    def _write_waiting(self) -> None:
        """What waits, the caller's mail first, and then it is the turn of whoever came first meanwhile."""
        with self._lock:
            batch = next_batch(self._waiting)
        try:
            self._write(batch)
        except BaseException as error:
            # None of them may be taken for one that was there before.
            for one in batch:
                if not one.done:
                    one.error, one.done = InboxDatabaseError(error), True
            raise
        finally:
            with self._lock:
                following = self._waiting[:1]
                self._is_writing = bool(following)
            for one in (*batch, *following):
                one.turn.set()

    def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            fresh = self._writing.write({one.parcel.id: one.parcel for one in batch})
        except InboxDatabaseError as error:
            if len(batch) > 1 and not isinstance(error.__cause__, OperationalError | psycopg.OperationalError):
                for one in batch:  # what the database refuses of one mail must not stand in the others' way
                    self._write([one])
                return
            for one in batch:
                one.error, one.done = error, True
            return
        for one in batch:
            # Of the same mail twice in a batch, the first is the one that was stored.
            one.fresh = one.parcel.id in fresh
            fresh.discard(one.parcel.id)
            one.done = True


def next_batch(waiting: list[Holder]) -> list[Holder]:
    """What goes into one transaction, taken off the list: one at least, few where they are large."""
    taken: list[Holder] = []
    octets = 0
    while waiting and len(taken) < MOST_AT_ONCE:
        octets += waiting[0].parcel.octets
        if taken and octets > MOST_OCTETS_AT_ONCE:
            break
        taken.append(waiting.pop(0))
    return taken


def _missing(connection: Connection, column: Column[str], keys: Collection[str]) -> list[str]:
    listed = list(keys)
    there: set[str] = set()
    for begin in range(0, len(listed), MOST_PARAMETERS):
        part = listed[begin : begin + MOST_PARAMETERS]
        there.update(connection.execute(select(column).where(column.in_(part))).scalars())
    return [key for key in listed if key not in there]


def _fitting(text: str, most: int) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")[:most]
