"""A mail that arrived, rebuilt as MIME.

What the standard library cannot write is left out, or kept under a name that nothing looks for; never an error.
"""

import re
from collections.abc import Iterable, Sequence
from email import message_from_bytes
from email.errors import HeaderParseError
from email.headerregistry import HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP

from azmail.attached import MOST_FILES, InboundAttachment, is_deep
from azmail.header_text import HEADER_ERRORS, PACKING_HEADERS, UNSTRUCTURED_CHARACTERS, one_line

_HEADER_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]+")
_MAX_HEADER_NAME = 100
_STRUCTURED_CHARACTERS = 6_000
_POLICY = SMTP.clone(cte_type="7bit")
_STRUCTURED_HEADERS = frozenset(HeaderRegistry().registry) - {"subject"}


def rebuild(
    headers: Iterable[tuple[str, str]], text: str | None, html: str | None, attachments: Sequence[InboundAttachment]
) -> EmailMessage:
    """The message with these headers, bodies (None where there is none) and files."""
    message = EmailMessage(policy=_POLICY)
    # The standard library's parser takes seconds for long headers of some kinds, and anybody can send those.
    budget = {True: _STRUCTURED_CHARACTERS, False: UNSTRUCTURED_CHARACTERS}
    for name, value in headers:
        if name.lower() not in PACKING_HEADERS:
            structured = name.lower() in _STRUCTURED_HEADERS
            weight = len(value) if value.isascii() else 10 * len(value)
            _add_header(message, name, value, parsed=weight <= budget[structured])
            budget[structured] -= min(weight, budget[structured])
    if text is not None or html is None:
        message.set_content(text or "")
        if html is not None:
            message.add_alternative(html, subtype="html")
    else:
        message.set_content(html, subtype="html")
    shown = message.get_body(preferencelist=("html",))
    files = attachments[:MOST_FILES]
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
    clean = one_line(value[:UNSTRUCTURED_CHARACTERS])
    try:
        if not parsed:
            raise HeaderParseError("too long to be parsed")
        header = _POLICY.header_factory(name, clean)
        header.fold(policy=_POLICY).encode("ascii", "surrogateescape")
        message.set_raw(name, header)
    except HEADER_ERRORS:
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
    if is_deep(file.content):
        return False
    # It is never base64 (RFC 2046, 5.2.1): the standard library parses it as part of the tree.
    part = message_from_bytes(b"Content-Type: %b\r\n\r\n" % file.content_type.encode() + file.content, policy=_POLICY)
    part["Content-Disposition"] = "attachment"
    if file.filename:
        part.set_param("filename", file.filename, "Content-Disposition")
    try:
        part.as_bytes()
    except HEADER_ERRORS:
        return False
    if message.get_content_type() != "multipart/mixed":
        message.make_mixed()
    message.attach(part)
    return True


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value
