"""TXT content: quoted character strings (RFC 1035 5.1) and what Cloudflare makes of unquoted text."""

from __future__ import annotations

from collections.abc import Iterable

# RFC 1035 3.3: a character string carries a length octet.
MAX_STRING = 255


class TxtInvalidError(ValueError):
    """Quoted content that does not parse."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


def pieces(value: bytes) -> list[bytes]:
    """`value` in runs of at most 255 octets; the empty value is one empty run."""
    return [value[at : at + MAX_STRING] for at in range(0, len(value), MAX_STRING)] or [b""]


def is_quoted(content: str) -> bool:
    return content.lstrip().startswith('"')


def _escaped(text: str, at: int) -> tuple[bytes, int]:
    """The octet that the escape at `at` (just after the backslash) means, and where it ends."""
    digits = text[at : at + 3]
    if len(digits) == 3 and digits.isascii() and digits.isdigit():
        if int(digits) > 255:
            raise TxtInvalidError(f"\\{digits} is not an octet")
        return bytes([int(digits)]), at + 3
    if at >= len(text):
        raise TxtInvalidError("a backslash ends the content")
    return text[at].encode(), at + 1


def _quoted(text: str) -> list[bytes]:
    strings: list[bytes] = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        if text[at] != '"':
            raise TxtInvalidError(f"text outside of quotation marks at position {at}")
        at += 1
        value = bytearray()
        while True:
            if at >= len(text):
                raise TxtInvalidError("a quotation mark is not closed")
            if text[at] == '"':
                at += 1
                break
            if text[at] == "\\":
                octets, at = _escaped(text, at + 1)
                value += octets
            else:
                value += text[at].encode()
                at += 1
        strings.append(bytes(value))
    return strings


def strings_of(content: str) -> tuple[bytes, ...]:
    """The character strings that a TXT record with this content publishes.

    Content that starts with a quotation mark is a sequence of quoted strings; anything else is one text, taken
    literally. Strings of more than 255 octets are cut. Raises TxtInvalidError.
    """
    if any(mark in content for mark in "\r\n\0"):
        raise TxtInvalidError("a line break or NUL in the content")
    values = _quoted(content) if is_quoted(content) else [content.encode()]
    return tuple(piece for value in values for piece in pieces(value))


def quoted(strings: Iterable[bytes]) -> str:
    """Presentation format: each string in quotation marks, `"` and `\\` escaped, other octets as `\\DDD`."""
    return " ".join(f'"{"".join(map(_printable, string))}"' for string in strings)


def _printable(octet: int) -> str:
    if octet in b'"\\':
        return "\\" + chr(octet)
    return chr(octet) if 0x20 <= octet <= 0x7E else f"\\{octet:03d}"


def stored(content: str) -> str:
    """The content that the API answers with.

    It is what was sent, byte for byte, except that a quoted string of more than 255 octets comes back cut.
    Unquoted text stays unquoted and whole: it is cut only on the wire.
    """
    strings = strings_of(content)
    if is_quoted(content) and any(len(value) > MAX_STRING for value in _quoted(content)):
        return quoted(strings)
    return content
