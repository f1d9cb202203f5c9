"""Reading what is stored of one mail: as the webhook parsed it, as MIME, or a range of one file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import SMTP

from sqlalchemy import Connection, select

from azmail.events import MailEvent, parse_events
from azmail.inbound import InboundMail
from azmail.inbox.database import Database
from azmail.inbox.parcels import PIECE_OCTETS, SentView, kept_files, unpacked
from azmail.inbox.tables import EVENTS, FILES, MAILS, PAYLOAD, PIECES


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a mail; `part` is its number, from 1."""

    part: int
    filename: str
    content_type: str
    octets: int
    content_id: str | None
    inline: bool


def received_mail(database: Database, mail: str, *, with_files: bool = True) -> InboundMail | None:
    """As the webhook parsed it; None where it is gone. Without files its attachments are empty."""
    with database.reading() as connection:
        payload = _whole(connection, mail, PAYLOAD)
        if payload is None:
            return None
        files = {part: _whole(connection, mail, part) or b"" for part in kept_files(payload)} if with_files else None
    return unpacked(payload, files)


def sent_view(database: Database, mail: str, summary: dict[str, object]) -> SentView | None:
    with database.reading() as connection:
        octets = _whole(connection, mail, PAYLOAD)
    if octets is None:
        return None
    recipients = summary["recipients"]
    message = message_from_bytes(octets, policy=SMTP)
    return SentView.of(
        message,
        sender=str(summary["envelope_sender"]),
        recipients=[str(one) for one in recipients] if isinstance(recipients, list) else [],
    )


def original(database: Database, mail: str) -> bytes | None:
    """As MIME: of received mail rebuilt from what Mailjet posted, of sent mail as it was handed to Mailjet."""
    with database.reading() as connection:
        direction = connection.execute(select(MAILS.c.direction).where(MAILS.c.id == mail)).scalar()
        if direction == "out":
            return _whole(connection, mail, PAYLOAD)
    received = received_mail(database, mail)
    if received is None:
        return None
    for number, part in enumerate(received.message.walk()):
        if part.get_content_maintype() == "multipart" and part.get_boundary() is None:
            part.set_boundary(f"=_{mail}_{number}")  # not by chance: the same mail is the same octets each time
    return received.message.as_bytes()


def stored_event(database: Database, event: str) -> MailEvent | None:
    with database.reading() as connection:
        payload = connection.execute(select(EVENTS.c.payload).where(EVENTS.c.id == event)).scalar()
    return None if payload is None else parse_events(json.loads(payload))[0]


def files_of(database: Database, mail: str) -> list[FileRow]:
    columns = (
        FILES.c.part, FILES.c.filename, FILES.c.content_type, FILES.c.octets, FILES.c.content_id, FILES.c.inline
    )  # fmt: skip
    with database.reading() as connection:
        rows = connection.execute(select(*columns).where(FILES.c.mail == mail).order_by(FILES.c.part)).all()
    return [FileRow(*row) for row in rows]


def file_range(database: Database, mail: str, part: int, begin: int, end: int) -> Iterator[bytes]:
    """Octets `begin` up to, not including, `end`, never more than a piece in memory. Ends early if it is deleted."""
    for number in range(begin // PIECE_OCTETS, -(-end // PIECE_OCTETS)):
        with database.reading() as connection:
            piece = connection.execute(
                select(PIECES.c.content).where(PIECES.c.mail == mail, PIECES.c.part == part, PIECES.c.number == number)
            ).scalar()
        if piece is None:
            return
        first = number * PIECE_OCTETS
        yield bytes(piece)[max(0, begin - first) : end - first]


def _whole(connection: Connection, mail: str, part: int) -> bytes | None:
    rows: Sequence[bytes] = (
        connection.execute(
            select(PIECES.c.content).where(PIECES.c.mail == mail, PIECES.c.part == part).order_by(PIECES.c.number)
        )
        .scalars()
        .all()
    )
    return b"".join(rows) if rows else None
