"""Populations for measurements: agents with ordinary two-word names, the same on every machine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path

STAMP = "20241005123045"
SEED = "bench"

_FIRST = (
    *("Aurora", "Vector", "Nexus", "Orbit", "Signal", "Lumen", "Glyph", "Stride", "Ember", "Quill", "Sable", "Tamsin"),
    *("Ines", "Mateo", "Noor", "Priya", "Rosa", "Sven", "Tariq", "Ulla", "Vera", "Wanda", "Xenia", "Yusuf", "Zora"),
)
_LAST = (
    *("Alvarez", "Bergmann", "Castillo", "Dubois", "Eriksen", "Ferrari", "Gutierrez", "Hashimoto", "Ivanova", "Jensen"),
    *("Kowalski", "Lindqvist", "Moreau", "Nakamura", "Oliveira", "Petrov", "Quintero", "Rossi", "Schneider", "Tanaka"),
    *("Ueda", "Vasquez", "Weber", "Xu", "Yilmaz", "Zimmermann", "Okafor", "Haddad", "Novak", "Lopez", "Garcia", "Sato"),
)
_SUFFIX = ("", *(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"))

NAMES = len(_FIRST) * len(_LAST) * len(_SUFFIX)
"""Agents who share a name share a thousand addresses, and a new one might then need another's: a measured step that
adds an agent wants none of that."""


def agent(number: int) -> dict[str, str]:
    """The agent with this number, as the platform exports agents; the first `NAMES` have names of their own."""
    rest, given = divmod(number, len(_FIRST))
    rest, family = divmod(rest, len(_LAST))
    first, last = _FIRST[given], _LAST[family] + _SUFFIX[rest % len(_SUFFIX)]
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"azt3knet://agents/{SEED}/{number}")),
        "name": f"{first} {last}",
        "username_hint": f"{first}_{last}_{number}".lower(),
    }


def write_population(file: Path, size: int) -> None:
    """The first `size` agents; the file of a larger population begins with that of a smaller one."""
    agents = [agent(number) for number in range(size)]
    document = {"seed": SEED, "created_at": STAMP, "count": size, "agents": agents}
    file.write_text(json.dumps(document, separators=(",", ":")))


def identifying_bytes(addresses: Mapping[str, str]) -> float:
    """Bytes of an agent id and an address together, on average."""
    return sum(len(agent_id) + len(address) for agent_id, address in addresses.items()) / max(len(addresses), 1)
