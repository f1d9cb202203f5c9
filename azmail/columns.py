"""Columns of text as the stack's outputs hold them: base64 of zlib (RFC 1950) of a JSON list of lists.

A stack of 10,000 agents is a third as large so, and the state holds it encrypted, where nothing else makes it smaller.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Collection
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

MOST_OCTETS = 200 * 1024 * 1024
"""Unpacked: half a million agents."""


def unpack_columns(text: object) -> tuple[tuple[str, ...], ...]:
    """Raises ValueError; a tuple of columns is taken as it is."""
    if isinstance(text, tuple):
        return text
    try:
        if not isinstance(text, str):
            raise ValueError
        stream = zlib.decompressobj()
        octets = stream.decompress(base64.b64decode(text, validate=True), MOST_OCTETS)
        found = json.loads(octets) if stream.eof else None
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(column, list) for column in found):
        raise ValueError("expected base64 of zlib of a JSON list of lists")
    return tuple(tuple(column) for column in found)


def columns_of(columns: tuple[tuple[str, ...], ...], counts: Collection[int]) -> tuple[tuple[str, ...], ...]:
    """As many columns as one of `counts` says, all equally long and all of texts. Raises ValueError."""
    if len(columns) not in counts or len({len(column) for column in columns}) > 1:
        raise ValueError(f"expected {' or '.join(map(str, sorted(counts)))} columns of one length")
    if not all(type(entry) is str and entry for column in columns for entry in column):
        raise ValueError("expected texts, none of them empty")
    return columns


PackedColumns = Annotated[
    tuple[tuple[str, ...], ...],
    BeforeValidator(unpack_columns),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "description": __doc__.split("\n")[0]}),
]
