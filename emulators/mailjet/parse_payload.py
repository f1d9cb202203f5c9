"""The JSON that Mailjet's Parse API makes of a message.

Shapes as documented and as recorded from production: header values are arrays but for some that are plain
strings, encoded words and charsets are resolved to UTF-8, folds lose their line end only, a message of one
part keeps its content at the root.
"""

from __future__ import annotations

import email
import email.policy
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

from emulators.mailjet.mime import Raw, base64_text, decoded

Payload = dict[str, Any]

PLAIN_HEADERS = frozenset(
    {
        "date",
        "from",
        "sender",
        "reply-to",
        "to",
        "cc",
        "bcc",
        "message-id",
        "in-reply-to",
        "references",
        "subject",
    }
)
DATE_FORM = "%Y%m%dT%H%M%S"
SPAM_SCORE = "0.602"
SPAM_SCORE_HEADER = "X-Emulator-Spam-Score"


class _OpaquePart(Message):
    """A part whose content stays as it came where it is a message: parsed and written again it would be another."""

    def get_content_type(self) -> str:
        """`application/octet-stream` in place of message/*, so that the parser leaves it alone."""
        kind = super().get_content_type()
        return "application/octet-stream" if kind.startswith("message/") else kind


@dataclass(frozen=True, kw_only=True)
class Style:
    """Variants seen in production."""

    part_headers: str = "arrays"
    """`arrays` as recorded, or `strings` as documented."""
    inline_text_is_attachment: bool = False
    """A text with `Content-Disposition: inline` comes as InlineAttachmentN."""
    base64_lines: bool = False
    """Base64 comes in lines."""


def parse_payload(
    message: bytes, *, sender: str, recipient: str, received: datetime, style: Style | None = None
) -> Payload:
    """The payload for `message`, that `sender` (envelope) sent to `recipient` (envelope) at `received`."""
    style = style or Style()
    raw = Raw.parse(message)
    contents = _Contents(style)
    payload: Payload = {
        "Sender": sender,
        "Recipient": recipient,
        "Date": _date(raw.get("Date"), received),
        "From": raw.get("From") or "",
        "Subject": raw.get("Subject") or "",
        "Headers": _root_headers(raw),
        "Parts": [],
    }
    try:
        parsed = email.message_from_bytes(raw.octets(), _class=_OpaquePart, policy=email.policy.compat32)
        if parsed.is_multipart() and parsed.get_content_maintype() == "multipart":
            payload["Parts"] = [contents.part(part) for part in _below(parsed)]
        else:
            payload["ContentRef"] = contents.add(parsed)
    except RecursionError:
        # Parts nested beyond what the standard library can take: the body comes whole, as one file.
        contents = _Contents(style)
        payload["ContentRef"] = contents.add_file(raw.body)
    payload.update(contents.found)
    payload["SpamAssassinScore"] = raw.get(SPAM_SCORE_HEADER) or SPAM_SCORE
    return payload


def _date(given: str | None, received: datetime) -> str:
    moment = received
    if given:
        try:
            moment = parsedate_to_datetime(given)
        except (ValueError, TypeError, IndexError):
            moment = received
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime(DATE_FORM)


def _root_headers(raw: Raw) -> Payload:
    headers: Payload = {}
    for name, field in raw.fields:
        value = decoded(field.partition(b":")[2])
        if name.lower() in PLAIN_HEADERS:
            headers.setdefault(name, value)
        else:
            headers.setdefault(name, []).append(value)
    return headers


def _below(message: Message) -> list[Message]:
    """All parts in the order of the message, containers included; a forwarded message is one part."""
    found: list[Message] = []
    for part in _children(message):
        found.append(part)
        if part.get_content_maintype() == "multipart":
            found.extend(_below(part))
    return found


def _children(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


class _Contents:
    """Contents collected so far, by the name that ContentRef gives them."""

    def __init__(self, style: Style) -> None:
        self.found: dict[str, str] = {}
        self._style = style
        self._counts: Counter[str] = Counter()

    def part(self, part: Message) -> Payload:
        """The entry in Parts; a container has no ContentRef."""
        entry: Payload = {"Headers": self._headers(part)}
        if part.get_content_maintype() != "multipart" or not part.is_multipart():
            entry["ContentRef"] = self.add(part)
        return entry

    def _headers(self, part: Message) -> Payload:
        headers: Payload = {}
        for name, value in part.raw_items():
            text = decoded(str(value).encode("utf-8", "surrogateescape"))
            if self._style.part_headers == "strings":
                headers.setdefault(name, text)
            else:
                headers.setdefault(name, []).append(text)
        return headers

    def add(self, part: Message) -> str:
        """Keep the content of `part`; its name."""
        disposition = part.get_content_disposition()
        kind = part.get_content_type()
        shown = kind in ("text/plain", "text/html") and disposition != "attachment"
        if shown and disposition == "inline" and (part.get_filename() or self._style.inline_text_is_attachment):
            shown = False
        if shown:
            name = self._name("Text-part" if kind == "text/plain" else "Html-part", numbered_from=2)
            self.found[name] = _text(part)
        else:
            name = self.add_file(_octets(part), inline=disposition == "inline")
        return name

    def add_file(self, octets: bytes, *, inline: bool = False) -> str:
        """Keep a file; its name."""
        name = self._name("InlineAttachment" if inline else "Attachment", numbered_from=1)
        self.found[name] = base64_text(octets, wrapped=self._style.base64_lines)
        return name

    def _name(self, name: str, *, numbered_from: int) -> str:
        self._counts[name] += 1
        number = self._counts[name]
        return name if number < numbered_from else f"{name}{number}"


def _octets(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(part: Message) -> str:
    octets = _octets(part)
    charset = part.get_content_charset() or "utf-8"
    if charset in ("us-ascii", "ascii"):
        charset = "utf-8"
    try:
        return octets.decode(charset)
    except (LookupError, UnicodeDecodeError):
        return octets.decode("utf-8", "replace")
