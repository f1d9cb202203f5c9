"""What a stack holds, by name, for the question before a destroy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from commands.report.digest import as_text
from commands.report.preview import compare
from commands.state_values import resources

_HOLDS_NOTHING = "pulumi:pulumi:Stack"


def holdings_text(state: Mapping[str, Any], *, stack: str) -> str:
    """The exported state as the digest of its destruction: addresses, records and every other resource that goes."""
    steps = [
        {"urn": item["urn"], "op": "delete", "oldState": item}
        for item in resources(state)
        if item.get("type") != _HOLDS_NOTHING and not item.get("retainOnDelete")
    ]
    held = replace(compare(steps, []), stack=stack)
    return f"{stack} holds nothing.\n" if held.is_empty else as_text(held)
