"""`./mail state clear-pending STACK`: forget creates that no run has ended, after a look at what there really is.

A run that is killed leaves a note in the state for each create that was under way. The engine keeps such notes for ever,
warns of them in every run, and takes them over a `destroy`; whether something was made it cannot know. This program finds
that out otherwise: what Cloudflare has and the state does not know is refused by the next `up` and taken in by `adopt`,
and senders and callbacks are removed by the stack's footprint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from commands.cli.console import confirmed, working
from commands.doctor.finding import Check, Finding
from commands.stack_commands import Pulumi
from mailboxes import remedies
from mailboxes.wording import counted, first_few

STATE = Check("state")
SHOWN = 10
_CREATING = "creating"


def pending_creates(export: Mapping[str, Any]) -> list[str]:
    """Names of the resources whose create no run has ended, from `pulumi stack export`; each once."""
    operations = (export.get("deployment") or {}).get("pending_operations") or []
    urns = [str(one["resource"]["urn"]) for one in operations if one.get("type") == _CREATING]
    return list(dict.fromkeys(urn.rsplit("::", 1)[-1] for urn in urns))


def pending_findings(stack: str, export: Mapping[str, Any]) -> Iterator[Finding]:
    """A warning where there are any: they stop nothing, and they never go by themselves."""
    names = pending_creates(export)
    if names:
        yield STATE.warning(
            stack,
            f"A run was killed while it created {_shown(names)}, and the state keeps a note of each: "
            f"look at the services and clear them with: {remedies.clear_pending(stack)}",
        )


def clear(stack: str, project: Path, *, yes: bool) -> int:
    """Only after a refresh that goes through. Raises PulumiFailedError and DeclinedError."""
    pulumi = Pulumi(stack, project=project)
    names = pending_creates(pulumi.export())
    if not names:
        print(f"No create of {stack!r} is pending; nothing was changed.")
        return 0
    print(f"Pending in {stack!r}: {_shown(names)}.")
    with working("Looking at what the services really have"):
        pulumi.run("refresh", "--preview-only", "--stack", stack)
    if not yes:
        confirmed(
            "Refresh the state and forget these creates?",
            remedy=f"say it with: {remedies.clear_pending(stack, '--yes')}",
        )
    with working("Refreshing"):
        pulumi.run(
            "refresh", "--clear-pending-creates", "--yes", "--skip-preview", "--suppress-outputs", "--stack", stack
        )
    print(
        f"Cleared. What such a create has made all the same is named by: {remedies.preview(stack)} "
        f"and taken into the state by: {remedies.adopt(stack)}"
    )
    return 0


def _shown(names: list[str]) -> str:
    return f"{counted(len(names), 'resource')} ({first_few(names, SHOWN)})"
