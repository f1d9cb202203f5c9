"""An `OutgoingMail` as the two things Mailjet takes: a MIME message for SMTP, a JSON object for the Send API."""

import base64
from datetime import datetime
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import format_datetime

from azmail.addresses import decodable_name, quoted_name
from azmail.mail import Attachment, MailAddress, OutgoingMail

# 7bit: no server on the way needs 8BITMIME. Headers are stored folded and are written as they stand: left to itself the
# standard library encodes long message ids and event payloads, and splits long encoded names at the wrong places.
WIRE_POLICY = SMTP.clone(cte_type="7bit", refold_source="none")

_BYTES_PER_WORD = 45


def as_message(mail: OutgoingMail, sender: MailAddress, *, message_id: str, date: datetime) -> EmailMessage:
    """The mail as a MIME message: text and HTML as alternatives, inline images beside the HTML, then attachments.

    Bcc recipients are in no header; they belong in the envelope.
    """
    message = EmailMessage(policy=WIRE_POLICY)
    message.set_raw("From", _address(sender))
    for name, recipients in (("To", mail.to), ("Cc", mail.cc)):
        if recipients:
            message.set_raw(name, ",\r\n ".join(_address(recipient) for recipient in recipients))
    if mail.reply_to is not None:
        message.set_raw("Reply-To", _address(mail.reply_to))
    message.set_raw("Subject", _encoded(mail.subject) if _needs_encoding(mail.subject) else mail.subject)
    message.set_raw("Date", format_datetime(date))
    message.set_raw("Message-ID", message_id)
    if mail.in_reply_to is not None:
        message.set_raw("In-Reply-To", mail.in_reply_to)
    if mail.references:
        message.set_raw("References", "\r\n ".join(mail.references))
    if mail.custom_id is not None:
        message.set_raw("X-MJ-CustomID", mail.custom_id)
    if mail.event_payload is not None:
        message.set_raw("X-MJ-EventPayload", mail.event_payload)
    # A letter from an agent is no campaign: links stay as they are, and nobody is watched reading.
    message.set_raw("X-Mailjet-TrackOpen", "0")
    message.set_raw("X-Mailjet-TrackClick", "0")
    for name, value in mail.headers.items():
        message.set_raw(name, value)
    _add_bodies(message, mail)
    for attachment in mail.attachments:
        if attachment.content_id is None:
            _attach(message, attachment)
    return message


def as_send_api(mail: OutgoingMail, sender: MailAddress) -> dict[str, object]:
    """The mail as one element of `Messages` in a Send API v3.1 request."""
    message: dict[str, object] = {"From": _json_address(sender), "Subject": mail.subject}
    for name, recipients in (("To", mail.to), ("Cc", mail.cc), ("Bcc", mail.bcc)):
        if recipients:
            message[name] = [_json_address(recipient) for recipient in recipients]
    if mail.reply_to is not None:
        message["ReplyTo"] = _json_address(mail.reply_to)
    if mail.text:
        message["TextPart"] = mail.text
    if mail.html:
        message["HTMLPart"] = mail.html
    if mail.custom_id is not None:
        message["CustomID"] = mail.custom_id
    if mail.event_payload is not None:
        message["EventPayload"] = mail.event_payload
    message["TrackOpens"] = message["TrackClicks"] = "disabled"
    # Unlike Message-ID, the two thread headers are allowed in Headers.
    headers = dict(mail.headers)
    if mail.in_reply_to is not None:
        headers["In-Reply-To"] = mail.in_reply_to
    if mail.references:
        headers["References"] = " ".join(mail.references)
    if headers:
        message["Headers"] = headers
    files = [_json_attachment(a) for a in mail.attachments if a.content_id is None]
    if files:
        message["Attachments"] = files
    images = [_json_attachment(a) | {"ContentID": a.content_id} for a in mail.attachments if a.content_id is not None]
    if images:
        message["InlinedAttachments"] = images
    return message


def _address(address: MailAddress) -> str:
    if not address.name:
        return address.email
    if _needs_encoding(address.name):
        return f"{_encoded(decodable_name(address.name))} <{address.email}>"
    return f"{quoted_name(address.name)} <{address.email}>"


def _needs_encoding(text: str) -> bool:
    # White space at the ends would be lost, and text that looks encoded would be decoded.
    return not text.isascii() or "=?" in text or text != text.strip()


def _encoded(text: str) -> str:
    """The text as RFC 2047 encoded words of at most 75 characters, none of which cuts a character in two."""
    words: list[bytes] = [b""]
    for character in text:
        raw = character.encode()
        if len(words[-1]) + len(raw) > _BYTES_PER_WORD:
            words.append(b"")
        words[-1] += raw
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode('ascii')}?=" for word in words)


def _add_bodies(message: EmailMessage, mail: OutgoingMail) -> None:
    if mail.text:
        message.set_content(mail.text)
        if mail.html:
            message.add_alternative(mail.html, subtype="html")
    else:
        message.set_content(mail.html or "", subtype="html")
    html = message.get_body(preferencelist=("html",))
    for image in mail.attachments:
        if image.content_id is not None and isinstance(html, EmailMessage):
            maintype, _, subtype = image.wire_type.partition("/")
            html.add_related(
                image.content,
                maintype=maintype,
                subtype=subtype,
                cid=f"<{image.content_id}>",
                filename=image.filename,
                disposition="inline",
                params=image.parameters,
            )


def _attach(message: EmailMessage, attachment: Attachment) -> None:
    maintype, _, subtype = attachment.wire_type.partition("/")
    message.add_attachment(
        attachment.content,
        maintype=maintype,
        subtype=subtype,
        filename=attachment.filename,
        params=attachment.parameters,
    )


def _json_address(address: MailAddress) -> dict[str, str]:
    if not address.name:
        return {"Email": address.email}
    # Mailjet quotes a name in ASCII and encodes others, as SMTP's header does.
    return {
        "Email": address.email,
        "Name": decodable_name(address.name) if _needs_encoding(address.name) else address.name,
    }


def _content_type(attachment: Attachment) -> str:
    """With its parameters: an invitation without `method=REQUEST` is no invitation."""
    header = Message()
    header["Content-Type"] = attachment.wire_type
    for name, value in attachment.parameters.items():
        header.set_param(name, value)
    return str(header["Content-Type"])


def _json_attachment(attachment: Attachment) -> dict[str, str | None]:
    return {
        "ContentType": _content_type(attachment),
        "Filename": attachment.filename,
        "Base64Content": base64.b64encode(attachment.content).decode("ascii"),
    }
