"""Which deliveries are done: the memory that makes a repeated webhook call harmless.

A delivery is claimed, worked on, then marked done; a failure releases the claim, so that Mailjet's next attempt is
worked on again. A claim is a lease: if its owner dies, the delivery is free again when the lease has run out. What a
crash between the work and the mark leaves is one repetition: at least once, never lost.
"""

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from os import PathLike, fspath
from threading import Lock
from typing import Protocol

from azmail.errors import WebhookConfigError

DEFAULT_RETENTION_SECONDS = 7 * 24 * 3600.0
"""Mailjet repeats for a day."""


class Claim(StrEnum):
    """The answer to a claim."""

    GRANTED = "granted"
    BUSY = "busy"
    DONE = "done"


class DeliveryStore(Protocol):
    """Where claims are kept. Calls block; they come from several threads, for SQLite from several processes too."""

    def claim(self, key: str, owner: str, lease_seconds: float) -> Claim:
        """Take the delivery if it is neither done nor somebody else's."""

    def renew(self, key: str, owner: str, lease_seconds: float) -> None:
        """Keep one's own claim for longer."""

    def done(self, key: str, owner: str) -> None:
        """Remember one's own claim as done."""

    def release(self, key: str, owner: str) -> None:
        """Give one's own claim back."""


@dataclass(slots=True)
class _Entry:
    owner: str
    done: bool
    until: float


class MemoryDeliveries:
    """For one process. Forgets done deliveries after `retention_seconds`, and the oldest beyond `most`."""

    def __init__(
        self,
        *,
        retention_seconds: float = DEFAULT_RETENTION_SECONDS,
        most: int = 100_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._retention_seconds = retention_seconds
        self._most = most
        self._clock = clock
        self._claimed: dict[str, _Entry] = {}
        self._finished: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = Lock()

    def claim(self, key: str, owner: str, lease_seconds: float) -> Claim:
        with self._lock:
            now = self._clock()
            self._forget(now)
            if key in self._finished:
                return Claim.DONE
            current = self._claimed.get(key)
            if current is not None and current.until > now and current.owner != owner:
                return Claim.BUSY
            self._claimed[key] = _Entry(owner, False, now + lease_seconds)
            return Claim.GRANTED

    def renew(self, key: str, owner: str, lease_seconds: float) -> None:
        with self._lock:
            current = self._claimed.get(key)
            if current is not None and current.owner == owner:
                current.until = self._clock() + lease_seconds

    def done(self, key: str, owner: str) -> None:
        with self._lock:
            self._claimed.pop(key, None)
            self._finished[key] = _Entry(owner, True, self._clock() + self._retention_seconds)

    def release(self, key: str, owner: str) -> None:
        with self._lock:
            current = self._claimed.get(key)
            if current is not None and current.owner == owner:
                del self._claimed[key]

    def _forget(self, now: float) -> None:
        while self._finished:
            key, oldest = next(iter(self._finished.items()))
            if oldest.until > now and len(self._finished) <= self._most:
                return
            del self._finished[key]


class SqliteDeliveries:
    """In a SQLite file, for several processes of one machine and across restarts."""

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        retention_seconds: float = DEFAULT_RETENTION_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._retention_seconds = retention_seconds
        self._clock = clock
        self._lock = Lock()
        try:
            self._database = _open(fspath(path))
        except sqlite3.Error as error:
            raise WebhookConfigError(
                f"cannot keep deliveries in {fspath(path)} ({error}): expected a SQLite file, or a folder to make it in"
            ) from error

    def claim(self, key: str, owner: str, lease_seconds: float) -> Claim:
        with self._lock:
            now = self._clock()
            self._execute("BEGIN IMMEDIATE")
            try:
                self._execute("DELETE FROM deliveries WHERE until <= ?", now)
                with closing(
                    self._database.execute("SELECT owner, done FROM deliveries WHERE key = ?", (key,))
                ) as rows:
                    found = rows.fetchone()
                if found is None:
                    self._execute("INSERT INTO deliveries VALUES (?, ?, 0, ?)", key, owner, now + lease_seconds)
            finally:
                self._execute("COMMIT")
        if found is None or (found[0] == owner and not found[1]):
            return Claim.GRANTED
        return Claim.DONE if found[1] else Claim.BUSY

    def renew(self, key: str, owner: str, lease_seconds: float) -> None:
        self._run(
            "UPDATE deliveries SET until = ? WHERE key = ? AND owner = ? AND done = 0",
            self._clock() + lease_seconds,
            key,
            owner,
        )

    def done(self, key: str, owner: str) -> None:
        # Also when the lease ran out meanwhile and somebody else claimed it: the work is done.
        self._run(
            "INSERT INTO deliveries VALUES (?, ?, 1, ?) "
            "ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, done = 1, until = excluded.until",
            key,
            owner,
            self._clock() + self._retention_seconds,
        )

    def release(self, key: str, owner: str) -> None:
        self._run("DELETE FROM deliveries WHERE key = ? AND owner = ? AND done = 0", key, owner)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _run(self, statement: str, *values: str | float) -> None:
        with self._lock:
            self._execute(statement, *values)

    def _execute(self, statement: str, *values: str | float) -> None:
        with closing(self._database.execute(statement, values)):
            pass


def _open(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
    try:
        with closing(database.execute("PRAGMA journal_mode=WAL")) as answer:
            answer.fetchone()
        for statement in (
            "CREATE TABLE IF NOT EXISTS deliveries "
            "(key TEXT PRIMARY KEY, owner TEXT NOT NULL, done INTEGER NOT NULL, until REAL NOT NULL) WITHOUT ROWID",
            "CREATE INDEX IF NOT EXISTS deliveries_until ON deliveries (until)",
        ):
            database.execute(statement).close()
    except sqlite3.Error:
        database.close()
        raise
    return database
