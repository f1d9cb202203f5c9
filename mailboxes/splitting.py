"""Laying the agents of one stack out over several, so that everybody keeps the address.

The stack that owns the domain keeps the first of its agents, in the order of its files; whoever is beyond that goes to a
part: a stack with a population file of its own. Who is in a part stays in that part, whatever the sizes become later.
In a part every address is written down (`local_part`), so that it depends on nobody else any more.

An agent leaves the first stack's file only when nobody can lose a mailbox by it: the first stack has made none, or the
part's has made it. Until then the agent is in both files, which is why a split is done in two runs, with an up between.
Nothing is written here; each edit has been read again, and every address compared.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mailboxes.errors import MailboxError, Problem, ProblemsError
from mailboxes.merging import FileEdit
from mailboxes.naming import assign_local_parts
from mailboxes.population import (
    PopulationFile,
    PopulationSource,
    WrittenAgent,
    read_population,
    same_agent,
)
from mailboxes.rewriting import LayoutError, text_of
from mailboxes.stamp import Clock, utc_now
from mailboxes.wording import counted, first_few


class SplitError(ProblemsError):
    """Agents who cannot be laid out; nothing was written."""


class UnevenSplitError(MailboxError):
    """A layout that would not keep everybody's address: a fault of a file that no rule above has named."""

    def __init__(self, agents: Sequence[str]) -> None:
        super().__init__(
            f"{counted(len(agents), 'agent')} would not keep the address ({first_few(agents)}), so nothing was written; "
            "write each one's local_part into its population file, and split again"
        )


@dataclass(frozen=True, kw_only=True)
class StackAgents:
    """A stack with the files that say who its agents are, and what its last up has made."""

    name: str
    sources: Sequence[PopulationSource]
    live: Mapping[str, str] = field(default_factory=dict)
    """{agent id: local part} of its mailboxes; empty before its first up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEdit(FileEdit):
    """A part's population file."""

    stack: str
    is_new: bool
    """The stack has no file yet."""
    added: Sequence[str]
    """Agent ids, in the order of the first stack's files."""
    agents: int
    """How many it has then."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """What has to be written, and what is to be done around it."""

    parts: Sequence[PartEdit]
    """Every part, those that nothing is added to as well."""
    home: Sequence[FileEdit]
    """The first stack's files, without those who have left."""
    left: Sequence[str]
    """Agents whom these edits take out of the first stack's files."""
    waiting: Mapping[str, int]
    """{part: agents who are in its file and are still the first stack's}, until the part's next up."""
    removed: Sequence[str]
    """Agents whom the first stack's next up takes out of its state, those of an earlier split too."""
    kept: int
    """Agents of the first stack's files after it."""


@dataclass
class _Read:
    """The files of a stack."""

    stack: StackAgents
    files: list[tuple[PopulationSource, PopulationFile]]

    @property
    def agents(self) -> list[WrittenAgent]:
        return [written for _, file in self.files for written in file.agents]

    def local_parts(self) -> dict[str, str]:
        return assign_local_parts([entry for _, file in self.files for entry in file.population().naming_inputs()])


def split_population(
    home: StackAgents,
    parts: Sequence[StackAgents],
    *,
    size: int,
    keep: int,
    folder: Path,
    name: str = "{stack}-{number:02d}",
    now: Clock = utc_now,
) -> Split:
    """At most `size` agents in a part and `keep` in the first stack. New parts have their file in `folder`.

    Raises SplitError, LayoutError, UnevenSplitError and the errors of naming.
    """
    read = _read(home, now)
    # A part's file may be missing: a split that was killed writes the stack's file first.
    others = [_read(part, now, only=Path.exists) for part in parts]
    if problems := [problem for each in (read, *others) for _, file in each.files for problem in file.problems]:
        raise SplitError(problems)
    before = read.local_parts()
    of_parts = [part.local_parts() for part in others]
    if problems := [*_stale(read, before), *_shared(before, others, of_parts)]:
        raise SplitError(problems)
    added = _laid_out(read, others, size=size, keep=keep, name=name)
    placed = {same_agent(written.agent.id): part.stack.name for part in others for written in part.agents}
    placed |= {same_agent(written.agent.id): part for part, moved in added.items() for written in moved}
    leaving, waiting = _who_leaves(read, parts, placed, before)
    part_edits = _part_edits(read, others, added, before, folder)
    home_edits = _home_edits(read, leaving, before)
    _verify(before, of_parts, home_edits, part_edits, read, now)
    staying = {same_agent(written.agent.id) for written in read.agents} - leaving
    return Split(
        parts=part_edits,
        home=home_edits,
        left=[written.agent.id for written in read.agents if same_agent(written.agent.id) in leaving],
        waiting=waiting,
        removed=sorted(agent for agent in home.live if same_agent(agent) not in staying),
        kept=len(staying),
    )


def _who_leaves(
    home: _Read, parts: Sequence[StackAgents], placed: Mapping[str, str], before: Mapping[str, str]
) -> tuple[set[str], Counter[str]]:
    """Of those who have a part: whom the first stack's files can do without, and how many wait for which part's up."""
    had = {same_agent(agent) for agent in home.stack.live}
    made = {part.name: {same_agent(agent): live for agent, live in part.live.items()} for part in parts}
    leaving, waiting = set[str](), Counter[str]()
    for written in home.agents:
        key = same_agent(written.agent.id)
        if key not in placed:
            continue
        if key not in had or made.get(placed[key], {}).get(key) == before[written.agent.id]:
            leaving.add(key)
        else:
            waiting[placed[key]] += 1
    return leaving, waiting


def _read(stack: StackAgents, now: Clock, only: Callable[[Path], bool] = lambda _: True) -> _Read:
    sources = [source for source in stack.sources if only(source.path)]
    return _Read(stack, [(source, read_population(source, now=now, detailed=True)) for source in sources])


def _stale(home: _Read, before: Mapping[str, str]) -> Iterable[Problem]:
    """Files that do not say what the last up has made."""
    files = {same_agent(agent): local_part for agent, local_part in before.items()}
    for agent, live in home.stack.live.items():
        wanted = files.get(same_agent(agent))
        if wanted is not None and wanted != live:
            yield Problem(f"has {live} and would get {wanted}; bring that in order with an up first", agent=agent)


def _shared(
    before: Mapping[str, str], parts: Sequence[_Read], of_parts: Sequence[Mapping[str, str]]
) -> Iterable[Problem]:
    """One address for two agents, or two for one."""
    files = {same_agent(agent): local_part for agent, local_part in before.items()}
    holders = {local_part: agent for agent, local_part in before.items()}
    for part, local_parts in zip(parts, of_parts, strict=True):
        for agent, local_part in local_parts.items():
            mine = files.setdefault(same_agent(agent), local_part)
            holder = holders.setdefault(local_part, agent)
            if mine != local_part:
                yield Problem(
                    f"is {mine} in one file and {local_part} in that of {part.stack.name}; pin one", agent=agent
                )
            elif same_agent(holder) != same_agent(agent):
                yield Problem(
                    f"{local_part} is also that of agent {holder}; import newcomers with --beside the parts' files",
                    agent=agent,
                )


def _laid_out(home: _Read, parts: Sequence[_Read], *, size: int, keep: int, name: str) -> dict[str, list[WrittenAgent]]:
    """{part: agents to add}, first into parts with room, then into new ones."""
    placed = {same_agent(written.agent.id) for part in parts for written in part.agents}
    beyond = [written for written in home.agents if same_agent(written.agent.id) not in placed][keep:]
    added: dict[str, list[WrittenAgent]] = {}
    done = 0
    for part in parts:
        room = max(size - len(part.agents), 0)
        if taken := beyond[done : done + room]:
            added[part.stack.name] = taken
            done += len(taken)
    names, number = {part.stack.name for part in parts}, 0
    while done < len(beyond):
        number += 1
        if (new := name.format(stack=home.stack.name, number=number)) in names:
            continue
        added[new] = beyond[done : done + size]
        done += size
    return added


def _fields(written: WrittenAgent, file: PopulationFile, local_part: str) -> dict[str, str]:
    """Everything that an agent's entry says, each as text; the address is pinned."""
    agent = written.agent
    said = agent.model_dump(exclude_defaults=True, exclude={"local_part", "may_write_to"})
    said["created_at"] = agent.created_at or file.created_at
    if agent.may_write_to is not None:
        said["may_write_to"] = ", ".join(agent.may_write_to)
    said["local_part"] = local_part
    return {key: str(value) for key, value in said.items() if value is not None}


def _part_edits(
    home: _Read,
    parts: Sequence[_Read],
    added: Mapping[str, Sequence[WrittenAgent]],
    before: Mapping[str, str],
    folder: Path,
) -> list[PartEdit]:
    files = {id(written): file for _, file in home.files for written in file.agents}
    known = {part.stack.name: part for part in parts}
    edits = []
    for stack in [*known, *(name for name in added if name not in known)]:
        fields = [_fields(written, files[id(written)], before[written.agent.id]) for written in added.get(stack, ())]
        part = known.get(stack)
        own = [] if part is None else [(source, file) for source, file in part.files if file.document is not None]
        if own:
            source, file = own[-1]
            text, path = _appended(file, fields), source.path
        else:
            path = part.stack.sources[-1].path if part is not None and part.stack.sources else folder / f"{stack}.json"
            text = _new_file(fields, seed=home.files[0][1].seed)
        edits.append(
            PartEdit(
                path=path,
                before=own[-1][1].document.text if own and own[-1][1].document else None,
                after=text,
                stack=stack,
                is_new=part is None,
                added=[each["id"] for each in fields],
                agents=len(fields) + (0 if part is None else len(part.agents)),
            )
        )
    return edits


def _new_file(agents: Sequence[Mapping[str, str]], *, seed: str | None) -> str:
    document = {**({"seed": seed} if seed is not None else {}), "agents": list(agents)}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _appended(file: PopulationFile, agents: Sequence[Mapping[str, str]]) -> str:
    if file.document is None or not agents:
        return "" if file.document is None else file.document.text
    editor = text_of(file.document)
    for fields in agents:
        editor.add(fields)
    return editor.text()


def _home_edits(home: _Read, leaving: set[str], before: Mapping[str, str]) -> list[FileEdit]:
    """Whoever stays and did not get a first choice is pinned: who had it may be among those who leave."""
    pins = _unsteady(home, leaving, before)
    edits = []
    for source, file in home.files:
        document = file.document
        if document is None:
            continue
        gone = [written for written in file.agents if same_agent(written.agent.id) in leaving]
        moved = [written for written in file.agents if written.agent.id in pins]
        text = document.text
        if gone or moved:
            own = {id(written) for written in file.own}
            if file.exported and any(id(written) not in own for written in gone):
                raise LayoutError(str(source.path), "keeps its agents in another file (agents_file)")
            editor = text_of(document)
            for written in moved:
                editor.set_field(written.entry, "local_part", pins[written.agent.id])
            for written in gone:
                editor.remove(written.entry)
            text = editor.text()
        edits.append(FileEdit(path=source.path, before=document.text, after=text))
    return edits


def _unsteady(home: _Read, leaving: set[str], before: Mapping[str, str]) -> dict[str, str]:
    """{agent id: local part} of those who would move when the others leave."""
    if not leaving:
        return {}
    staying = [
        entry
        for _, file in home.files
        for entry in file.population().naming_inputs()
        if same_agent(entry.agent_id) not in leaving
    ]
    return {
        agent: before[agent] for agent, local_part in assign_local_parts(staying).items() if local_part != before[agent]
    }


def _verify(
    before: Mapping[str, str],
    of_parts: Sequence[Mapping[str, str]],
    home_edits: Sequence[FileEdit],
    part_edits: Sequence[PartEdit],
    home: _Read,
    now: Clock,
) -> None:
    """Reads every text as the next up will: nobody is lost, and everybody has the address of before."""
    sources = {str(source.path): source for source, _ in home.files}
    expected = {same_agent(agent): local_part for each in (before, *of_parts) for agent, local_part in each.items()}
    found: dict[str, str] = {}
    strays: list[str] = []
    groups = [[(sources[str(edit.path)], edit.after) for edit in home_edits]]
    groups += [[(PopulationSource(path=edit.path), edit.after)] for edit in part_edits if edit.added]
    for group in groups:
        files = [read_population(source, now=now, text=text) for source, text in group]
        if problems := [problem for file in files for problem in file.problems]:
            raise SplitError(problems)
        entries = [entry for file in files for entry in file.population().naming_inputs()]
        for agent, local_part in assign_local_parts(entries).items():
            found[same_agent(agent)] = local_part
            if expected.get(same_agent(agent)) != local_part:
                strays.append(agent)
    untouched = {same_agent(agent) for each in of_parts for agent in each}
    strays += [agent for agent in before if same_agent(agent) not in found and same_agent(agent) not in untouched]
    if strays:
        raise UnevenSplitError(strays)
