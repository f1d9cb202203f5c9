"""JSON from outside, decoded within bounds."""

import json
import re
from typing import NoReturn

from azmail.errors import PayloadError

MAX_DEPTH = 20
"""Recorded payloads are five levels deep."""
MAX_STRUCTURE = 200_000
"""Brackets, braces, commas and colons outside strings; a mail with a thousand headers has a few thousand."""

# One string, or an unfinished one up to the end: either way each byte is looked at once.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_NOT_STRUCTURE = bytes(set(range(256)) - set(b"[]{},:"))


def decode_json(body: bytes | str) -> object:
    """The value that a UTF-8 JSON text stands for.

    Depth and size of the structure are checked before anything is built from it. Raises PayloadError.
    """
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    structure = _STRING.sub(b"", raw).translate(None, _NOT_STRUCTURE)
    if len(structure) > MAX_STRUCTURE:
        raise PayloadError("body", "too many values", f"at most {MAX_STRUCTURE} separators")
    depth = 0
    for character in structure:
        if character in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise PayloadError("body", f"more than {MAX_DEPTH} levels", "a flatter JSON value")
        elif character in b"]}":
            depth -= 1
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # The decoder's own message quotes nothing, but a Unicode error carries the whole body along.
        raise PayloadError("body", "no valid UTF-8 JSON", "a JSON value") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
