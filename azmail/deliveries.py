"""Which deliveries are done: the memory that makes a repeated webhook call harmless.

A delivery is claimed, worked on, then marked done; a failure releases the claim, so that Mailjet's next attempt is
worked on again. A claim is a lease: if its owner dies, the delivery is free again when the lease has run out. What a
crash between the work and the mark leaves is one repetition: at least once, never lost.

No lease depends on the time of day, which people and time servers set: a process counts with a monotonic clock, and
processes that share a file agree on the clock that stands in it.
"""

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from os import PathLike, fspath
from threading import Lock
from typing import Protocol

from azmail.answers import TooMany
from azmail.errors import StoreError, WebhookConfigError

DEFAULT_RETENTION_SECONDS = 7 * 24 * 3600.0
"""Mailjet repeats for a day."""
LONGEST_LEASE_SECONDS = 600.0
"""What a claim may still have that an older version of this package wrote, by the time of day."""


class ClaimResult(StrEnum):
    """The answer to a claim."""

    GRANTED = "granted"
    BUSY = "busy"
    DONE = "done"


class DeliveryStore(Protocol):
    """Where claims are kept. Calls block; they come from several threads, for SQLite from several processes too."""

    def claim(self, key: str, owner: str, lease_seconds: float) -> ClaimResult:
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._retention_seconds = retention_seconds
        self._most = most
        self._clock = clock
        self._claimed: dict[str, _Entry] = {}
        self._finished: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = Lock()

    def claim(self, key: str, owner: str, lease_seconds: float) -> ClaimResult:
        with self._lock:
            now = self._clock()
            self._forget(now)
            if key in self._finished:
                return ClaimResult.DONE
            current = self._claimed.get(key)
            if current is not None and current.until > now and current.owner != owner:
                return ClaimResult.BUSY
            self._claimed[key] = _Entry(owner, False, now + lease_seconds)
            return ClaimResult.GRANTED

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
    """In a SQLite file, for several processes of one machine and across restarts.

    The file has a clock of its own, which every call moves on by what has passed in its process since the last one: it
    stands still while nobody runs, and nothing sets it back or forth.

    It counts answers too: `ReplyBound(store=...)`.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        retention_seconds: float = DEFAULT_RETENTION_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], float] = time.time,
    ) -> None:
        self._time_of_day = time_of_day
        self._path = fspath(path)
        self._retention_seconds = retention_seconds
        self._clock = clock
        self._lock = Lock()
        self._last: tuple[float, float] | None = None
        try:
            self._database = _open(self._path, retention_seconds)
        except sqlite3.Error as error:
            raise WebhookConfigError(
                f"cannot keep deliveries in {self._path} ({error}): expected a SQLite file, or a folder to make it in"
            ) from error

    def claim(self, key: str, owner: str, lease_seconds: float) -> ClaimResult:
        with self._transaction() as now:
            self._execute("DELETE FROM deliveries WHERE until <= ?", now)
            with closing(self._database.execute("SELECT owner, done FROM deliveries WHERE key = ?", (key,))) as rows:
                found = rows.fetchone()
            if found is None:
                self._execute("INSERT INTO deliveries VALUES (?, ?, 0, ?)", key, owner, now + lease_seconds)
        if found is None or (found[0] == owner and not found[1]):
            return ClaimResult.GRANTED
        return ClaimResult.DONE if found[1] else ClaimResult.BUSY

    def renew(self, key: str, owner: str, lease_seconds: float) -> None:
        with self._transaction() as now:
            self._execute(
                "UPDATE deliveries SET until = ? WHERE key = ? AND owner = ? AND done = 0",
                now + lease_seconds,
                key,
                owner,
            )

    def done(self, key: str, owner: str) -> None:
        # Also when the lease ran out meanwhile and somebody else claimed it: the work is done.
        with self._transaction() as now:
            self._execute(
                "INSERT INTO deliveries VALUES (?, ?, 1, ?) "
                "ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, done = 1, until = excluded.until",
                key,
                owner,
                now + self._retention_seconds,
            )

    def release(self, key: str, owner: str) -> None:
        with self._transaction():
            self._execute("DELETE FROM deliveries WHERE key = ? AND owner = ? AND done = 0", key, owner)

    def count_answer(self, answer: str, limits: Mapping[str, int], seconds: float) -> TooMany | None:
        """By the time of day, unlike leases: the file's clock stands still where processes live for one answer each."""
        with self._transaction():
            now = self._time_of_day()
            self._execute("DELETE FROM answers WHERE until <= ?", now)
            for key in limits:
                # Where the time of day was set back, nothing counts for longer than it may.
                self._execute(
                    "UPDATE answers SET until = ? WHERE key = ? AND until > ?", now + seconds, key, now + seconds
                )
            for key, most in limits.items():
                found = self._database.execute("SELECT count(*), min(until) FROM answers WHERE key = ?", (key,))
                with closing(found) as rows:
                    count, first = rows.fetchone()
                if count >= most:
                    return TooMany(key, count, first - now)
            for key in limits:
                self._execute("INSERT INTO answers VALUES (?, ?, ?)", key, answer, now + seconds)
        return None

    def uncount_answer(self, answer: str, keys: Iterable[str]) -> None:
        with self._transaction():
            for key in keys:
                self._execute("DELETE FROM answers WHERE key = ? AND answer = ?", key, answer)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[float]:
        """All of it or nothing; the file's time. Raises StoreError."""
        with self._lock:
            try:
                self._execute("BEGIN IMMEDIATE")
                try:
                    yield self._tick()
                    self._execute("COMMIT")
                except BaseException:
                    # A full disk may have ended the transaction already; one left open would refuse every later call.
                    if self._database.in_transaction:
                        self._execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(self._path, str(error)) from error

    def _tick(self) -> float:
        mine = self._clock()
        with closing(self._database.execute("SELECT now FROM clock")) as rows:
            (now,) = rows.fetchone()
        if self._last is not None:
            then, file_time = self._last
            now = max(now, file_time + max(0.0, mine - then))
        self._execute("UPDATE clock SET now = ?", now)
        self._last = (mine, now)
        return float(now)

    def _execute(self, statement: str, *values: str | float) -> None:
        with closing(self._database.execute(statement, values)):
            pass


def _open(path: str, retention_seconds: float) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
    try:
        with closing(database.execute("PRAGMA journal_mode=WAL")) as answer:
            answer.fetchone()
        for statement in (
            "CREATE TABLE IF NOT EXISTS deliveries "
            "(key TEXT PRIMARY KEY, owner TEXT NOT NULL, done INTEGER NOT NULL, until REAL NOT NULL) WITHOUT ROWID",
            "CREATE INDEX IF NOT EXISTS deliveries_until ON deliveries (until)",
            "CREATE TABLE IF NOT EXISTS answers "
            "(key TEXT NOT NULL, answer TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY (key, answer)) WITHOUT ROWID",
            "CREATE INDEX IF NOT EXISTS answers_until ON answers (until)",
            "CREATE TABLE IF NOT EXISTS clock (one INTEGER PRIMARY KEY CHECK (one = 1), now REAL NOT NULL)",
        ):
            database.execute(statement).close()
        _set_clock_once(database, retention_seconds)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _set_clock_once(database: sqlite3.Connection, retention_seconds: float) -> None:
    """A new file's clock starts anywhere; an older one's at the time of day, which its rows were written by."""
    database.execute("BEGIN IMMEDIATE").close()
    now = time.time()
    with closing(database.execute("INSERT OR IGNORE INTO clock VALUES (1, ?)", (now,))) as made:
        fresh = made.rowcount > 0
    if fresh:
        database.execute(
            "UPDATE deliveries SET until = min(until, CASE done WHEN 1 THEN ? ELSE ? END)",
            (now + retention_seconds, now + LONGEST_LEASE_SECONDS),
        ).close()
    database.execute("COMMIT").close()
