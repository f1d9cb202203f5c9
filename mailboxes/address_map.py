"""{agent id: address} as JSON text: one string costs the SDK a third of what a map of 10,000 entries does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mailboxes.errors import InvalidAddressMapError
from mailboxes.packed_map import NotPackedError, unpacked
from mailboxes.wording import first_few

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def parse_address_map(text: str) -> dict[str, str]:
    """From JSON text or a packed map. Raises InvalidAddressMapError with what was found."""
    entries: Any
    repeated: list[str] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return entries

    try:
        entries = json.loads(text, object_pairs_hook=keep)
    except ValueError:
        try:
            entries = unpacked(text)
        except NotPackedError:
            raise InvalidAddressMapError("found text that is no JSON") from None
    if not isinstance(entries, dict):
        raise InvalidAddressMapError(f"found a JSON {type(entries).__name__}")
    if repeated:
        raise InvalidAddressMapError(f"found twice: agent {first_few(repeated)}")
    wrong = [agent for agent, address in entries.items() if not _is_address(address)]
    if wrong:
        raise InvalidAddressMapError(f"found no mail address for agent {first_few(wrong)}")
    owners: dict[str, str] = {}
    for agent, address in entries.items():
        other = owners.setdefault(address.lower(), agent)
        if other != agent:
            raise InvalidAddressMapError(f"found {address} for both agent {other} and agent {agent}")
    return entries


def _is_address(value: object) -> bool:
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None


def recorded_address_map(text: str) -> dict[str, str]:
    """What the state holds, which passed a check once or tells of a drift; empty for no text."""
    if text and not text.startswith("{"):
        return unpacked(text)
    entries = json.loads(text) if text else {}
    return {str(agent): str(address) for agent, address in entries.items()}


def render_address_map(addresses: Mapping[str, str]) -> str:
    """The one serialiser of the map: sorted and compact, so that equal maps are equal texts, and a preview shows a diff by agent."""
    return json.dumps(dict(sorted(addresses.items())), ensure_ascii=False, separators=(",", ":"))
