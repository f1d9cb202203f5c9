"""Looking into mailboxes: every question names its agent, or nobody, and then it is the platform that asks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, literal, literal_column, select, text, update

from azmail.inbox.database import Database
from azmail.inbox.tables import CONVERSATIONS, COUNTS, EVENTS, LABELS, MAILS, SEARCH, SQLITE_SEARCH, UNREAD
from azmail.inbox.words import has_terms, postgresql_query, sqlite_query

MOST_LABELS = 20
LOOKED_THROUGH = 1_000
"""Mails of a mailbox that a search looks through before it asks the index for all that match."""


@dataclass(frozen=True, slots=True)
class MailRow:
    """A mail as lists show it."""

    position: int
    id: str
    agent: str
    thread: int
    direction: str
    seen: bool
    octets: int
    stored_at: int
    summary: dict[str, Any]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """A conversation by its newest mail."""

    mails: int
    unread: int
    newest: MailRow


@dataclass(frozen=True, slots=True)
class EventRow:
    """What became of a mail that was sent."""

    position: int
    id: str
    agent: str
    kind: str
    stored_at: int
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is asked of a list: newest first and older than `before`, or oldest first and newer than `after`."""

    after: int | None = None
    before: int | None = None
    limit: int = 50

    def apply(self, query: Select[Any], position: ColumnElement[int]) -> Select[Any]:
        if self.before is not None:
            query = query.where(position < self.before)
        if self.after is not None:
            return query.where(position > self.after).order_by(position).limit(self.limit)
        return query.order_by(position.desc()).limit(self.limit)


_SHOWN = (
    MAILS.c.position, MAILS.c.id, MAILS.c.agent, MAILS.c.thread, MAILS.c.direction, MAILS.c.seen, MAILS.c.octets,
    MAILS.c.stored_at, MAILS.c.summary,
)  # fmt: skip


class MailboxReader:
    """Of one agent, or with `agent` None of all. Raises InboxDatabaseError."""

    def __init__(self, database: Database, agent: str | None) -> None:
        self._database = database
        self.agent = agent

    def mails(
        self,
        page: Page,
        *,
        label: str | None = None,
        seen: bool | None = None,
        direction: str | None = None,
        thread: int | None = None,
    ) -> list[MailRow]:
        query, position = self._mine(select(*_SHOWN), MAILS.c.agent), MAILS.c.position
        if label is not None:
            # Along the label's own index: few of many mails may have it.
            query = query.join(LABELS, LABELS.c.mail == MAILS.c.id).where(LABELS.c.label == label)
            query, position = self._mine(query, LABELS.c.agent), LABELS.c.position
        if seen is not None:
            query = query.where(MAILS.c.seen if seen else UNREAD)
        if direction is not None:
            query = query.where(MAILS.c.direction == direction)
        if thread is not None:
            query = query.where(MAILS.c.thread == thread)
        return self._rows(page.apply(query, position))

    def mail(self, mail: str) -> MailRow | None:
        found = self._rows(self._mine(select(*_SHOWN), MAILS.c.agent).where(MAILS.c.id == mail))
        return found[0] if found else None

    def threads(self, page: Page) -> list[ThreadRow]:
        """The one with the newest mail first."""
        kept = self._mine(
            select(CONVERSATIONS.c.newest, CONVERSATIONS.c.mails, CONVERSATIONS.c.unread), CONVERSATIONS.c.agent
        )
        with self._database.reading() as connection:
            found = connection.execute(page.apply(kept, CONVERSATIONS.c.newest)).all()
        # Not joined: of a million mails PostgreSQL would take all and then the first fifty.
        newest = self._rows(select(*_SHOWN).where(MAILS.c.position.in_([one[0] for one in found])))
        rows = {row.position: row for row in newest}
        return [ThreadRow(one[1], one[2], rows[one[0]]) for one in found if one[0] in rows]

    def search(self, query: str, page: Page) -> list[MailRow]:
        """Mails that have all the words; `word*` is the beginning of one. Nothing for a query without words."""
        if not has_terms(query):
            return []
        positions = self._matches_in_sqlite(query, page) if self._database.is_sqlite else self._matches(query, page)
        rows = self._rows(self._mine(select(*_SHOWN), MAILS.c.agent).where(MAILS.c.position.in_(positions)))
        return sorted(rows, key=lambda row: row.position, reverse=page.after is None)

    def _matches_in_sqlite(self, query: str, page: Page) -> Sequence[int]:
        """FTS5 walks its matches in the order of rows."""
        match = text("inbox_search MATCH :words").bindparams(words=sqlite_query(self.agent or "", query))
        with self._database.reading() as connection:
            rows = connection.execute(page.apply(select(SQLITE_SEARCH.c.rowid).where(match), SQLITE_SEARCH.c.rowid))
            return rows.scalars().all()

    def _matches(self, query: str, page: Page) -> Sequence[int]:
        """PostgreSQL's index gives all matches before the first: words that many mails have are looked for without it."""
        words = literal(postgresql_query(self.agent or "", query)).op("::")(text("tsquery"))
        mine = self._mine(select(MAILS.c.position), MAILS.c.agent)
        near = replace(page, limit=LOOKED_THROUGH).apply(mine, MAILS.c.position).subquery()
        there = select(func.count()).select_from(near)
        matching = SEARCH.c.words.op("@@")(words)
        # A scalar subquery for each, and OFFSET 0: neither way is the planner to be tempted by the other.
        is_match = select(matching).where(SEARCH.c.position == near.c.position).scalar_subquery()
        walked = select(near.c.position).where(is_match)
        every = select(SEARCH.c.position).where(matching).offset(literal_column("0")).subquery()
        with self._database.reading() as connection:
            found = connection.execute(page.apply(walked, near.c.position)).scalars().all()
            if len(found) < page.limit and connection.execute(there).scalar_one() == LOOKED_THROUGH:
                found = connection.execute(page.apply(select(every.c.position), every.c.position)).scalars().all()
        return found

    def labels(self) -> list[tuple[str, int]]:
        query = self._mine(select(LABELS.c.label, func.count()), LABELS.c.agent)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(LABELS.c.label).order_by(LABELS.c.label).limit(1_000)).all()
            return [(row[0], row[1]) for row in rows]

    def events(self, page: Page) -> list[EventRow]:
        columns = (
            EVENTS.c.position, EVENTS.c.id, EVENTS.c.agent, EVENTS.c.kind, EVENTS.c.stored_at, EVENTS.c.payload,
        )  # fmt: skip
        query = page.apply(self._mine(select(*columns), EVENTS.c.agent), EVENTS.c.position)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [
            EventRow(row.position, row.id, row.agent, row.kind, row.stored_at, _readable(row.payload)) for row in rows
        ]

    def counts(self) -> tuple[int, int]:
        """Mails, and those that came in and were not read."""
        kept = self._mine(select(func.sum(COUNTS.c.mails), func.sum(COUNTS.c.unread)), COUNTS.c.agent)
        with self._database.reading() as connection:
            total, unread = connection.execute(kept).one()
        return int(total or 0), int(unread or 0)

    def mark(
        self, mail: str, *, seen: bool | None = None, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> MailRow | None:
        """The mail as it is then; None where the agent has no such mail. Raises TooManyLabelsError."""
        with self._database.writing(relaxed=True) as connection:
            found = connection.execute(
                self._mine(select(MAILS.c.agent, MAILS.c.position), MAILS.c.agent)
                .where(MAILS.c.id == mail)
                .with_for_update()
            ).one_or_none()
            if found is None:
                return None
            if remove:
                connection.execute(delete(LABELS).where(LABELS.c.mail == mail, LABELS.c.label.in_(remove)))
            for label in add:
                row = {"mail": mail, "label": label, "agent": found[0], "position": found[1]}
                connection.execute(self._database.insert(LABELS).values(row).on_conflict_do_nothing())
            has = connection.execute(select(func.count()).where(LABELS.c.mail == mail)).scalar_one()
            if has > MOST_LABELS:
                raise TooManyLabelsError
            if seen is not None:
                # The last: it is counted, and deliveries to the agent wait until that is committed.
                connection.execute(update(MAILS).where(MAILS.c.id == mail, MAILS.c.seen != seen).values(seen=seen))
        return self.mail(mail)

    def newest(self) -> int:
        """The position of the newest mail, 0 for none."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.max(MAILS.c.position))).scalar() or 0)

    def came(self, after: int, most: int) -> list[tuple[int, str]]:
        """Position and agent of what was stored behind a position, in order."""
        query = self._mine(select(MAILS.c.position, MAILS.c.agent), MAILS.c.agent).where(MAILS.c.position > after)
        with self._database.reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(query.order_by(MAILS.c.position).limit(most))]

    def _mine(self, query: Any, column: ColumnElement[str]) -> Any:
        return query if self.agent is None else query.where(column == self.agent)

    def _rows(self, query: Select[Any]) -> list[MailRow]:
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            keys = [row.id for row in rows]
            labelled = connection.execute(
                select(LABELS.c.mail, LABELS.c.label).where(LABELS.c.mail.in_(keys)).order_by(LABELS.c.label)
            ).all()
        labels: dict[str, list[str]] = {}
        for row in labelled:
            labels.setdefault(row[0], []).append(row[1])
        return [
            MailRow(
                row.position,
                row.id,
                row.agent,
                row.thread,
                row.direction,
                bool(row.seen),
                row.octets,
                row.stored_at,
                json.loads(row.summary),
                tuple(labels.get(row.id, ())),
            )
            for row in rows
        ]


def _readable(payload: str) -> dict[str, Any]:
    """JSON that can be written again: halves of surrogate pairs, which its escapes can carry, become question marks."""
    plain = json.dumps(json.loads(payload), ensure_ascii=False).encode("utf-8", "replace")
    found: dict[str, Any] = json.loads(plain)
    return found


class TooManyLabelsError(Exception):
    """A mail would have more than `MOST_LABELS`; nothing was changed."""
