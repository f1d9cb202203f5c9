"""JSON from outside, decoded within bounds."""

import json
import re
from typing import NoReturn

from azmail.errors import PayloadError

MAX_DEPTH = 20
"""Recorded payloads are five levels deep."""
MAX_STRUCTURE = 200_000
"""Brackets, braces, commas and colons outside strings; a mail with a thousand headers has a few thousand."""

# One string, an unfinished one up to the end, or one separator: each byte is looked at once. Possessive, because a
# repetition that may be given back remembers each of its turns: 115 bytes for every escape that a sender writes.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},:]', re.DOTALL)


def decode_json(body: bytes | str) -> object:
    """The value that a UTF-8 JSON text stands for.

    Depth and size of the structure are checked before anything is built from it, in constant memory; the whole takes
    a small multiple of the body. Raises PayloadError.
    """
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    _check_structure(raw)
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # The decoder's own message quotes nothing, but a Unicode error carries the whole body along.
        raise PayloadError("body", "no valid UTF-8 JSON", "a JSON value") from None


def _check_structure(raw: bytes) -> None:
    """Raises PayloadError for too many values or too many levels."""
    separators = strings = depth = 0
    for token in _TOKEN.finditer(raw):
        character = raw[token.start()]
        if character == ord('"'):
            strings += 1
        else:
            separators += 1
        # Between two strings stands a separator: more strings than that are no JSON.
        if separators > MAX_STRUCTURE or strings > MAX_STRUCTURE + 1:
            raise PayloadError("body", "too many values", f"at most {MAX_STRUCTURE} separators")
        if character in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise PayloadError("body", f"more than {MAX_DEPTH} levels", "a flatter JSON value")
        elif character in b"]}":
            depth -= 1


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def json_type(value: object) -> str:
    """What kind of JSON value it is, in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


def show_json(value: object) -> str:
    """A text's beginning, the kind of anything else."""
    return ascii(value[:40]) if isinstance(value, str) else json_type(value)
