"""The outbox: every message that was submitted, one row a recipient, with its content."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import uuid4

from emulators.mailjet.answers import timestamp
from emulators.mailjet.state import MailjetState
from emulators.store import transaction

KEPT = 2000


class MessageStatus(StrEnum):
    """What became of a message, in Mailjet's words."""

    QUEUED = "queued"
    SENT = "sent"
    BOUNCED = "bounce"
    BLOCKED = "blocked"


class Via(StrEnum):
    """How a message came in."""

    SMTP = "smtp"
    API = "api"
    OWN = "mailjet"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A message as it was handed in."""

    apikey_id: int
    via: Via
    mail_from: str
    recipients: Sequence[str]
    octets: bytes
    subject: str = ""
    header_id: str = ""
    custom_id: str = ""
    event_payload: str = ""
    campaign: str = ""
    blocked: bool = False


@dataclass(frozen=True, kw_only=True)
class SentMessage:
    """A message on its way to one recipient."""

    id: int
    uuid: str
    apikey_id: int
    mail_from: str
    recipient: str
    header_id: str
    custom_id: str
    event_payload: str
    campaign: str
    status: MessageStatus


class Messages:
    """Rows of the outbox."""

    def __init__(self, state: MailjetState) -> None:
        self._db = state.db

    def add(self, submission: Submission) -> list[SentMessage]:
        """Queue a submission for each of its recipients."""
        with transaction(self._db):
            content = self._db.execute("INSERT INTO content (octets) VALUES (?)", (submission.octets,)).lastrowid
            ids = [self._insert(submission, recipient, content or 0) for recipient in submission.recipients]
            self._forget_old()
        return [message for key in ids if (message := self.get(key)) is not None]

    def _insert(self, submission: Submission, recipient: str, content: int) -> int:
        cursor = self._db.execute(
            "INSERT INTO message (uuid, apikey_id, via, mail_from, recipient, subject, header_id, custom_id,"
            " event_payload, campaign, status, content_id, arrived_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                str(uuid4()),
                submission.apikey_id,
                submission.via,
                submission.mail_from,
                recipient,
                submission.subject,
                submission.header_id,
                submission.custom_id,
                submission.event_payload,
                submission.campaign,
                MessageStatus.BLOCKED
                if submission.blocked or self._unsubscribed(submission.apikey_id, recipient)
                else MessageStatus.QUEUED,
                content,
                timestamp(),
            ),
        )
        return int(cursor.lastrowid or 0)

    def unsubscribe(self, message: SentMessage) -> None:
        """Block what the key of `message` sends to its recipient from now on."""
        self._db.execute(
            "INSERT OR IGNORE INTO unsubscribed VALUES (?, ?)", (message.apikey_id, message.recipient.lower())
        )

    def _unsubscribed(self, apikey_id: int, recipient: str) -> bool:
        query = "SELECT 1 FROM unsubscribed WHERE apikey_id = ? AND recipient = ?"
        return self._db.execute(query, (apikey_id, recipient.lower())).fetchone() is not None

    def _forget_old(self) -> None:
        newest = self._db.execute("SELECT max(id) FROM message").fetchone()[0] or 0
        self._db.execute("DELETE FROM message WHERE id <= ? AND status != ?", (newest - KEPT, MessageStatus.QUEUED))
        self._db.execute("DELETE FROM content WHERE id < (SELECT coalesce(min(content_id), 0) FROM message)")

    def get(self, key: int) -> SentMessage | None:
        """The message with this MessageID."""
        row = self._db.execute("SELECT * FROM message WHERE id = ?", (key,)).fetchone()
        return None if row is None else _message(row)

    def octets(self, key: int) -> bytes | None:
        """What was sent, signature included."""
        row = self._db.execute(
            "SELECT octets FROM message JOIN content ON content.id = content_id WHERE message.id = ?", (key,)
        ).fetchone()
        return None if row is None else bytes(row["octets"])

    def queued(self, most: int) -> list[SentMessage]:
        """What is still to be sent, oldest first, at most so many."""
        query = "SELECT * FROM message WHERE status = ? ORDER BY id LIMIT ?"
        rows = self._db.execute(query, (MessageStatus.QUEUED, most))
        return [_message(row) for row in rows]

    def finish(self, key: int, status: MessageStatus, reply: str) -> None:
        """Note what became of a message."""
        self._db.execute("UPDATE message SET status = ?, reply = ? WHERE id = ?", (status, reply, key))

    def answered(self, apikey_id: int, header_ids: Sequence[str]) -> SentMessage | None:
        """The newest message of the key that one of these Message-IDs names."""
        if not header_ids:
            return None
        marks = ", ".join("?" * len(header_ids))
        row = self._db.execute(
            f"SELECT * FROM message WHERE apikey_id = ? AND header_id IN ({marks})"  # noqa: S608 - marks only
            " ORDER BY id DESC LIMIT 1",
            (apikey_id, *header_ids),
        ).fetchone()
        return None if row is None else _message(row)

    def count(self) -> int:
        """How many messages the outbox holds."""
        return int(self._db.execute("SELECT count(*) FROM message").fetchone()[0])

    def shown(self, apikey_id: int, key: int | None = None) -> list[dict[str, Any]]:
        """The key's messages (or one of them) as `/v3/REST/message` gives them."""
        rows = self._db.execute(
            "SELECT message.*, length(octets) AS size FROM message JOIN content ON content.id = content_id"
            " WHERE apikey_id = ? AND (? IS NULL OR message.id = ?) ORDER BY message.id",
            (apikey_id, key, key),
        )
        return [
            {
                "ArrivedAt": row["arrived_at"],
                "AttachmentCount": 0,
                "AttemptCount": 0,
                "CampaignID": 0,
                "ContactAlt": row["recipient"],
                "ContactID": 0,
                "Delay": 0,
                "DestinationID": 0,
                "FilterTime": 0,
                "ID": row["id"],
                "IsClickTracked": False,
                "IsHTMLPartIncluded": False,
                "IsOpenTracked": False,
                "IsTextPartIncluded": False,
                "IsUnsubTracked": False,
                "MessageSize": row["size"],
                "SenderID": 0,
                "SpamassassinScore": 0,
                "SpamassRules": "",
                "StateID": 0,
                "StatePermanent": row["status"] == MessageStatus.BOUNCED,
                "MessageStatus": row["status"],
                "Subject": row["subject"],
                "UUID": row["uuid"],
            }
            for row in rows
        ]

    def listed(self, since: int = 0) -> list[dict[str, Any]]:
        """The messages with an id above `since`, without their content."""
        rows = self._db.execute("SELECT * FROM message WHERE id > ? ORDER BY id", (since,))
        return [
            {
                "id": row["id"],
                "uuid": row["uuid"],
                "APIKeyID": row["apikey_id"],
                "via": row["via"],
                "from": row["mail_from"],
                "to": row["recipient"],
                "subject": row["subject"],
                "message_id": row["header_id"],
                "custom_id": row["custom_id"],
                "event_payload": row["event_payload"],
                "status": row["status"],
                "reply": row["reply"],
            }
            for row in rows
        ]


def _message(row: sqlite3.Row) -> SentMessage:
    return SentMessage(
        id=row["id"],
        uuid=row["uuid"],
        apikey_id=row["apikey_id"],
        mail_from=row["mail_from"],
        recipient=row["recipient"],
        header_id=row["header_id"],
        custom_id=row["custom_id"],
        event_payload=row["event_payload"],
        campaign=row["campaign"],
        status=MessageStatus(row["status"]),
    )
