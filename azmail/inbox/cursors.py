"""Cursors that only their own mailbox can use, and that tell nobody how much mail all others get."""

from __future__ import annotations

import base64
import binascii
import hmac

from sqlalchemy import select

from azmail.inbox.database import Database
from azmail.inbox.tables import KEYS

_HALF = 8
EVERYBODY = ""
"""Whose cursors the platform's are."""


class ForeignCursorError(Exception):
    """Text that is no cursor of this mailbox: whose it may be is not told."""


class Cursors:
    """Positions, sealed for one mailbox. Replicas on one database share the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, database: Database) -> Cursors:
        with database.reading() as connection:
            key = connection.execute(select(KEYS.c.octets).where(KEYS.c.name == "cursors")).scalar_one()
        return cls(bytes(key))

    def seal(self, mailbox: str, position: int) -> str:
        plain = position.to_bytes(_HALF)
        tag = self._digest(b"tag", mailbox, plain)
        return base64.urlsafe_b64encode(tag + _xor(plain, self._digest(b"mask", mailbox, tag))).rstrip(b"=").decode()

    def open(self, mailbox: str, cursor: str) -> int:
        """Raises ForeignCursorError."""
        try:
            octets = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ForeignCursorError from None
        tag, masked = octets[:_HALF], octets[_HALF:]
        if len(masked) != _HALF:
            raise ForeignCursorError
        plain = _xor(masked, self._digest(b"mask", mailbox, tag))
        if not hmac.compare_digest(tag, self._digest(b"tag", mailbox, plain)) or plain[0] > 0x7F:
            raise ForeignCursorError
        return int.from_bytes(plain)

    def _digest(self, purpose: bytes, mailbox: str, octets: bytes) -> bytes:
        return hmac.digest(self._key, purpose + octets + mailbox.encode(), "sha256")[:_HALF]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
