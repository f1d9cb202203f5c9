"""`python -m commands.agents`: addresses of population files, imports of platform exports, checks."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from commands.clock import clock_of
from commands.stack_commands import ROOT
from mailboxes.addresses import LEGACY_PREFIX, addresses, without_first_choice
from mailboxes.errors import SHOWN_PROBLEMS, MailboxError, quoted
from mailboxes.merging import Merge, merge_export
from mailboxes.population import Population, PopulationSource, load_populations, stamps_ahead
from mailboxes.stamp import Clock, utc_now

BROKEN_PIPE = 141
INTERRUPTED = 130

DESCRIPTION = """\
Mailboxes of agent populations: who gets which address, computed from files alone.

A population file is YAML or JSON: a seed, a created_at (UTC, YYYYMMDDHHMMSS) and a list of agents with
id, name, username_hint and, where needed, created_at or local_part of their own. The platform's exports
are such files too."""

IMPORT_DESCRIPTION = """\
Merges a platform export into a population file, so that nobody who is in the file moves.

New agents are appended, stamped with the current UTC second, and given what those already there leave.
An agent who did not get her first choice, or whose name has changed, gets her local_part written down.
Order, stamps, pins and comments stay; agents who have left the export stay until --prune. A second run
changes nothing. The file is made if it is not there, and is not touched if anything is wrong."""

CHECK_DESCRIPTION = """\
Validates population files together, as one stack has them: prints every problem, or a summary.

Warns of agents whom only a pin would keep in place: they share name and second with others, did not get
their first choice, and may move when somebody joins or leaves."""


def main(arguments: Sequence[str] | None = None, *, now: Clock = utc_now, project: Path = ROOT) -> int:
    """Runs the command line; returns the exit code: 0, 1 for a problem, 2 for wrong usage. `project`: where the stacks
    are whose Mailjet is asked for the time."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "addresses":
            return _addresses(options, now)
        if options.command == "import":
            return _import(options, now, project)
        return _check(options, now)
    except MailboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m commands.agents", description=DESCRIPTION, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    command = commands.add_parser(
        "addresses",
        help="print {agent id: address} as JSON",
        description="Prints {agent id: address} of all agents in the files, as JSON sorted by agent id.",
    )
    _add_files(command)
    command.add_argument("--domain", required=True, help="the mail domain, for example agents.example")
    command.add_argument(
        "--single", action="append", default=[], metavar="ID", help="an agent outside the files: PREFIX + ID @ domain"
    )
    command.add_argument(
        "--prefix", default=LEGACY_PREFIX, help=f"of the agents named by --single (default: {LEGACY_PREFIX})"
    )

    command = commands.add_parser(
        "import",
        help="merge a platform export into a population file",
        description=IMPORT_DESCRIPTION,
        formatter_class=raw,
    )
    command.add_argument("export", type=Path, metavar="EXPORT", help="what the platform printed (JSON)")
    command.add_argument(
        "file", type=Path, metavar="FILE", help="the population file, for example populations/prod.yaml"
    )
    command.add_argument("--seed", help="the population's seed, where neither FILE nor a first EXPORT names one")
    command.add_argument(
        "--created-at", metavar="STAMP", help="stamp of the new agents, YYYYMMDDHHMMSS in UTC (default: now)"
    )
    command.add_argument("--prune", action="store_true", help="remove agents who are not in EXPORT any more")
    command.add_argument("--dry-run", action="store_true", help="say what would change; write nothing")
    command.add_argument(
        "--beside",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="another population file of the same stack, whose addresses are taken",
    )

    command = commands.add_parser(
        "check",
        help="validate population files; all problems at once",
        description=CHECK_DESCRIPTION,
        formatter_class=raw,
    )
    _add_files(command)
    command.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    return parser


def _add_files(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="population files of one stack")
    command.add_argument("--seed", help="the seed, instead of what the files say")
    command.add_argument(
        "--created-at", metavar="STAMP", help="YYYYMMDDHHMMSS in UTC, instead of what the files say for the population"
    )


def _populations(options: argparse.Namespace, now: Clock) -> list[Population]:
    sources = [PopulationSource(path=path, seed=options.seed, created_at=options.created_at) for path in options.files]
    return load_populations(sources, now=now)


def _addresses(options: argparse.Namespace, now: Clock) -> int:
    found = addresses(
        _populations(options, now), options.domain, single_mailboxes=options.single, legacy_prefix=options.prefix
    )
    print(json.dumps(found, indent=2))
    return 0


def _import(options: argparse.Namespace, now: Clock, project: Path) -> int:
    merge = merge_export(
        options.export,
        options.file,
        seed=options.seed,
        created_at=options.created_at,
        prune=options.prune,
        beside=[PopulationSource(path=path) for path in options.beside],
        now=now,
        reference=lambda: clock_of(options.file, project),
    )
    # Said before it is written: who goes is not found out afterwards.
    for line in _merge_lines(merge, options.dry_run):
        print(line, flush=True)
    if not options.dry_run:
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


def _check(options: argparse.Namespace, now: Clock) -> int:
    populations = _populations(options, now)
    unpinned = without_first_choice(populations)
    for population in populations:
        stamps = Counter(agent.created_at or population.created_at for agent in population.agents)
        pins = sum(agent.local_part is not None for agent in population.agents)
        parts = [_agents(len(population.agents))]
        if population.seed is not None:
            parts.append(f"seed {population.seed}")
        if stamps:
            shown = [f"{stamp or 'no stamp'} ({count})" for stamp, count in sorted(stamps.items(), key=str)[:3]]
            more = [f"{len(stamps) - 3} more"] if len(stamps) > 3 else []
            parts.append(f"created_at {', '.join(shown + more)}")
        parts.append(f"{pins} pinned")
        print(f"{population.path}: {', '.join(parts)}")
    ahead = stamps_ahead(
        [PopulationSource(path=path, created_at=options.created_at) for path in options.files], now=now
    )
    for line in _listed("", map(str, ahead)):
        print(f"warning:{line[1:]}; a preview refuses it to newcomers", file=sys.stderr)
    if not unpinned:
        return 1 if options.strict and ahead else 0
    print(
        f"warning: {_agents(len(unpinned))} did not get a first choice and may move when somebody joins or leaves; "
        "`python -m commands.agents import FILE FILE` writes the pins that hold them:",
        file=sys.stderr,
    )
    for line in _listed("", (f"agent {agent_id}: local_part: {pin}" for agent_id, pin in unpinned.items())):
        print(line, file=sys.stderr)
    return 1 if options.strict else 0


def _listed(title: str, lines: Iterable[str]) -> Iterable[str]:
    lines = list(lines)
    if title and lines:
        yield f"{title}:"
    for line in lines[:SHOWN_PROBLEMS]:
        yield f"  {line}"
    if len(lines) > SHOWN_PROBLEMS:
        yield f"  and {len(lines) - SHOWN_PROBLEMS} more"


def _agents(count: int) -> str:
    return "1 agent" if count == 1 else f"{count} agents"


def _plain(name: str) -> str:
    """A name for one line of a terminal."""
    return name if name.isprintable() else quoted(name)


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        # Names come in every script, terminals do not.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has left (| head); nothing more can be said, also not by the interpreter at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)
