"""Pinning agents where they are: a `local_part` written into whichever population file has them.

A pin is a field of an entry that is there already, in whatever style it is written, so pasted lines would make a second
entry of the same id. Nothing is written before every agent has been found, once, and every file has been read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailboxes.document import UnreadableFileError, read_text
from mailboxes.errors import Problem, ProblemsError
from mailboxes.merging import FileEdit
from mailboxes.naming import LocalPartError, check_local_part
from mailboxes.population import (
    Agent,
    PopulationFile,
    PopulationSource,
    canonical_agent_id,
    read_population,
    same_agent,
)
from mailboxes.rewriting import LayoutError, text_of
from mailboxes.stamp import Clock, utc_now


class PinError(ProblemsError):
    """Agents who cannot be pinned; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile(FileEdit):
    """What pinning makes of a population file."""

    pinned: Mapping[str, str]
    """{agent id: local part} of the agents of this file."""


def read_pins(words: Iterable[str]) -> dict[str, str]:
    """{agent id: local part} of words `ID=LOCAL_PART`; the whole address will do too. Raises `PinError`."""
    pins: dict[str, str] = {}
    ids: dict[str, str] = {}
    problems: list[Problem] = []
    for word in words:
        name, equals, local_part = word.rpartition("=")
        if not equals:
            problems.append(
                Problem(f"{word!r} names no local part; expected ID=LOCAL_PART, as the refusal of a preview prints it")
            )
            continue
        try:
            agent_id = canonical_agent_id(name)
            pin = check_local_part(local_part.strip().partition("@")[0])
        except (ValueError, LocalPartError) as error:
            problems.append(Problem(str(error), agent=name.strip() or None))
            continue
        known = ids.setdefault(same_agent(agent_id), agent_id)
        if pins.setdefault(known, pin) != pin:
            problems.append(Problem(f"is to be pinned to {pins[known]} and to {pin}; choose one", agent=agent_id))
    if problems:
        raise PinError(problems)
    return pins


def pin_agents(paths: Sequence[Path], pins: Mapping[str, str], *, now: Clock = utc_now) -> list[PinnedFile]:
    """What pinning makes of the population files at `paths`, in their order; writes nothing.

    Raises `PinError` for an agent who is in none of them or in several, and for a pin that another agent has;
    `LayoutError` for a file that cannot be edited in place.
    """
    distinct = {os.path.realpath(path): path for path in paths}
    files = [(path, *_read(path, now)) for path in distinct.values()]
    if unreadable := [problem for _, _, file in files for problem in file.problems]:
        raise PinError(unreadable)
    homes: dict[str, list[Path]] = {}
    holders: dict[str, str] = {}
    repinned = {same_agent(agent_id) for agent_id in pins}
    for path, _, file in files:
        for written in file.agents:
            homes.setdefault(same_agent(written.agent.id), []).append(path)
            if written.agent.local_part is not None and same_agent(written.agent.id) not in repinned:
                holders.setdefault(written.agent.local_part, written.agent.id)
    problems = [*_strays(pins, homes, [path for path, _, _ in files]), *_taken(pins, holders)]
    if problems:
        raise PinError(problems)
    return [_pinned(path, before, file, pins, now) for path, before, file in files]


def _read(path: Path, now: Clock) -> tuple[str, PopulationFile]:
    try:
        text = read_text(path)
    except UnreadableFileError as error:
        return "", PopulationFile(str(path), problems=[error.problem])
    return text, read_population(PopulationSource(path=path), now=now, text=text, complete=False, detailed=True)


def _strays(pins: Mapping[str, str], homes: Mapping[str, Sequence[Path]], paths: Sequence[Path]) -> Iterable[Problem]:
    looked_in = ", ".join(str(path) for path in paths) or "no population file"
    for agent_id in pins:
        found = homes.get(same_agent(agent_id), ())
        if not found:
            yield Problem(f"is not in {looked_in}; correct the id, or name the file with --file", agent=agent_id)
        elif len(found) > 1:
            named = " and ".join(str(path) for path in found)
            yield Problem(f"is in {named}; name the one that is meant with --file", agent=agent_id)


def _taken(pins: Mapping[str, str], holders: Mapping[str, str]) -> Iterable[Problem]:
    wanted = dict(holders)
    for agent_id, local_part in pins.items():
        holder = wanted.setdefault(local_part, agent_id)
        if holder != agent_id:
            yield Problem(f"local part {local_part} is pinned to agent {holder}; two cannot have it", agent=agent_id)


def _pinned(path: Path, before: str, file: PopulationFile, pins: Mapping[str, str], now: Clock) -> PinnedFile:
    wanted = {same_agent(agent_id): local_part for agent_id, local_part in pins.items()}
    own = {same_agent(written.agent.id): written for written in file.own}
    done: dict[str, str] = {}
    editor = None
    for written in file.agents:
        key = same_agent(written.agent.id)
        if key not in wanted:
            continue
        done[written.agent.id] = wanted[key]
        if written.agent.local_part == wanted[key] or file.document is None:
            continue
        editor = editor or text_of(file.document)
        if key in own:
            editor.set_field(own[key].entry, "local_part", wanted[key])
        else:
            # It stands in the export beside this file, which stays as the platform wrote it.
            editor.add({"id": written.agent.id, "local_part": wanted[key]})
    after = before if editor is None else editor.text()
    _verify(path, file, after, wanted, now)
    return PinnedFile(path=path, before=before, after=after, pinned=done)


def _verify(path: Path, file: PopulationFile, after: str, wanted: Mapping[str, str], now: Clock) -> None:
    """Reads the new text as the next `up` will: everybody as before, but for the pins."""

    def pinned(agent: Agent) -> Agent:
        pin = wanted.get(same_agent(agent.id))
        return agent if pin is None else agent.model_copy(update={"local_part": pin})

    again = read_population(PopulationSource(path=path), now=now, text=after, complete=False)
    expected = [pinned(written.agent) for written in file.agents]
    if again.problems or [written.agent for written in again.agents] != expected:
        raise LayoutError(str(path), "is laid out in an unusual way")
