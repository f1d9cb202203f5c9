"""Merging a platform export into a population file, so that nobody who is in the file ever moves.

The naming rule alone cannot promise that: where two agents share name, second and first choice, who keeps it depends
on who else is there. So the file is the memory. Whoever did not get the first choice, and whoever was renamed, gets the
local part written down (`local_part`), and newcomers take what the incumbents leave.
"""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mailboxes import remedies
from mailboxes.document import Document, UnreadableFileError, read_text
from mailboxes.errors import MailboxError, Problem, ProblemsError, quoted
from mailboxes.naming import NamingInput, assign_local_parts, first_choice
from mailboxes.population import (
    Agent,
    Population,
    PopulationFile,
    PopulationSource,
    WrittenAgent,
    load_populations,
    read_population,
    same_agent,
)
from mailboxes.rewriting import LayoutError, text_of, yaml_scalar
from mailboxes.stamp import CLOCK_SKEW, Clock, canonical_stamp, check_passed, format_stamp, is_ahead, utc_now

OPTIONAL_FIELDS = ("name", "username_hint", "created_at", "local_part")


def _no_reference() -> datetime | None:
    return None


class MergeError(ProblemsError):
    """An export that cannot be merged; nothing was written."""


class WriteError(MailboxError):
    """The population file cannot be written."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written ({(error.strerror or str(error)).lower()}); it is as it was")


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """An agent that the import adds to the file."""

    agent_id: str
    name: str
    local_part: str
    is_pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEdit:
    """A population file and its text before and after."""

    path: Path
    before: str | None
    """The file's text; None where there is no file."""
    after: str

    @property
    def changes(self) -> bool:
        return self.after != self.before

    def write(self) -> None:
        """Replaces the file in one step, its mode kept. Raises `WriteError`; without changes nothing is touched."""
        if self.changes:
            try:
                replace_file(self.path, self.after)
            except OSError as error:
                raise WriteError(self.path, error) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge(FileEdit):
    """What an import makes of a population file."""

    added: Sequence[Added] = ()
    kept: int = 0
    """Agents of the file who are in the export."""
    renamed: Sequence[tuple[str, str, str]] = ()
    """(agent id, old name, new name); the address stays."""
    gone: Sequence[tuple[str, str]] = ()
    """(agent id, name) of those who are no longer in the export."""
    pruned: bool = False
    """Whether the gone ones leave the file."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    """{agent id: local part} of incumbents whose local part is now written down."""
    ahead: Sequence[str] = ()
    """Stamps of the file in the future, one sentence each: this clock is behind, or another was ahead."""


def merge_export(
    export_path: Path,
    path: Path,
    *,
    seed: str | None = None,
    created_at: str | None = None,
    prune: bool = False,
    beside: Sequence[PopulationSource] = (),
    now: Clock = utc_now,
    reference: Callable[[], datetime | None] = _no_reference,
) -> Merge:
    """What importing the export at `export_path` makes of the population file at `path`; writes nothing.

    Newcomers are stamped with `created_at`, else with the present second, unless the export stamps them; the present
    second must agree with `reference`, somebody else's clock, where that answers. `seed` is for a file that has none.
    `beside` are the other populations of the same stack, whose addresses are taken too. Gone agents stay in the file,
    and so keep their mailboxes, unless `prune`.

    Raises `MergeError`, `PopulationError`, `NamingError` or `LayoutError`.
    """
    moment = now()
    export = read_population(PopulationSource(path=export_path), now=now, complete=False)
    problems = list(export.problems)
    stamp = created_at or export.created_at or format_stamp(moment)
    try:
        if created_at:
            check_passed(created_at, moment)
        stamp = canonical_stamp(stamp)
    except ValueError as error:
        problems.append(Problem(f"--created-at: {error}" if created_at else str(error)))
    before = _text_or_none(path, problems)
    base = before
    if not problems and (before is None or not _says_something(before)):
        base = _new_text(export_path, path, before or "", seed or export.seed, stamp, problems)
    file = PopulationFile(str(path))
    if base is not None:
        source = PopulationSource(path=path, seed=seed)
        file = read_population(source, now=now, text=base, detailed=True)
        problems += file.problems
        problems += _seed_conflict(file, seed)
        if not any(written.agent.local_part is None for written in file.agents):
            # Nobody's address depends on these yet.
            file.seed = file.seed if file.seed is not None else export.seed
            file.created_at = file.created_at if file.created_at is not None else stamp
            if file.seed is None:
                problems.append(_no_seed(export_path))
    if problems or file.document is None:
        raise MergeError(problems)
    others = load_populations(beside, now=now)
    problems += _other_seed(export, file, seed)
    merger = _Merger(export, file, file.document, path, before, stamp, others, now)
    if merger.needs_stamp and not (created_at or export.created_at):
        problems += _clock_problems(moment, reference())
    if merger.needs_stamp and is_ahead(stamp, moment):
        problems.append(
            Problem(f"created_at {stamp} lies in the future (it is now {format_stamp(moment)} UTC)", export.path)
        )
    problems += merger.newcomers_ahead(moment)
    problems += merger.newcomers_known()
    if problems:
        raise MergeError(problems)
    return merger.merge(prune)


class _Merger:
    def __init__(
        self,
        export: PopulationFile,
        file: PopulationFile,
        document: Document,
        path: Path,
        before: str | None,
        stamp: str,
        others: Sequence[Population],
        now: Clock,
    ) -> None:
        self.export = export
        self.file = file
        self.document = document
        self.path = path
        self.before = before
        self.stamp = stamp
        self.now = now
        self.other_claims = [entry for population in others for entry in population.naming_inputs()]
        self.other_homes = {
            same_agent(agent.id): population.path for population in others for agent in population.agents
        }
        self.exported = {same_agent(written.agent.id): written.agent for written in export.agents}

    @property
    def newcomers(self) -> list[Agent]:
        """The agents of the export who are not in the file."""
        known = {same_agent(written.agent.id) for written in self.file.agents}
        return [agent for key, agent in self.exported.items() if key not in known]

    @property
    def needs_stamp(self) -> bool:
        """Whether somebody gets the stamp of this import."""
        return any(agent.created_at is None and agent.local_part is None for agent in self.newcomers)

    def newcomers_ahead(self, now: datetime) -> list[Problem]:
        """An address that is in use keeps its stamp, whatever it says; a new one must not have a future second."""
        return [
            Problem(
                f"created_at {agent.created_at} lies in the future (it is now {format_stamp(now)} UTC)", agent=agent.id
            )
            for agent in self.newcomers
            if agent.created_at is not None and agent.local_part is None and is_ahead(agent.created_at, now)
        ]

    def newcomers_known(self) -> list[Problem]:
        """Ids that a table has turned into numbers with a fraction: everybody would be there twice."""
        known = {same_agent(written.agent.id) for written in self.file.agents}
        return [
            Problem(
                f"is {number} in {self.file.path}, written as a number with a fraction; export ids as text",
                agent=agent.id,
            )
            for agent in self.newcomers
            if (number := agent.id.removesuffix(".0")) != agent.id and number.isdigit() and number in known
        ]

    def merge(self, prune: bool) -> Merge:
        incumbents = [written.agent for written in self.file.agents]
        newcomers = self.newcomers
        gone = [agent for agent in incumbents if same_agent(agent.id) not in self.exported]
        self._refuse_strays([*incumbents, *newcomers])

        held = assign_local_parts([*(self._claim(agent) for agent in incumbents), *self.other_claims])
        wanted: list[Agent] = []
        renamed: list[tuple[str, str, str]] = []
        pinned: dict[str, str] = {}
        for agent in incumbents:
            current = self._as_exported(agent)
            if prune and same_agent(agent.id) not in self.exported:
                continue
            if current.name != agent.name:
                renamed.append((agent.id, agent.name, current.name))
            if current.local_part is None and first_choice(self._claim(current)) != held[agent.id]:
                pinned[agent.id] = held[agent.id]
                current = current.model_copy(update={"local_part": held[agent.id]})
            wanted.append(current)

        newcomers = [self._stamped(agent) for agent in newcomers]
        entries = [self._claim(agent) for agent in newcomers]
        # A pruned agent's local part is not given to a newcomer: its mail would reach somebody else.
        taken = assign_local_parts(entries, {local_part: agent_id for agent_id, local_part in held.items()})
        added: list[Added] = []
        for agent, entry in zip(newcomers, entries, strict=True):
            local_part = taken[agent.id]
            is_pinned = agent.local_part is not None or local_part != first_choice(entry)
            wanted.append(agent.model_copy(update={"local_part": local_part}) if is_pinned else agent)
            added.append(Added(agent_id=agent.id, name=agent.name, local_part=local_part, is_pinned=is_pinned))

        after = self._rewritten(wanted)
        self._verify(after, wanted, held | taken)
        return Merge(
            path=self.path,
            before=self.before,
            after=after,
            added=added,
            kept=len(incumbents) - len(gone),
            renamed=renamed,
            gone=[(agent.id, agent.name) for agent in gone],
            pruned=prune,
            pinned=pinned,
            ahead=tuple(str(problem) for problem in self.file.ahead),
        )

    def _refuse_strays(self, agents: Sequence[Agent]) -> None:
        problems = [
            Problem(f"is also in {home}; an agent belongs to one population", self.file.path, agent=agent.id)
            for agent in agents
            if (home := self.other_homes.get(same_agent(agent.id))) is not None
        ]
        if problems:
            raise MergeError(problems)

    def _claim(self, agent: Agent) -> NamingInput:
        return NamingInput(
            agent_id=agent.id,
            seed=self.file.seed or "",
            name=agent.name,
            username_hint=agent.username_hint,
            created_at=agent.created_at or self.file.created_at or "",
            local_part=agent.local_part,
        )

    def _as_exported(self, agent: Agent) -> Agent:
        """The incumbent with the name and hint that the export has for it; stamp and pin are the file's."""
        exported = self.exported.get(same_agent(agent.id))
        if exported is None:
            return agent
        said = {key: getattr(exported, key) for key in ("name", "username_hint")}
        return agent.model_copy(update={key: value for key, value in said.items() if value})

    def _stamped(self, agent: Agent) -> Agent:
        stamp = agent.created_at or self.stamp
        return agent.model_copy(update={"created_at": None if stamp == self.file.created_at else stamp})

    def _rewritten(self, wanted: Sequence[Agent]) -> str:
        """The file's text with exactly these agents."""
        document = self.document
        editor = text_of(document)
        is_changed = self.before is None or document.text != self.before
        values = {"seed": self.file.seed, "created_at": self.file.created_at}
        beside: dict[str, Agent] = {}
        if "agents_file" in document.fields:
            beside = self.exported
            values["agents_file"] = self._agents_file()
        for key, value in values.items():
            if value is not None and _as_meant(key, document.fields.get(key)) != value:
                editor.set_value(key, value)
                is_changed = True
        entries = {same_agent(written.agent.id): written for written in self.file.own}
        for agent in wanted:
            written = entries.pop(same_agent(agent.id), None)
            base = beside.get(same_agent(agent.id))
            missing = _missing_fields(agent, written, base)
            if written is not None:
                for key, text in missing.items():
                    editor.set_field(written.entry, key, text)
            elif base is None or missing:
                editor.add({"id": agent.id} | missing)
                is_changed = True
            is_changed |= bool(missing)
        for written in entries.values():
            editor.remove(written.entry)
            is_changed = True
        return editor.text() if is_changed else document.text

    def _agents_file(self) -> str:
        """The file's `agents_file`, which from now on is the imported export."""
        export = Path(self.export.path)
        current = str(self.document.fields["agents_file"])
        if (self.path.parent / current).resolve() == export.resolve():
            return current
        return Path(os.path.relpath(export.resolve(), self.path.parent.resolve())).as_posix()

    def _verify(self, text: str, wanted: Sequence[Agent], local_parts: Mapping[str, str]) -> None:
        """Reads the new text as the next `up` will, and compares."""
        result = read_population(PopulationSource(path=self.path), now=self.now, text=text)
        entries = result.population().naming_inputs()
        expected = {agent.id: self._claim(agent) for agent in wanted}
        if result.problems or {entry.agent_id: entry for entry in entries} != expected:
            raise LayoutError(str(self.path), "is laid out in an unusual way")
        assigned = assign_local_parts([*entries, *self.other_claims])
        if any(assigned[entry.agent_id] != local_parts[entry.agent_id] for entry in entries):
            raise LayoutError(str(self.path), "holds agents whose addresses would not stay")


def _as_meant(key: str, written: object) -> object:
    """A value of the file as it was understood: a stamp in ISO 8601 stays as it is written."""
    return canonical_stamp(written) if key == "created_at" and isinstance(written, str) else written


def _missing_fields(agent: Agent, written: WrittenAgent | None, base: Agent | None) -> dict[str, str]:
    """What must still be written of an agent, given its entry in the file and in the export beside it."""
    missing: dict[str, str] = {}
    for key in OPTIONAL_FIELDS:
        wanted = getattr(agent, key)
        if written is not None and key in written.entry.fields:
            current = getattr(written.agent, key)
        else:
            current = None if base is None else getattr(base, key)
        if wanted and wanted != current:
            missing[key] = wanted
    return missing


def _seed_conflict(file: PopulationFile, seed: str | None) -> list[Problem]:
    if seed is None or file.document is None or file.document.fields.get("seed", seed) == seed:
        return []
    mark = file.document.marks.get("seed")
    sentence = "has another seed than --seed says; with that one everybody would move: leave the option out"
    return [Problem(sentence, file.path, None if mark is None else mark.line)]


def _clock_problems(now: datetime, elsewhere: datetime | None) -> list[Problem]:
    """A stamp is in an address for good, so the second must be right."""
    if elsewhere is None or abs(now - elsewhere) <= CLOCK_SKEW:
        return []
    return [
        Problem(
            f"the clock of this machine says {format_stamp(now)} UTC and Mailjet's API says {format_stamp(elsewhere)}; "
            "set the clock, or give the second in which the agents were created as --created-at"
        )
    ]


def _other_seed(export: PopulationFile, file: PopulationFile, seed: str | None) -> list[Problem]:
    """An export of another population: those of the file would be gone, and strangers would come. Where most of the
    file are in the export, the platform has only named the same population anew."""
    if export.seed is None or file.seed is None or export.seed == file.seed or seed is not None:
        return []
    exported = {same_agent(written.agent.id) for written in export.agents}
    kept = sum(same_agent(written.agent.id) in exported for written in file.agents)
    if 2 * kept >= len(file.agents):
        return []
    return [
        Problem(
            f"is an export with the seed {quoted(export.seed)}, and {file.path} is the population with the seed "
            f"{quoted(file.seed)}, of whose {len(file.agents):,} agents it has {kept:,}; "
            "name the file of that population, or, if the export's agents are to join this one, "
            f"say --seed {shlex.quote(file.seed)}",
            export.path,
        )
    ]


def _no_seed(export_path: Path) -> Problem:
    sentence = "has no seed, on which the three digits of every address depend; give one as --seed"
    return Problem(sentence, str(export_path))


def _text_or_none(path: Path, problems: list[Problem]) -> str | None:
    if not path.exists():
        if not path.absolute().parent.is_dir():
            problems.append(Problem("cannot be made: its folder does not exist", str(path)))
        return None
    try:
        return read_text(path)
    except UnreadableFileError as error:
        problems.append(error.problem)
        return None


def _says_something(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def _new_text(
    export_path: Path, path: Path, comments: str, seed: str | None, stamp: str, problems: list[Problem]
) -> str | None:
    """A population file of nobody, for the export's agents to join."""
    if seed is None:
        problems.append(_no_seed(export_path))
        return None
    if path.suffix == ".json":
        return json.dumps({"seed": seed, "created_at": stamp, "agents": []}, ensure_ascii=False, indent=1) + "\n"
    header = comments or (
        f"# Mailboxes of a population, from the platform's export {export_path.name}.\n"
        f"# New agents: {remedies.import_agents('EXPORT', 'FILE')}, which keeps every line and so every address.\n"
        "# created_at: the UTC second in all addresses but those of agents with one of their own.\n"
    )
    line_end = "\r\n" if "\r\n" in header else "\n"
    if not header.endswith("\n"):
        header += line_end
    lines = [f"seed: {yaml_scalar(seed)}", f"created_at: {yaml_scalar(stamp)}", "agents: []", ""]
    return header + line_end.join(lines)


def replace_file(path: Path, text: str) -> None:
    """Replaces a file in one step: its mode, its byte order mark and the link that leads to it stay. Raises OSError."""
    target = path.resolve()
    content = text.encode()
    if target.exists():
        mode = target.stat().st_mode & 0o7777
        with target.open("rb") as current:
            if current.read(3) == b"\xef\xbb\xbf":
                content = b"\xef\xbb\xbf" + content
    else:
        umask = os.umask(0o077)
        os.umask(umask)
        mode = 0o666 & ~umask
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(content)
            temporary.flush()
            os.fchmod(temporary.fileno(), mode)
            os.fsync(temporary.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
