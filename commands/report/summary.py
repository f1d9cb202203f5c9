"""What `make up` shows at its end: the stack's outputs as a page a person likes to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

SOME = 5
"""How many addresses are shown."""
WIDTH = 100
"""Columns; a longer value ends in an ellipsis, since the zone has it whole."""

NEXT = (
    ("make demo", "one agent mails another, through the whole loop"),
    ("make preview", "what an up would change, by name"),
    ("make down", "take everything away again"),
    ("./engine/pulumi stack output mailboxes --show-secrets", "the credentials that the platform reads"),
)


def summary(outputs: Mapping[str, Any], *, stack: str) -> str:
    """Domain and verification, records, tunnel, mailboxes and what to run next; no secret is shown."""
    return "\n".join(_lines(outputs, stack)) + "\n"


def _lines(outputs: Mapping[str, Any], stack: str) -> Iterator[str]:
    count = outputs["mailboxCount"]
    title = f"{outputs['domain']}: {count} mailbox{'' if count == 1 else 'es'}, stack {stack}"
    yield ""
    yield title
    yield "═" * len(title)
    yield f"Verified by Mailjet   DKIM {outputs['dkimStatus']}, SPF {outputs['spfStatus']}"
    if outputs["tunnelHostname"]:
        yield f"Tunnel                https://{outputs['tunnelHostname']}"
    yield f"Webhook               {outputs['webhookUrl']}"
    yield ""
    yield "Records"
    for record in outputs["expectedRecords"]:
        priority = "" if record.get("priority") is None else f"{record['priority']:g} "
        yield _fitting(f"  {record['type']:<6}{record['name']}  {priority}{record['content']}")
        yield f"        {record['why']}"
    yield ""
    yield "Mailboxes"
    for address in islice(json.loads(outputs["mailboxes"])["addresses"].values(), SOME):
        yield f"  {address}"
    if count > SOME:
        yield f"  … and {count - SOME} more"
    yield ""
    yield "Next"
    for command, purpose in NEXT:
        yield f"  {command:<14}  {purpose}" if len(command) <= 14 else f"  {command}\n  {'':<14}  {purpose}"


def _fitting(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
