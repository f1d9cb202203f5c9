"""Reading what is stored of one mail: as the webhook parsed it, as MIME, or a range of one file."""

from __future__ import annotations

import json
from base64 import encodebytes
from binascii import b2a_base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import SMTP
from itertools import count
from secrets import token_bytes

from sqlalchemy import Connection, select

from azmail.events import MailEvent, parse_events
from azmail.inbound import InboundMail
from azmail.inbox.database import Database
from azmail.inbox.parcels import PIECE_OCTETS, SentView, kept_files, unpacked
from azmail.inbox.tables import EVENTS, FILES, MAILS, PAYLOAD, PIECES

MOST_HELD_OCTETS = 64 * 1024
"""Of a file that is held while its mail is rebuilt as MIME."""
_LINE_OCTETS = 57
"""A line of base64 has 76 characters (RFC 2045, 6.8)."""
_STEP_OCTETS = 1_000 * _LINE_OCTETS
_STAND_IN_OCTETS = 48
"""One line, and nobody's by chance."""


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


@dataclass(frozen=True, slots=True)
class Mime:
    """A message as it goes out; `content` reads the database as it is read, and ends early if the mail is deleted."""

    octets: int
    content: Iterator[bytes]


def original(database: Database, mail: str) -> Mime | None:
    """As MIME: of received mail rebuilt from what Mailjet posted, of sent mail as it was handed to Mailjet."""
    with database.reading() as connection:
        row = connection.execute(select(MAILS.c.direction, MAILS.c.octets).where(MAILS.c.id == mail)).one_or_none()
        if row is None:
            return None
        if row.direction == "out":
            return Mime(row.octets, _pieces(database, mail, PAYLOAD))
        payload = _whole(connection, mail, PAYLOAD)
    return None if payload is None else _rebuilt(database, mail, payload)


def _rebuilt(database: Database, mail: str, payload: bytes) -> Mime | None:
    """Large files are not held: where the standard library has written a stand-in, the file is put when it is read."""
    files: dict[int, bytes] = {}
    large: dict[int, int] = {}
    kept = kept_files(payload)
    for file in files_of(database, mail):
        if file.part in kept and file.octets > MOST_HELD_OCTETS and not _is_read(file):
            files[file.part], large[file.part] = token_bytes(_STAND_IN_OCTETS), file.octets
        elif file.part in kept:
            files[file.part] = b"".join(_pieces(database, mail, file.part))
    if kept - files.keys():
        return None  # it was deleted meanwhile
    message = unpacked(payload, files).message
    for number, part in enumerate(message.walk()):
        if part.get_content_maintype() == "multipart" and part.get_boundary() is None:
            part.set_boundary(f"=_{mail}_{number}")  # not by chance: the same mail is the same octets each time
    octets = message.as_bytes()
    found = ((octets.find(b2a_base64(files[part], newline=False)), part) for part in large)
    places = sorted((at, part) for at, part in found if at >= 0)  # a message has not all of very many files
    grown = sum(_encoded_octets(large[part]) - _encoded_octets(_STAND_IN_OCTETS) for _, part in places)
    return Mime(len(octets) + grown, _spliced(database, mail, octets, places))


def _is_read(file: FileRow) -> bool:
    """Whether rebuilding the mail looks into it: a message within the message, or a body that came as a file."""
    is_body = file.inline and not file.filename and not file.content_id
    return file.content_type.startswith("message/") or (is_body and file.content_type.startswith("text/"))


def _spliced(database: Database, mail: str, octets: bytes, places: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    done = 0
    for at, part in places:
        yield octets[done:at]
        left = b""
        for piece in _pieces(database, mail, part):
            left += piece
            whole = len(left) - len(left) % _LINE_OCTETS
            for begin in range(0, whole, _STEP_OCTETS):
                yield _lines(left[begin : min(begin + _STEP_OCTETS, whole)])
            left = left[whole:]
        yield _lines(left)
        done = at + _encoded_octets(_STAND_IN_OCTETS)
    yield octets[done:]


def _lines(octets: bytes) -> bytes:
    """As the standard library writes base64 into a message."""
    return encodebytes(octets).replace(b"\n", b"\r\n")


def _encoded_octets(octets: int) -> int:
    return -(-octets // 3) * 4 + -(-octets // _LINE_OCTETS) * 2


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
        piece = _piece(database, mail, part, number)
        if piece is None:
            return
        first = number * PIECE_OCTETS
        yield piece[max(0, begin - first) : end - first]


def _pieces(database: Database, mail: str, part: int) -> Iterator[bytes]:
    for number in count():
        piece = _piece(database, mail, part, number)
        if piece is None:
            return
        yield piece


def _piece(database: Database, mail: str, part: int, number: int) -> bytes | None:
    with database.reading() as connection:
        piece = connection.execute(
            select(PIECES.c.content).where(PIECES.c.mail == mail, PIECES.c.part == part, PIECES.c.number == number)
        ).scalar()
    return None if piece is None else bytes(piece)


def _whole(connection: Connection, mail: str, part: int) -> bytes | None:
    rows: Sequence[bytes] = (
        connection.execute(
            select(PIECES.c.content).where(PIECES.c.mail == mail, PIECES.c.part == part).order_by(PIECES.c.number)
        )
        .scalars()
        .all()
    )
    return b"".join(rows) if rows else None
