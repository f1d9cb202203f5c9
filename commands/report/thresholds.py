"""Deletions that nobody should wave through: above a threshold, and without the switch that says they are meant.

The engine's own guards (the address book's, the zone survey's) stop most of these in a preview or an `up`. Here they
are looked for in the result, whoever made it and whether or not a guard ran.
"""

from __future__ import annotations

from commands.report.preview import Changes, RecordChange
from mailboxes import remedies
from mailboxes.guards import RemovalLimit, refuse_removal
from mailboxes.wording import first_few
from settings.values import SUPERSEDED

RECORDS_REMOVED = 3
"""So many records may go without a word; a mail domain has about six."""


def refusals(changes: Changes, *, allowed_record_removals: int = 0) -> list[str]:
    """Every deletion that lacks its switch, one sentence each; none for a preview that may go on."""
    found = [
        _mailboxes(changes),
        _foreign_records(changes),
        _records(changes, allowed_record_removals),
        _tunnels(changes),
    ]
    return [sentence for sentence in found if sentence]


def _mailboxes(changes: Changes) -> str | None:
    limit = RemovalLimit(percent=changes.switches.removed_percent, count=changes.switches.removed_count)
    return refuse_removal(changes.before, changes.after, limit=limit, consent=changes.switches.mass_removal)


def _foreign_records(changes: Changes) -> str | None:
    """Records that were somebody else's before they were adopted."""
    gone = [record for record in changes.records_removed if record.resource.startswith(SUPERSEDED)]
    if not gone or changes.switches.foreign_mx:
        return None
    return (
        f"{len(gone)} adopted record{'s' if len(gone) > 1 else ''} of somebody else would be deleted "
        f"({_named(gone)}), of 0 allowed; if mail is to leave the old hosts, agree with: "
        f"{remedies.adopt(changes.stack, '--replace-mx')}"
    )


def _records(changes: Changes, allowed: int) -> str | None:
    gone = [record for record in changes.records_removed if not record.resource.startswith(SUPERSEDED)]
    if len(gone) <= RECORDS_REMOVED or len(gone) == allowed:
        return None
    return (
        f"{len(gone)} DNS records would be deleted ({_named(gone)}), more than {RECORDS_REMOVED}; restore what "
        f"declared them, or, if they are to go, say --allow-record-removals {len(gone)} (on a pull request: the "
        f"label 'allow-record-removals: {len(gone)}'), which allows exactly this number"
    )


def _tunnels(changes: Changes) -> str | None:
    """The program refuses this too; there is no switch for it."""
    if not changes.tunnels_in_use:
        return None
    tunnel, account = next(iter(changes.tunnels_in_use.items()))
    return (
        f"the tunnel {tunnel} would be deleted while the stack's CNAME leads there; expected another tunnel, or "
        f"accountId as before; go back with: {remedies.remove_value('tunnelCname', stack=changes.stack)} && "
        f"{remedies.set_value('accountId', account, stack=changes.stack)}"
    )


def _named(records: list[RecordChange]) -> str:
    return first_few([f"{record.type} {record.name}" for record in records])
