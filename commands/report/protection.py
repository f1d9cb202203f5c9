"""What the state refuses to delete, in one sentence for all of it.

The engine says so of one resource after the other and proposes `pulumi state unprotect` for each; the configuration
lifts them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from commands.state_values import resources
from mailboxes import remedies
from mailboxes.wording import counted, first_few
from settings.values import SUPERSEDED

_REFUSED = re.compile(r'resource "(?:[^"]*::)?([^":]+)" cannot be deleted\s+because it is protected')


def refused_name(error: str) -> str:
    """The name of the resource that the engine's error refuses to delete; empty for any other error."""
    match = _REFUSED.search(error)
    return match[1] if match else ""


def protected_sentence(names: Sequence[str], *, stack: str, doing: str) -> str:
    """`doing`: what the person does once the protection is lifted."""
    ours = [name for name in names if not name.startswith(SUPERSEDED)]
    ways = []
    if ours:
        ways.append(
            f"to lift the protection of the whole stack, run: {remedies.set_value('protected', 'false', stack=stack)} && "
            f"{remedies.apply(stack)}"
        )
    if len(ours) < len(names):
        ways.append(f"what was adopted as superseded is given back with: {remedies.adopt(stack, '--forget')}")
    are = "is" if len(names) == 1 else "are"
    return (
        f"{counted(len(names), 'resource')} of {stack} {are} protected and cannot be deleted ({first_few(names)}); expected none of "
        f"them to go; {'; '.join(ways)}; then {doing}"
    )


def protected_names(state: Mapping[str, Any]) -> list[str]:
    """The names of what an exported state protects."""
    return [str(item["urn"]).rsplit("::", 1)[-1] for item in resources(state) if item.get("protect")]
