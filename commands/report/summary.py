"""What `make up` shows at its end: the stack's outputs as a page a person likes to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from azmail.contract import expand_mailboxes
from mailboxes import remedies
from mailboxes.wording import shortened

SOME = 5
"""How many addresses are shown."""
WIDTH = 100
"""Columns; a longer value ends in an ellipsis, since the zone has it whole."""

EMBEDDED = (
    (remedies.emulators("open"), "the page: write to an agent, see what becomes of it"),
    (remedies.demo(), "one agent mails another, through the whole loop"),
    (remedies.messages(), "the mails of the agents"),
    (remedies.down(), "take everything away again"),
)


def summary(outputs: Mapping[str, Any], *, stack: str, names: Mapping[str, str], columns: int = WIDTH) -> str:
    """Domain and verification, records, tunnel, mailboxes and what to run next; no secret is shown.

    `names`: {agent id: name}. `columns`: of the terminal; a record that is longer is shortened, down from `WIDTH`.
    """
    return "\n".join(_lines(outputs, stack, names, min(columns, WIDTH))) + "\n"


def _lines(outputs: Mapping[str, Any], stack: str, names: Mapping[str, str], columns: int) -> Iterator[str]:
    count = outputs["mailboxCount"]
    title = f"{outputs['domain']}: {count} mailbox{'' if count == 1 else 'es'}, stack {stack}"
    yield ""
    yield title
    yield "═" * len(title)
    yield f"Verified by Mailjet  DKIM {outputs['dkimStatus']}, SPF {outputs['spfStatus']}"
    if outputs["tunnelHostname"]:
        yield f"Tunnel               https://{outputs['tunnelHostname']}"
    yield f"Webhook              {outputs['webhookUrl']}"
    yield ""
    yield "Records"
    for record in outputs["expectedRecords"]:
        priority = "" if record.get("priority") is None else f"{record['priority']:g} "
        yield shortened(f"  {record['type']:<6}{record['name']}  {priority}{record['content']}", columns)
        yield f"        {record['why']}"
    yield ""
    yield "Mailboxes"
    yield from _mailboxes({box.agent_id: box.address for box in expand_mailboxes(outputs["mailboxes"])}, names, stack)
    yield ""
    yield "Next"
    for command, purpose in _next(stack):
        yield f"  {command:<24}  {purpose}"


def _mailboxes(addresses: Mapping[str, str], names: Mapping[str, str], stack: str) -> Iterator[str]:
    shown = [(names.get(agent, ""), agent, address) for agent, address in islice(addresses.items(), SOME)]
    width = max((len(name) for name, _, _ in shown), default=0)
    for name, agent, address in shown:
        yield f"  {name:<{width}}  {agent}"
        yield f"  {'':<{width}}  {address}"
    if len(addresses) > SOME:
        yield f"  … and {len(addresses) - SOME} more: {remedies.list_agents(stack)}"


def _next(stack: str) -> list[tuple[str, str]]:
    always = [
        (remedies.preview(stack), "what an up would change, by name"),
        (remedies.doctor(stack), "look at everything"),
    ]
    return [*EMBEDDED[:-1], *always[:1], EMBEDDED[-1]] if stack == "dev" else always
