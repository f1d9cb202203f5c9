"""A message of a Send API call as octets, for the mailbox of its agent: Mailjet composes the mail, and shows it to nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.header import Header
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime, formataddr
from typing import Any

PEOPLE = ("To", "Cc", "Bcc")
_WIRE = compat32.clone(linesep="\r\n")
_CONTENT_TYPE = re.compile(r"(?!multipart/|message/)[a-z0-9.+-]+/[a-z0-9.+-]+", re.IGNORECASE)
_UNKNOWN = "application/octet-stream"
_BASE64_LINE = 76


def recipients_of(message: Mapping[str, Any]) -> tuple[str, ...]:
    """Everybody that a message goes to, Bcc included."""
    return tuple(person["Email"] for name in PEOPLE for person in message.get(name, ()))


def message_octets(message: Mapping[str, Any], *, date: datetime) -> bytes:
    """One element of `Messages`, as `checked_call` leaves it, with CRLF line ends. Never raises for what that lets through.

    There is no Message-ID: Mailjet's is not known, and answers are found by the CustomID.
    """
    whole = _with_files(_body(message), message)
    for name, value in _fields(message, date):
        # What MIME has set stays: a call may name Content-Disposition among its headers.
        if name not in whole:
            whole[name] = value if value.isascii() else Header(value, "utf-8").encode()
    return whole.as_bytes(policy=_WIRE)


def _fields(message: Mapping[str, Any], date: datetime) -> Iterator[tuple[str, str]]:
    yield "From", _mailbox(message["From"])
    for name in ("To", "Cc"):
        if message.get(name):
            yield name, ", ".join(_mailbox(person) for person in message[name])
    if "ReplyTo" in message:
        yield "Reply-To", _mailbox(message["ReplyTo"])
    yield "Subject", _text(message.get("Subject", ""))
    yield "Date", format_datetime(date)
    for name, header in (("CustomID", "X-MJ-CustomID"), ("EventPayload", "X-MJ-EventPayload")):
        if message.get(name):
            yield header, _text(message[name])
    for name, value in message.get("Headers", {}).items():
        yield name, _text(value)


def _body(message: Mapping[str, Any]) -> Message:
    parts = [
        MIMEText(_text(message[name]), kind, "utf-8")
        for name, kind in (("TextPart", "plain"), ("HTMLPart", "html"))
        if message.get(name)
    ]
    if len(parts) == 2:
        return MIMEMultipart("alternative", _subparts=parts)
    return parts[0] if parts else MIMEText("", "plain", "utf-8")


def _with_files(body: Message, message: Mapping[str, Any]) -> Message:
    files = [
        _file(one, disposition)
        for name, disposition in (("InlinedAttachments", "inline"), ("Attachments", "attachment"))
        for one in message.get(name, ())
    ]
    return MIMEMultipart("mixed", _subparts=[body, *files]) if files else body


def _file(one: Mapping[str, str], disposition: str) -> Message:
    given = _text(one.get("ContentType", ""))
    match = _CONTENT_TYPE.match(given)
    part = MIMEBase(*(match[0] if match else _UNKNOWN).split("/"))
    part["Content-Transfer-Encoding"] = "base64"
    part.add_header("Content-Disposition", disposition, filename=("utf-8", "", _text(one.get("Filename") or "file")))
    if one.get("ContentID"):
        part["Content-ID"] = f"<{_ascii(one['ContentID'])}>"
    content = "".join(_ascii(one.get("Base64Content", "")).split())
    part.set_payload("\n".join(content[at : at + _BASE64_LINE] for at in range(0, len(content), _BASE64_LINE)))
    return part


def _mailbox(person: Mapping[str, str]) -> str:
    return formataddr((_text(person.get("Name", "")), person["Email"]))


def _text(text: str) -> str:
    """JSON may hold half of a surrogate pair, which no octets stand for."""
    return text.encode("utf-8", "replace").decode()


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
