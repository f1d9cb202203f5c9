"""The files that came with a mail, as a Parse payload has them: base64, described by the headers of their part."""

import base64
import binascii
import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message

from azmail.encoded_words import NO_CHARSETS
from azmail.header_text import HEADER_ERRORS, decode_header, first_of, whole
from azmail.json_body import show_json

_CONTENT_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_PARAMETER_CHARACTERS = 4_000
_FILENAME_CHARACTERS = 255
MOST_FILES = 1_000
"""In a rebuilt message: the standard library takes a millisecond for each."""
_MOST_CONTAINERS = 50
_CONTAINER = re.compile(rb"message/|boundary", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MailPart:
    """One entry of `Parts`, or the root of a single-part mail, with what it refers to."""

    kind: str
    key: str
    content: str
    headers: tuple[tuple[str, str], ...]


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


def read_attachment(part: MailPart, defects: list[str]) -> InboundAttachment:
    """The file of a part; what of it is not base64 is told in `defects`."""
    content = _file_content(part, defects)
    described = Message()
    find = first_of(part.headers)
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


def _file_content(part: MailPart, defects: list[str]) -> bytes:
    try:
        # As Mailjet sends it: without a copy of a text of 20 MB.
        return binascii.a2b_base64(part.content, strict_mode=True)
    except (binascii.Error, ValueError):
        return _decoded_leniently(part, defects)


def _decoded_leniently(part: MailPart, defects: list[str]) -> bytes:
    try:
        digits = part.content.encode("ascii").translate(None, b" \t\r\n\v\f")
        unpadded = digits.rstrip(b"=")
        return base64.b64decode(unpadded + b"=" * (-len(unpadded) % 4), validate=True)
    except (binascii.Error, ValueError):
        defects.append(f"{show_json(part.key)}: found characters that are not base64: its content is kept as it came")
        return whole(part.content).encode()


def beyond_bounds(files: Sequence[InboundAttachment]) -> Iterator[str]:
    """What of these files a rebuilt message does not have, one sentence each."""
    if len(files) > MOST_FILES:
        yield f"{len(files)} attachments: `message` has the first {MOST_FILES} of them, `attachments` has all"
    for number, file in enumerate(files[:MOST_FILES]):
        if file.content_type.startswith("message/") and is_deep(file.content):
            yield f"attachments[{number}] has too many nested parts: `message` has it as application/octet-stream"


def is_deep(content: bytes) -> bool:
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
    except HEADER_ERRORS:
        return None
    return None if known in NO_CHARSETS else charset


def _filename(described: Message) -> str:
    try:
        name = decode_header(described.get_filename("") or "")
    except HEADER_ERRORS:
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
