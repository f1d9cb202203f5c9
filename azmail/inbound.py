"""Mailjet's Parse payloads as typed mails.

Mailjet has decoded bodies to Unicode already, whatever charset a part names; attachments are base64 whatever their
transfer encoding says. Parts come as a flat list that refers to top-level keys (`Text-part`, `Html-part2`,
`Attachment1`, `InlineAttachment1`); a mail of one part has an empty list and the reference at the top.

Nothing in a mail is trusted and nothing that it links to is ever fetched. Mailjet gives no SPF, DKIM or DMARC verdict:
anybody can have written the From.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import cast

from azmail.addresses import read_addresses, read_author
from azmail.attached import InboundAttachment, MailPart, beyond_bounds, read_attachment
from azmail.errors import PayloadError
from azmail.header_text import (
    HEADER_ERRORS,
    PACKING_HEADERS,
    decode_header,
    decode_left_header,
    first_of,
    one_line,
    unfold,
    whole,
)
from azmail.json_body import decode_json, json_type, show_json
from azmail.mail import MailAddress, find_message_ids
from azmail.rebuilt import rebuild

__all__ = ["InboundAttachment", "InboundMail", "parse_inbound"]

_CONTENT_KEY = re.compile(r"(text-part|html-part|attachment|inlineattachment)(\d*)", re.IGNORECASE)
_ID_CHARACTERS = 100_000
_STEP = 1_000_000
_AUTOMATIC_PRECEDENCE = frozenset(("auto_reply", "auto-reply", "bulk", "junk", "list"))
_AUTOMATIC_HEADERS = frozenset(("list-id", "x-autoreply", "x-autorespond", "x-auto-response-suppress"))

_Reader = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class InboundMail:
    """A mail that arrived for an agent.

    `envelope_sender` is "" for bounces. `envelope_recipient` is the routed address, one delivery each. `received_at` is
    the time of the newest Received header and `sent_at` what the sender's Date claims; both are aware or None. `html` joins several HTML
    parts. `text` and `html` are None where the mail has none.
    """

    envelope_sender: str
    envelope_recipient: str
    message_id: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    from_address: MailAddress | None
    to: tuple[MailAddress, ...]
    cc: tuple[MailAddress, ...]
    reply_to: tuple[MailAddress, ...]
    subject: str
    text: str | None = field(repr=False)
    html: str | None = field(repr=False)
    attachments: tuple[InboundAttachment, ...]
    spam_score: float | None
    received_at: datetime | None
    sent_at: datetime | None
    custom_id: str | None
    event_payload: str | None
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    payload: Mapping[str, object] = field(repr=False, compare=False)
    delivery_key: str
    """The same for every delivery of this mail to this recipient: a digest of recipient, Message-ID and content."""
    defects: tuple[str, ...] = ()
    """What could not be read as it was sent, or is left out of `message`, one sentence each; `payload` has all of it."""

    @cached_property
    def message(self) -> EmailMessage:
        """The whole mail rebuilt as MIME, on first use."""
        return rebuild(self.headers, self.text, self.html, self.attachments)

    def header(self, name: str) -> str | None:
        """The first value of a header, in any case, unfolded but not decoded."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def is_automatic(self) -> bool:
        """Whether a machine sent it: an agent that answers such mail can end up in a loop (RFC 3834)."""
        return not self.envelope_sender or any(_says_automatic(name.lower(), value) for name, value in self.headers)


def parse_inbound(payload: Mapping[str, object] | bytes | str) -> InboundMail:
    """Read one Parse delivery, decoded or as JSON.

    Raises PayloadError, and nothing else, for whatever is not one.
    """
    if isinstance(payload, bytes | str):
        decoded = decode_json(payload)
        if not isinstance(decoded, dict):
            raise PayloadError("payload", json_type(decoded), "a JSON object")
        payload = cast("dict[str, object]", decoded)
    values = {key.lower(): value for key, value in payload.items() if isinstance(key, str)}
    recipient = unfold(_text(values, "Recipient")).strip()
    if not recipient:
        raise PayloadError("Recipient", "nothing", "the address that the mail was routed to")
    headers = _headers(values.get("headers"), "Headers")
    read = _reader(values, headers)
    # Mailjet repeats these at the top; where only the top has them they are the headers.
    for name in ("From", "Subject"):
        if (repeated := unfold(_text(values, name))) and first_of(headers)(name) is None:
            headers += ((name, repeated),)
    defects: list[str] = []
    parts = list(_parts(values, headers, defects))
    texts = [part for part in parts if part.kind == "text-part"]
    htmls = [part for part in parts if part.kind == "html-part"]
    files = [read_attachment(part, defects) for part in parts if part.kind.endswith("attachment")]
    text = _join(part.content for part in texts)
    html = _join(part.content for part in htmls)
    # Recorded: mails whose only body came as an inline attachment without name or id.
    if text is None and html is None:
        text, files = _body_among(files, "text/plain")
        html, files = _body_among(files, "text/html")
    find = first_of(headers)
    repeated, sent = unfold(_text(values, "Subject")), find("Subject") or ""
    subject = one_line(read(sent if "=?" in sent else repeated or sent))
    sender = unfold(_text(values, "Sender")).strip().removeprefix("<").removesuffix(">")
    message_id = _message_id(find("Message-ID"))
    author = read_author(find("From") or "")
    return InboundMail(
        envelope_sender=sender,
        envelope_recipient=recipient,
        message_id=message_id,
        in_reply_to=next(iter(_ids(find("In-Reply-To") or "")), None),
        references=_ids(" ".join(value for name, value in headers if name.lower() == "references")),
        from_address=_address(*author, read) if author else None,
        to=_addresses((value for name, value in headers if name.lower() == "to"), read),
        cc=_addresses((value for name, value in headers if name.lower() == "cc"), read),
        reply_to=_addresses((value for name, value in headers if name.lower() == "reply-to"), read),
        subject=subject,
        text=text,
        html=html,
        attachments=tuple(files),
        spam_score=_number(values.get("spamassassinscore")),
        received_at=_received(headers),
        sent_at=_header_date(find("Date")),
        custom_id=_text(values, "CustomID") or None,
        event_payload=_text(values, "Payload") or None,
        headers=headers,
        payload=payload,
        delivery_key=_delivery_key(
            recipient, (message_id or "", sender, find("From") or "", find("Date") or "", subject), parts
        ),
        defects=(*defects, *beyond_bounds(files)),
    )


def _text(values: Mapping[str, object], key: str) -> str:
    value = values.get(key.lower())
    if value is None:
        return ""
    if not isinstance(value, str):
        raise PayloadError(key, json_type(value), "a text")
    return whole(value)


def _headers(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """Header names with values, one entry for each value, unfolded; names keep the sender's case."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise PayloadError(where, json_type(value), "an object of header names")
    found: list[tuple[str, str]] = []
    for name, given in value.items():
        for one in given if isinstance(given, list) else [given]:
            if not isinstance(one, str):
                raise PayloadError(f"{where}.{show_json(name)}", json_type(one), "a text or a list of texts")
            found.append((whole(str(name)), unfold(one)))
    return tuple(found)


def _parts(
    values: Mapping[str, object], headers: tuple[tuple[str, str], ...], defects: list[str]
) -> Iterator[MailPart]:
    listed = values.get("parts")
    if listed is not None and not isinstance(listed, list):
        raise PayloadError("Parts", json_type(listed), "a list")
    references: list[tuple[str, object, tuple[tuple[str, str], ...]]] = []
    for number, entry in enumerate(listed or ()):
        where = f"Parts[{number}]"
        if not isinstance(entry, Mapping):
            raise PayloadError(where, json_type(entry), "an object")
        lower = {str(key).lower(): value for key, value in entry.items()}
        references.append(
            (f"{where}.ContentRef", lower.get("contentref"), _headers(lower.get("headers"), f"{where}.Headers"))
        )
    references.append(("ContentRef", values.get("contentref"), headers))
    used: set[str] = set()
    for where, reference, part_headers in references:
        if reference is None or reference == "":
            continue  # a container: its boundary is all it had to say
        if not isinstance(reference, str) or not _CONTENT_KEY.fullmatch(reference):
            defects.append(
                f"{where}: found {show_json(reference)}, expected Text-part, Html-part, AttachmentN or "
                "InlineAttachmentN: the part is in the payload only"
            )
        elif reference.lower() not in used:
            used.add(reference.lower())
            yield from _part(values, where, reference, part_headers, defects)
    for key in values:
        if _CONTENT_KEY.fullmatch(key) and key not in used:
            yield from _part(values, key, key, (), defects)


def _part(
    values: Mapping[str, object], where: str, key: str, headers: tuple[tuple[str, str], ...], defects: list[str]
) -> Iterator[MailPart]:
    """The part, or nothing where its content is missing or no text: the rest of the mail is none the worse for it."""
    match = _CONTENT_KEY.fullmatch(key)
    kind = match[1].lower() if match else ""
    content = values.get(key.lower())
    if content is None and kind.endswith("-part"):
        content = ""  # an empty body
    if isinstance(content, str):
        yield MailPart(kind, key, whole(content) if kind.endswith("-part") else content, headers)
    else:
        told = json_type(content)
        defects.append(f"{where}: found {told} at {show_json(key)}, expected a text: that part is in the payload only")


def _body_among(files: Sequence[InboundAttachment], content_type: str) -> tuple[str | None, list[InboundAttachment]]:
    for number, file in enumerate(files):
        if file.inline and file.content_type == content_type and not file.filename and not file.content_id:
            body = whole(file.content.decode(file.charset or "utf-8", "replace"))
            return body, [*files[:number], *files[number + 1 :]]
    return None, list(files)


def _join(bodies: Iterable[str]) -> str | None:
    every = list(bodies)
    if not every:
        return None
    return "\n".join([body for body in every if body.strip()]) or every[0]


def _ids(header: str) -> tuple[str, ...]:
    return find_message_ids(header[:_ID_CHARACTERS])


def _message_id(header: str | None) -> str | None:
    if header is None:
        return None
    return next(iter(_ids(header)), None) or header.strip()[:998] or None


def _reader(values: Mapping[str, object], headers: tuple[tuple[str, str], ...]) -> _Reader:
    """How this payload's headers are read: as they were sent, or as decoded by Mailjet.

    Mailjet decodes both the headers and what it repeats of them at the top. Where they differ, or nothing is repeated,
    the headers are as they were sent.
    """
    find = first_of(headers)
    repeated = [(find(name), unfold(_text(values, name))) for name in ("Subject", "From") if name.lower() in values]
    sent = any(header and "=?" in header and header.split() != top.split() for header, top in repeated)
    return decode_header if sent or not repeated else decode_left_header


def _addresses(values: Iterable[str], read: _Reader) -> tuple[MailAddress, ...]:
    return tuple(_address(email, name, read) for value in values for email, name in read_addresses(value))


def _address(email: str, name: str, read: _Reader) -> MailAddress:
    return MailAddress(email, one_line(read(name)))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _received(headers: tuple[tuple[str, str], ...]) -> datetime | None:
    """The newest Received header's time: the payload's own Date is the sender's, who can write anything there."""
    received = first_of(headers)("Received")
    return _header_date(received.rpartition(";")[2]) if received else None


def _header_date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value[:200])
        # "-0000" says that the zone is unknown and the time is UTC (RFC 5322, 3.3).
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        aware.astimezone(UTC)
    except (*HEADER_ERRORS, OverflowError):
        return None
    return aware


def _delivery_key(recipient: str, identity: Sequence[str], parts: Sequence[MailPart]) -> str:
    """Of the content too: senders reuse Message-IDs, and whoever knows one could take its place in advance."""
    digest = hashlib.sha256()
    described = (json.dumps([pair for pair in part.headers if pair[0].lower() in PACKING_HEADERS]) for part in parts)
    contents = (text for part in parts for text in (part.key.lower(), part.content))
    for item in (recipient.lower(), *identity, *described, *contents):
        digest.update(_digest(item))
    return digest.hexdigest()


def _digest(text: str) -> bytes:
    """Step by step: a file's text has 20 MB."""
    digest = hashlib.sha256()
    for begin in range(0, len(text), _STEP):
        digest.update(text[begin : begin + _STEP].encode("utf-8", "surrogatepass"))
    return digest.digest()


def _says_automatic(name: str, value: str) -> bool:
    """Whether one header says that a machine wrote the mail; `name` in lower case."""
    said = value.partition(";")[0].strip().lower()
    match name:
        case "auto-submitted":
            return said not in ("", "no")
        case "precedence":
            return said in _AUTOMATIC_PRECEDENCE
        case "content-type":
            return said == "multipart/report"
        case _:
            return name in _AUTOMATIC_HEADERS and said not in ("", "no", "none", "false")
