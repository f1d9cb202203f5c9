"""{agent id: address} for the state alone: a third of the JSON text, for what no person has to read there.

Ids and addresses stand apart as two columns, since each compresses better among its like. The text is no digest and
not canonical: two builds of zlib may pack one map differently, so maps are compared, never their packed texts.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping, Sequence


class NotPackedError(ValueError):
    """A text that `packed` did not make."""

    def __init__(self) -> None:
        super().__init__("found neither JSON nor a packed map")


def packed(addresses: Mapping[str, str]) -> str:
    """ASCII text that `unpacked` turns back into the map, sorted by agent id."""
    agents = sorted(addresses)
    return _deflated([agents, [addresses[agent] for agent in agents]])


def packed_columns(*columns: Sequence[str]) -> str:
    """Columns of one length, for the outputs: base64 of zlib (RFC 1950) of a JSON list of lists."""
    return _deflated([list(column) for column in columns])


def unpacked(text: str) -> dict[str, str]:
    """The map of a packed text. Raises NotPackedError."""
    columns = _inflated(text)
    if not (isinstance(columns, list) and [type(column) for column in columns] == [list, list]):
        raise NotPackedError
    agents, addresses = columns
    if len(agents) != len(addresses):
        raise NotPackedError
    return dict(zip(agents, addresses, strict=True))


def packed_list(entries: Sequence[str]) -> str:
    """The same for a list, say of addresses without their agents."""
    return _deflated(list(entries))


def unpacked_list(text: str) -> list[str]:
    """The list of a packed text. Raises NotPackedError."""
    entries = _inflated(text)
    if not isinstance(entries, list):
        raise NotPackedError
    return [str(entry) for entry in entries]


def _deflated(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def _inflated(text: str) -> object:
    try:
        found: object = json.loads(zlib.decompress(base64.b64decode(text, validate=True)))
    except (binascii.Error, zlib.error, ValueError):
        raise NotPackedError from None
    return found
