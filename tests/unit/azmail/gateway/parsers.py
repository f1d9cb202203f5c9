"""Who four independent parsers say that a message is from."""

from __future__ import annotations

import email
import re
import unicodedata
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.utils import getaddresses
from typing import cast

import dkim

from emulators.mailjet.mime import Raw

_ADDRESS = re.compile(r"[^\s<>\",;:]+@[^\s<>\",;:]+")
_NAMES_A_SENDER = re.compile(rb"(?i)(from|sender|resent-from|resent-sender)[ \t]*:")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\x00")


def senders_of(octets: bytes) -> list[list[str]]:
    """The From addresses that each of the four sees."""
    compat = email.message_from_bytes(octets, policy=policy.compat32)
    modern = email.message_from_bytes(octets, policy=policy.SMTP)
    by_dkim, _body = dkim.rfc822_parse(octets)
    by_fields = Raw.parse(octets).fields
    return [
        [address for _, address in getaddresses([str(value) for value in compat.get_all("From", [])])],
        [
            address.addr_spec
            for header in cast("list[AddressHeader]", modern.get_all("From", []))
            for address in header.addresses
        ],
        [_last_address(value.decode("ascii")) for name, value in by_dkim if name.strip().lower() == b"from"],
        [
            _last_address(field.partition(b":")[2].decode("ascii"))
            for name, field in by_fields
            if name.strip().lower() == "from"
        ],
    ]


def is_from_nobody_else(octets: bytes, address: str, *, victim: str) -> bool:
    """Whether all four see one From, `address`, no field that names a sender shows `victim`, and every line ends in CRLF."""
    if _BARE.search(octets) or senders_of(octets) != [[address]] * 4:
        return False
    header = _FOLD.sub(b"", octets.partition(b"\r\n\r\n")[0])
    return all(victim not in _shown(line) for line in header.split(b"\r\n") if _NAMES_A_SENDER.match(line))


def _shown(line: bytes) -> str:
    """As a person reads it: encoded words decoded, wide forms narrowed, in lower case."""
    text = line.decode("utf-8", "replace")
    try:
        text = str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, ValueError):
        return text.lower()
    return unicodedata.normalize("NFKC", text).lower()


def _last_address(value: str) -> str:
    """What stands in <> at the end, or is all there is."""
    return str(_ADDRESS.findall(value)[-1])
