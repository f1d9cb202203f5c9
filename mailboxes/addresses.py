"""The addresses of all populations of a stack."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from mailboxes.errors import MailboxError, Problem, ProblemsError, quoted
from mailboxes.naming import LocalPartError, NamingInput, assign_local_parts, bumped, legacy_local_part
from mailboxes.population import Population, canonical_agent_id, same_agent
from mailboxes.wording import first_few

_SPELT_OUT = 3

ADDRESS_OCTETS = 254
"""RFC 5321, section 4.5.3.1.3, less the angle brackets (RFC 3696, erratum 1690)."""

DOMAIN_OCTETS = 253

LEGACY_PREFIX = "agent_"
"""The platform's default for `AZT3KNET_AGENT_MAIL_PREFIX`."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class AddressError(ProblemsError):
    """Agents of a stack who cannot have addresses beside each other."""


class DomainError(MailboxError):
    """Not a domain that can stand in an address."""

    def __init__(self, domain: str) -> None:
        super().__init__(
            f"domain {quoted(domain)} cannot stand in an address; expected a name like agents.example: "
            "two or more labels of a-z, 0-9 and hyphens, without a dot at the end (other scripts as xn--…)"
        )


def addresses(
    populations: Sequence[Population],
    domain: str,
    *,
    single_mailboxes: Iterable[str] = (),
    legacy_prefix: str = LEGACY_PREFIX,
) -> dict[str, str]:
    """{agent id: address} of all populations together, sorted by agent id.

    `single_mailboxes` are ids of agents outside any population; theirs is the legacy form
    `<legacy_prefix><agent id>@domain`. Raises `DomainError`, `AddressError` (one agent twice, a bad legacy form, an
    address too long) or `NamingError` (no address left, one pin for two).
    """
    domain = domain.lower()
    labels = domain.split(".")
    if len(domain) > DOMAIN_OCTETS or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise DomainError(domain)
    problems = list(_repeated(populations))
    entries = _claims(populations)
    known = {same_agent(entry.agent_id) for entry in entries}
    for text in single_mailboxes:
        try:
            agent_id = canonical_agent_id(text)
            pin = legacy_local_part(legacy_prefix, agent_id)
        except (ValueError, LocalPartError) as error:
            problems.append(Problem(f"{error}", agent=quoted(text)[1:-1]))
            continue
        if same_agent(agent_id) in known:
            sentence = (
                "is named as a single mailbox but has one already; an agent has one mailbox: remove it here or there"
            )
            problems.append(Problem(sentence, agent=agent_id))
            continue
        known.add(same_agent(agent_id))
        entries.append(NamingInput(agent_id=agent_id, local_part=pin))
    if problems:
        raise AddressError(problems)
    local_parts = assign_local_parts(entries)
    found = {agent_id: f"{local_parts[agent_id]}@{domain}" for agent_id in sorted(local_parts)}
    if len(domain) > ADDRESS_OCTETS - len("@") - 1 - 64:
        problems += (
            Problem(
                f"address {address} has {len(address)} octets; at most {ADDRESS_OCTETS} are allowed", agent=agent_id
            )
            for agent_id, address in found.items()
            if len(address) > ADDRESS_OCTETS
        )
        if problems:
            raise AddressError(problems)
    return found


def without_first_choice(populations: Sequence[Population]) -> dict[str, str]:
    """The agents whom only a pin would keep in place, with that pin: {agent id: local part}.

    They share name and second with others, did not get their first choice, and have no `local_part`. Raises
    `AddressError`, `NamingError`.
    """
    if problems := list(_repeated(populations)):
        raise AddressError(problems)
    entries = _claims(populations)
    return bumped(entries, assign_local_parts(entries))


def _claims(populations: Sequence[Population]) -> list[NamingInput]:
    return [entry for population in populations for entry in population.naming_inputs()]


def _repeated(populations: Sequence[Population]) -> Iterable[Problem]:
    """Agents in more than one population: the cause first, where there is one."""
    homes: dict[str, Population] = {}
    by_number = {id(home): home for home in populations}
    for population in populations:
        shared: dict[int, list[str]] = {}
        for agent in population.agents:
            home = homes.setdefault(same_agent(agent.id), population)
            if home is not population:
                shared.setdefault(id(home), []).append(agent.id)
        for number, agents in shared.items():
            yield from _shared(population, by_number[number], agents)


def _shared(population: Population, home: Population, agents: Sequence[str]) -> Iterable[Problem]:
    """What is wrong with `agents` of a population who are in `home` already."""
    path = home.path or "another population"
    if population.path and home.path and os.path.realpath(population.path) == os.path.realpath(home.path):
        yield Problem(f"is listed twice under `populations`, as {path} too; list it once", population.path)
    elif len(agents) == len(population.agents) > 1:
        sentence = f"has nobody who is not in {path} too ({first_few(agents)}); list one of the two files"
        yield Problem(sentence, population.path)
    elif len(agents) > _SPELT_OUT:
        sentence = (
            f"shares {len(agents):,} agents with {path} ({first_few(agents)}); an agent belongs to one population"
        )
        yield Problem(sentence, population.path)
    else:
        for agent in agents:
            yield Problem(f"is also in {path}; an agent belongs to one population", population.path, agent=agent)
