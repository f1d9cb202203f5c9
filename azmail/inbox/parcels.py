"""A mail made ready for the database: what lists show, what is searched, what threads it, and its content in pieces.

What Mailjet posted is kept whole. Its files are kept once, decoded, and put back when it is read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, cast

from azmail.inbound import InboundAttachment, InboundMail, parse_inbound
from azmail.inbox.tables import ID_CHARACTERS, PAYLOAD
from azmail.inbox.words import indexed, without_markup
from azmail.mail import MailAddress, find_message_ids

PIECE_OCTETS = 512 * 1024
MOST_LISTED = 50
"""Of addresses, references and defects that a list shows; the mail itself has all."""
SNIPPET_CHARACTERS = 200
_FILE_KEY = re.compile(r"(?:inline)?attachment\d*", re.IGNORECASE)
_KEPT = "azmail-file"
_STEP = 65_536


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as the inbox keeps it."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)
    content_id: str | None = None
    inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One mail of one agent, ready to be stored; the same mail gives the same `id`."""

    id: str
    agent: str
    direction: str
    octets: int
    summary: Mapping[str, object] = field(repr=False)
    own_reference: str | None
    """What answers to this mail refer to it by."""
    references: tuple[str, ...]
    """What it says it belongs to, the nearest first; the subject, where that is all there is, last."""
    mentions: tuple[str, ...]
    """What answers to the same conversation may refer to."""
    words: str = field(repr=False)
    payload: bytes = field(repr=False)
    files: tuple[StoredFile, ...] = field(repr=False)


def received_parcel(mail: InboundMail, agent: str) -> Parcel:
    """Of a mail that Mailjet delivered."""
    author = mail.from_address
    base, is_answer = base_subject(mail.subject)
    earlier = _ids((*((mail.in_reply_to,) if mail.in_reply_to else ()), *reversed(mail.references)))
    custom = (_digest("custom", mail.custom_id),) if mail.custom_id else ()
    by_subject = _digest("subject", base, author.email.lower()) if author and base else ""
    has_headers = bool(earlier or custom)
    return Parcel(
        id=mail_id(agent, mail.delivery_key),
        agent=agent,
        direction="in",
        octets=octets_of(mail),
        summary=_summary(mail),
        own_reference=next(iter(_ids((mail.message_id or "",))), None),
        references=(*earlier, *custom, *((by_subject,) if by_subject and is_answer and not has_headers else ())),
        mentions=(*earlier, *((by_subject,) if by_subject else ())),
        words=indexed(agent, _searched(mail)),
        payload=_packed(mail),
        files=tuple(_files(mail.attachments)),
    )


def octets_of(mail: InboundMail) -> int:
    """What its texts and files take in what Mailjet posted."""
    return sum(len(value) for value in mail.payload.values() if isinstance(value, str))


def sent_parcel(agent: str, key: str, octets: bytes, *, sender: str, recipients: Sequence[str]) -> Parcel:
    """Of a message that went out by the gateway; `key` is the same for a repetition."""
    message = message_from_bytes(octets, policy=SMTP)
    view = SentView.of(message, sender=sender, recipients=recipients)
    base, _ = base_subject(view.subject)
    earlier = _ids((*find_message_ids(view.in_reply_to), *reversed(find_message_ids(view.references))))
    own = _digest("custom", view.custom_id) if view.custom_id else next(iter(_ids((view.message_id,))), None)
    by_subject = tuple(_digest("subject", base, one.lower()) for one in recipients) if base else ()
    return Parcel(
        id=mail_id(agent, f"sent {key}"),
        agent=agent,
        direction="out",
        octets=len(octets),
        summary=view.summary(),
        own_reference=own,
        references=earlier,
        mentions=(*earlier, *by_subject[:MOST_LISTED]),
        words=indexed(agent, (view.subject, *recipients, view.text or without_markup(view.html or ""))),
        payload=octets,
        files=view.files,
    )


def mail_id(agent: str, key: str) -> str:
    """The public id: it says nothing, and no two agents share one."""
    return hashlib.sha256(f"{len(agent)}:{agent}{key}".encode("utf-8", "surrogatepass")).hexdigest()[:ID_CHARACTERS]


def unpacked(payload: bytes, files: Mapping[int, bytes] | None) -> InboundMail:
    """The mail as the webhook parsed it; without `files` its attachments are empty."""
    values = cast("dict[str, Any]", json.loads(payload))
    for key, value in values.items():
        if isinstance(value, dict) and value.keys() == {_KEPT}:
            values[key] = "" if files is None else base64.b64encode(files[value[_KEPT]]).decode()
    return parse_inbound(values)


def kept_files(payload: bytes) -> frozenset[int]:
    """The parts that stand apart from what Mailjet posted."""
    values = json.loads(payload).values()
    return frozenset(value[_KEPT] for value in values if isinstance(value, dict) and value.keys() == {_KEPT})


def contents(parcel: Parcel) -> Iterator[tuple[int, int, memoryview]]:
    """Part, number and octets of each piece; of what is empty one too. Views, no copies."""
    for part, content in enumerate((parcel.payload, *(file.content for file in parcel.files)), PAYLOAD):
        for number, begin in enumerate(range(0, max(1, len(content)), PIECE_OCTETS)):
            yield part, number, memoryview(content)[begin : begin + PIECE_OCTETS]


def base_subject(subject: str) -> tuple[str, bool]:
    """The subject without what answers put before it, and whether there was any."""
    left, is_answer = " ".join(subject.split()).lower(), False
    while match := re.match(r"(?:re|fwd?|aw|wg|sv|rv|tr)(?:\[\d+\])?\s*:\s*", left):
        left, is_answer = left[match.end() :], True
    return left[:200], is_answer


def _ids(found: Iterable[str]) -> tuple[str, ...]:
    """Digests of real message ids: `<>` and free text tie nothing together."""
    real = (one for one in found if len(one) > 2 and one.startswith("<") and one.endswith(">"))
    return tuple(dict.fromkeys(_digest("id", one) for one in real))[:MOST_LISTED]


def _digest(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:ID_CHARACTERS]


def _packed(mail: InboundMail) -> bytes:
    places = {_digest_of_base64(file.content): part for part, file in enumerate(mail.attachments, 1)}
    kept: dict[str, object] = {}
    for key, value in mail.payload.items():
        part = places.get(_digest_of_text(value)) if isinstance(value, str) and _FILE_KEY.fullmatch(key) else None
        kept[key] = value if part is None else {_KEPT: part}
    return json.dumps(kept, separators=(",", ":")).encode()


def _digest_of_base64(content: bytes) -> bytes:
    """Of what a file looks like in the payload, without holding that."""
    digest = hashlib.sha256()
    for begin in range(0, len(content), 3 * _STEP):
        digest.update(base64.b64encode(content[begin : begin + 3 * _STEP]))
    return digest.digest()


def _digest_of_text(text: str) -> bytes:
    digest = hashlib.sha256()
    for begin in range(0, len(text), 4 * _STEP):
        digest.update(text[begin : begin + 4 * _STEP].encode("utf-8", "surrogatepass"))
    return digest.digest()


def _files(attachments: Iterable[InboundAttachment]) -> Iterator[StoredFile]:
    for file in attachments:
        kind = file.content_type[:255]
        yield StoredFile(
            file.filename, kind, file.content, None if file.content_id is None else _clean(file.content_id), file.inline
        )


def _searched(mail: InboundMail) -> Iterator[str]:
    yield mail.subject
    if mail.from_address:
        yield f"{mail.from_address.name} {mail.from_address.email}"
    yield from (f"{one.name} {one.email}" for one in (*mail.to, *mail.cc)[:MOST_LISTED])
    yield from (file.filename for file in mail.attachments[:MOST_LISTED])
    yield mail.text or without_markup(mail.html or "")


def _summary(mail: InboundMail) -> dict[str, object]:
    return {
        "message_id": mail.message_id,
        "in_reply_to": mail.in_reply_to,
        "references": list(mail.references[-MOST_LISTED:]),
        "from": _shown(mail.from_address),
        "to": [_shown(one) for one in mail.to[:MOST_LISTED]],
        "cc": [_shown(one) for one in mail.cc[:MOST_LISTED]],
        "reply_to": [_shown(one) for one in mail.reply_to[:MOST_LISTED]],
        "envelope_sender": mail.envelope_sender,
        "recipients": [mail.envelope_recipient],
        "subject": mail.subject,
        "snippet": _snippet(mail.text or without_markup(mail.html or "")),
        "received_at": _time(mail.received_at),
        "sent_at": _time(mail.sent_at),
        "spam_score": mail.spam_score,
        "automatic": mail.is_automatic,
        "custom_id": mail.custom_id,
        "attachments": len(mail.attachments),
        "defects": list(mail.defects[:MOST_LISTED]),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class SentView:
    """What is shown of a message that went out; it was checked by the gateway before."""

    message_id: str
    in_reply_to: str
    references: str
    custom_id: str
    author: MailAddress
    recipients: tuple[str, ...]
    subject: str
    text: str | None
    html: str | None
    files: tuple[StoredFile, ...]
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, message: EmailMessage, *, sender: str, recipients: Sequence[str]) -> SentView:
        bodies: dict[str, str] = {}
        files: list[StoredFile] = []
        for part in message.walk():
            if part.is_multipart():
                continue
            kind, name = part.get_content_type(), part.get_filename("")
            if not name and part.get_content_disposition() != "attachment" and kind in ("text/plain", "text/html"):
                bodies.setdefault(kind, _text_of(part))
            else:
                content = part.get_payload(decode=True)
                cid = _clean(str(part.get("Content-ID", ""))).strip("<> ") or None
                files.append(
                    StoredFile(
                        _clean(name), kind[:255], content if isinstance(content, bytes) else b"", cid,
                        part.get_content_disposition() == "inline",
                    )
                )  # fmt: skip
        headers = tuple((name, _clean(_field(message, name, value))) for name, value in message.raw_items())
        first = {name.lower(): value for name, value in reversed(headers)}
        return cls(
            message_id=first.get("message-id", ""),
            in_reply_to=first.get("in-reply-to", ""),
            references=first.get("references", ""),
            custom_id=first.get("x-mj-customid", ""),
            author=MailAddress(sender),
            recipients=tuple(recipients),
            subject=first.get("subject", ""),
            text=bodies.get("text/plain"),
            html=bodies.get("text/html"),
            files=tuple(files),
            headers=headers,
        )

    def summary(self) -> dict[str, object]:
        return {
            "message_id": self.message_id or None,
            "in_reply_to": next(iter(find_message_ids(self.in_reply_to)), None),
            "references": list(find_message_ids(self.references)[-MOST_LISTED:]),
            "from": _shown(self.author),
            "to": [{"email": one, "name": ""} for one in self.recipients[:MOST_LISTED]],
            "cc": [],
            "reply_to": [],
            "envelope_sender": self.author.email,
            "recipients": list(self.recipients),
            "subject": self.subject,
            "snippet": _snippet(self.text or without_markup(self.html or "")),
            "received_at": None,
            "sent_at": None,
            "spam_score": None,
            "automatic": False,
            "custom_id": self.custom_id or None,
            "attachments": len(self.files),
            "defects": [],
        }


def _text_of(part: EmailMessage) -> str:
    content = part.get_payload(decode=True)
    octets = content if isinstance(content, bytes) else b""
    try:
        return _clean(octets.decode(part.get_content_charset("utf-8"), "replace"))
    except (LookupError, UnicodeError):
        return _clean(octets.decode("utf-8", "replace"))


def _field(message: EmailMessage, name: str, value: str) -> str:
    """As the standard library reads it, or as it stands: its parser fails on odd addresses and parameters."""
    try:
        return str(message.policy.header_fetch_parse(name, value))
    except (HeaderParseError, LookupError, TypeError, ValueError, AttributeError):
        return " ".join(value.split())


def _clean(text: str) -> str:
    """What both databases take: no NUL, no half surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _shown(address: MailAddress | None) -> dict[str, str] | None:
    return None if address is None else {"email": address.email, "name": address.name}


def _snippet(text: str) -> str:
    return " ".join(text[: 4 * SNIPPET_CHARACTERS].split())[:SNIPPET_CHARACTERS]


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
