"""A mailbox as files that other programs read: mbox or Maildir, each message as MIME with what the inbox knows of it."""

from __future__ import annotations

import mailbox
from datetime import UTC, datetime
from pathlib import Path

from azmail.errors import AzmailError
from azmail.inbox.content import original
from azmail.inbox.database import Database
from azmail.inbox.reading import MailboxReader, MailRow, Page


class ExportError(AzmailError):
    """There is something where the export was to be written."""

    def __init__(self, target: Path) -> None:
        super().__init__(f"found {target}, expected nothing there: name another target, or move it away")


def export(database: Database, agent: str, target: Path, *, maildir: bool) -> int:
    """Write all of an agent's mail, oldest first; how many. Raises ExportError and OSError."""
    if target.exists():
        raise ExportError(target)
    box: mailbox.Mailbox[mailbox.Message] = mailbox.Maildir(target) if maildir else mailbox.mbox(target)
    target.chmod(0o700 if maildir else 0o600)
    reader = MailboxReader(database, agent)
    written, after = 0, 0
    while rows := reader.mails(Page(after=after, limit=100)):
        for row in rows:
            mime = original(database, row.id)
            if mime is not None:  # else it was deleted meanwhile
                box.add(_described(row) + b"".join(mime.content))
                written += 1
        box.flush()
        after = rows[-1].position
    box.close()
    return written


def _described(row: MailRow) -> bytes:
    stored = datetime.fromtimestamp(row.stored_at / 1000, UTC).isoformat()
    lines = [f"X-Azmail-Id: {row.id}", f"X-Azmail-Stored-At: {stored}", f"X-Azmail-Seen: {'yes' if row.seen else 'no'}"]
    lines += [f"X-Azmail-Label: {ascii(label)[1:-1]}" for label in row.labels]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
