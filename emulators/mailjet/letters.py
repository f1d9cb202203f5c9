"""The mails of one account as a person reads them: what it sends and what comes to it from outside, in one order.

A mail that an agent sends to another is one letter, not two. Contents of what is sent are in the outbox.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emulators.mailjet.messages import SentMessage
from emulators.mailjet.mime import Raw
from emulators.mailjet.state import MailjetState
from emulators.store import transaction

KEPT = 2000
MOST_ANSWERED = 50

_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
_SELECT = (
    "SELECT letter.*, message.via AS via, message.status AS status, message.reply AS reply, message.custom_id AS custom_id,"
    " message.event_payload AS event_payload, delivery.state AS state, delivery.attempts AS attempts,"
    " delivery.status AS answer, delivery.error AS error"
    " FROM letter LEFT JOIN message ON message.id = letter.message_id LEFT JOIN delivery ON delivery.id = letter.delivery_id"
)

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Search:
    """Which letters; empty values say nothing. `agent` is an address."""

    text: str = ""
    agent: str = ""


def answered_ids(raw: Raw) -> list[str]:
    """The Message-IDs that a mail says it answers."""
    named = f"{raw.get('In-Reply-To') or ''} {raw.get('References') or ''}"
    return _MESSAGE_ID.findall(named)[:MOST_ANSWERED]


class Letters:
    """Rows of `letter`, one for each recipient."""

    def __init__(self, state: MailjetState) -> None:
        self._db = state.db

    def add_sent(self, messages: Sequence[SentMessage], raw: Raw) -> None:
        """Note what was handed in; its content is the messages'."""
        with transaction(self._db):
            for message in messages:
                self._insert(raw, sender=message.mail_from, recipient=message.recipient, message_id=message.id)
            newest = self._db.execute("SELECT max(id) FROM letter").fetchone()[0] or 0
            self._db.execute("DELETE FROM letter WHERE id <= ?", (newest - KEPT,))

    def add_received(self, octets: bytes, raw: Raw, *, sender: str, recipient: str, delivery_id: int) -> int:
        """Note what came from outside; its id."""
        with transaction(self._db):
            return self._insert(raw, sender=sender, recipient=recipient, octets=octets, delivery_id=delivery_id)

    def _insert(
        self,
        raw: Raw,
        *,
        sender: str,
        recipient: str,
        message_id: int | None = None,
        octets: bytes | None = None,
        delivery_id: int | None = None,
    ) -> int:
        header_id = raw.get("Message-ID") or ""
        cursor = self._db.execute(
            "INSERT INTO letter (message_id, octets, author, sender, recipient, subject, header_id, thread, delivery_id, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                message_id,
                octets,
                raw.get("From") or "",
                sender,
                recipient,
                raw.get("Subject") or "",
                header_id,
                self._thread(answered_ids(raw), header_id),
                delivery_id,
                time.time(),
            ),
        )
        return int(cursor.lastrowid or 0)

    def _thread(self, answered: Sequence[str], header_id: str) -> str:
        marks = ", ".join("?" * len(answered))
        known = self._db.execute(
            f"SELECT thread FROM letter WHERE header_id IN ({marks}) ORDER BY id LIMIT 1",  # noqa: S608 - marks only
            tuple(answered),
        ).fetchone()
        return str(known["thread"]) if known is not None else next(iter(answered), header_id)

    def delivered_by(self, message: SentMessage, delivery_id: int) -> None:
        """A message of the account came back in by a route: this delivery brings it."""
        self._db.execute("UPDATE letter SET delivery_id = ? WHERE message_id = ?", (delivery_id, message.id))

    def brought_by(self, letter_id: int, delivery_id: int) -> None:
        """It is delivered once more."""
        self._db.execute("UPDATE letter SET delivery_id = ? WHERE id = ?", (delivery_id, letter_id))

    def get(self, key: int) -> Row | None:
        """One letter with what became of it."""
        row = self._db.execute(f"{_SELECT} WHERE letter.id = ?", (key,)).fetchone()
        return None if row is None else dict(row)

    def octets(self, key: int) -> bytes | None:
        """The letter as it was sent or came."""
        row = self._db.execute(
            "SELECT coalesce(letter.octets, content.octets) AS octets FROM letter"
            " LEFT JOIN message ON message.id = letter.message_id LEFT JOIN content ON content.id = message.content_id"
            " WHERE letter.id = ?",
            (key,),
        ).fetchone()
        return None if row is None or row["octets"] is None else bytes(row["octets"])

    def listed(self, search: Search, *, most: int, before: int | None = None, after: int | None = None) -> list[Row]:
        """At most so many, the newest first, with an id below `before`; or the ones above `after`, the oldest first."""
        where, values = _where(search)
        if after is not None:
            query = f"{_SELECT} WHERE {where} AND letter.id > ? ORDER BY letter.id LIMIT ?"
            return [dict(row) for row in self._db.execute(query, (*values, after, most))]
        query = f"{_SELECT} WHERE {where} AND letter.id < ? ORDER BY letter.id DESC LIMIT ?"
        return [dict(row) for row in self._db.execute(query, (*values, before or 2**62, most))]

    def count(self, search: Search) -> int:
        """How many there are."""
        where, values = _where(search)
        return int(self._db.execute(f"SELECT count(*) FROM letter WHERE {where}", values).fetchone()[0])  # noqa: S608

    def in_thread(self, thread: str, most: int = 100) -> list[Row]:
        """The letters of one conversation, oldest first."""
        if not thread:
            return []
        query = f"{_SELECT} WHERE letter.thread = ? ORDER BY letter.id LIMIT ?"
        return [dict(row) for row in self._db.execute(query, (thread, most))]

    def counted(self, addresses: Sequence[str]) -> dict[str, tuple[int, int, str]]:
        """{address: (sent, received, the From of its latest letter)}, in lower case."""
        marks = ", ".join("?" * len(addresses))
        lower = [address.lower() for address in addresses]
        found: dict[str, tuple[int, int, str]] = dict.fromkeys(lower, (0, 0, ""))
        sent = (
            f"SELECT lower(sender), count(*), max(id), author FROM letter WHERE lower(sender) IN ({marks}) GROUP BY 1"  # noqa: S608
        )
        for address, count, _, author in self._db.execute(sent, lower):
            found[address] = (count, 0, author)
        received = f"SELECT lower(recipient), count(*) FROM letter WHERE lower(recipient) IN ({marks}) GROUP BY 1"  # noqa: S608
        for address, count in self._db.execute(received, lower):
            found[address] = (found[address][0], count, found[address][2])
        return found

    def attempts(self, delivery_id: int) -> list[Row]:
        """When a delivery was tried, and what was answered; oldest first, the latest hundred."""
        query = (
            "SELECT attempt.*, answer.body AS said FROM attempt LEFT JOIN answer ON answer.attempt_id = attempt.id"
            " WHERE attempt.delivery_id = ? ORDER BY attempt.id DESC LIMIT 100"
        )
        return [dict(row) for row in self._db.execute(query, (delivery_id,))][::-1]


def _where(search: Search) -> tuple[str, tuple[str, ...]]:
    clauses, values = ["1"], []
    if search.agent:
        clauses.append("(letter.sender = ? COLLATE NOCASE OR letter.recipient = ? COLLATE NOCASE)")
        values += [search.agent, search.agent]
    for word in search.text.split()[:10]:
        columns = ("subject", "author", "sender", "recipient", "header_id")
        clauses.append(f"({' OR '.join(f'instr(lower(letter.{column}), ?)' for column in columns)})")
        values += [word.lower()] * len(columns)
    return " AND ".join(clauses), tuple(values)
