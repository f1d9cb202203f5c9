"""The text of a mail's headers: unfolded, whole, decoded, on one line."""

from collections.abc import Callable
from email.errors import MessageError

from azmail.encoded_words import decode_left, decode_words

UNSTRUCTURED_CHARACTERS = 40_000
"""Of a header that is text for people: a longer one is left as it came."""
# What the standard library's header parser is known to raise on malformed values, besides its own errors.
HEADER_ERRORS = (
    MessageError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RecursionError,
)
# Headers that say how the parts were packed; a rebuilt message has its own.
PACKING_HEADERS = frozenset(
    ("content-type", "content-transfer-encoding", "content-disposition", "content-id", "mime-version")
)
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029], " ")


def unfold(value: str) -> str:
    """One line (RFC 5322, 2.2.3). Mailjet drops the line break of a fold and keeps its tab, which becomes a space."""
    # Not with an expression: a list of every line end of a hostile header takes a hundred times the header.
    lines = whole(value).replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return lines.replace("\n ", " ").replace("\n", " ").rstrip()


def whole(value: str) -> str:
    """Without halves of surrogate pairs, which JSON can carry and UTF-8 cannot, and without NUL, which databases refuse."""
    readable = value if _is_whole(value) else value.encode("utf-8", "replace").decode()
    return readable.replace("\0", "\ufffd")


def _is_whole(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def decode_header(value: str) -> str:
    """With RFC 2047 encoded words as the text they stand for."""
    if "=?" not in value or len(value) > UNSTRUCTURED_CHARACTERS:
        return value
    return whole(decode_words(value))


def decode_left_header(value: str) -> str:
    """The same for text that Mailjet has decoded: a word in it was sent as it stands, unless Mailjet could not read it."""
    if "=?" not in value or len(value) > UNSTRUCTURED_CHARACTERS:
        return value
    return whole(decode_left(value))


def one_line(value: str) -> str:
    """Without line breaks and other controls, which an encoded word can hide."""
    return value.translate(_CONTROLS)


def first_of(headers: tuple[tuple[str, str], ...]) -> Callable[[str], str | None]:
    """The first value for a name in any case, or None."""
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(name.lower(), value)
    return lambda name: first.get(name.lower())
