"""The agents of a stack: id, name and address together. Names stand in the population files, addresses in the outputs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from azmail.stack import MailStack
from commands.cli.console import working
from commands.doctor.stack import NeverUpError
from commands.errors import AmbiguousAgentError, NotUpYetError, UnknownAgentError
from commands.stack_commands import Pulumi
from commands.stack_settings import read_settings
from mailboxes.addresses import addresses
from mailboxes.population import PopulationSource, load_populations
from settings.model import Settings


@dataclass(frozen=True)
class RosterAgent:
    """One mailbox; `name` is empty for an agent whom no population file lists."""

    id: str
    name: str
    address: str
    is_up: bool
    """Whether the last `up` made it."""


def read_stack(pulumi: Pulumi) -> MailStack:
    """Raises NeverUpError."""
    return stack_of(pulumi.stack, pulumi.outputs())


def stack_of(name: str, outputs: dict[str, Any]) -> MailStack:
    """Raises NeverUpError."""
    if "mailboxes" not in outputs:
        raise NeverUpError(name)
    return MailStack(outputs, source=f"the outputs of stack {name!r}")


def read_names(pulumi: Pulumi) -> dict[str, str]:
    """{agent id: name} by the population files."""
    return _names(read_settings(pulumi)[0], pulumi.project)


def _sources(settings: Settings, project: Path) -> list[PopulationSource]:
    return [
        PopulationSource(path=project / entry.file, seed=entry.seed, created_at=entry.created_at)
        for entry in settings.populations
    ]


def _names(settings: Settings, project: Path) -> dict[str, str]:
    found = load_populations(_sources(settings, project))
    return {agent.id: agent.name for population in found for agent in population.agents}


def read_agents(pulumi: Pulumi) -> list[RosterAgent]:
    """Those of the files and those of the last `up`, in the order of the outputs. Raises what unreadable files raise."""
    settings, _ = read_settings(pulumi)
    names = _names(settings, pulumi.project)
    outputs = pulumi.outputs()
    found: dict[str, RosterAgent] = {}
    domain = settings.domain
    if "mailboxes" in outputs:
        stack = MailStack(outputs, source=f"the outputs of stack {pulumi.stack!r}")
        domain = stack.domain
        for mailbox in stack:
            found[mailbox.agent_id] = RosterAgent(
                mailbox.agent_id, names.get(mailbox.agent_id, ""), mailbox.address, True
            )
    if domain:
        planned = addresses(
            load_populations(_sources(settings, pulumi.project)),
            domain,
            single_mailboxes=settings.agent_mailboxes,
            legacy_prefix=settings.agent_mail_prefix,
        )
        for agent_id, address in planned.items():
            found.setdefault(agent_id, RosterAgent(agent_id, names.get(agent_id, ""), address, False))
    return list(found.values())


def find(agents: list[RosterAgent], who: str, *, where: str) -> RosterAgent:
    """By id, name or address, upper and lower case alike. Raises UnknownAgentError and AmbiguousAgentError."""
    wanted = who.casefold()
    for part in ("id", "address", "name"):
        found = [agent for agent in agents if str(getattr(agent, part)).casefold() == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise AmbiguousAgentError(who, [agent.id for agent in found])
    known = [word for agent in agents for word in (agent.id, agent.name, agent.address) if word]
    raise UnknownAgentError(who, known, where=where)


def show_all(stack: str, project: Path, *, json: bool) -> int:
    """`./mail agents list`."""
    agents = _read(stack, project)
    if json:
        print(_as_json([asdict(agent) for agent in agents]))
        return 0
    if not agents:
        print(f"The stack {stack!r} has no agents yet.")
        return 0
    first = max(len(agent.id) for agent in agents)
    second = max(len(_plain(agent.name)) for agent in agents)
    for agent in agents:
        late = "" if agent.is_up else "  (with the next up)"
        print(f"{agent.id:<{first}}  {_plain(agent.name):<{second}}  {agent.address}{late}")
    return 0


def show_one(who: str, stack: str, project: Path, *, json: bool, show_secrets: bool = False) -> int:
    """`./mail agents show`. Raises NotUpYetError where a login is asked for that the last up has not made."""
    pulumi = Pulumi(stack, project=project)
    with working(f"Reading the agents of {stack}"):
        agent = find(read_agents(pulumi), who, where=f"stack {stack!r}")
        login = _login(pulumi, agent) if show_secrets else {}
    agent = replace(agent, name=_plain(agent.name))
    if json:
        print(_as_json(asdict(agent) | login))
        return 0
    print(f"Id       {agent.id}\nName     {agent.name or '(in no population file)'}\nAddress  {agent.address}")
    print(f"State    {'up' if agent.is_up else 'comes with the next up'}")
    if login:
        print(f"Sends    {login['smtp_host']}:{login['smtp_port']}")
        print(f"User     {login['smtp_username']}\nPassword {login['smtp_password']}")
    if "inbox_url" in login:
        print(f"Reads    {login['inbox_url']}")
        print(f"User     {agent.id}\nPassword {login['inbox_password']}")
    return 0


def _login(pulumi: Pulumi, agent: RosterAgent) -> dict[str, str | int]:
    if not agent.is_up:
        raise NotUpYetError(agent.id, pulumi.stack)
    stack = stack_of(pulumi.stack, pulumi.outputs())
    box = stack.mailbox(agent.id)
    sends = {name: value for name, value in box.model_dump().items() if name.startswith("smtp_")}
    if not stack.inbox_url:
        return sends
    return sends | {"inbox_url": stack.inbox_url, "inbox_password": stack.inbox_password(agent.id)}


def _read(stack: str, project: Path) -> list[RosterAgent]:
    with working(f"Reading the agents of {stack}"):
        return read_agents(Pulumi(stack, project=project))


def _as_json(shown: object) -> str:
    return json.dumps(shown, indent=2, ensure_ascii=False)


def _plain(name: str) -> str:
    """A name for one line of a terminal."""
    return name if name.isprintable() else ascii(name)
