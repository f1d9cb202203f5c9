"""Population files: who the agents are and when they were created, frozen in the repository.

```yaml
seed: madrid-100                  # decides the three digits
created_at: "20241005123045"      # UTC second; the stamp of every agent without one of its own
agents:
  - {id: 447ceb38-2be4-5501-8a98-f6ca15bb0edb, name: Nexus Signal, username_hint: nexus_signal_madrid6897}
  - {id: a1, name: María José Núñez, created_at: "20241106080000", local_part: maria.nunez.007.20241106080000}
```

The platform's exports are such files as they are, once they have a stamp: `{"seed", "count", "agents"}`, also with
`mailboxes`, or a bare list of agents. An export can also stay unchanged beside a small file that names it
(`agents_file: export.json`, relative to that file) and adds stamps and pins to single agents by `id`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from mailboxes.document import Document, Entry, Shape, UnreadableFileError, parse_document, read_text
from mailboxes.errors import Problem, ProblemsError, quoted
from mailboxes.naming import LocalPartError, NamingInput, UnusableNameError, check_local_part, name_segments
from mailboxes.policies import HIGHEST_EPOCH, HIGHEST_LIMIT, LIMITS, AgentPolicy, checked_number, checked_recipients
from mailboxes.stamp import Clock, canonical_stamp, check_passed, is_ahead, utc_now

AGENT_ID_LENGTH = 255

_UUID = re.compile(
    r"(?:urn:uuid:)?\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?", re.IGNORECASE
)


class PopulationError(ProblemsError):
    """Everything that is wrong with population files."""


def canonical_agent_id(text: str) -> str:
    """An agent id without space around it; a UUID in lower case with hyphens. Raises ValueError."""
    agent_id = text.strip()
    if not agent_id:
        raise ValueError("id is empty; expected the platform's id of the agent")
    if len(agent_id) > AGENT_ID_LENGTH:
        raise ValueError(f"id has {len(agent_id):,} characters; at most {AGENT_ID_LENGTH} are allowed")
    if not agent_id.isprintable():
        raise ValueError(f"id {quoted(agent_id)} holds a character that cannot be printed; remove it")
    if found := _UUID.fullmatch(agent_id):
        return "-".join(found.groups()).lower()
    return agent_id


def same_agent(agent_id: str) -> str:
    """What the ids of one agent have in common: `A1` and `a1` are the same agent."""
    return agent_id.casefold()


def _checked_pin(local_part: str) -> str:
    try:
        return check_local_part(local_part)
    except LocalPartError as error:
        raise ValueError(str(error)) from None


def _checked_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{quoted(text)} holds half of a surrogate pair; write the character itself") from None
    return text


def _checked_seed(seed: str) -> str:
    if not seed.strip():
        raise ValueError("seed is empty; expected the population's seed")
    if not seed.isprintable():
        raise ValueError(f"seed {quoted(seed)} holds a character that cannot be printed; remove it")
    return seed


def _number(key: str, highest: int) -> Callable[[Any], Any]:
    def check(text: Any) -> Any:
        if text is None or isinstance(text, Shape):
            return text
        try:
            return checked_number(text, highest=highest)
        except ValueError as error:
            raise ValueError(f"{key} {error}") from None

    return check


def _recipients(text: Any) -> Any:
    if text is None or isinstance(text, Shape):
        return text
    try:
        return checked_recipients(text)
    except ValueError as error:
        raise ValueError(f"may_write_to {error}") from None


AgentId = Annotated[str, AfterValidator(canonical_agent_id)]
Stamp = Annotated[str, AfterValidator(canonical_stamp)]
LocalPart = Annotated[str, AfterValidator(_checked_pin)]
Text = Annotated[str, AfterValidator(_checked_text)]
Seed = Annotated[str, AfterValidator(_checked_seed)]


class Agent(BaseModel):
    """One agent; keys of the platform that do not matter for mail are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: AgentId
    name: Text = ""
    username_hint: Text = ""
    created_at: Stamp | None = None
    """UTC second, `YYYYMMDDHHMMSS` however the file spells it; the population's if the agent has none."""
    local_part: LocalPart | None = None
    """What stands before the @ of the address, whatever name, seed and stamp are."""
    credential_epoch: Annotated[int, BeforeValidator(_number("credential_epoch", HIGHEST_EPOCH))] = 0
    """Raised by one, the password becomes another."""
    messages_an_hour: Annotated[int | None, BeforeValidator(_number("messages_an_hour", HIGHEST_LIMIT))] = None
    messages_a_day: Annotated[int | None, BeforeValidator(_number("messages_a_day", HIGHEST_LIMIT))] = None
    recipients_an_hour: Annotated[int | None, BeforeValidator(_number("recipients_an_hour", HIGHEST_LIMIT))] = None
    recipients_a_day: Annotated[int | None, BeforeValidator(_number("recipients_a_day", HIGHEST_LIMIT))] = None
    may_write_to: Annotated[tuple[str, ...] | None, BeforeValidator(_recipients)] = None

    @property
    def policy(self) -> AgentPolicy | None:
        """None for an agent of whom the file says nothing beyond who it is."""
        limits = tuple((name, number) for name in LIMITS if (number := getattr(self, name)) is not None)
        if not (self.credential_epoch or limits or self.may_write_to is not None):
            return None
        return AgentPolicy(credential_epoch=self.credential_epoch, limits=limits, may_write_to=self.may_write_to)


class Population(BaseModel):
    """The agents of one population, in the order of their file.

    Constructed by hand it raises pydantic's ValidationError for what `load_population` reports as PopulationError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    agents: tuple[Agent, ...]
    seed: Seed | None = None
    created_at: Stamp | None = None
    path: str | None = None
    """The file, for messages."""

    @model_validator(mode="after")
    def _is_complete(self) -> Population:
        faults = [*_duplicate_ids(self.agents), *_faults(self.agents, self.seed, self.created_at)]
        if faults:
            problems = (
                Problem(sentence, agent=None if index is None else self.agents[index].id) for index, sentence in faults
            )
            raise ValueError(str(ProblemsError(problems)))
        return self

    def naming_inputs(self) -> list[NamingInput]:
        """What each agent's local part is made from."""
        return [
            NamingInput(
                agent_id=agent.id,
                seed=self.seed or "",
                name=agent.name,
                username_hint=agent.username_hint,
                created_at=agent.created_at or self.created_at or "",
                local_part=agent.local_part,
            )
            for agent in self.agents
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationSource:
    """A population file, and what stands in place of its own seed and stamp."""

    path: Path
    seed: str | None = None
    created_at: str | None = None


def load_population(
    path: str | Path, seed: str | None = None, created_at: str | None = None, *, now: Clock = utc_now
) -> Population:
    """The population in a YAML or JSON file.

    `seed` and `created_at` stand in for what the file does not say, and override what it says for the population;
    an agent's own `created_at` is never overridden. Raises `PopulationError` with every problem, by line and agent.
    """
    return load_populations([PopulationSource(path=Path(path), seed=seed, created_at=created_at)], now=now)[0]


def stamps_ahead(sources: Iterable[PopulationSource], *, now: Clock = utc_now) -> list[Problem]:
    """Every stamp of the files that lies in the future, by line; none for a file that cannot be read."""
    files = [read_population(source, now=now, detailed=True) for source in sources]
    return [problem for file in files for problem in file.ahead]


def agents_ahead(populations: Iterable[Population], *, now: Clock = utc_now) -> dict[str, str]:
    """{agent id: stamp} of those whose address has a second that has not come yet; a pin says that it is meant."""
    moment = now()
    return {
        agent.id: stamp
        for population in populations
        for agent in population.agents
        if agent.local_part is None
        and (stamp := agent.created_at or population.created_at) is not None
        and is_ahead(stamp, moment)
    }


def policies(populations: Iterable[Population]) -> dict[str, AgentPolicy]:
    """{agent id: policy} of those who have one."""
    return {
        agent.id: policy
        for population in populations
        for agent in population.agents
        if (policy := agent.policy) is not None
    }


def load_populations(sources: Iterable[PopulationSource], *, now: Clock = utc_now) -> list[Population]:
    """Several populations; one `PopulationError` for the problems of all of them."""
    files = [read_population(source, now=now) for source in sources]
    if problems := [problem for file in files for problem in file.problems]:
        raise PopulationError(problems)
    return [file.population() for file in files]


@dataclass(slots=True)
class WrittenAgent:
    """An agent and where it is written."""

    agent: Agent
    entry: Entry
    path: str

    def problem(self, sentence: str, key: str | None = None) -> Problem:
        mark = None if key is None else self.entry.marks.get(key)
        return Problem(sentence, self.path, self.entry.line if mark is None else mark.line, self.agent.id)


@dataclass(slots=True)
class PopulationFile:
    """A population file as read, with what is wrong with it."""

    path: str
    document: Document | None = None
    """None if the file cannot be read at all."""
    seed: str | None = None
    created_at: str | None = None
    own: list[WrittenAgent] = field(default_factory=list)
    """The agents written in the file itself."""
    exported: list[WrittenAgent] = field(default_factory=list)
    """The agents of the file that `agents_file` names, as they stand there."""
    agents: list[WrittenAgent] = field(default_factory=list)
    """The population: the exported agents with what the file itself says of them, then those only it has."""
    problems: list[Problem] = field(default_factory=list)
    ahead: list[Problem] = field(default_factory=list)
    """Stamps in the future. No problem by themselves: the clock may be wrong now, or may have been wrong then, and an
    address that is in use stays. The address book refuses them to newcomers."""

    def population(self) -> Population:
        """The population; only for a file without problems."""
        agents = tuple(written.agent for written in self.agents)
        # Every rule has been checked, line by line.
        return Population.model_construct(agents=agents, seed=self.seed, created_at=self.created_at, path=self.path)


def read_population(
    source: PopulationSource,
    *,
    now: Clock = utc_now,
    text: str | None = None,
    complete: bool = True,
    detailed: bool = False,
) -> PopulationFile:
    """A population file with its problems listed, not raised.

    `text` stands in for the file's content. Without `complete` nobody needs a seed or stamp, as in an export that is
    to be imported. `detailed` is that of `parse_document`.
    """
    file = PopulationFile(str(source.path))
    moment = now()
    document = file.document = _document(source.path, text, file.problems, detailed=detailed)
    if document is None:
        return file
    file.own = _written_agents(document, moment, file.problems, file.ahead)
    values = _top_values(document, file.problems)
    is_partial = document.is_partial
    if "agents_file" in values:
        export = _document(
            source.path.parent / values["agents_file"], None, file.problems, is_export=True, detailed=detailed
        )
        is_partial |= export is None or export.is_partial
        if export is not None:
            file.exported = _written_agents(export, moment, file.problems, file.ahead)
            values = _top_values(export, file.problems) | values
    file.agents = _overlaid(file.exported, file.own)

    given = {"seed": source.seed, "created_at": source.created_at}
    values |= {key: value for key, value in given.items() if value is not None}
    file.seed, file.created_at = values.get("seed"), values.get("created_at")
    for key, value in (("seed", file.seed), ("created_at", file.created_at)):
        if value is None:
            continue
        mark = document.marks.get(key) if given[key] is None else None
        if sentence := _value_fault(key, value):
            file.problems.append(Problem(sentence, file.path, None if mark is None else mark.line))
        elif key == "created_at":
            file.created_at = canonical_stamp(value)
            if sentence := _ahead(value, moment):
                file.ahead.append(Problem(sentence, file.path, None if mark is None else mark.line))
    # Of a file that could be read only in part, more complaints would mislead.
    if not is_partial:
        agents = [written.agent for written in file.agents]
        exported = {same_agent(written.agent.id) for written in file.exported}
        for index, sentence in _faults(agents, file.seed, file.created_at, complete):
            if index is None:
                file.problems.append(Problem(sentence, file.path))
                continue
            agent = agents[index]
            if exported and not agent.name and not agent.username_hint and same_agent(agent.id) not in exported:
                sentence = (
                    f"is not in {file.exported[0].path}, and has no name here; correct the id, or give the agent a name"
                )
            file.problems.append(file.agents[index].problem(sentence))
    if file.problems and not detailed:
        # Once more, slowly, for the exact lines.
        return read_population(source, now=now, text=document.text, complete=complete, detailed=True)
    file.problems.sort(key=lambda problem: (problem.path != file.path, problem.line or 0))
    return file


def _document(
    path: Path, text: str | None, problems: list[Problem], *, is_export: bool = False, detailed: bool = False
) -> Document | None:
    try:
        document = parse_document(read_text(path) if text is None else text, str(path), detailed=detailed)
    except UnreadableFileError as error:
        problems.append(error.problem)
        return None
    names_export = "agents_file" in document.fields
    if is_export and names_export:
        document.complain(
            "names an agents_file in its turn; name the export itself", document.marks["agents_file"].line
        )
    elif document.agents is None and not names_export and not document.is_partial:
        document.complain(
            "has no agents; expected the platform's export or a list `agents` (a population spec names nobody)"
        )
        document.is_partial = True
    problems += document.problems
    return document


def _top_values(document: Document, problems: list[Problem]) -> dict[str, str]:
    """The scalars at the top of the file; a list or mapping in their place is a problem."""
    values: dict[str, str] = {}
    for key, value in document.fields.items():
        if isinstance(value, Shape):
            problems.append(Problem(f"{key} is {value.name}; expected text", document.path, document.marks[key].line))
        else:
            values[key] = value
    return values


def _value_fault(key: str, value: str) -> str | None:
    try:
        (_checked_seed if key == "seed" else canonical_stamp)(value)
    except ValueError as error:
        return str(error)
    return None


def _ahead(stamp: str, now: datetime) -> str | None:
    try:
        check_passed(stamp, now)
    except ValueError as error:
        return str(error)
    return None


def _written_agents(
    document: Document, now: datetime, problems: list[Problem], ahead: list[Problem]
) -> list[WrittenAgent]:
    """The agents of one file; those with a problem are left out, second ones of the same id too."""
    agents: list[WrittenAgent] = []
    lines: dict[str, int] = {}
    for entry in document.agents or ():
        try:
            agent = Agent.model_validate(entry.fields)
        except ValidationError as error:
            problems += _invalid(document, entry, error)
            continue
        written = WrittenAgent(agent, entry, document.path)
        first_line = lines.setdefault(same_agent(agent.id), entry.line)
        if len(lines) == len(agents):
            problems.append(
                written.problem(f"id {agent.id} is also that of the agent on line {first_line}; keep one of them", "id")
            )
            continue
        agents.append(written)
        if agent.created_at is not None and (sentence := _ahead(agent.created_at, now)):
            ahead.append(written.problem(sentence, "created_at"))
    return agents


def _invalid(document: Document, entry: Entry, error: ValidationError) -> Iterator[Problem]:
    agent_id = entry.fields.get("id")
    label = quoted(agent_id.strip())[1:-1] if isinstance(agent_id, str) else ""
    for fault in error.errors(include_url=False):
        key = str(fault["loc"][0])
        found: Any = fault["input"]
        if fault["type"] == "missing":
            sentence = "has no id; expected the platform's id of the agent"
        elif isinstance(found, Shape):
            sentence = f"{key} is {found.name}; expected text"
        else:
            sentence = str(fault["ctx"]["error"])
        mark = entry.marks.get(key)
        yield Problem(sentence, document.path, entry.line if mark is None else mark.line, label or None)


def _overlaid(exported: list[WrittenAgent], own: list[WrittenAgent]) -> list[WrittenAgent]:
    """The exported agents with what the file beside the export says of them, then the agents that only it has."""
    if not exported:
        return own
    additions = {same_agent(written.agent.id): written for written in own}
    agents: list[WrittenAgent] = []
    for written in exported:
        addition = additions.pop(same_agent(written.agent.id), None)
        if addition is None:
            agents.append(written)
        else:
            said = {key: getattr(addition.agent, key) for key in addition.entry.fields if key != "id"}
            agents.append(WrittenAgent(written.agent.model_copy(update=said), addition.entry, addition.path))
    return agents + list(additions.values())


def _duplicate_ids(agents: Sequence[Agent]) -> Iterator[tuple[int | None, str]]:
    seen: set[str] = set()
    for index, agent in enumerate(agents):
        key = same_agent(agent.id)
        if key in seen:
            yield index, "its id is also that of an agent before it; keep one of them"
        seen.add(key)


def _faults(
    agents: Sequence[Agent], seed: str | None, created_at: str | None, complete: bool = True
) -> Iterator[tuple[int | None, str]]:
    """What keeps agents from having an address: (index of the agent or None, sentence)."""
    free = [(index, agent) for index, agent in enumerate(agents) if agent.local_part is None]
    if complete and free and seed is None:
        yield (
            None,
            "has no seed, on which the three digits of every address depend; write `seed: …` into the file, "
            "or give it in stack config (seed) or as --seed",
        )
    if complete and created_at is None and (unstamped := [index for index, agent in free if not agent.created_at]):
        advice = (
            "write `created_at: YYYYMMDDHHMMSS` (UTC) into the file, or give it in stack config (createdAt) "
            "or as --created-at; `agents import` stamps for you"
        )
        if len(unstamped) == len(free):
            yield None, f"has no created_at, and none of its agents ({len(free):,}) has one of its own; {advice}"
        else:
            yield from (
                (index, f"has no created_at, and the population has none either; {advice}") for index in unstamped
            )
    for index, agent in free:
        try:
            name_segments(agent.name, agent.username_hint)
        except UnusableNameError as error:
            yield index, str(error)
    holders: dict[str, str] = {}
    for index, agent in enumerate(agents):
        if agent.local_part is not None and holders.setdefault(agent.local_part, agent.id) != agent.id:
            yield (
                index,
                f"local_part {agent.local_part} is also that of agent {holders[agent.local_part]}; "
                "two agents cannot have one mailbox: change or remove one of the pins",
            )
