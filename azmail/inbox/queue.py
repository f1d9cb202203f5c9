"""What is still to be handed to hooks: taken for a time, done, put off, or dead until a person looks.

A lease ends by the database's clock. A clock that was set back a day must not hold a dead worker's jobs for a day:
whatever is due later than any lease or pause could be is due now.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from azmail.inbox.database import Database
from azmail.inbox.tables import EVENTS, JOBS, MAILS

LEASE_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 3_600.0
MOST_ATTEMPTS = 20
"""With the pauses between them about ten hours."""
MOST_ERROR_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Job:
    """One hook's work on one mail or event; `lease` is this worker's proof that it is his."""

    position: int
    hook: str
    kind: str
    subject: str
    agent: str
    attempts: int
    lease: str = ""
    error: str = ""
    about: str = ""
    """For a person: the mail's subject line or the event's kind."""


class HookQueue:
    """Safe to share between threads and processes. Raises InboxDatabaseError from every call."""

    def __init__(self, database: Database, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._lease = int(lease_seconds * 1000)

    def take(self, hooks: Collection[str], most: int, *, ordered: Collection[str] = ()) -> list[Job]:
        """Up to so many jobs that are due, each for this caller alone until its lease ends.

        Hooks in `ordered` get an agent's mails one after the other, oldest first; a dead one no longer holds the rest up.
        """
        lease = uuid4().hex
        earlier = JOBS.alias()
        waits = (
            select(earlier.c.position)
            .where(
                earlier.c.hook == JOBS.c.hook,
                earlier.c.agent == JOBS.c.agent,
                earlier.c.position < JOBS.c.position,
                earlier.c.dead.is_(False),
            )
            .exists()
        )
        with self._database.writing(relaxed=True) as connection:
            now = self._database.time(connection)
            due = select(JOBS.c.position).where(JOBS.c.hook.in_(hooks), JOBS.c.dead.is_(False), self._is_due(now))
            if ordered:
                due = due.where(or_(JOBS.c.hook.not_in(ordered), ~waits))
            found = connection.execute(
                due.order_by(JOBS.c.position).limit(most).with_for_update(skip_locked=True, of=JOBS)
            ).scalars()
            taken = connection.execute(
                update(JOBS)
                .where(JOBS.c.position.in_(found.all()))
                .values(lease=lease, due_at=now + self._lease, attempts=JOBS.c.attempts + 1)
                .returning(*_COLUMNS)
            ).all()
        return sorted((_job(row, lease) for row in taken), key=lambda job: job.position)

    def _is_due(self, now: int) -> ColumnElement[bool]:
        latest = now + max(self._lease, int(LONGEST_PAUSE_SECONDS * 1000)) + 1000
        latest_lease = now + self._lease + 1000
        return or_(
            JOBS.c.due_at <= now,
            JOBS.c.due_at > latest,
            and_(JOBS.c.lease.is_not(None), JOBS.c.due_at > latest_lease),
        )

    def renew(self, jobs: Sequence[Job]) -> None:
        """Keep them for another lease."""
        with self._database.writing(relaxed=True) as connection:
            until = self._database.time(connection) + self._lease
            for lease in {job.lease for job in jobs}:
                mine = [job.position for job in jobs if job.lease == lease]
                connection.execute(
                    update(JOBS).where(JOBS.c.lease == lease, JOBS.c.position.in_(mine)).values(due_at=until)
                )

    def done(self, job: Job) -> None:
        """The hook has returned; also when the lease ran out meanwhile: the work is done."""
        with self._database.writing(relaxed=True) as connection:
            connection.execute(delete(JOBS).where(JOBS.c.position == job.position))

    def put_off(self, job: Job, error: str, *, most_attempts: int = MOST_ATTEMPTS) -> bool:
        """The hook has failed: again later, or never by itself; True where it is dead now."""
        pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(job.attempts - 1, 30), LONGEST_PAUSE_SECONDS)
        dead = job.attempts >= most_attempts
        with self._database.writing(relaxed=True) as connection:
            due = self._database.time(connection) + int(pause * 1000)
            connection.execute(
                update(JOBS)
                .where(JOBS.c.position == job.position, JOBS.c.lease == job.lease)
                .values(lease=None, due_at=due, dead=dead, error=error[:MOST_ERROR_CHARACTERS])
            )
        return dead

    def dead(self, most: int = 1_000) -> list[Job]:
        """The oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(*_COLUMNS, MAILS.c.summary, EVENTS.c.kind.label("event"))
                .outerjoin(MAILS, and_(JOBS.c.kind == "mail", MAILS.c.id == JOBS.c.subject))
                .outerjoin(EVENTS, and_(JOBS.c.kind == "event", EVENTS.c.id == JOBS.c.subject))
                .where(JOBS.c.dead.is_(True))
                .order_by(JOBS.c.position)
                .limit(most)
            ).all()
        return [_job(row, "", row.event or json.loads(row.summary or "{}").get("subject", "")) for row in rows]

    def retry(self, position: int | None = None) -> int:
        """Bring a dead job, or all of them, back to life; how many."""
        with self._database.writing() as connection:
            which = [JOBS.c.dead.is_(True), *([] if position is None else [JOBS.c.position == position])]
            values = {"dead": False, "attempts": 0, "lease": None, "due_at": self._database.time(connection)}
            return connection.execute(update(JOBS).where(*which).values(values)).rowcount

    def drop(self, position: int) -> bool:
        """Forget a dead job: its hook never gets this."""
        with self._database.writing() as connection:
            gone = connection.execute(delete(JOBS).where(JOBS.c.dead.is_(True), JOBS.c.position == position))
            return gone.rowcount > 0

    def state(self) -> QueueState:
        with self._database.reading() as connection:
            now = self._database.time(connection)
            rows = connection.execute(
                select(JOBS.c.dead, func.count(), func.min(JOBS.c.due_at)).group_by(JOBS.c.dead)
            ).all()
        counts = {bool(row[0]): (row[1], row[2]) for row in rows}
        waiting, oldest = counts.get(False, (0, now))
        return QueueState(waiting, counts.get(True, (0, now))[0], max(0.0, (now - oldest) / 1000))


def add_jobs(
    connection: Connection, hooks: Sequence[str], kind: str, subjects: Sequence[tuple[str, str]], now: int
) -> None:
    """One for each hook; `subjects` are ids with their agents, `now` the database's time in milliseconds."""
    rows = [
        {
            "hook": hook, "kind": kind, "subject": subject, "agent": agent, "attempts": 0, "due_at": now,
            "lease": None, "dead": False, "error": "",
        }
        for subject, agent in subjects
        for hook in hooks
    ]  # fmt: skip
    if rows:
        connection.execute(insert(JOBS), rows)


@dataclass(frozen=True, slots=True)
class QueueState:
    """How the hooks are doing; `lag_seconds`: by how much the job that is due the longest is late."""

    waiting: int
    dead: int
    lag_seconds: float


_COLUMNS = (JOBS.c.position, JOBS.c.hook, JOBS.c.kind, JOBS.c.subject, JOBS.c.agent, JOBS.c.attempts, JOBS.c.error)


def _job(row: Row[*tuple[object, ...]], lease: str, about: str = "") -> Job:
    return Job(row.position, row.hook, row.kind, row.subject, row.agent, row.attempts, lease, row.error, about)
