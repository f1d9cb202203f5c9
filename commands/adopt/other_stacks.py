"""The second proof beside the owner tag: what other stacks of the project hold, and which have the same tag.

A tag is a text in a file, and files are copied. What another stack's state holds is that stack's, whatever its comment says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands.adopt.stack_state import parse_state
from commands.stack_commands import Pulumi, PulumiFailedError
from engine.stacks import StackFile
from settings.values import PROJECT


@dataclass(frozen=True, kw_only=True)
class OtherStack:
    """Another stack of the project, as far as it can be seen from here."""

    name: str
    has_our_tag: bool = False
    """Whether its file has our ownerTag, in our zone."""
    holds: frozenset[str] = frozenset()
    """Ids of the records and tunnels in its state."""
    unread: str = ""
    """Why its state could not be read; empty where it was, or where it has none in our backend."""


def other_stacks(engine: Pulumi, *, tag: str, zone_id: str) -> list[OtherStack]:
    """Every other stack with a file beside ours or a state in our backend. Raises PulumiFailedError."""
    own = _short(engine.stack)
    named = {file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in engine.project.glob("Pulumi.?*.yaml")}
    listed = {_short(str(entry["name"])) for entry in json.loads(engine.run("stack", "ls", "--json"))}
    found = []
    for name in sorted((named | listed) - {own}):
        holds, unread = _held(engine, name) if name in listed else (frozenset(), "")
        twin = has_tag(_configuration(engine.project, name), stack=name, tag=tag, zone_id=zone_id)
        found.append(OtherStack(name=name, has_our_tag=twin, holds=holds, unread=unread))
    return found


def has_tag(config: Mapping[str, Any], *, stack: str, tag: str, zone_id: str) -> bool:
    """Whether a stack with this configuration marks its records in this zone with this tag."""
    own = str(config.get(f"{PROJECT}:ownerTag") or f"{PROJECT}-{stack}")
    return own == tag and config.get(f"{PROJECT}:zoneId") == zone_id


def _held(engine: Pulumi, stack: str) -> tuple[frozenset[str], str]:
    try:
        state = parse_state(Pulumi(stack, project=engine.project, environment=engine.given).export())
    except PulumiFailedError as error:
        return frozenset(), error.reason
    return frozenset({record.id for record in state.records} | set(state.tunnels)), ""


def _configuration(project: Path, stack: str) -> Mapping[str, Any]:
    config = StackFile.of(project, stack).document().get("config")
    return config if isinstance(config, dict) else {}


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]
