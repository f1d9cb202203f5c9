"""Mailjet's Parse payloads as typed mails and as `email.message.EmailMessage`.

Mailjet has decoded bodies to Unicode already, whatever charset a part names; attachments are base64 whatever their
transfer encoding says. Parts come as a flat list that refers to top-level keys (`Text-part`, `Html-part2`,
`Attachment1`, `InlineAttachment1`); a mail of one part has an empty list and the reference at the top.

Nothing in a mail is trusted and nothing that it links to is ever fetched. Mailjet gives no SPF, DKIM or DMARC verdict:
anybody can have written the From.
"""

import base64
import binascii
import codecs
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import cast

from azmail.addresses import read_addresses, read_author
from azmail.encoded_words import NO_CHARSETS, decode_words
from azmail.errors import PayloadError
from azmail.json_body import decode_json
from azmail.mail import MailAddress, find_message_ids

_CONTENT_KEY = re.compile(r"(text-part|html-part|attachment|inlineattachment)(\d*)", re.IGNORECASE)
_CONTENT_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_HEADER_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]+")
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029], " ")
_STRUCTURED_CHARACTERS = 6_000
_UNSTRUCTURED_CHARACTERS = 40_000
_PARAMETER_CHARACTERS = 4_000
_ID_CHARACTERS = 100_000
_MAX_HEADER_NAME = 100

_FILENAME_CHARACTERS = 255
# Bounds of `InboundMail.message`: the standard library recurses into parts, and takes a millisecond for each.
_MOST_FILES = 1_000
_MOST_CONTAINERS = 50
_CONTAINER = re.compile(rb"message/|boundary", re.IGNORECASE)

_AUTOMATIC_PRECEDENCE = frozenset(("auto_reply", "auto-reply", "bulk", "junk", "list"))
_AUTOMATIC_HEADERS = frozenset(("list-id", "x-autoreply", "x-autorespond", "x-auto-response-suppress"))

# Headers that say how the parts were packed; a rebuilt message has its own.
_PACKING_HEADERS = frozenset(
    ("content-type", "content-transfer-encoding", "content-disposition", "content-id", "mime-version")
)
# What the standard library's header parser is known to raise on malformed values, besides its own errors.
_HEADER_ERRORS = (
    HeaderParseError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RecursionError,
)
_POLICY = SMTP.clone(cte_type="7bit")
_STRUCTURED_HEADERS = frozenset(HeaderRegistry().registry) - {"subject"}


@dataclass(frozen=True, slots=True)
class InboundAttachment:
    """A file that came with a mail, byte for byte.

    `filename` is the sender's suggestion without any folder in it, "" if there is none; `content_id` is without angle
    brackets; `inline` says that the mail shows it in its text.
    """

    filename: str
    content_type: str
    content: bytes = field(repr=False)
    content_id: str | None = None
    inline: bool = False
    charset: str | None = None


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
        return _rebuild(self)

    def header(self, name: str) -> str | None:
        """The first value of a header, in any case, unfolded but not decoded."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def is_automatic(self) -> bool:
        """Whether a machine sent it: an agent that answers such mail can end up in a loop (RFC 3834)."""
        return not self.envelope_sender or any(_says_automatic(name.lower(), value) for name, value in self.headers)


@dataclass(frozen=True, slots=True)
class _Part:
    """One entry of `Parts`, or the root of a single-part mail, with what it refers to."""

    kind: str
    key: str
    content: str
    headers: tuple[tuple[str, str], ...]


def parse_inbound(payload: Mapping[str, object] | bytes | str) -> InboundMail:
    """Read one Parse delivery, decoded or as JSON.

    Raises PayloadError, and nothing else, for whatever is not one.
    """
    if isinstance(payload, bytes | str):
        decoded = decode_json(payload)
        if not isinstance(decoded, dict):
            raise PayloadError("payload", _type_name(decoded), "a JSON object")
        payload = cast("dict[str, object]", decoded)
    values = {key.lower(): value for key, value in payload.items() if isinstance(key, str)}
    recipient = _unfold(_text(values, "Recipient")).strip()
    if not recipient:
        raise PayloadError("Recipient", "nothing", "the address that the mail was routed to")
    headers = _headers(values.get("headers"), "Headers")
    # Mailjet repeats these at the top; where only the top has them they are the headers.
    for name in ("From", "Subject"):
        if (repeated := _unfold(_text(values, name))) and _first_of(headers)(name) is None:
            headers += ((name, repeated),)
    defects: list[str] = []
    parts = list(_parts(values, headers, defects))
    texts = [part for part in parts if part.kind == "text-part"]
    htmls = [part for part in parts if part.kind == "html-part"]
    files = [_attachment(part, defects) for part in parts if part.kind.endswith("attachment")]
    text = _join(part.content for part in texts)
    html = _join(part.content for part in htmls)
    # Recorded: mails whose only body came as an inline attachment without name or id.
    if text is None and html is None:
        text, files = _body_among(files, "text/plain")
        html, files = _body_among(files, "text/html")
    find = _first_of(headers)
    # The header is as it was sent, the top decoded already: decoding that again would read words in what they stand for.
    repeated, sent = _unfold(_text(values, "Subject")), find("Subject") or ""
    subject = _one_line(_decoded(sent) if "=?" in sent else repeated or sent)
    sender = _unfold(_text(values, "Sender")).strip().removeprefix("<").removesuffix(">")
    message_id = _message_id(find("Message-ID"))
    author = read_author(find("From") or "")
    return InboundMail(
        envelope_sender=sender,
        envelope_recipient=recipient,
        message_id=message_id,
        in_reply_to=next(iter(_ids(find("In-Reply-To") or "")), None),
        references=_ids(" ".join(value for name, value in headers if name.lower() == "references")),
        from_address=_address(*author) if author else None,
        to=_addresses(value for name, value in headers if name.lower() == "to"),
        cc=_addresses(value for name, value in headers if name.lower() == "cc"),
        reply_to=_addresses(value for name, value in headers if name.lower() == "reply-to"),
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
        defects=(*defects, *_beyond_bounds(files)),
    )


# --- fields ---------------------------------------------------------------------------------------------------


def _text(values: Mapping[str, object], key: str) -> str:
    value = values.get(key.lower())
    if value is None:
        return ""
    if not isinstance(value, str):
        raise PayloadError(key, _type_name(value), "a text")
    return _whole(value)


def _headers(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """Header names with values, one entry for each value, unfolded; names keep the sender's case."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise PayloadError(where, _type_name(value), "an object of header names")
    found: list[tuple[str, str]] = []
    for name, given in value.items():
        for one in given if isinstance(given, list) else [given]:
            if not isinstance(one, str):
                raise PayloadError(f"{where}.{_shown(name)}", _type_name(one), "a text or a list of texts")
            found.append((_whole(str(name)), _unfold(one)))
    return tuple(found)


def _parts(values: Mapping[str, object], headers: tuple[tuple[str, str], ...], defects: list[str]) -> Iterator[_Part]:
    listed = values.get("parts")
    if listed is not None and not isinstance(listed, list):
        raise PayloadError("Parts", _type_name(listed), "a list")
    references: list[tuple[str, object, tuple[tuple[str, str], ...]]] = []
    for number, entry in enumerate(listed or ()):
        where = f"Parts[{number}]"
        if not isinstance(entry, Mapping):
            raise PayloadError(where, _type_name(entry), "an object")
        lower = {str(key).lower(): value for key, value in entry.items()}
        references.append(
            (f"{where}.ContentRef", lower.get("contentref"), _headers(lower.get("headers"), f"{where}.Headers"))
        )
    references.append(("ContentRef", values.get("contentref"), headers))
    used: set[str] = set()
    for where, reference, part_headers in references:
        if reference is None or reference == "":
            continue  # a container: its boundary is all it had to say
        expected = "Text-part, Html-part, AttachmentN or InlineAttachmentN"
        if not isinstance(reference, str):
            raise PayloadError(where, _shown(reference), expected)
        if not _CONTENT_KEY.fullmatch(reference):
            defects.append(f"{where}: found {_shown(reference)}, expected {expected}: the part is in the payload only")
            continue
        if reference.lower() not in used:
            used.add(reference.lower())
            yield _part(values, reference, part_headers)
    for key in values:
        if _CONTENT_KEY.fullmatch(key) and key not in used:
            yield _part(values, key, ())


def _part(values: Mapping[str, object], key: str, headers: tuple[tuple[str, str], ...]) -> _Part:
    match = _CONTENT_KEY.fullmatch(key)
    kind = match[1].lower() if match else ""
    content = values.get(key.lower())
    if content is None and kind.endswith("-part"):
        content = ""  # an empty body
    if not isinstance(content, str):
        raise PayloadError(_shown(key), _type_name(content), "a text")
    return _Part(kind, key, _whole(content) if kind.endswith("-part") else content, headers)


def _attachment(part: _Part, defects: list[str]) -> InboundAttachment:
    content = _file_content(part, defects)
    described = Message()
    find = _first_of(part.headers)
    for name in ("Content-Type", "Content-Disposition"):
        if value := find(name):
            described[name] = value[:_PARAMETER_CHARACTERS]
    content_id = (find("Content-ID") or "").strip().removeprefix("<").removesuffix(">").strip() or None
    disposition = (described.get("Content-Disposition") or "").partition(";")[0].strip().lower()
    return InboundAttachment(
        filename=_filename(described),
        content_type=_content_type(described),
        content=content,
        content_id=content_id,
        inline=disposition == "inline" or (part.kind == "inlineattachment" and disposition != "attachment"),
        charset=_charset(described),
    )


def _file_content(part: _Part, defects: list[str]) -> bytes:
    try:
        digits = part.content.encode("ascii").translate(None, b" \t\r\n\v\f")
        unpadded = digits.rstrip(b"=")
        return base64.b64decode(unpadded + b"=" * (-len(unpadded) % 4), validate=True)
    except (binascii.Error, ValueError):
        defects.append(f"{_shown(part.key)}: found characters that are not base64: its content is kept as it came")
        return _whole(part.content).encode()


def _beyond_bounds(files: Sequence[InboundAttachment]) -> Iterator[str]:
    if len(files) > _MOST_FILES:
        yield f"{len(files)} attachments: `message` has the first {_MOST_FILES} of them, `attachments` has all"
    for number, file in enumerate(files[:_MOST_FILES]):
        if file.content_type.startswith("message/") and _is_deep(file.content):
            yield f"attachments[{number}] has too many nested parts: `message` has it as application/octet-stream"


def _is_deep(content: bytes) -> bool:
    """Whether it could have more nested parts than the standard library can be trusted with."""
    return sum(1 for _ in _CONTAINER.finditer(content)) > _MOST_CONTAINERS


def _content_type(described: Message) -> str:
    declared = (described.get("Content-Type") or "").partition(";")[0].strip().lower()
    return declared if _CONTENT_TYPE.fullmatch(declared) else "application/octet-stream"


def _charset(described: Message) -> str | None:
    try:
        charset = described.get_content_charset()
        known = codecs.lookup(charset or "ascii").name.replace("-", "_")
        "".encode(known)
    except _HEADER_ERRORS:
        return None
    return None if known in NO_CHARSETS else charset


def _filename(described: Message) -> str:
    try:
        name = _decoded(described.get_filename("") or "")
    except _HEADER_ERRORS:
        return ""
    # Only a suggestion (RFC 2183, 2.3): folders in it must not steer where it is saved.
    base = re.split(r"[/\\]", "".join(c for c in name if c.isprintable()))[-1].strip()
    return "" if base in (".", "..") else _shortened(base)


def _shortened(name: str) -> str:
    """At most 255 characters, with its extension: that says what the file is."""
    if len(name) <= _FILENAME_CHARACTERS:
        return name
    stem, dot, extension = name.rpartition(".")
    kept = dot + extension if stem and len(extension) <= 20 else ""
    return name[: _FILENAME_CHARACTERS - len(kept)] + kept


def _body_among(files: Sequence[InboundAttachment], content_type: str) -> tuple[str | None, list[InboundAttachment]]:
    for number, file in enumerate(files):
        if file.inline and file.content_type == content_type and not file.filename and not file.content_id:
            body = _whole(file.content.decode(file.charset or "utf-8", "replace"))
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


def _addresses(values: Iterable[str]) -> tuple[MailAddress, ...]:
    return tuple(_address(email, name) for value in values for email, name in read_addresses(value))


def _address(email: str, name: str) -> MailAddress:
    return MailAddress(email, _one_line(_decoded(name)))


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
    received = _first_of(headers)("Received")
    return _header_date(received.rpartition(";")[2]) if received else None


def _header_date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value[:200])
        # "-0000" says that the zone is unknown and the time is UTC (RFC 5322, 3.3).
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        aware.astimezone(UTC)
    except (*_HEADER_ERRORS, OverflowError):
        return None
    return aware


def _delivery_key(recipient: str, identity: Sequence[str], parts: Sequence[_Part]) -> str:
    """Of the content too: senders reuse Message-IDs, and whoever knows one could take its place in advance."""
    digest = hashlib.sha256()
    described = (json.dumps([pair for pair in part.headers if pair[0].lower() in _PACKING_HEADERS]) for part in parts)
    contents = (text for part in parts for text in (part.key.lower(), part.content))
    for item in (recipient.lower(), *identity, *described, *contents):
        digest.update(hashlib.sha256(item.encode("utf-8", "surrogatepass")).digest())
    return digest.hexdigest()


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


# --- text -----------------------------------------------------------------------------------------------------


def _unfold(value: str) -> str:
    """One line (RFC 5322, 2.2.3). Mailjet drops the line break of a fold and keeps its tab, which becomes a space."""
    # Not with an expression: a list of every line end of a hostile header takes a hundred times the header.
    lines = _whole(value).replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return lines.replace("\n ", " ").replace("\n", " ").rstrip()


def _whole(value: str) -> str:
    """Without halves of surrogate pairs, which JSON can carry and UTF-8 cannot, and without NUL, which databases refuse."""
    readable = value if _is_whole(value) else value.encode("utf-8", "replace").decode()
    return readable.replace("\0", "\ufffd")


def _is_whole(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decoded(value: str) -> str:
    """With RFC 2047 encoded words as the text they stand for."""
    if "=?" not in value or len(value) > _UNSTRUCTURED_CHARACTERS:
        return value
    return _whole(decode_words(value))


def _one_line(value: str) -> str:
    """Without line breaks and other controls, which an encoded word can hide."""
    return value.translate(_CONTROLS)


def _first_of(headers: tuple[tuple[str, str], ...]) -> Callable[[str], str | None]:
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(name.lower(), value)
    return lambda name: first.get(name.lower())


def _type_name(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


def _shown(value: object) -> str:
    return ascii(value[:40]) if isinstance(value, str) else _type_name(value)


# --- the MIME message -----------------------------------------------------------------------------------------


def _rebuild(mail: InboundMail) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    # The standard library's parser takes seconds for long headers of some kinds, and anybody can send those.
    budget = {True: _STRUCTURED_CHARACTERS, False: _UNSTRUCTURED_CHARACTERS}
    for name, value in mail.headers:
        if name.lower() not in _PACKING_HEADERS:
            structured = name.lower() in _STRUCTURED_HEADERS
            weight = len(value) if value.isascii() else 10 * len(value)
            _add_header(message, name, value, parsed=weight <= budget[structured])
            budget[structured] -= min(weight, budget[structured])
    if mail.text is not None or mail.html is None:
        message.set_content(mail.text or "")
        if mail.html is not None:
            message.add_alternative(mail.html, subtype="html")
    else:
        message.set_content(mail.html, subtype="html")
    shown = message.get_body(preferencelist=("html",))
    files = mail.attachments[:_MOST_FILES]
    for file in files:
        if file.inline and file.content_id and isinstance(shown, EmailMessage):
            _add_file(shown, file, related=True)
    for file in files:
        if not (file.inline and file.content_id and isinstance(shown, EmailMessage)):
            _add_file(message, file, related=False)
    return message


def _add_header(message: EmailMessage, name: str, value: str, *, parsed: bool) -> None:
    if not _HEADER_NAME.fullmatch(name) or len(name) > _MAX_HEADER_NAME:
        return  # no line of a message can begin with it; `InboundMail.headers` has it
    clean = _one_line(value[:_UNSTRUCTURED_CHARACTERS])
    try:
        if not parsed:
            raise HeaderParseError("too long to be parsed")
        header = _POLICY.header_factory(name, clean)
        header.fold(policy=_POLICY).encode("ascii", "surrogateescape")
        message.set_raw(name, header)
    except _HEADER_ERRORS:
        # Beyond the standard library's parser: kept where software that looks for the header won't trip over it.
        message.set_raw(f"X-Unparsed-{name}", ascii(clean)[1:-1][:900].replace("=?", "=\\x3f"))


def _add_file(message: EmailMessage, file: InboundAttachment, *, related: bool) -> None:
    maintype, _, subtype = file.content_type.partition("/")
    if maintype == "message":
        if _add_message(message, file):
            return
        maintype, subtype = "application", "octet-stream"
    elif maintype == "multipart":
        maintype, subtype = "application", "octet-stream"  # its boundary is lost
    content_id = file.content_id if file.content_id and _is_plain(file.content_id) else None
    (message.add_related if related else message.add_attachment)(
        file.content,
        maintype=maintype,
        subtype=subtype,
        disposition="inline" if file.inline else "attachment",
        filename=file.filename or None,
        cid=f"<{content_id}>" if content_id else None,
        params={"charset": file.charset} if maintype == "text" and file.charset else None,
    )


def _add_message(message: EmailMessage, file: InboundAttachment) -> bool:
    """Add a message inside the message; False if it is too malformed to be written again."""
    if _is_deep(file.content):
        return False
    # It is never base64 (RFC 2046, 5.2.1): the standard library parses it as part of the tree.
    part = message_from_bytes(b"Content-Type: %b\r\n\r\n" % file.content_type.encode() + file.content, policy=_POLICY)
    part["Content-Disposition"] = "attachment"
    if file.filename:
        part.set_param("filename", file.filename, "Content-Disposition")
    try:
        part.as_bytes()
    except _HEADER_ERRORS:
        return False
    if message.get_content_type() != "multipart/mixed":
        message.make_mixed()
    message.attach(part)
    return True


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value
