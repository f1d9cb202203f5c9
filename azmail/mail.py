"""A mail that an agent sends, checked against Mailjet's limits when it is made.

An `OutgoingMail` that exists can be sent by either transport. Limits are those of Mailjet's Send API v3.1, which are
the stricter ones: 50 recipients, 255 characters of subject, 15 MB, no header that has a property of its own.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message

import idna

from azmail.errors import InvalidMailError, MailTooLargeError, TooManyRecipientsError

MAX_RECIPIENTS = 50
MAX_SUBJECT_CHARACTERS = 255
MAX_NAME_CHARACTERS = 255
MAX_CONTENT_BYTES = 15 * 1024 * 1024
MAX_CUSTOM_ID_CHARACTERS = 64
MAX_EVENT_PAYLOAD_CHARACTERS = 900
"""An unfoldable header line may have 998 characters (RFC 5322, 2.1.1), its name included."""

_DOT_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"({_DOT_ATOM})@((?:{_LABEL}\.)*{_LABEL})")
_MESSAGE_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]+>")
_HEADER_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]+")
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")

# Headers that have a property of their own, that Mailjet writes, or that its Send API refuses with send-0011.
# fmt: off
_RESERVED_HEADERS = frozenset(
    (
        "from", "sender", "subject", "to", "cc", "bcc", "reply-to", "return-path", "delivered-to",
        "dkim-signature", "domainkey-status", "received-spf", "authentication-results", "received", "date",
        "message-id", "user-agent", "x-mailer", "list-id", "x-csa-complaints", "x-feedback-id",
        "in-reply-to", "references", "mime-version", "content-type", "content-transfer-encoding",
        "content-disposition", "content-id", "x-mailjet-prio", "x-mailjet-debug", "x-mailjet-campaign",
        "x-mailjet-segmentation", "x-mailjet-trackopen", "x-mailjet-trackclick", "x-mj-customid",
        "x-mj-eventpayload", "x-mj-vars", "x-mj-templateid", "x-mj-templatelanguage",
        "x-mj-templateerrordeliver", "x-mj-templateerrorreporting", "x-mj-workflowid", "x-mj-mid",
        "x-mj-errormessage", "x-mj-statisticscontactslistid",
    )
)
# fmt: on


@dataclass(frozen=True, slots=True)
class MailAddress:
    """An address and the name shown with it."""

    email: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2]

    @classmethod
    def parse(cls, value: "str | MailAddress", role: str = "address") -> "MailAddress":
        """`a@example.com` or `A <a@example.com>`, checked so that it can stand in an envelope (RFC 5321, 4.1.2).

        A domain in another script is converted to its A-labels (RFC 5891). Quoted and non-ASCII local parts are
        refused: Mailjet takes neither. Raises InvalidMailError.
        """
        if isinstance(value, MailAddress):
            name, email = value.name, value.email
        elif named := _split_named(value):
            name, email = named
            if len(name) > 1 and name[0] == name[-1] == '"':
                name = re.sub(r"\\(.)", r"\1", name[1:-1])
        else:
            name, email = "", value.strip()
        email = _with_a_labels(email)
        match = _ADDRESS.fullmatch(email)
        if match is None or len(match[1]) > 64 or len(match[2]) > 253:
            raise InvalidMailError(
                f"{role}: found {_shown(email)}, expected an address such as ada@example.com, in ASCII before the @"
            )
        if len(name) > MAX_NAME_CHARACTERS:
            raise InvalidMailError(
                f"{role} {email}: its display name has {len(name)} characters, expected at most {MAX_NAME_CHARACTERS}"
            )
        return cls(email, _single_line(name, f"{role} {email}: its display name"))


Recipients = str | MailAddress | Iterable[str | MailAddress]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a mail, byte for byte.

    With a `content_id` it is an inline image for the HTML part, which shows it with `<img src="cid:CONTENT_ID">`.
    `content_type` may carry parameters (`text/csv; charset=utf-8`).
    """

    filename: str
    content: bytes = field(repr=False)
    content_type: str = "application/octet-stream"
    content_id: str | None = None

    def __post_init__(self) -> None:
        if not self.filename.strip():
            raise InvalidMailError("attachment: found an empty filename, expected one: Mailjet refuses it")
        _single_line(self.filename, "attachment: its filename")
        _single_line(self.content_type, f"attachment {self.filename}: its content type")
        if not self.content_type.isascii() or not _CONTENT_TYPE.fullmatch(self.media_type):
            raise InvalidMailError(
                f"attachment {self.filename}: found content type {self.content_type!r}, expected type/subtype"
            )
        if self.media_type.startswith("multipart/"):
            raise InvalidMailError(
                f"attachment {self.filename}: found content type {self.content_type!r}, a file cannot be a multipart"
            )
        if self.content_id is not None and not re.fullmatch(r"[\x21-\x3b\x3d\x3f-\x7e]+", self.content_id):
            raise InvalidMailError(
                f"attachment {self.filename}: found content id {self.content_id!r}, expected printable ASCII without "
                "spaces and angle brackets"
            )

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def wire_type(self) -> str:
        """The media type that the file is sent with, the same by SMTP and by the Send API."""
        # RFC 2046, 5.2.1 forbids base64 for message/rfc822, and without it not every byte survives. As a plain file it
        # does.
        return "application/octet-stream" if self.media_type.startswith("message/") else self.media_type

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the content type, such as its charset."""
        header = Message()
        header["Content-Type"] = self.content_type
        pairs: list[tuple[str, str]] = header.get_params(failobj=[])
        return {name.lower(): value for name, value in pairs[1:] if name.lower() != "name"}


class OutgoingMail:
    """What to send, to whom; who sends it is the `MailService`'s mailbox.

    Raises InvalidMailError (TooManyRecipientsError, among others) or MailTooLargeError when it is made.
    Message ids may come with or without their angle brackets. `left_out` are addresses that an answer should have gone
    to and that no mail can go to, as they were found.
    """

    __slots__ = (
        "attachments",
        "bcc",
        "cc",
        "custom_id",
        "event_payload",
        "headers",
        "html",
        "in_reply_to",
        "left_out",
        "references",
        "reply_to",
        "subject",
        "text",
        "to",
    )

    def __init__(
        self,
        *,
        to: Recipients = (),
        subject: str = "",
        text: str | None = None,
        html: str | None = None,
        cc: Recipients = (),
        bcc: Recipients = (),
        reply_to: str | MailAddress | None = None,
        attachments: Iterable[Attachment] = (),
        in_reply_to: str | None = None,
        references: Iterable[str] = (),
        custom_id: str | None = None,
        event_payload: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.to = _recipients(to, "To")
        self.cc = _recipients(cc, "Cc")
        self.bcc = _recipients(bcc, "Bcc")
        self.reply_to = None if reply_to is None else MailAddress.parse(reply_to, "Reply-To")
        self.subject = _single_line(subject, "subject")
        self.text = None if text is None else _unicode(text, "text")
        self.html = None if html is None else _unicode(html, "html")
        self.attachments = tuple(attachments)
        self.in_reply_to = None if in_reply_to is None else _message_id(in_reply_to, "in_reply_to")
        self.references = tuple(_message_id(reference, "references") for reference in references)
        self.custom_id = _token(custom_id, "custom_id", MAX_CUSTOM_ID_CHARACTERS)
        self.left_out: tuple[str, ...] = ()
        self.event_payload = _token(event_payload, "event_payload")
        self.headers = {name: _header(name, value) for name, value in (headers or {}).items()}
        self._check_limits()

    def _check_limits(self) -> None:
        recipients = len(self.to) + len(self.cc) + len(self.bcc)
        if recipients == 0:
            raise InvalidMailError("the mail has no recipient, expected at least one in To")
        if not self.to:
            raise InvalidMailError(
                f"the mail has nobody in To and {recipients} in Cc and Bcc, expected at least one in To: Mailjet's Send "
                "API refuses it otherwise (mj-0003); for a hidden circle of recipients put the sender in To"
            )
        if recipients > MAX_RECIPIENTS:
            raise TooManyRecipientsError(recipients, MAX_RECIPIENTS)
        if not (self.text or self.html):
            raise InvalidMailError("the mail has neither text nor html, expected at least one: Mailjet refuses it")
        if len(self.subject) > MAX_SUBJECT_CHARACTERS:
            raise InvalidMailError(
                f"the subject has {len(self.subject)} characters, Mailjet takes at most {MAX_SUBJECT_CHARACTERS}: "
                "shorten it"
            )
        inline = [attachment for attachment in self.attachments if attachment.content_id]
        if inline and not self.html:
            raise InvalidMailError(
                f"attachment {inline[0].filename} has a content id but the mail has no html to show it: give html, or "
                "drop the content id"
            )
        if len({attachment.content_id for attachment in inline}) != len(inline):
            raise InvalidMailError("two inline attachments have the same content id, expected one each")
        size = self.content_bytes()
        if size > MAX_CONTENT_BYTES:
            raise MailTooLargeError(size, MAX_CONTENT_BYTES, "Mailjet")

    @property
    def recipients(self) -> tuple[MailAddress, ...]:
        """Everybody the mail goes to, each address once."""
        everybody = (*self.to, *self.cc, *self.bcc)
        return tuple({recipient.email.lower(): recipient for recipient in reversed(everybody)}.values())[::-1]

    def content_bytes(self) -> int:
        """Bytes of bodies and attachments before any transfer encoding."""
        bodies = sum(len(body.encode()) for body in (self.text, self.html) if body)
        return bodies + sum(len(attachment.content) for attachment in self.attachments)

    def with_event_payload(self, event_payload: str) -> "OutgoingMail":
        """The same mail with another event payload."""
        changed = copy.copy(self)
        changed.event_payload = _token(event_payload, "event_payload")
        return changed

    def with_custom_id(self, custom_id: str) -> "OutgoingMail":
        """The same mail with another custom id."""
        changed = copy.copy(self)
        changed.custom_id = _token(custom_id, "custom_id", MAX_CUSTOM_ID_CHARACTERS)
        return changed

    def with_left_out(self, left_out: Iterable[str]) -> "OutgoingMail":
        """The same mail, which says whom it could not be addressed to."""
        changed = copy.copy(self)
        changed.left_out = tuple(left_out)
        return changed

    def __repr__(self) -> str:
        return (
            f"OutgoingMail(recipients={len(self.recipients)}, attachments={len(self.attachments)}, "
            f"bytes={self.content_bytes()})"
        )


def find_message_ids(text: str) -> tuple[str, ...]:
    """The message ids in a header's text, with their angle brackets, in order."""
    return tuple(_MESSAGE_ID.findall(text))


def _with_a_labels(email: str) -> str:
    """The address with a domain in another script in its xn-- form; what is no domain stays for the check to refuse."""
    local, at, domain = email.rpartition("@")
    if not at or domain.isascii():
        return email
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return email


def _split_named(value: str) -> tuple[str, str] | None:
    """Name and address of `name <address>`; an expression for it takes minutes for ten thousand spaces."""
    text = value.strip()
    name, bracket, address = text.removesuffix(">").rpartition("<")
    if not bracket or not text.endswith(">") or ">" in address:
        return None
    return name.strip(), address.strip()


def _recipients(value: Recipients, role: str) -> tuple[MailAddress, ...]:
    several = (value,) if isinstance(value, str | MailAddress) else value
    return tuple(MailAddress.parse(one, role) for one in several)


def is_message_id(text: str) -> bool:
    """Whether it is a message id with its brackets that fits on a header line."""
    return _MESSAGE_ID.fullmatch(text) is not None and len(text) <= 900


def is_control(character: str) -> bool:
    """Whether the character ends a line or is no text at all."""
    return ord(character) < 32 or 127 <= ord(character) < 160 or character in "\u2028\u2029"


def _message_id(value: str, role: str) -> str:
    bracketed = value.strip() if value.strip().startswith("<") else f"<{value.strip()}>"
    if not is_message_id(bracketed):
        raise InvalidMailError(f"{role}: found {_shown(value)}, expected a message id such as <abc@example.com>")
    return bracketed


def _token(value: str | None, role: str, most: int = MAX_EVENT_PAYLOAD_CHARACTERS) -> str | None:
    if value is None:
        return None
    if not (value.isascii() and value.isprintable()) or len(value) > most:
        raise InvalidMailError(
            f"{role}: expected at most {most} printable ASCII characters (JSON with \\u "
            f"escapes carries anything), found {len(value)} characters"
            + ("" if value.isascii() and value.isprintable() else ", some of them others")
        )
    return value or None


def _header(name: str, value: str) -> str:
    if not name.isascii() or not _HEADER_NAME.fullmatch(name):
        raise InvalidMailError(f"headers: found the name {_shown(name)}, expected a header name")
    if name.lower() in _RESERVED_HEADERS:
        raise InvalidMailError(
            f"headers: {name} is not free, it has a property of its own or Mailjet writes it: use the property, or "
            "drop it"
        )
    if not value.isascii() or len(value) > 900:
        raise InvalidMailError(f"headers: {name} has a value of other than at most 900 ASCII characters: shorten it")
    return _single_line(value, f"headers: {name}")


def _single_line(value: str, what: str) -> str:
    # A line break in a header value would start a header of somebody else's choosing.
    if any(is_control(character) for character in value):
        raise InvalidMailError(f"{what} has a line break or another control character, expected one line of text")
    return _unicode(value, what)


def _unicode(value: str, what: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidMailError(f"{what} has half a surrogate pair, expected whole Unicode characters") from None
    return value


def _shown(value: str) -> str:
    return ascii(value if len(value) <= 80 else value[:79] + "…")
