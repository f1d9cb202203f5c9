"""Messages as octets: header fields are read, added and dropped without touching anything else.

A body must arrive byte for byte, and a re-serialised message would break signatures; so nothing is parsed
and written again.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import getaddresses

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*?)\r?\n(?![ \t])", re.DOTALL)


@dataclass(frozen=True)
class Raw:
    """A message: its header fields in order, each as (name, whole field with line end), and its body."""

    fields: tuple[tuple[str, bytes], ...]
    body: bytes

    @classmethod
    def parse(cls, message: bytes) -> Raw:
        """Split `message`; what is no header field ends the header."""
        message = with_crlf(message)
        fields: list[tuple[str, bytes]] = []
        position = 0
        while match := _FIELD.match(message, position):
            fields.append((match[1].decode("ascii"), match[0]))
            position = match.end()
        body = message[position:]
        return cls(tuple(fields), body.removeprefix(b"\r\n"))

    def octets(self) -> bytes:
        """The message as octets again, after its parts were changed."""
        return b"".join(field for _, field in self.fields) + b"\r\n" + self.body

    def get(self, name: str) -> str | None:
        """The first field of this name, decoded and unfolded."""
        for known, field in self.fields:
            if known.lower() == name.lower():
                return decoded(field.partition(b":")[2])
        return None

    def without(self, drop: Iterable[str]) -> Raw:
        """Less the fields whose lower-case name is in `drop` or begins with one of its `prefix-*`."""
        names = set(drop)
        prefixes = tuple(name.removesuffix("*") for name in names if name.endswith("*"))
        kept = [
            (name, field)
            for name, field in self.fields
            if name.lower() not in names and not (prefixes and name.lower().startswith(prefixes))
        ]
        return Raw(tuple(kept), self.body)

    def with_first(self, name: str, value: str) -> Raw:
        """With one more field on top."""
        return Raw(((name, f"{name}: {value}\r\n".encode()), *self.fields), self.body)

    def addresses(self, name: str) -> list[str]:
        """The addresses in all fields of this name, read before encoded words are decoded: a name may hold a comma."""
        values = [unfolded(field.partition(b":")[2]) for known, field in self.fields if known.lower() == name]
        return [address for _, address in getaddresses(values) if address]


def with_crlf(message: bytes) -> bytes:
    """`message` with every line ended by CRLF."""
    return message.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def unfolded(value: bytes) -> str:
    """A field's value on one line; the white space of a fold stays as it is."""
    joined = value.replace(b"\r\n", b"").replace(b"\n", b"").strip(b" \t")
    return joined.decode("utf-8", "replace")


def decoded(value: bytes) -> str:
    """A field's value on one line with encoded words (RFC 2047) decoded; broken ones stay as they are."""
    text = unfolded(value)
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return text


def signed(message: bytes, *, domain: str, private_key: str, expires_seconds: int | None = None) -> bytes:
    """`message` with a DKIM signature of `domain`'s key on top (RFC 6376); takes some 20 ms.

    It expires (`x=`) after `expires_seconds`.
    """
    import dkim

    class Signer(dkim.DKIM):  # type: ignore[misc]  # dkimpy has no types
        """dkimpy's, which knows `x=` only where it verifies."""

        def gen_header(self, fields: list[tuple[bytes, bytes]], *rest: object, **options: object) -> object:
            if expires_seconds is not None:
                place = next(number for number, (name, _) in enumerate(fields) if name == b"t")
                expiry = str(int(fields[place][1]) + expires_seconds).encode()
                fields = [*fields[: place + 1], (b"x", expiry), *fields[place + 1 :]]
            return super().gen_header(fields, *rest, **options)

    names = [b"from", b"to", b"cc", b"reply-to", b"subject", b"date", b"message-id"]
    names += [b"in-reply-to", b"references", b"mime-version", b"content-type"]
    present = {name.lower().encode() for name, _ in Raw.parse(message).fields}
    signature: bytes = Signer(message).sign(
        b"mailjet",
        domain.encode(),
        private_key.encode(),
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=[name for name in names if name in present],
    )
    return signature + message


def base64_text(content: bytes, *, wrapped: bool) -> str:
    """Base64 in one line, or with the line ends that mail has."""
    return (base64.encodebytes if wrapped else base64.b64encode)(content).decode("ascii")
