"""`./mail agents addresses | import | check`: addresses of population files, imports of platform exports, checks."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from commands.clock import clock_of
from commands.stack_commands import ROOT
from mailboxes.addresses import LEGACY_PREFIX, addresses, without_first_choice
from mailboxes.errors import SHOWN_PROBLEMS, quoted
from mailboxes.merging import Merge, merge_export
from mailboxes.population import Population, PopulationSource, load_populations, stamps_ahead
from mailboxes.remedies import import_agents
from mailboxes.stamp import Clock, utc_now
from mailboxes.wording import first_few, first_lines


@dataclass(frozen=True, kw_only=True)
class Files:
    """Population files of one stack, and what is said instead of them."""

    paths: Sequence[Path]
    seed: str | None = None
    created_at: str | None = None

    def read(self, now: Clock | None) -> list[Population]:
        """Raises MailboxError with every problem of all files."""
        sources = [PopulationSource(path=path, seed=self.seed, created_at=self.created_at) for path in self.paths]
        return load_populations(sources, now=now or utc_now)


def show_addresses(
    files: Files, domain: str, *, single: Sequence[str] = (), prefix: str = LEGACY_PREFIX, now: Clock | None = None
) -> int:
    """`single`: ids of agents outside the files, who get PREFIX + ID @ domain."""
    found = addresses(files.read(now), domain, single_mailboxes=single, legacy_prefix=prefix)
    print(json.dumps(found, indent=2))
    return 0


def import_export(
    export: Path,
    file: Path,
    *,
    seed: str | None = None,
    created_at: str | None = None,
    prune: bool = False,
    dry_run: bool = False,
    beside: Sequence[Path] = (),
    now: Clock | None = None,
    project: Path = ROOT,
) -> int:
    """Merges a platform export into a population file. `beside`: files whose addresses are taken, too; `project`: where
    the stacks are whose Mailjet is asked for the time."""
    merge = merge_export(
        export,
        file,
        seed=seed,
        created_at=created_at,
        prune=prune,
        beside=[PopulationSource(path=path) for path in beside],
        now=now or utc_now,
        reference=lambda: clock_of(file, project),
    )
    # Said before it is written: who goes is not found out afterwards.
    for line in _merge_lines(merge, dry_run):
        print(line, flush=True)
    if not dry_run:
        merge.write()
    for line in _listed("", merge.ahead):
        print(f"warning:{line[1:]}; the mailboxes that have it keep it", file=sys.stderr)
    return 0


def _merge_lines(merge: Merge, is_dry_run: bool) -> Iterable[str]:
    outcome = "unchanged" if not merge.changes else "would change" if is_dry_run else "written"
    yield f"{merge.path}: {outcome}; {len(merge.added)} added, {merge.kept} kept, {len(merge.gone)} gone"
    yield from _listed(
        "added",
        (
            f"{agent.agent_id}  {_plain(agent.name)}  {agent.local_part}{'  (pinned)' if agent.is_pinned else ''}"
            for agent in merge.added
        ),
    )
    yield from _listed(
        "renamed, address kept",
        (f"{agent_id}  {_plain(old)} -> {_plain(new)}" for agent_id, old, new in merge.renamed),
    )
    yield from _listed("pinned", (f"{agent_id}  {local_part}" for agent_id, local_part in merge.pinned.items()))
    fate = "gone, removed" if merge.pruned else "gone, kept in the file (--prune removes them)"
    yield from _listed(fate, (f"{agent_id}  {_plain(name)}" for agent_id, name in merge.gone))


def check(files: Files, *, strict: bool = False, now: Clock | None = None) -> int:
    """Every problem, or a summary and whom only a pin would keep in place. `strict`: 1 for these, too."""
    populations = files.read(now)
    unpinned = without_first_choice(populations)
    for population in populations:
        stamps = Counter(agent.created_at or population.created_at for agent in population.agents)
        pins = sum(agent.local_part is not None for agent in population.agents)
        parts = [_agents(len(population.agents))]
        if population.seed is not None:
            parts.append(f"seed {population.seed}")
        if stamps:
            shown = [f"{stamp or 'no stamp'} ({count})" for stamp, count in sorted(stamps.items(), key=str)]
            parts.append(f"created_at {first_few(shown)}")
        parts.append(f"{pins} pinned")
        print(f"{population.path}: {', '.join(parts)}")
    ahead = stamps_ahead(
        [PopulationSource(path=path, created_at=files.created_at) for path in files.paths], now=now or utc_now
    )
    for line in _listed("", map(str, ahead)):
        print(f"warning:{line[1:]}; a preview refuses it to newcomers", file=sys.stderr)
    if not unpinned:
        return 1 if strict and ahead else 0
    print(
        f"warning: {_agents(len(unpinned))} did not get a first choice and may move when somebody joins or leaves; "
        f"{import_agents('FILE', 'FILE')} writes the pins that hold them:",
        file=sys.stderr,
    )
    for line in _listed("", (f"agent {agent_id}: local_part: {pin}" for agent_id, pin in unpinned.items())):
        print(line, file=sys.stderr)
    return 1 if strict else 0


def _listed(title: str, lines: Iterable[str]) -> Iterable[str]:
    lines = list(lines)
    if title and lines:
        yield f"{title}:"
    yield from first_lines(lines, SHOWN_PROBLEMS)


def _agents(count: int) -> str:
    return "1 agent" if count == 1 else f"{count} agents"


def _plain(name: str) -> str:
    """A name for one line of a terminal."""
    return name if name.isprintable() else quoted(name)
