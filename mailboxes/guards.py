"""What a preview refuses before anybody loses a mailbox. Pure functions over the book before and after.

An address never changes by itself, so a change means that a file, a seed or an id was changed by mistake. Each
refusal is one sentence with the count, the threshold, the first names and the way out, then lines to paste.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailboxes import remedies
from mailboxes.consent import EXPECTED, RemovalConsent
from mailboxes.wording import counted, first_few

REMOVED_PERCENT = 30
REMOVED_COUNT = 10

_PINS = 20


@dataclass(frozen=True, kw_only=True)
class RemovalLimit:
    """Removals are refused above both, and whenever nobody would be left."""

    percent: int = REMOVED_PERCENT
    count: int = REMOVED_COUNT


@dataclass(frozen=True)
class Move:
    """An agent whose address would change."""

    agent: str
    old: str
    new: str

    @property
    def local_part(self) -> str:
        """What pins the old address."""
        return self.old.rpartition("@")[0]

    @property
    def only_domain(self) -> bool:
        """The local part stays."""
        return self.local_part == self.new.rpartition("@")[0]


def removed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Agents who would lose their mailbox, in id order."""
    return sorted(old.keys() - new.keys())


def moved(old: Mapping[str, str], new: Mapping[str, str]) -> list[Move]:
    """Agents who would get another address, in id order."""
    return [
        Move(agent, old[agent], new[agent]) for agent in sorted(old.keys() & new.keys()) if old[agent] != new[agent]
    ]


def inherited(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(address, agent who has it, new agent who would get it), in address order."""
    holders = {address: agent for agent, address in old.items()}
    return sorted(
        (new[agent], holders[new[agent]], agent) for agent in new.keys() - old.keys() if new[agent] in holders
    )


def refuse_removal(old: Mapping[str, str], new: Mapping[str, str], *, limit: RemovalLimit, consent: str) -> str | None:
    """`consent` is that of `mailboxes.consent`: it holds for one removal, so one that was left standing does nothing."""
    gone = removed(old, new)
    share = 100 * len(gone) / len(old) if old else 0.0
    everybody = bool(old) and not old.keys() & new.keys()
    too_many = len(gone) > limit.count and share > limit.percent
    if not (everybody or too_many):
        return None
    needed = RemovalConsent.needed(gone=len(gone), of=len(old), everybody=everybody)
    try:
        given = RemovalConsent.parse(consent)
        now = f" (it is {given} now)" if given else ""
    except ValueError:
        given, now = None, f" (it is {consent!r} now; expected {EXPECTED})"
    if given == needed:
        return None
    threshold = (
        "nobody of before would be left"
        if everybody
        else f"{share:.0f} %, above the limit of {limit.percent} % and {limit.count:,}"
    )
    return (
        f"{len(gone):,} of {counted(len(old), 'mailbox')} would be removed ({threshold}): "
        f"{first_few([f'{agent} ({old[agent]})' for agent in gone])}; restore them in the population file, or, if they "
        f"are to go, run `{remedies.set_value('allowMassRemoval', str(needed))}`{now}, which allows this removal alone."
    )


def refuse_moves(old: Mapping[str, str], new: Mapping[str, str]) -> str | None:
    """With the command that pins the old addresses."""
    moves = moved(old, new)
    if not moves:
        return None
    lead = (
        f"{len(moves):,} of {counted(len(old), 'mailbox')} would get another address, of 0 allowed "
        f"({first_few([f'{move.agent}: {move.old} -> {move.new}' for move in moves])}), and mail to the old one would be "
        "lost; "
    )
    if all(move.only_domain for move in moves):
        domain = moves[0].old.rpartition("@")[2]
        return f"{lead}set `domain` back to {domain}, or create a new stack for the new domain."
    if len(moves) > _PINS:
        return f"{lead}so many move only if a seed or a created_at was changed: restore that in the population file."
    command = remedies.pin((move.agent, move.local_part) for move in moves)
    return (
        f"{lead}for a new address on purpose remove the agent with one up and add the agent again with the next, "
        f"else keep the old one with:\n  {command}"
    )


def refuse_inheritance(old: Mapping[str, str], new: Mapping[str, str]) -> str | None:
    """Mail for one agent would reach another."""
    heirs = inherited(old, new)
    if not heirs:
        return None
    shown = first_few([f"{address} of {holder} to {heir}" for address, holder, heir in heirs])
    return (
        f"{counted(len(heirs), 'address')} would pass to a new agent id, of 0 allowed ({shown}), who would read the "
        "other's mail; restore the old id in the population file, or remove the old agent with one up and add "
        "the new one with the next."
    )


def refuse_future(old: Mapping[str, str], new: Mapping[str, str], ahead: Mapping[str, str]) -> str | None:
    """`ahead`: {agent id: stamp} of those whose second has not come yet. A mailbox that is in the book keeps its own:
    the clock was wrong when it was made, and the address is in use."""
    newcomers = sorted(agent for agent in ahead if agent in new and agent not in old)
    if not newcomers:
        return None
    shown = first_few([f"{agent} ({ahead[agent]})" for agent in newcomers])
    return (
        f"{counted(len(newcomers), 'new mailbox')} would have a created_at in the future, of 0 allowed ({shown}); set "
        "this machine's clock, or write the second in which they were created into the population file."
    )


def refusals(
    old: Mapping[str, str],
    new: Mapping[str, str],
    *,
    limit: RemovalLimit,
    allow_mass_removal: str,
    ahead: Mapping[str, str] | None = None,
) -> list[str]:
    """Every reason not to go on from the book `old` to the book `new`."""
    found = (
        refuse_moves(old, new),
        refuse_removal(old, new, limit=limit, consent=allow_mass_removal),
        refuse_inheritance(old, new),
        refuse_future(old, new, ahead or {}),
    )
    return [sentence for sentence in found if sentence is not None]
